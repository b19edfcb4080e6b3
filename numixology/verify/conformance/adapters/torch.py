"""torch as a backend: its own functions on any device and in any format, or a module of yours."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ....array import Array
from ....errors import StateDictError, UnsupportedError
from ..formats import format_of
from ..networks import Networks
from ..stages import STAGES, Inputs, stage_of
from .layers import Sizes, arrays_of, authors_names, parameters_of, sizes_of, wanted

__all__ = ["PROFILE", "Torch", "TorchModule", "torch_module"]

#: What torch is known to do otherwise than the reference, by format. Its LayerNorm calculates
#: x / deviation - mean / deviation, which loses an offset's digits. Its GELU calculates 1 + erf(x),
#: which is 0 in the left tail; in float16 that is below the smallest normal number anyway.
PROFILE = {
    "float64": ("tails", "offsets"),
    "float32": ("tails", "offsets"),
    "bfloat16": ("tails", "offsets"),
    "float16": ("offsets",),
}


class _OnDevice:
    """Arrays to tensors of one device and format, and back."""

    def __init__(self, device: str, dtype: str, tf32: bool) -> None:
        self.dtype = format_of(dtype).name
        self.profile: Sequence[str] = PROFILE[dtype]
        self.accumulation = "float64" if dtype == "float64" else "float32"
        self.device = _device(device)
        self.kind = getattr(torch, dtype)
        self.tf32 = tf32
        self.name = f"torch {torch.__version__} on {device}"
        if self.device.type == "cuda":
            self.name += f" ({torch.cuda.get_device_name(self.device)}), TF32 "
            self.name += "on" if tf32 else "off"

    def tensor(self, array: Array) -> Any:
        """A tensor with an array's numbers and strides: on its memory if that can be done."""
        if array.size and 0 in array.strides:
            once = tuple(slice(0, 1 if step == 0 else None) for step in array.strides)
            return self.tensor(array[once].copy()).expand(array.shape)
        if any(step < 0 or step % array.itemsize for step in array.strides):
            array = array.copy()  # torch has no such strides
        kind = self.kind if array.dtype.kind == "f" else torch.int64
        # Of an array that is read-only torch would warn.
        shared = torch.from_numpy(array if array.flags.writeable else array.copy())
        if array.flags.writeable and shared.dtype == kind and self.device.type == "cpu":
            return shared
        steps = [step // array.itemsize for step in array.strides]
        made = torch.empty_strided(array.shape, steps, dtype=kind, device=self.device)
        return made.copy_(shared)

    def array(self, tensor: Any) -> Array:
        """A tensor's numbers, bfloat16 in float32."""
        tensor = tensor.detach().cpu()
        found: Array = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        return found

    def written(self, arrays: Mapping[str, Array], tensors: Mapping[str, Any]) -> None:
        """Let whoever looks at the arrays see what was written into copies of them."""
        for name, array in arrays.items():
            now = self.array(tensors[name])
            if array.flags.writeable and not np.array_equal(now, array, equal_nan=True):
                array[...] = now

    @contextmanager
    def precision(self) -> Iterator[None]:
        """While float32 products on CUDA are what the adapter says they are."""
        if self.device.type != "cuda":
            yield
            return
        with _tf32(torch.backends.cuda.matmul, self.tf32):
            yield


def _device(name: str) -> Any:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UnsupportedError(
            "the device of a torch adapter is one that torch finds here",
            f"{name!r} ({str(error).splitlines()[0]})",
            "use device=cpu, or a torch built for that device",
        ) from error
    return device


@contextmanager
def _tf32(settings: Any, on: bool) -> Iterator[None]:
    """torch's switch, whose name and values have changed with its versions."""
    newer = hasattr(settings, "fp32_precision")
    switch = "fp32_precision" if newer else "allow_tf32"
    before = getattr(settings, switch)
    setattr(settings, switch, ("tf32" if on else "ieee") if newer else on)
    try:
        yield
    finally:
        setattr(settings, switch, before)


class Torch(_OnDevice, Networks[Any]):
    """torch's own functions, with gradients by its autograd.

    Args:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, ...
        dtype: ``"float64"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        tf32: whether products of float32 on CUDA may be of TF32 numbers, which have 11 digits.
            Then the adapter still declares float32, and the kit says what is lost.

    Attributes:
        name: version and device, and on CUDA also whether TF32 is on.
        dtype: the format of all numbers.
        accumulation: float64 for float64, else float32.
        stages: all.
        profile: that of :data:`PROFILE`.

    Raises:
        DTypeError: no such format.
        UnsupportedError: torch does not find that device.

    Example:
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters import load
        >>> backend = load("torch:dtype=float32")
        >>> conform(backend, stages=["linear"], seeds=1).verdict
        'pass'
    """

    stages: Sequence[str] = tuple(STAGES)

    def __init__(self, device: str = "cpu", dtype: str = "float32", tf32: bool = False) -> None:
        super().__init__(device, dtype, tf32)

    def forward(self, stage: str, inputs: Inputs) -> Array:
        """What a stage computes, without recording anything."""
        with torch.no_grad(), self.precision():
            return self.array(self.run(stage, self._tensors(inputs)))

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        """The gradients of ⟨cotangent, output⟩ by the floating-point inputs."""
        p = self._tensors(inputs)
        leaves = {name: p[name].requires_grad_() for name in arrays_of(inputs)}
        with self.precision():
            output = self.run(stage, p)
            found = torch.autograd.grad(output, list(leaves.values()), self.tensor(cotangent))
        return {name: self.array(g) for name, g in zip(leaves, found, strict=True)}

    def _tensors(self, inputs: Inputs) -> dict[str, Any]:
        return {
            name: self.tensor(value) if isinstance(value, np.ndarray) else value
            for name, value in inputs.items()
        }

    def embedding(self, ids: Any, weight: Any) -> Any:
        """weight[ids]."""
        return F.embedding(ids, weight)

    def token_mix(self, x: Any, num_heads: int) -> Any:
        """(B, T, H, d) to (B, H, T, d), regrouped H chunks per token."""
        B, T, D = x.shape
        return x.view(B, T, num_heads, D // num_heads).permute(0, 2, 1, 3).reshape(B, T, D)

    def layer_norm(self, x: Any, weight: Any, bias: Any, eps: float) -> Any:
        """(x - mean) / √(var + eps) · weight + bias."""
        return F.layer_norm(x, x.shape[-1:], weight, bias, eps)

    def linear(self, x: Any, weight: Any, bias: Any = None) -> Any:
        """x weightᵀ + bias."""
        return F.linear(x, weight, bias)

    def gelu(self, x: Any) -> Any:
        """x Φ(x)."""
        return F.gelu(x)

    def gelu_tanh(self, x: Any) -> Any:
        """½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))."""
        return F.gelu(x, approximate="tanh")

    def silu(self, x: Any) -> Any:
        """x σ(x)."""
        return F.silu(x)

    def relu(self, x: Any) -> Any:
        """max(x, 0)."""
        return F.relu(x)

    def softmax(self, x: Any) -> Any:
        """exp(x) / Σ exp(x)."""
        return torch.softmax(x, dim=-1)


class TorchModule(_OnDevice):
    """One stage, by a module; made by :func:`torch_module`, which says what the arguments are."""

    def __init__(
        self,
        make: Callable[[Sizes], Any],
        names: Mapping[str, str],
        stage: str,
        device: str,
        dtype: str,
        tf32: bool,
        call: Callable[[Any, Mapping[str, Any]], Any],
        profile: Sequence[str] | None,
    ) -> None:
        super().__init__(device, dtype, tf32)
        self.make, self.names, self.call = make, names, call
        self.stages = [stage_of(stage).name]
        self.name = f"{getattr(make, '__name__', 'module')}, {self.name}"
        if profile is not None:
            self.profile = profile

    def forward(self, stage: str, inputs: Inputs) -> Array:
        """What the module computes, without recording anything."""
        with torch.no_grad(), self.precision():
            module, p = self._prepared(stage, inputs)
            output = self.call(module, p)
        self.written(_arrays(inputs), p)
        return self.array(output)

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        """The gradients by x and by the module's parameters, under our names."""
        with self.precision():
            module, p = self._prepared(stage, inputs)
            leaves = {name: p[name].requires_grad_() for name in arrays_of(inputs)}
            output = self.call(module, p)
            wanted(output, cotangent.shape)
            ct = self.tensor(cotangent)
            found = torch.autograd.grad(output, list(leaves.values()), ct, materialize_grads=True)
        self.written(_arrays(inputs) | {"": cotangent}, p | {"": ct})
        return {name: self.array(g) for name, g in zip(leaves, found, strict=True)}

    def _prepared(self, stage: str, inputs: Inputs) -> tuple[Any, dict[str, Any]]:
        """The module with the case's parameters, and all inputs, the parameters being its own."""
        module = self.make(sizes_of(stage, inputs)).to(self.device, self.kind).eval()
        ours = parameters_of(inputs)
        called = authors_names(ours, self.names)
        theirs = dict(module.named_parameters())
        _check(theirs, {called[name]: array.shape for name, array in ours.items()})
        p = {
            name: self.tensor(value)
            if isinstance(value, np.ndarray) and name not in ours
            else value
            for name, value in inputs.items()
        }
        with torch.no_grad():
            for name, array in ours.items():
                p[name] = theirs[called[name]].copy_(self.tensor(array))
        return module, p


def _arrays(inputs: Inputs) -> dict[str, Array]:
    return {name: value for name, value in inputs.items() if isinstance(value, np.ndarray)}


def _check(theirs: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Every parameter of the module is set, and nothing else is there to be set."""
    wrong = [f"no {name}" for name in shapes if name not in theirs]
    wrong += [f"{name}, which nothing is mapped to" for name in theirs if name not in shapes]
    wrong += [
        f"{name} of shape {tuple(theirs[name].shape)}, not {shape}"
        for name, shape in shapes.items()
        if name in theirs and tuple(theirs[name].shape) != shape
    ]
    if wrong:
        raise StateDictError(
            "names maps each parameter of the stage to one of the module, of its shape",
            "; ".join(wrong),
            f"the module has {', '.join(theirs) or 'none'}",
        )


def _on_first(module: Any, p: Mapping[str, Any]) -> Any:
    return module(p["ids"] if "ids" in p else p["x"])


def torch_module(
    make: Callable[[Sizes], Any],
    names: Mapping[str, str] | None = None,
    stage: str = "block",
    *,
    device: str = "cpu",
    dtype: str = "float32",
    tf32: bool = False,
    call: Callable[[Any, Mapping[str, Any]], Any] = _on_first,
    profile: Sequence[str] | None = None,
) -> TorchModule:
    """An adapter for a module of yours, which computes one stage.

    For every case the module is made anew, put into evaluation mode, and given the parameters of
    the case. Its gradients come from autograd, or from what it registers there.

    Args:
        make: makes the module from the :class:`.Sizes` of a case.
        names: what the module calls each parameter of the stage, by our name; those left out have
            our name. An ``i`` between dots is the number of a block, on both sides:
            ``{"blocks.i.mixer.norm.weight": "layers.i.ln1.weight"}``.
        stage: which stage it computes, a key of :data:`.STAGES`.
        device: where.
        dtype: ``"float64"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        tf32: whether products of float32 on CUDA may be of TF32 numbers.
        call: calls the module, given it and the inputs by name as tensors; by default
            ``module(x)``, or ``module(ids)``.
        profile: which of :data:`.PROFILES` excuse it; by default those of torch's own functions,
            and ``()`` for none.

    Returns:
        The adapter, for :func:`.conform`.

    Raises:
        ArgumentError: no such stage.
        DTypeError: no such format.
        UnsupportedError: torch does not find that device.

    Example:
        >>> import torch
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters.torch import torch_module
        >>> class Gated(torch.nn.Module):
        ...     def __init__(self, sizes):
        ...         super().__init__()
        ...         d, f = sizes.hidden_dim, sizes.ff_dim
        ...         self.ln = torch.nn.LayerNorm(d, eps=sizes.eps)
        ...         self.gate = torch.nn.Linear(d, f, bias=False)
        ...         self.up = torch.nn.Linear(d, f, bias=False)
        ...         self.down = torch.nn.Linear(f, d, bias=False)
        ...     def forward(self, x):
        ...         h = self.ln(x)
        ...         return x + self.down(torch.nn.functional.silu(self.gate(h)) * self.up(h))
        >>> names = {"norm.weight": "ln.weight", "norm.bias": "ln.bias"}
        >>> names |= {"w1.weight": "gate.weight", "w3.weight": "up.weight"}
        >>> names |= {"w2.weight": "down.weight"}
        >>> stage = "swiglu_feed_forward"
        >>> conform(torch_module(Gated, names, stage), stages=[stage]).verdict
        'pass'
        >>> names["w1.weight"], names["w3.weight"] = "up.weight", "gate.weight"  # the wrong way
        >>> conform(torch_module(Gated, names, stage), stages=[stage]).verdict
        'fail'
    """
    return TorchModule(make, names or {}, stage, device, dtype, tf32, call, profile)
