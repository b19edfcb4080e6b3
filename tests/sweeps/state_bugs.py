"""Bugs of state: what a call leaves behind, and what happens in one call of many."""

from typing import Any

import numpy as np
from sweeps.kernel_bug import bug
from sweeps.kernels import Array, Inputs, Kernels, Saved


class Remembering(Kernels):
    """A backend that has something to remember."""

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__(dtype)
        self.memory: dict[Any, Any] = {}
        self.calls = 0
        self.rng = np.random.default_rng(2024)


def shapes(p: Inputs) -> tuple[tuple[int, ...], ...]:
    return tuple(v.shape for v in p.values() if isinstance(v, np.ndarray))


# What the forward pass saves


@bug("state", "layer_norm")
class LastForwardServes(Remembering):
    """The backward pass takes what the last forward pass of this shape saved."""

    def run(self, stage: str, p: Inputs) -> tuple[Array, Saved]:
        y, saved = super().run(stage, p)
        self.memory[stage] = shapes(p), saved
        return y, saved

    def saved_for(self, stage: str, p: Inputs) -> Saved:
        of, saved = self.memory.get(stage, (None, None))
        return saved if of == shapes(p) else super().saved_for(stage, p)


@bug("state", "feed_forward")
class SavedOnAStack(Remembering):
    """Forward passes put what they save on a stack, from which backward passes take the last."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        p = self.read(stage, inputs)
        y, saved = self.run(stage, p)
        self.memory.setdefault(shapes(p), []).append(saved)
        return self.output(y)

    def saved_for(self, stage: str, p: Inputs) -> Saved:
        stack = self.memory.get(shapes(p), [])
        return stack.pop() if stack else super().saved_for(stage, p)


@bug("state", "linear")
class InputKeptByReference(Remembering):
    """Only the first forward pass of a shape saves x, which later ones take for theirs."""

    def linear_stage(self, p: Inputs) -> tuple[Array, Saved]:
        y, x = super().linear_stage(p)
        return y, self.memory.setdefault((p["x"].shape, p["weight"].shape), x.copy())


@bug("state", "layer_norm softmax")
class StatisticsInOneScratch(Remembering):
    """Rows' statistics lie in scratch memory that the softmax uses as well."""

    def layer_norm_stage(self, p: Inputs) -> tuple[Array, Saved]:
        y, (h, rstd) = super().layer_norm_stage(p)
        self.memory[rstd.size] = rstd.reshape(-1).copy()
        return y, (h, rstd)

    def softmax_stage(self, p: Inputs) -> tuple[Array, Saved]:
        y, saved = super().softmax_stage(p)
        self.memory[p["x"].size // max(1, p["x"].shape[-1])] = self.row_max(p["x"]).reshape(-1)
        return y, saved

    def saved_for(self, stage: str, p: Inputs) -> Saved:
        scratch = self.memory.get(p["x"].size // max(1, p["x"].shape[-1]))
        saved = super().saved_for(stage, p)
        if stage == "softmax" or scratch is None:
            return saved
        h, rstd = saved
        return h, scratch.reshape(rstd.shape)


@bug("state", "linear")
class WeightPackedByAddress(Remembering):
    """A weight is packed once for each address, also if it has changed in place since."""

    def read(self, stage: str, inputs: Inputs) -> dict[str, Any]:
        p = super().read(stage, inputs)
        weight = inputs["weight"]
        key = (weight.__array_interface__["data"][0], weight.shape)
        # the array is kept, so that no other one gets its address
        packed, _ = self.memory.setdefault(key, (p["weight"].copy(), weight))
        return p | {"weight": packed}


@bug("state", "softmax")
class FreedByFirstBackward(Remembering):
    """A backward pass frees what the forward pass has saved, and a second one reads zeros."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        self.memory["freed"] = False
        return super().forward(stage, inputs)

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        freed = self.memory.get("freed", False)
        self.memory["freed"] = True
        return {name: g * (not freed) for name, g in found.items()}


# Buffers between calls


@bug("state", "layer_norm")
class DweightNotCleared(Remembering):
    """The buffers of the weight's gradient are cleared when they are allocated, and only then."""

    def norm_dweight(self, terms: Array) -> Array:
        found = super().norm_dweight(terms) + self.memory.get(terms.shape, 0)
        self.memory[terms.shape] = found
        return found


@bug("state", "linear")
class AutotunedFirstCall(Remembering):
    """Configurations are tried in the first call of a shape, each adding its product to y."""

    def matmul(self, x: Array, weight: Array) -> Array:
        y = super().matmul(x, weight)
        first = (x.shape, weight.shape) not in self.memory
        self.memory[x.shape, weight.shape] = True
        return 3 * y if first else y


@bug("state", "linear")
class AutotunedFirstBackward(Remembering):
    """The first backward pass of a shape adds its dweight twice, by atomics, to warm up."""

    def linear_dweight(self, ct: Array, x: Array) -> Array:
        found = super().linear_dweight(ct, x)
        first = (x.shape, ct.shape) not in self.memory
        self.memory[x.shape, ct.shape] = True
        return 2 * found if first else found


@bug("state", "linear")
class SemaphoreNotReset(Remembering):
    """From 256 terms on two workers share them; in every second call one does not wait."""

    def matmul(self, x: Array, weight: Array) -> Array:
        if x.shape[1] < 256:
            return super().matmul(x, weight)
        self.calls += 1
        half = x.shape[1] // 2 if self.calls % 2 == 0 else x.shape[1]
        return super().matmul(x[:, :half], weight[:, :half])

    def saved_for(self, stage: str, p: Inputs) -> Saved:
        return p["x"]  # a backward pass has no need of the product


@bug("state", "gelu")
class TailFromPool(Remembering):
    """The last numbers that do not fill 256 stay what the pool's memory had from other calls."""

    def elementwise(self, fn, *arrays: Array) -> Array:
        y = super().elementwise(fn, *arrays)
        flat, pool = y.reshape(-1), self.memory.setdefault("pool", np.zeros(1, y.dtype))
        full = len(flat) // 256 * 256
        if full:
            flat[full:] = np.resize(pool, len(flat))[full:]
        self.memory["pool"] = flat.copy() if len(flat) else pool
        return y


@bug("state", "softmax")
class WidthOfFirstCall(Remembering):
    """Rows are masked by the width of the first that had a tile of 2ⁿ columns, not by their own."""

    def probabilities(self, x: Array) -> Array:
        y = super().probabilities(x)
        tile = 1 << max(5, (x.shape[-1] - 1).bit_length())
        compiled = self.memory.setdefault(tile, x.shape[-1])
        y[..., compiled:] = 0
        return y


@bug("state", "layer_norm")
class EmptyCallSticks(Remembering):
    """After a call without rows the grid stays empty, and the next call writes nothing."""

    def forward(self, stage: str, inputs: Inputs) -> Array:
        y = super().forward(stage, inputs)
        if self.memory.get("empty"):
            y[...] = 0
        self.memory["empty"] = not y.size
        return y


@bug("state", "gelu")
class TableOfFirstCall(Remembering):
    """Φ is read from a fine table, whose ends are those of the first call of a shape."""

    def gelu(self, x: Array) -> Array:
        top = float(np.abs(x[np.isfinite(x)]).max(initial=3.0))
        end = self.memory.setdefault(len(x), top)
        inside = np.clip(x, -end, end)
        return super().gelu(inside) * np.where(inside == 0, 1, x / inside)


@bug("state", "linear")
class ScaleOfLastCall(Remembering):
    """Cotangents are scaled by 2ⁿ to fit, in steps of 2⁸; the result by the last call's 2⁻ⁿ."""

    def vjp(self, stage: str, inputs: Inputs, cotangent: Array) -> dict[str, Array]:
        found = super().vjp(stage, inputs, cotangent)
        top = float(np.abs(cotangent).max(initial=0.0))
        scale = 8 * round(np.log2(top) / 8) if 0 < top < np.inf else 0
        factor = 2.0 ** (scale - self.memory.get("scale", scale))
        self.memory["scale"] = scale
        return {name: self.output(self.store(g * factor)) for name, g in found.items()}


@bug("state", "embedding")
class GraphReplayed(Remembering):
    """A graph that is captured for a shape is replayed with the ids that it had then."""

    def gather(self, ids: Array, weight: Array) -> Array:
        return weight[self.memory.setdefault((ids.shape, weight.shape), ids.copy())]


@bug("state", "model")
class ResidualStreamOfLastCall(Remembering):
    """Rows past the first 32 of a batch begin with what the last call of the shape left there."""

    def embedded(self, p: Inputs) -> Array:
        x = super().embedded(p)
        last = self.memory.get(x.shape)
        self.memory[x.shape] = x.copy()
        if last is not None:
            x[32:] = last[32:]
        return x


# One call of many


@bug("state", "linear")
class RaceInOneOfHundred(Remembering):
    """In one call of a hundred the last tile of terms is not there in time."""

    def matmul(self, x: Array, weight: Array) -> Array:
        late = self.rng.random() < 0.01
        depth = max(x.shape[1] - 32, x.shape[1] // 2) if late else x.shape[1]
        return super().matmul(x[:, :depth], weight[:, :depth])


@bug("state", "layer_norm")
class RaceOfWarps(Remembering):
    """One row of a thousand, past the first 64 columns, reads a sum before it is complete."""

    def row_sum(self, x: Array) -> Array:
        total = super().row_sum(x)
        if x.shape[-1] > 64:
            early = self.rng.random(total.shape) < 0.001
            total = np.where(early, super().row_sum(x[..., :-32]), total)
        return total


@bug("state", "embedding")
class AtomicsLost(Remembering):
    """Of more than 256 additions to the table one of a thousand is lost."""

    def scatter(self, ids: Array, ct: Array, weight: Array) -> Array:
        flat = ids.reshape(-1)
        kept = self.rng.random(len(flat)) >= (0.001 if len(flat) > 256 else 0)
        return super().scatter(flat[kept], ct.reshape(-1, ct.shape[-1])[kept], weight)


@bug("state", "layer_norm")
class BufferOverwritten(Remembering):
    """Past 1,024 rows two programs share a buffer, and in one of four calls one is lost."""

    def column_sum(self, x: Array) -> Array:
        lost = len(x) > 1024 and self.rng.random() < 0.25
        return super().column_sum(x) - (x[128:256].sum(axis=0) if lost else 0)


@bug("state", "token_mix")
class TileBeforeItIsWritten(Remembering):
    """In one of 20 calls a tile of 16 tokens by 16 columns is read before all of it is there."""

    def mix(self, x: Array, heads: int) -> Array:
        y = super().mix(x, heads)
        if x.shape[1] >= 16 and x.shape[2] >= 16 and self.rng.random() < 0.05:
            y[:, 8:16, :16] = 0
        return y
