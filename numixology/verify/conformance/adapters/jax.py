"""JAX as a backend: its own functions on the CPU, compiled or not, or a function of yours."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np

from ....array import Array
from ..formats import format_of
from ..networks import Networks
from ..stages import STAGES, Inputs, stage_of
from .layers import Sizes, arrays_of, authors_names, sizes_of, wanted

__all__ = ["PROFILE", "Jax", "JaxFunction", "jax_function"]

#: What JAX is known to do otherwise than the reference, by format.
PROFILE = {
    "float64": ("tails", "offsets"),
    "float32": ("tails", "offsets"),
    "bfloat16": ("steps", "offsets"),
    "float16": ("steps", "offsets"),
}


class _OnCpu:
    """Arrays to JAX's and back, functions compiled once, and 64 bits where they are needed."""

    def __init__(self, dtype: str, jit: bool) -> None:
        self.dtype = format_of(dtype).name
        self.accumulation = "float64" if dtype == "float64" else "float32"
        self.profile: Sequence[str] = PROFILE[dtype]
        self.name = f"JAX {jax.__version__} on cpu" + ("" if jit else ", not compiled")
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

    def back(self, array: Any) -> Array:
        """One of JAX's arrays as NumPy's, bfloat16 in float32."""
        return np.array(array.astype(jnp.float32) if array.dtype == jnp.bfloat16 else array)

    def functions(self, stage: str, inputs: Inputs) -> tuple[Any, Any]:
        """The forward of a dict of arrays, and the pull-back of a cotangent."""
        key = (stage, sizes_of(stage, inputs))
        if key not in self.compiled:
            fixed = {k: v for k, v in inputs.items() if not isinstance(v, np.ndarray)}
            forward = partial(self.computed, stage, key[1], fixed)

            def pulled(arrays: Any, others: Any, cotangent: Any) -> Any:
                output, pull = jax.vjp(lambda own: forward(own, others), arrays)
                wanted(output, cotangent.shape)
                return pull(cotangent)[0]

            wrap = jax.jit if self.jit else (lambda function: function)
            self.compiled[key] = wrap(forward), wrap(pulled)
        return self.compiled[key]

    def computed(self, stage: str, sizes: Sizes, fixed: Any, arrays: Any, others: Any) -> Any:
        """A stage on JAX's arrays; for the subclass to write."""
        raise NotImplementedError

    def handed(self, inputs: Inputs) -> tuple[dict[str, Any], dict[str, Any]]:
        """The floating-point arrays, and the others."""
        found = {k: self.there(v) for k, v in inputs.items() if isinstance(v, np.ndarray)}
        own = arrays_of(inputs)
        return (
            {k: v for k, v in found.items() if k in own},
            {k: v for k, v in found.items() if k not in own},
        )

    def forward(self, stage: str, inputs: Inputs) -> Array:
        """What a stage computes."""
        with self.settled():
            forward, _ = self.functions(stage, inputs)
            return self.back(forward(*self.handed(inputs)))

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        """The gradients of ⟨cotangent, output⟩ by the floating-point inputs."""
        with self.settled():
            _, pulled = self.functions(stage, inputs)
            found = pulled(*self.handed(inputs), self.there(cotangent))
            return {name: self.back(g) for name, g in found.items()}


class Jax(_OnCpu, Networks[Any]):
    """JAX's own functions, with gradients by its ``vjp``.

    It has no LayerNorm of its own; this one is of ``jnp.mean``, ``jnp.var`` and ``lax.rsqrt``, in
    float32 at least. In float16 JAX's tanh GELU fails: its gradient is NaN where x³ overflows,
    beyond ±40.

    Args:
        dtype: ``"float64"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        jit: whether XLA compiles every stage as a whole, or JAX calls one operation at a time.

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
        >>> conform(load("jax:dtype=float64"), stages=["linear"], seeds=1).verdict
        'pass'
    """

    stages: Sequence[str] = tuple(STAGES)

    def __init__(self, dtype: str = "float32", jit: bool = True) -> None:
        super().__init__(dtype, jit)

    def computed(self, stage: str, sizes: Sizes, fixed: Any, arrays: Any, others: Any) -> Any:
        """A stage on JAX's arrays."""
        return self.run(stage, {**fixed, **arrays, **others})

    def embedding(self, ids: Any, weight: Any) -> Any:
        """weight[ids]."""
        return weight[ids]

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

    def gelu(self, x: Any) -> Any:
        """x Φ(x)."""
        return jax.nn.gelu(x, approximate=False)

    def gelu_tanh(self, x: Any) -> Any:
        """½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
        return jax.nn.gelu(x, approximate=True)

    def silu(self, x: Any) -> Any:
        """x σ(x)."""
        return jax.nn.silu(x)

    def relu(self, x: Any) -> Any:
        """max(x, 0)."""
        return jax.nn.relu(x)

    def softmax(self, x: Any) -> Any:
        """exp(x) / Σ exp(x)."""
        return jax.nn.softmax(x, axis=-1)


class JaxFunction(_OnCpu):
    """One stage, by a function; made by :func:`jax_function`, which says what the arguments are."""

    def __init__(
        self,
        fn: Callable[[Any, Any, Sizes], Any],
        names: Mapping[str, str],
        stage: str,
        dtype: str,
        jit: bool,
        profile: Sequence[str] | None,
    ) -> None:
        super().__init__(dtype, jit)
        self.fn, self.names = fn, names
        self.stages = [stage_of(stage).name]
        self.name = f"{getattr(fn, '__name__', 'function')}, {self.name}"
        if profile is not None:
            self.profile = profile

    def computed(self, stage: str, sizes: Sizes, fixed: Any, arrays: Any, others: Any) -> Any:
        """The function, with the parameters in dicts of the author's names."""
        ours = {name: value for name, value in arrays.items() if name != "x"}
        called = authors_names(ours, self.names)
        params = _nested({called[name]: value for name, value in ours.items()})
        return self.fn(params, others["ids"] if "ids" in others else arrays["x"], sizes)


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
    fn: Callable[[Any, Any, Sizes], Any],
    names: Mapping[str, str] | None = None,
    stage: str = "block",
    *,
    dtype: str = "float32",
    jit: bool = True,
    profile: Sequence[str] | None = None,
) -> JaxFunction:
    """An adapter for a function of yours, which computes one stage.

    Args:
        fn: called with the parameters, with x (or the ids), and with the :class:`.Sizes` of the
            case. A dot in an author's name opens a dict: ``params["norm"]["scale"]``. Weights have
            torch's layout, (out, in); a function that wants another one transposes them.
        names: what the function calls each parameter of the stage, by our name; those left out
            have our name. An ``i`` between dots is the number of a block, on both sides.
        stage: which stage it computes, a key of :data:`.STAGES`.
        dtype: ``"float64"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        jit: whether the function is compiled.
        profile: which of :data:`.PROFILES` excuse it; by default those of JAX's own functions, and
            ``()`` for none.

    Returns:
        The adapter, for :func:`.conform`.

    Raises:
        ArgumentError: no such stage.
        DTypeError: no such format.

    Example:
        >>> import jax.numpy as jnp
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters.jax import jax_function
        >>> def dense(params, x, sizes):
        ...     return x @ params["kernel"].T + params["offset"]
        >>> names = {"weight": "kernel", "bias": "offset"}
        >>> conform(jax_function(dense, names, "linear"), stages=["linear"]).verdict
        'pass'
        >>> def forgetful(params, x, sizes):
        ...     return x @ params["kernel"].T
        >>> conform(jax_function(forgetful, names, "linear"), stages=["linear"]).verdict
        'fail'
    """
    return JaxFunction(fn, names or {}, stage, dtype, jit, profile)
