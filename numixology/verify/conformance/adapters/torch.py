"""torch as a backend: its own functions on any device and in any format, or code of yours."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ....array import Array
from ....errors import StateDictError, UnsupportedError
from ..calling import array_of, in_a_line
from ..networks import Networks
from ..stages import Inputs, stage_of
from .shared import Backend, Names, Sizes, arrays_of, called, needed, sizes_of, taken, title

__all__ = ["PROFILE", "Torch", "TorchModule", "torch_module"]

#: What torch is known to do otherwise than the reference, by format. Its LayerNorm calculates
#: x / deviation - mean / deviation, which loses an offset's digits. Its GELU calculates 1 + erf(x),
#: which is 0 in the left tail; in float16 that is below the smallest normal number anyway.
#: Gradients of an embedding and of LayerNorm's bias are added up in a format of 16 bits itself.
PROFILE = {
    "float64": ("tails", "offsets"),
    "float32": ("tails", "offsets"),
    "bfloat16": ("tails", "offsets", "sums"),
    "float16": ("offsets", "sums"),
}


class _Memory:
    """NumPy's memory as torch's: a tensor has the offset and the strides of its array.

    Where device and format are NumPy's, it is the same memory, read-only or not. Elsewhere the
    whole memory is copied of which the array is a part, and what is written there is written back.
    """

    def __init__(self, device: Any, kind: Any) -> None:
        self.device, self.kind = device, kind
        self.copies: list[tuple[Any, Any, Any]] = []

    def tensor(self, array: Array) -> Any:
        """The tensor at the array's place."""
        owner: Any = array
        while getattr(owner, "base", None) is not None:
            owner = owner.base
        start = array.ctypes.data - owner.ctypes.data if isinstance(owner, np.ndarray) else -1
        if any(step < 0 or step % array.itemsize for step in (start, *array.strides)):
            return self.tensor(array.copy())  # torch has no negative strides
        size, data = array.itemsize, (owner.ctypes.data, False)  # False: not read-only
        row = {"version": 3, "typestr": array.dtype.str, "shape": (owner.nbytes // size,)}
        flat = SimpleNamespace(owner=owner, __array_interface__=row | {"data": data})
        whole = torch.from_numpy(np.asarray(flat))
        moved = whole.to(self.device, self.kind if array.dtype.kind == "f" else torch.int64)
        if moved is not whole:
            self.copies.append((whole, moved, moved.clone()))
        steps = [step // size for step in array.strides]
        return moved.as_strided(array.shape, steps, start // size)

    def tensors(self, inputs: Inputs) -> dict[str, Any]:
        """All arrays as tensors, and the settings as they are."""
        arrays = {k: self.tensor(v) for k, v in inputs.items() if isinstance(v, np.ndarray)}
        return {**inputs, **arrays}

    def written(self) -> None:
        """Let whoever looks at the arrays see what was written into the copies."""
        for whole, moved, before in self.copies:
            changed = ~torch.isclose(moved, before, rtol=0, atol=0, equal_nan=True)
            whole[changed.cpu()] = moved[changed].to(whole)


class _OnDevice(Backend):
    """What torch's own functions and those of others have in common: tensors in, autograd."""

    lost = ("negative strides",)

    def __init__(
        self, device: str = "cpu", dtype: str = "float32", tf32: bool = False, **declares: Any
    ) -> None:
        self.device, self.tf32 = _device(device), tf32
        name = f"torch {torch.__version__} on {device}"
        if self.device.type == "cuda":
            name += f" ({torch.cuda.get_device_name(self.device)}), TF32 {'on' if tf32 else 'off'}"
        super().__init__(name, dtype, PROFILE.get(dtype, ()), declares)

    def prepared(self, stage: str, inputs: Inputs, p: dict[str, Any]) -> Callable[[Any], Any]:
        """What calculates the output from the inputs as tensors; p may be changed."""
        raise NotImplementedError

    @contextmanager
    def prepared_for(self, stage: str, inputs: Inputs) -> Iterator[tuple[_Memory, Any, Any]]:
        """Memory, inputs as tensors, and what calculates; float32 products are as declared."""
        memory = _Memory(self.device, getattr(torch, self.dtype))
        on_cuda = self.device.type == "cuda"
        with _tf32(torch.backends.cuda.matmul, self.tf32) if on_cuda else nullcontext():
            p = memory.tensors(inputs)
            yield memory, p, self.prepared(stage, inputs, p)
        memory.written()

    def forward(self, stage: str, inputs: Inputs) -> Array:
        """What a stage computes, without recording anything."""
        with torch.no_grad(), self.prepared_for(stage, inputs) as (_, p, compute):
            return array_of(compute(p), self.dtype)

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        """The gradients of ⟨cotangent, output⟩ by the floating-point inputs, under our names."""
        with self.prepared_for(stage, inputs) as (memory, p, compute):
            leaves = {name: p[name].requires_grad_() for name in arrays_of(inputs)}
            output, ct = compute(p), memory.tensor(cotangent)
            found = torch.autograd.grad(output, [*leaves.values()], ct, materialize_grads=True)
        # Autograd hands on the memory of the cotangent, as it may.
        theirs = ct.untyped_storage().data_ptr()
        own = (g.clone() if g.untyped_storage().data_ptr() == theirs else g for g in found)
        return {name: array_of(g, self.dtype) for name, g in zip(leaves, own, strict=True)}


def _device(name: str) -> Any:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        invariant = "the device of a torch adapter is one that torch finds here"
        got, instead = f"{name!r} ({in_a_line(error)})", "use device=cpu, or a torch built for it"
        raise UnsupportedError(invariant, got, instead) from error
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
        declares: what else an adapter may say of itself; see :class:`.Adapter`. An option of the
            networks may stand alone, as ``ffn="swiglu"``.

    Attributes:
        name: version and device, and on CUDA also whether TF32 is on.
        dtype: the format of all numbers.
        accumulation: float64 for float64, else float32.
        stages: all.
        profile: that of :data:`PROFILE`.

    Raises:
        ArgumentError: there is no such option.
        DTypeError: no such format.
        UnsupportedError: torch does not find that device.

    Example:
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters import load
        >>> backend = load("torch:dtype=float32")
        >>> conform(backend, stages=["linear"], quick=True).verdict
        'pass'
    """

    def prepared(self, stage: str, inputs: Inputs, p: dict[str, Any]) -> Callable[[Any], Any]:
        """The stage, by the functions below."""
        return partial(self.run, stage)

    embedding = staticmethod(lambda ids, weight: F.embedding(ids, weight))
    linear = staticmethod(lambda x, weight, bias=None: F.linear(x, weight, bias))
    per_token_linear = staticmethod(
        lambda x, weight, bias=0.0: torch.einsum("bti,toi->bto", x, weight) + bias
    )
    gelu = staticmethod(lambda x: F.gelu(x))
    gelu_tanh = staticmethod(lambda x: F.gelu(x, approximate="tanh"))
    silu = staticmethod(lambda x: F.silu(x))
    relu = staticmethod(lambda x: F.relu(x))
    softmax = staticmethod(lambda x: torch.softmax(x, dim=-1))

    def rms_norm(self, x: Any, weight: Any, eps: float) -> Any:
        """x / √(mean(x²) + eps) · weight."""
        return F.rms_norm(x, x.shape[-1:], weight, eps)

    def layer_norm(self, x: Any, weight: Any, bias: Any, eps: float) -> Any:
        """(x - mean) / √(var + eps) · weight + bias."""
        return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


class TorchModule(_OnDevice):
    """One stage, by code of yours; made by :func:`torch_module`, which says what is taken."""

    def __init__(self, make: Any, names: Any, stage: str, **on: Any) -> None:
        super().__init__(**on)
        self.stages, self.title = [stage_of(stage).name], title(make)
        self.name = f"{self.title}, {self.name}"
        self.names = Names(stage, names, self.options)
        function = isinstance(make, type) and issubclass(make, torch.autograd.Function)
        self.make: Any = make.apply if function else make
        ready = _computes(self.make, self.names.ours)
        self.made = (None, self.make) if ready else (Sizes(), None)

    def prepared(self, stage: str, inputs: Inputs, p: dict[str, Any]) -> Callable[[Any], Any]:
        """The function, or the module with the case's arrays as its parameters."""
        sizes = sizes_of(stage, inputs)
        if self.made[0] not in (None, sizes):
            self.made = sizes, self._of(sizes)
        code = self.made[1]
        if isinstance(code, torch.nn.Module):
            code.to(self.device, getattr(torch, self.dtype)).eval()
            theirs = dict(code.named_parameters())
            called_by = self.names.of(arrays_of(inputs))
            _check(theirs, {name: inputs[ours].shape for ours, name in called_by.items()})
            for ours, name in called_by.items():
                theirs[name].data, p[ours] = p[ours], theirs[name]
        return partial(_called, code)

    def _of(self, sizes: Sizes) -> Any:
        """A module, or a function, for these sizes."""
        try:
            made = called(self.make, sizes._asdict(), sizes, ())
        except Exception as error:
            refused = isinstance(error, ValueError | AssertionError | RuntimeError)
            if refused and sizes.num_heads not in (0, sizes.tokens):
                raise  # the paper's mixer has as many heads as tokens
            wrong = in_a_line(error)
        else:
            if callable(made):
                return made
            wrong = f"it returns {type(made).__name__}"
        such = f"torch_module(lambda sizes: {self.title}(sizes.hidden_dim), ...)"
        instead = f'write such as {such}, and say what sizes it takes, as requires={{"D": 64}}'
        invariant = f"{self.title} makes a module or a function from the sizes of a case"
        raise StateDictError(invariant, f"{wrong}, for {sizes}", instead)


def _called(code: Any, p: Mapping[str, Any]) -> Any:
    """What a module or a function of the author's makes of the inputs."""
    first = p["ids"] if "ids" in p else p["x"]
    several = [first] if isinstance(code, torch.nn.Module) else [*p.values()]
    return called(code, {"input": first, **p}, first, several)


def _computes(code: Any, inputs: Mapping[str, Any]) -> bool:
    """Whether this is what computes a stage: a module, or a function of its inputs."""
    home = getattr(code, "__module__", None) or type(code).__module__
    if isinstance(code, type | torch.nn.Module) or home.startswith("torch"):
        return not isinstance(code, type)
    takes = taken(code)
    return takes is None or (bool(needed(takes)) and inputs.keys() | {"input"} >= {*needed(takes)})


def _check(theirs: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Every parameter of the module is set, and nothing else is there to be set."""
    have = {name: tuple(parameter.shape) for name, parameter in theirs.items()}
    wrong = [f"no {k} of shape {shape}" for k, shape in shapes.items() if have.get(k) != shape]
    wrong += [f"{k} of shape {s} is left over" for k, s in have.items() if shapes.get(k) != s]
    if wrong:
        invariant = "names maps each parameter of the stage to one of the module, of its shape"
        instead = f"the module has {', '.join(theirs) or 'none'}"
        raise StateDictError(invariant, "; ".join(wrong), instead)


def torch_module(
    make: Any,
    names: Mapping[str, str] | None = None,
    stage: str = "block",
    **on: Any,
) -> TorchModule:
    """An adapter for a module or a function of yours, which computes one stage.

    A module is put into evaluation mode, and its parameters become those of the case, at their
    places in memory. Gradients come from autograd, or from what is registered there.

    Args:
        make: makes a module from the :class:`.Sizes` of a case, or from those of them that it has
            parameters for. Or it is what computes the stage: a function of torch, of one tensor
            or of inputs of the stage by their names, a subclass of ``torch.autograd.Function``, or
            a module that suits all sizes. A module is called with x, or ids, and with other inputs
            that its forward takes by their names.
        names: what the module calls each parameter of the stage, by our name; those left out have
            our name. An ``i`` between dots is the number of a block, on both sides:
            ``{"blocks.i.mixer.norm.weight": "layers.i.ln1.weight"}``.
        stage: which stage it computes, a key of :data:`.STAGES`.
        on: ``device``, ``dtype`` and ``tf32`` as of :class:`.Torch`, and what else an adapter may
            say of itself; see :class:`.Adapter`. ``profile`` is by default that of torch's own
            functions, and ``()`` is none. An option of the networks may stand alone, as
            ``ffn="swiglu"``.

    Returns:
        The adapter, for :func:`.conform`.

    Raises:
        ArgumentError: no such stage or option.
        DTypeError: no such format.
        StateDictError: no such parameter.
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
        >>> conform(torch_module(Gated, names, stage), stages=[stage], quick=True).verdict
        'pass'
        >>> names["w1.weight"], names["w3.weight"] = "up.weight", "gate.weight"  # the wrong way
        >>> conform(torch_module(Gated, names, stage), stages=[stage], quick=True).verdict
        'fail'
    """
    return TorchModule(make, names or {}, stage, **on)
