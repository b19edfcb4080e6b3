"""JAX as a backend: its own functions on the CPU, compiled or not, or a function of yours."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np

from ....array import Array
from ....errors import StateDictError
from ..calling import array_of
from ..memory import LAYOUTS
from ..networks import Networks
from ..stages import Inputs, stage_of
from .shared import Backend, Names, Sizes, arrays_of, called, sizes_of, title

__all__ = ["PROFILE", "Jax", "JaxFunction", "jax_function"]

#: What JAX is known to do otherwise than the reference, by format. In 16 bits it stores every step,
#: and adds up the gradients of a bias and of an embedding in the format itself.
PROFILE = {
    "float64": ("tails", "offsets"),
    "float32": ("tails", "offsets"),
    "bfloat16": ("steps", "offsets", "sums"),
    "float16": ("steps", "offsets", "sums"),
}


class _OnCpu(Backend):
    """Arrays to JAX's and back, functions compiled once, and 64 bits where they are needed."""

    lost = tuple(LAYOUTS)

    def __init__(self, dtype: str, jit: bool, declares: Mapping[str, Any]) -> None:
        name = f"JAX {jax.__version__} on cpu" + ("" if jit else ", not compiled")
        super().__init__(name, dtype, PROFILE.get(dtype, ()), declares)
        self.jit = jit
        self.compiled: dict[Any, tuple[Any, Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "compiled": {}}  # for another process to compile again

    def settled(self) -> Any:
        """A context in which JAX keeps 64 bits exactly if the format has them."""
        home = jax if hasattr(jax, "enable_x64") else jax.experimental  # where it was once
        return home.enable_x64(self.dtype == "float64")

    def there(self, array: Array) -> Any:
        """An array as JAX's, in the format."""
        with jax.default_device(jax.devices("cpu")[0]):
            return jnp.asarray(array, self.dtype if array.dtype.kind == "f" else None)

    def functions(self, stage: str, inputs: Inputs) -> tuple[Any, Any]:
        """The forward of a dict of arrays, and the pull-back of a cotangent."""
        key = (stage, sizes_of(stage, inputs))
        if key not in self.compiled:
            fixed = {k: v for k, v in inputs.items() if not isinstance(v, np.ndarray)}
            forward = partial(self.computed, stage, key[1], fixed)

            def pulled(own: Any, others: Any, cotangent: Any) -> Any:
                return jax.vjp(lambda own: forward(own, others), own)[1](cotangent)[0]

            wrap = jax.jit if self.jit else (lambda function: function)
            self.compiled[key] = wrap(forward), wrap(pulled)
        return self.compiled[key]

    def computed(self, stage: str, sizes: Sizes, fixed: Any, own: Any, others: Any) -> Any:
        """A stage on JAX's arrays, those that have gradients and those that have none."""
        raise NotImplementedError

    def handed(self, inputs: Inputs) -> tuple[dict[str, Any], dict[str, Any]]:
        """The floating-point arrays, and the others."""
        found = {k: self.there(v) for k, v in inputs.items() if isinstance(v, np.ndarray)}
        own = {name: found.pop(name) for name in arrays_of(inputs)}
        return own, found

    def forward(self, stage: str, inputs: Inputs) -> Array:
        """What a stage computes."""
        with self.settled():
            forward, _ = self.functions(stage, inputs)
            return array_of(forward(*self.handed(inputs)), self.dtype)

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        """The gradients of ⟨cotangent, output⟩ by the floating-point inputs."""
        with self.settled():
            _, pulled = self.functions(stage, inputs)
            found = pulled(*self.handed(inputs), self.there(cotangent))
            return {name: array_of(g, self.dtype) for name, g in found.items()}


class Jax(_OnCpu, Networks[Any]):
    """JAX's own functions, with gradients by its ``vjp``.

    It has no LayerNorm of its own; this one is of ``jnp.mean``, ``jnp.var`` and ``lax.rsqrt``, in
    float32 at least. In float16 JAX's tanh GELU fails: its gradient is NaN where x³ overflows,
    beyond ±40.

    Args:
        dtype: ``"float64"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        jit: whether XLA compiles every stage as a whole, or JAX calls one operation at a time.
        declares: what else an adapter may say of itself; see :class:`.Adapter`.

    Attributes:
        name: the version.
        dtype: the format of all numbers.
        accumulation: float64 for float64, else float32.
        stages: all.
        profile: that of :data:`PROFILE`.

    Raises:
        DTypeError: no such format.

    Example:
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters import load
        >>> conform(load("jax:dtype=float64"), stages=["linear"], quick=True).verdict
        'pass'
    """

    def __init__(self, dtype: str = "float32", jit: bool = True, **declares: Any) -> None:
        super().__init__(dtype, jit, declares)

    def computed(self, stage: str, sizes: Sizes, fixed: Any, own: Any, others: Any) -> Any:
        """A stage on JAX's arrays."""
        return self.run(stage, {**fixed, **own, **others})

    embedding = staticmethod(lambda ids, weight: weight[ids])
    gelu = staticmethod(lambda x: jax.nn.gelu(x, approximate=False))
    gelu_tanh = staticmethod(lambda x: jax.nn.gelu(x, approximate=True))
    silu = staticmethod(lambda x: jax.nn.silu(x))
    relu = staticmethod(lambda x: jax.nn.relu(x))
    softmax = staticmethod(lambda x: jax.nn.softmax(x, axis=-1))

    def token_mix(self, x: Any, num_heads: int) -> Any:
        """(B, T, H, d) to (B, H, T, d), regrouped H chunks per token."""
        B, T, D = x.shape
        return x.reshape(B, T, num_heads, D // num_heads).swapaxes(1, 2).reshape(B, T, D)

    def layer_norm(self, x: Any, weight: Any, bias: Any, eps: float) -> Any:
        """(x - mean) / √(var + eps) · weight + bias."""
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))  # as JAX's libraries of layers do
        h = wide - jnp.mean(wide, axis=-1, keepdims=True)
        rstd = jax.lax.rsqrt(jnp.var(wide, axis=-1, keepdims=True) + eps)
        return (h * rstd * weight + bias).astype(x.dtype)

    def linear(self, x: Any, weight: Any, bias: Any = None) -> Any:
        """x weightᵀ + bias."""
        y = x @ weight.T
        return y if bias is None else y + bias


class JaxFunction(_OnCpu):
    """One stage, by a function; made by :func:`jax_function`, which says what the arguments are."""

    def __init__(self, fn: Any, names: Any, stage: str, *on: Any) -> None:
        super().__init__(*on)
        self.fn, self.stages = fn, [stage_of(stage).name]
        self.names = Names(stage, names, self.options)
        self.name = f"{title(fn)}, {self.name}"

    def computed(self, stage: str, sizes: Sizes, fixed: Any, own: Any, others: Any) -> Any:
        """The function, with the parameters in dicts of the author's names."""
        p = {**fixed, **own, **others}
        x = p["ids"] if "ids" in p else p["x"]
        flat = {theirs: own[ours] for ours, theirs in self.names.of(own).items()}
        params = _nested(flat)
        given = {"params": params, "sizes": sizes, **p}
        try:
            return called(self.fn, given, x, (params, x, sizes))
        except KeyError as error:
            invariant = "names maps each parameter of the stage to one that the function looks up"
            instead = f"params has {', '.join(flat) or 'none'}"
            raise StateDictError(invariant, f"no {error}", instead) from error


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a.b": 1}`` as ``{"a": {"b": 1}}``."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *folders, name = path.split(".")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = value
    return tree


def jax_function(
    fn: Callable[..., Any],
    names: Mapping[str, str] | None = None,
    stage: str = "block",
    *,
    dtype: str = "float32",
    jit: bool = True,
    **declares: Any,
) -> JaxFunction:
    """An adapter for a function of yours, which computes one stage.

    Args:
        fn: called with the parameters, with x (or the ids), and with the :class:`.Sizes` of the
            case: ``fn(params, x, sizes)``. A dot in an author's name opens a dict:
            ``params["norm"]["scale"]``. It may take inputs of the stage by their names instead, or
            x alone. Weights have torch's layout, (out, in); a function that wants another one
            transposes them.
        names: what the function calls each parameter of the stage, by our name; those left out
            have our name. An ``i`` between dots is the number of a block, on both sides.
        stage: which stage it computes, a key of :data:`.STAGES`.
        dtype: ``"float64"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        jit: whether the function is compiled.
        declares: what else an adapter may say of itself; see :class:`.Adapter`. ``profile`` is by
            default that of JAX's own functions, and ``()`` is none. An option of the networks may
            stand alone, as ``ffn="swiglu"``.

    Returns:
        The adapter, for :func:`.conform`.

    Raises:
        ArgumentError: no such stage or option.
        DTypeError: no such format.
        StateDictError: no such parameter.

    Example:
        >>> import jax
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters.jax import jax_function
        >>> def dense(params, x, sizes):
        ...     return x @ params["kernel"].T + params["offset"]
        >>> names = {"weight": "kernel", "bias": "offset"}
        >>> conform(jax_function(dense, names, "linear"), stages=["linear"], quick=True).verdict
        'pass'
        >>> def forgetful(params, x, sizes):
        ...     return x @ params["kernel"].T
        >>> conform(jax_function(forgetful, names, "linear"), stages=["linear"], quick=True).verdict
        'fail'
        >>> conform(jax_function(jax.nn.silu, stage="silu"), stages=["silu"], quick=True).verdict
        'pass'
    """
    return JaxFunction(fn, names or {}, stage, dtype, jit, declares)
