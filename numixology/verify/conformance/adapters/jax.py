"""JAX as a backend: its own functions on the CPU, compiled or not, or a function of yours."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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


@partial(jax.jit, static_argnums=range(4))
def _forward(backend: Any, stage: str, sizes: Sizes, fixed: Any, own: Any, others: Any) -> Any:
    """A stage on JAX's arrays, those that have gradients and those that have none."""
    return backend.computed(stage, sizes, {**dict(fixed), **own, **others}, own)


@partial(jax.jit, static_argnums=range(4))
def _pulled(
    backend: Any, stage: str, sizes: Sizes, fixed: Any, own: Any, others: Any, ct: Any
) -> Any:
    """The pull-back of a cotangent."""
    return jax.vjp(lambda own: _forward(backend, stage, sizes, fixed, own, others), own)[1](ct)[0]


class _OnCpu(Backend):
    """Arrays to JAX's and back, and 64 bits where they are needed."""

    lost = tuple(LAYOUTS)

    def __init__(self, dtype: str = "float32", jit: bool = True, **declares: Any) -> None:
        name = f"JAX {jax.__version__} on cpu" + ("" if jit else ", not compiled")
        super().__init__(name, dtype, PROFILE.get(dtype, ()), declares)
        self.jit = bool(jit)

    @contextmanager
    def settled(self) -> Iterator[None]:
        """On the CPU, where JAX keeps 64 bits exactly if the format has them."""
        home = jax if hasattr(jax, "enable_x64") else jax.experimental  # where it was once
        wide, cpu = home.enable_x64(self.dtype == "float64"), jax.devices("cpu")[0]
        with wide, jax.default_device(cpu), jax.disable_jit(not self.jit):
            yield

    def handed(self, stage: str, inputs: Inputs) -> tuple[Any, ...]:
        """What the compiled functions take."""
        arrays = {k: self.there(v) for k, v in inputs.items() if isinstance(v, np.ndarray)}
        fixed = tuple((name, value) for name, value in inputs.items() if name not in arrays)
        own = {name: arrays.pop(name) for name in arrays_of(inputs)}
        return self, stage, sizes_of(stage, inputs), fixed, own, arrays

    def there(self, array: Array) -> Any:
        """An array as JAX's, in the format."""
        return jnp.asarray(array, self.dtype if array.dtype.kind == "f" else None)

    def forward(self, stage: str, inputs: Inputs) -> Array:
        """What a stage computes."""
        with self.settled():
            return array_of(_forward(*self.handed(stage, inputs)), self.dtype)

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        """The gradients of ⟨cotangent, output⟩ by the floating-point inputs."""
        with self.settled():
            found = _pulled(*self.handed(stage, inputs), self.there(cotangent))
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

    def computed(self, stage: str, sizes: Sizes, p: Mapping[str, Any], own: Any) -> Any:
        """A stage on JAX's arrays."""
        return self.run(stage, p)

    embedding = staticmethod(lambda ids, weight: weight[ids])
    gelu = staticmethod(lambda x: jax.nn.gelu(x, approximate=False))
    gelu_tanh = staticmethod(lambda x: jax.nn.gelu(x, approximate=True))
    silu = staticmethod(lambda x: jax.nn.silu(x))
    relu = staticmethod(lambda x: jax.nn.relu(x))
    softmax = staticmethod(lambda x: jax.nn.softmax(x, axis=-1))

    def rms_norm(self, x: Any, weight: Any, eps: float) -> Any:
        """x / √(mean(x²) + eps) · weight."""
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        rms = jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + eps)
        return (wide * rms * weight).astype(x.dtype)

    def layer_norm(self, x: Any, weight: Any, bias: Any, eps: float) -> Any:
        """(x - mean) / √(var + eps) · weight + bias."""
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))  # as JAX's libraries of layers do
        h = wide - jnp.mean(wide, axis=-1, keepdims=True)
        rstd = jax.lax.rsqrt(jnp.var(wide, axis=-1, keepdims=True) + eps)
        return (h * rstd * weight + bias).astype(x.dtype)

    def linear(self, x: Any, weight: Any, bias: Any = 0.0) -> Any:
        """x weightᵀ + bias."""
        return x @ weight.T + bias

    def per_token_linear(self, x: Any, weight: Any, bias: Any = 0.0) -> Any:
        """x_t weight_tᵀ + bias_t."""
        return jnp.einsum("bti,toi->bto", x, weight) + bias


class JaxFunction(_OnCpu):
    """One stage, by a function; made by :func:`jax_function`, which says what the arguments are."""

    def __init__(self, fn: Any, names: Any, stage: str, **on: Any) -> None:
        super().__init__(**on)
        self.fn, self.stages = fn, [stage_of(stage).name]
        self.names = Names(stage, names, self.options)
        self.name = f"{title(fn)}, {self.name}"

    def computed(self, stage: str, sizes: Sizes, p: Mapping[str, Any], own: Any) -> Any:
        """The function, with the parameters in dicts of the author's names."""
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
    **on: Any,
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
        on: ``dtype`` and ``jit`` as of :class:`.Jax`, and what else an adapter may say of itself;
            see :class:`.Adapter`. ``profile`` is by default that of JAX's own functions, and ``()``
            is none. An option of the networks may stand alone, as ``ffn="swiglu"``.

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
    return JaxFunction(fn, names or {}, stage, **on)
