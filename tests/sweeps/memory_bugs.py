"""Bugs of memory: where arrays begin, how they lie there, and who else holds them."""

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from sweeps.kernel_bug import bug
from sweeps.kernels import Array, Inputs, Kernels, Saved


def owner(x: Array) -> Array:
    """The array whose memory a view shows, flat."""
    found, base = x, x.base
    while base is not None:
        if isinstance(base, np.ndarray):
            found = base
        base = getattr(base, "base", None)
    return np.asarray(found).ravel(order="K")


def address(x: Array) -> int:
    return int(x.__array_interface__["data"][0])


def read_from(x: Array, start: int) -> Array:
    """As many numbers as x has, one after the other from an address on; zeros past the memory."""
    memory = owner(x)
    at = (start - address(memory)) // x.itemsize + np.arange(x.size)
    inside = (at >= 0) & (at < memory.size)
    found = np.where(inside, memory[np.clip(at, 0, max(memory.size - 1, 0))], 0) if x.size else at
    return np.asarray(found, x.dtype).reshape(x.shape)


# Where an array begins, and how it lies


@bug("memory", "layer_norm")
class StorageOffsetIgnored(Kernels):
    """x is read from where its storage begins, not where the view does."""

    def load(self, name: str, x: Array) -> Array:
        dense = x.flags.c_contiguous and name == "x"
        return super().load(name, read_from(x, address(owner(x))) if dense else x)


@bug("memory", "linear")
class WeightOffsetIgnored(Kernels):
    """A weight that is part of a larger buffer is read from where that begins."""

    def load(self, name: str, x: Array) -> Array:
        dense = x.flags.c_contiguous and name == "weight"
        return super().load(name, read_from(x, address(owner(x))) if dense else x)


@bug("memory", "layer_norm")
class RowStrideAssumed(Kernels):
    """Rows of x are taken to follow each other without a gap."""

    def load(self, name: str, x: Array) -> Array:
        return super().load(name, read_from(x, address(x)) if name == "x" else x)


@bug("memory", "silu")
class CotangentRowStrideAssumed(Kernels):
    """Rows of the cotangent are taken to follow each other without a gap."""

    def load(self, name: str, x: Array) -> Array:
        return super().load(name, read_from(x, address(x)) if name == "cotangent" else x)


@bug("memory", "gelu")
class BroadcastCotangentReadDense(Kernels):
    """A cotangent with strides of 0 is read as if all its numbers were there."""

    def load(self, name: str, x: Array) -> Array:
        if name == "cotangent" and 0 in x.strides:
            x = read_from(x, address(x))
        return super().load(name, x)


@bug("memory", "softmax")
class StridesWithoutSign(Kernels):
    """Strides are unsigned: what runs backwards is read forwards, from its lowest address."""

    def load(self, name: str, x: Array) -> Array:
        forwards = tuple(slice(None, None, -1 if s < 0 else 1) for s in x.strides)
        return super().load(name, x[forwards])


@bug("memory", "token_mix")
class TransposedReadFlat(Kernels):
    """A transposed x is read in the order of its memory."""

    def load(self, name: str, x: Array) -> Array:
        if x.flags.f_contiguous and not x.flags.c_contiguous:
            x = x.ravel(order="K").reshape(x.shape)
        return super().load(name, x)


@bug("memory", "linear")
class TransposedCotangentReadFlat(Kernels):
    """A cotangent whose axes lie in another order is read in the order of its memory."""

    def load(self, name: str, x: Array) -> Array:
        if name == "cotangent" and not x.flags.c_contiguous:
            x = x.ravel(order="K").reshape(x.shape)
        return super().load(name, x)


@bug("memory", "linear")
class TransposedWeightReadFlat(Kernels):
    """A weight that is the transpose of an array is read as if it were not."""

    def load(self, name: str, x: Array) -> Array:
        if name == "weight" and x.flags.f_contiguous and not x.flags.c_contiguous:
            x = x.ravel(order="K").reshape(x.shape)
        return super().load(name, x)


@bug("memory", "silu")
class AlignedDown(Kernels):
    """Loads of four numbers begin at the multiple of 16 bytes before x."""

    def load(self, name: str, x: Array) -> Array:
        if name == "x" and x.flags.c_contiguous:
            x = read_from(x, address(x) // 16 * 16)
        return super().load(name, x)


@bug("memory", "layer_norm")
class GapTimesZero(Kernels):
    """Loads of four read past the end of a row, and multiply by 0 what does not belong to it."""

    def load(self, name: str, x: Array) -> Array:
        y = super().load(name, x)
        if name != "x" or not x.size or x.flags.c_contiguous:
            return y
        past = x.shape[-1] + np.arange(-x.shape[-1] % 4)
        last = x[..., -1:]
        ends = np.array([address(last[at]) for at in np.ndindex(last.shape[:-1])])
        memory = owner(x)
        at = (ends - address(memory)) // x.itemsize
        at = at[:, None] + 1 + past - x.shape[-1]
        read = memory[np.clip(at, 0, memory.size - 1)] * (at < memory.size)
        extra = (read * 0).sum(axis=-1).reshape(*x.shape[:-1], 1)
        return y + extra.astype(y.dtype)


@bug("memory", "softmax")
class GapFilled(Kernels):
    """The gap after a row of x is filled with minus infinity, so that loads need no mask."""

    def load(self, name: str, x: Array) -> Array:
        gap = x.strides[-2] // x.itemsize - x.shape[-1] if x.ndim > 1 else 0
        rows = np.prod(x.shape[:-1])
        if name == "x" and x.flags.writeable and gap > 0 and x.strides[-1] == x.itemsize and rows:
            for at in np.ndindex(x.shape[:-1]):
                row = x[at]
                inside = (address(row) - address(owner(x))) // x.itemsize + len(row)
                room = min(gap, owner(x).size - inside)
                as_strided(row, (len(row) + room,), writeable=True)[len(row) :] = -np.inf
        return super().load(name, x)


@bug("memory", "embedding")
class WideIdsReadNarrow(Kernels):
    """Ids of 64 bits are read as ids of 32, of which every other one is zero."""

    def load(self, name: str, x: Array) -> Array:
        if name == "ids" and x.itemsize == 8:
            return np.ascontiguousarray(x).view(np.int32).reshape(-1)[: x.size].reshape(x.shape)
        return super().load(name, x)


@bug("memory", "embedding")
class IdsStrideIgnored(Kernels):
    """Ids are read one after the other, whatever their strides are."""

    def load(self, name: str, x: Array) -> Array:
        return read_from(x, address(x)) if name == "ids" else super().load(name, x)


# Results that share memory


@bug("memory", "token_mix")
class OneHeadIsItsInput(Kernels):
    """With one head or one token nothing moves, and x itself is returned."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        x = inputs["x"]
        return x if 1 in (x.shape[1], inputs["num_heads"]) else super().forward(stage, inputs)


@bug("memory", "linear")
class DbiasIsCotangent(Kernels):
    """Of one row there is nothing to add, and the bias's gradient is the cotangent's memory."""

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        one = cotangent.size == cotangent.shape[-1]
        return found | ({"bias": cotangent.reshape(-1)} if one else {})


@bug("memory", "gelu")
class OutputInWorkspace(Kernels):
    """The output lies in a workspace, which the next call of that size uses."""

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__(dtype)
        self.workspaces: dict[Any, Array] = {}

    def output(self, x: Array) -> Array:
        y = super().output(x)
        space = self.workspaces.setdefault(y.shape, np.empty_like(y))
        space[...] = y
        return space


@bug("memory", "linear")
class GradientInWorkspace(Kernels):
    """The weight's gradient lies in a workspace, which the next backward pass uses."""

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__(dtype)
        self.workspaces: dict[Any, Array] = {}

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        dweight = found["weight"]
        space = self.workspaces.setdefault(dweight.shape, np.empty_like(dweight))
        space[...] = dweight
        return found | {"weight": space}


@bug("memory", "silu")
class GradientOverOutput(Kernels):
    """The backward pass writes the gradient over the forward pass's output."""

    last: Array | None = None

    def forward(self, stage: str, inputs: Inputs) -> Array:
        self.last = super().forward(stage, inputs)
        return self.last

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        if self.last is not None and self.last.shape == found["x"].shape:
            self.last[...] = found["x"]
            found["x"] = self.last
        return found


@bug("memory", "swiglu_feed_forward")
class GradientsShareMemory(Kernels):
    """The gradients of gate and up lie in one buffer, where one is scratch of the other's end."""

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        size = found["w1.weight"].size
        both = np.empty(2 * size - min(1, size), self.format.container)
        for name, start in (("w1.weight", 0), ("w3.weight", len(both) - size)):
            both[start : start + size] = found[name].reshape(-1)
            found[name] = both[start : start + size].reshape(found[name].shape)
        return found


# Arguments and saved arrays that are written to


@bug("memory", "layer_norm")
class InputCenteredInPlace(Kernels):
    """The mean is subtracted from x where x lies."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        y = super().forward(stage, inputs)
        x = inputs["x"]
        if x.flags.writeable and x.size:
            x -= x.mean(axis=-1, keepdims=True)
        return y


@bug("memory", "softmax")
class CotangentInPlace(Kernels):
    """The cotangent is multiplied by the output where it lies."""

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        if cotangent.flags.writeable:
            cotangent *= self.forward(stage, inputs)
        return found


@bug("memory", "feed_forward")
class ActivationOverSaved(Kernels):
    """The activation is written over its argument, which the backward pass reads."""

    def activated(self, a: Array) -> Array:
        a[...] = super().activated(a)
        return a


@bug("memory", "block")
class MixedOverSaved(Kernels):
    """The second layer's result is added to the norm's output in place, which was saved."""

    def feed_forward_stage(self, p: Inputs) -> tuple[Array, Saved]:
        y, (n, of_norm, a, g) = super().feed_forward_stage(p)
        n[...] = self.store(n + y - p["x"])
        return y, (n, of_norm, a, g)


@bug("memory", "model")
class LayersShareScratch(Kernels):
    """All layers save the norm's rows in one scratch buffer; the last layer's serve every one."""

    def model_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        last = saved[-1][2][1] if saved else None
        shared = [(i, q, (y, last, ffn)) for i, q, (y, _, ffn) in saved]
        return super().model_stage_back(p, shared, ct)


@bug("memory", "mixer")
class ResidualReadAfterMixing(Kernels):
    """Heads are mixed in place, and the residual is added after that."""

    def mixed(self, x: Array, heads: int) -> Array:
        y = self.mix(x, heads)
        return self.add(y, y)

    def mixer_stage_back(self, p: Inputs, saved: Saved, ct: Array) -> dict[str, Array]:
        dy, dweight, dbias = self.norm_back(saved, p["norm.weight"], ct)
        dx = self.mix_back(self.add(dy, dy), p["num_heads"])
        return {"x": dx, "norm.weight": dweight, "norm.bias": dbias}
