"""Legitimate ways to compute the same at large sizes, all of which a default run must pass.

Other orders of summation, other formulas, other places to round: none of them is a bug. Each is the
right backend of ``kernels`` with one step written otherwise; torch, JAX and ONNX Runtime come with
their ready adapters. Each gets a default run or, with ``--sizes``, the cases of LARGE, at sizes of
this file's own. Every alarm is shown with the tensor and by how much it is outside its bound::

    PYTHONPATH=.:tests python -m sweeps.large_rewrites [--sizes] [--format float32] [--only NAME]
"""

import argparse
import importlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from sweeps.kernels import SLOPE, Array, Inputs, Kernels, Saved, slices

import numixology.functional as F
from numixology.verify.conformance import STAGES, conform, make_case
from numixology.verify.conformance.adapter import Declaration
from numixology.verify.conformance.bounds import Prepared, prepare
from numixology.verify.conformance.calling import answered
from numixology.verify.conformance.kit import comparisons_of

FORMATS = ("float64", "float32", "bfloat16", "float16")
SUMS = "layer_norm softmax linear feed_forward"
FRAMEWORKS = {"torch": "Torch", "jax": "Jax", "onnxruntime": "OnnxRuntime"}

KINDS = ("plain", "offset", "saturated", "huge", "tiny")
_MOVED = [{"B": 3, "T": 130, "D": 340, "H": 17}, {"B": 9, "T": 33, "D": 66, "H": 33}]
_PER_TOKEN = [{"B": 40, "T": 2, "D": 130, "F": 1100}]
#: Large sizes of each stage, which straddle the edges of tiles.
LARGE: dict[str, list[dict[str, int]]] = {
    "embedding": [
        {"B": 70, "T": 50, "D": 40, "V": 9},
        {"B": 40, "T": 9, "D": 1100, "V": 70},
        {"B": 300, "T": 9, "D": 3, "V": 70000},
    ],
    "token_mix": _MOVED,
    "token_revert": _MOVED,
    "rms_norm": [{"B": 3, "T": 5, "D": 5000}, {"B": 3000, "T": 3, "D": 33}],
    "per_token_linear": [
        {"B": 21, "T": 3, "D": 4100, "F": 130},
        {"B": 300, "T": 4, "D": 257, "F": 65},
    ],
    "per_token_feed_forward": _PER_TOKEN,
    "per_token_swiglu": _PER_TOKEN,
    "mixer_large": [{"B": 40, "T": 6, "D": 130, "H": 10}],
    "layer_norm": [
        {"B": 3, "T": 5, "D": 5000},
        {"B": 2, "T": 60, "D": 1030},
        {"B": 3000, "T": 3, "D": 33},
        {"B": 66000, "T": 1, "D": 3},
    ],
    "linear": [
        {"B": 3, "T": 21, "D": 4100, "F": 130},
        {"B": 4, "T": 300, "D": 257, "F": 65},
        {"B": 20000, "T": 1, "D": 9, "F": 7},
    ],
    "gelu": [{"B": 3, "T": 300, "D": 301}],
    "gelu_tanh": [{"B": 3, "T": 300, "D": 301}],
    "silu": [{"B": 3, "T": 300, "D": 301}],
    "softmax": [{"B": 3, "T": 5, "D": 5000}, {"B": 20, "T": 30, "D": 257}],
    "mixer": [{"B": 3, "T": 65, "D": 260, "H": 13}, {"B": 70, "T": 16, "D": 64, "H": 16}],
    "feed_forward": [
        {"B": 2, "T": 40, "D": 130, "F": 2100},
        {"B": 3, "T": 33, "D": 1030, "F": 65},
        {"B": 1000, "T": 3, "D": 12, "F": 20},
    ],
    "swiglu_feed_forward": [
        {"B": 2, "T": 40, "D": 130, "F": 1100},
        {"B": 1000, "T": 3, "D": 12, "F": 20},
    ],
    "block": [
        {"B": 3, "T": 34, "D": 340, "H": 34, "F": 300},
        {"B": 300, "T": 4, "D": 20, "H": 5, "F": 33},
    ],
    "model": [
        {"B": 40, "T": 17, "D": 66, "H": 6, "F": 90, "L": 5, "V": 300},
        {"B": 3, "T": 70, "D": 140, "H": 35, "F": 65, "L": 3, "V": 70},
    ],
}

REWRITES: dict[str, type[Kernels]] = {}


def same(stages: str, *profile: str) -> Callable[[type[Kernels]], type[Kernels]]:
    """Enter a rewrite for the stages in which it makes a difference."""

    def enter(make: type[Kernels]) -> type[Kernels]:
        make.name, make.stages, make.profile = make.__name__, tuple(stages.split()), profile
        REWRITES[make.name] = make
        return make

    return enter


# Orders of summation


class Parts(Kernels):
    """Every sum is one of parts, added up in an order of the subclass."""

    width = 32

    def cut(self, length: int) -> list[slice]:
        return slices(length, self.width)

    def added(self, parts: list[Array]) -> Array:
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def row_sum(self, x: Array) -> Array:
        parts = [x[..., t].sum(axis=-1, keepdims=True) for t in self.cut(x.shape[-1])]
        return self.added(parts) if parts else super().row_sum(x)

    def column_sum(self, x: Array) -> Array:
        parts = [x[t].sum(axis=0) for t in self.cut(len(x))]
        return self.added(parts) if parts else super().column_sum(x)

    def product(self, a: Array, b: Array) -> Array:
        parts = [a[:, t] @ b[t] for t in self.cut(a.shape[1])]
        return self.added(parts) if parts else super().product(a, b)


@same(SUMS)
class TilesOf32(Parts):
    """Tiles of 32, one after the other."""


@same(SUMS)
class TilesOf8(Parts):
    """Tiles of 8, as of small instructions, one after the other."""

    width = 8


@same(SUMS)
class TilesOf1024(Parts):
    """Tiles of 1,024."""

    width = 1024


@same(SUMS)
class ReversedTiles(Parts):
    """Tiles from the last to the first."""

    def added(self, parts: list[Array]) -> Array:
        return super().added(parts[::-1])


@same(SUMS)
class ShuffledTiles(Parts):
    """Tiles in an order that depends on how many there are."""

    def added(self, parts: list[Array]) -> Array:
        order = np.random.default_rng(len(parts)).permutation(len(parts))
        return super().added([parts[i] for i in order])


@same(SUMS)
class Atomics(Parts):
    """Tiles of 16 are added in an order that is another one in every call."""

    width = 16

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__(dtype)
        self.rng = np.random.default_rng(3)

    def added(self, parts: list[Array]) -> Array:
        return super().added([parts[i] for i in self.rng.permutation(len(parts))])


@same(SUMS)
class Tree(Parts):
    """Tiles of 4 are added in pairs, and pairs of pairs."""

    width = 4

    def added(self, parts: list[Array]) -> Array:
        while len(parts) > 1:
            pairs = [a + b for a, b in zip(parts[::2], parts[1::2], strict=False)]
            parts = pairs + parts[len(parts) // 2 * 2 :]
        return parts[0]


class Strided(Tree):
    """Lanes take every n-th term; their sums are added as a tree."""

    lanes = 32

    def cut(self, length: int) -> list[slice]:
        return [slice(i, None, self.lanes) for i in range(min(self.lanes, length))]


@same(SUMS)
class Warp(Strided):
    """32 lanes, added by shuffles."""


@same(SUMS)
class Block(Strided):
    """256 threads, added by shuffles and in shared memory."""

    lanes = 256


class Split(Parts):
    """Workers take a share of the terms each; their sums are added."""

    workers = 4

    def cut(self, length: int) -> list[slice]:
        return slices(length, max(1, math.ceil(length / self.workers)))


@same(SUMS)
class SplitInFour(Split):
    """Four workers."""


@same(SUMS)
class SplitIn17(Split):
    """17 workers."""

    workers = 17


@same(SUMS)
class SplitIn132(Split):
    """132 workers, as many as a large GPU has."""

    workers = 132


@same("layer_norm softmax linear")
class OneByOne(Parts):
    """Terms one after the other."""

    width = 1


@same("layer_norm linear embedding model")
class OneBuffer(Kernels):
    """Gradients of parameters are added row after row in one buffer."""

    def column_sum(self, x: Array) -> Array:
        return np.add.accumulate(x, axis=0)[-1] if len(x) else super().column_sum(x)


@same("layer_norm linear model")
class ThreeBuffers(Kernels):
    """Gradients of parameters have three buffers."""

    def row_tiles(self, rows: int) -> list[slice]:
        return slices(rows, max(1, math.ceil(rows / 3)))


@same("layer_norm linear model")
class ManyBuffers(Kernels):
    """Gradients of parameters have a thousand buffers."""

    def row_tiles(self, rows: int) -> list[slice]:
        return slices(rows, max(1, math.ceil(rows / 1000)))


@same(SUMS + " block")
class SumsInFloat64(Kernels):
    """Sums are of float64 and are stored once."""

    def row_sum(self, x: Array) -> Array:
        return x.sum(axis=-1, keepdims=True, dtype=np.float64).astype(self.wide)

    def column_sum(self, x: Array) -> Array:
        return x.sum(axis=0, dtype=np.float64).astype(self.wide)

    def product(self, a: Array, b: Array) -> Array:
        return (a.astype(np.float64) @ b.astype(np.float64)).astype(self.wide)


@same("layer_norm softmax linear feed_forward swiglu_feed_forward block model")
class EverythingInFloat64(Kernels):
    """All is of float64, and rounded to the format where it is stored."""

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__(dtype)
        self.wide = np.dtype(np.float64)

    def store(self, x: Array) -> Array:
        return self.format.stored(x).astype(self.wide)


@same(SUMS)
class Compensated(Parts):
    """Tiles are added with a correction for what each addition loses."""

    def added(self, parts: list[Array]) -> Array:
        total, lost = parts[0], np.zeros_like(parts[0])
        for part in parts[1:]:
            part = part - lost
            new = total + part
            lost = np.where(np.isfinite(new), (new - total) - part, 0)
            total = new
        return total


# LayerNorm


@same("layer_norm feed_forward mixer", "offsets")
class TwoPasses(Kernels):
    """The mean, then the mean of squared differences."""

    def centered(self, x: Array) -> Array:
        return x - self.row_sum(x) / x.shape[-1]


@same("layer_norm", "offsets")
class Welford(Kernels):
    """32 lanes update a mean and a sum of squares with every column, and are merged in pairs."""

    def moments(self, x: Array) -> tuple[Array, Array]:
        lanes = min(32, x.shape[-1])
        mean = x[..., :lanes].copy()
        squares, count = np.zeros_like(mean), np.ones(lanes, self.wide)
        for start in range(lanes, x.shape[-1], lanes):
            part = x[..., start : start + lanes]
            n = part.shape[-1]
            count[:n] += 1
            d = part - mean[..., :n]
            mean[..., :n] += d / count[:n]
            squares[..., :n] += d * (part - mean[..., :n])
        while len(count) > 1:
            half = len(count) // 2
            left, right = slice(0, half), slice(half, 2 * half)
            total = count[left] + count[right]
            d = mean[..., right] - mean[..., left]
            merged = mean[..., left] + d * (count[right] / total)
            cross = d * d * (count[left] * count[right] / total)
            rest = slice(2 * half, None)
            squares = np.concatenate(
                [squares[..., left] + squares[..., right] + cross, squares[..., rest]], -1
            )
            mean = np.concatenate([merged, mean[..., rest]], -1)
            count = np.concatenate([total, count[rest]])
        return x - mean, squares / x.shape[-1]


class Chunks(Kernels):
    """Means and squares of chunks are merged, each with its own length."""

    width = 64

    def moments(self, x: Array) -> tuple[Array, Array]:
        count, mean, squares = 0, np.zeros_like(x[..., :1]), np.zeros_like(x[..., :1])
        for tile in slices(x.shape[-1], self.width):
            part = x[..., tile]
            n = part.shape[-1]
            own = part.mean(axis=-1, keepdims=True)
            delta = own - mean
            mean = mean + delta * self.wide.type(n / (count + n)) if count else own
            cross = delta * delta * self.wide.type(count * n / (count + n)) if count else 0
            squares = squares + ((part - own) ** 2).sum(axis=-1, keepdims=True) + cross
            count += n
        return x - mean, squares / x.shape[-1]


@same("layer_norm", "offsets")
class ChunksOf64(Chunks):
    """Chunks of 64."""


@same("layer_norm", "offsets")
class ChunksOf500(Chunks):
    """Chunks of 500."""

    width = 500


@same("layer_norm", "offsets")
class ShiftedOnePass(Kernels):
    """Mean of squares less square of the mean, of differences to the first column."""

    def moments(self, x: Array) -> tuple[Array, Array]:
        d = x - x[..., :1]
        mean = self.row_sum(d) / x.shape[-1]
        variance = self.row_sum(d * d) / x.shape[-1] - mean * mean
        return d - mean, np.maximum(variance, 0)


@same("layer_norm feed_forward")
class RootAsPower(Kernels):
    """A power of -1/2."""

    def rsqrt(self, variance: Array, eps: float) -> Array:
        return (variance + self.wide.type(eps)) ** self.wide.type(-0.5)


@same("layer_norm feed_forward")
class DividedByRoot(Kernels):
    """The difference is divided by the root."""

    def normalized(self, x: Array, eps: float) -> tuple[Array, Array]:
        d, variance = self.moments(x)
        root = np.sqrt(variance + self.wide.type(eps))
        return d / root, 1 / root


@same("layer_norm", "offsets")
class MultiplyAndAdd(Kernels):
    """x · scale + shift, with the weight in the scale and the mean in the shift."""

    def norm(self, x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Saved]:
        mean = self.row_sum(x) / x.shape[-1]
        h, rstd = self.normalized(x, eps)
        scale = rstd * weight
        return self.store(x * scale + (bias - mean * scale)), (h, rstd)


@same("layer_norm linear")
class FusedMultiplyAdd(Kernels):
    """Products and sums of three numbers are rounded once."""

    def affine(self, h: Array, weight: Array, bias: Array) -> Array:
        return (h.astype(np.float64) * weight + bias).astype(self.wide)

    def norm_dx(self, h: Array, rstd: Array, c: Array) -> Array:
        mean = self.row_sum(c) / c.shape[-1]
        along = self.row_sum(c * h) / c.shape[-1]
        return ((c.astype(np.float64) - mean - h.astype(np.float64) * along) * rstd).astype(
            self.wide
        )


@same("layer_norm feed_forward")
class GradientByThreeSums(Kernels):
    """(D c - Σ c - h Σ c h) rstd / D."""

    def norm_dx(self, h: Array, rstd: Array, c: Array) -> Array:
        width = self.wide.type(c.shape[-1])
        return (width * c - self.row_sum(c) - h * self.row_sum(c * h)) * (rstd / width)


# Softmax


class Online(Kernels):
    """One pass over tiles, with the sum rescaled to every new maximum."""

    width = 128

    def probabilities(self, x: Array) -> Array:
        top, total = x[..., :1] * 0 - np.inf, np.zeros_like(x[..., :1])
        top = np.full_like(total, -np.inf)
        for tile in slices(x.shape[-1], self.width):
            new = np.maximum(top, x[..., tile].max(axis=-1, keepdims=True))
            safe = np.where(new == -np.inf, 0, new)
            total = total * np.exp(np.where(top == new, 0, top - safe))
            total = total + np.exp(x[..., tile] - safe).sum(axis=-1, keepdims=True)
            top = new
        return np.exp(x - top) / total


@same("softmax")
class OnlineBy32(Online):
    """Tiles of 32."""

    width = 32


@same("softmax")
class OnlineBy128(Online):
    """Tiles of 128."""


@same("softmax")
class OnlineByOne(Online):
    """A maximum for every column."""

    width = 1


@same("softmax")
class ByReciprocal(Kernels):
    """Exponentials are multiplied by the reciprocal of their sum."""

    def probabilities(self, x: Array) -> Array:
        e = np.exp(x - self.row_max(x))
        return e * (1 / self.row_sum(e))


@same("softmax")
class PowersOfTwo(Kernels):
    """exp(x) is 2 to the power of x log2(e), in as many digits as there are."""

    def probabilities(self, x: Array) -> Array:
        e = np.exp2((x - self.row_max(x)) * self.wide.type(np.log2(np.e)))
        return e / self.row_sum(e)


@same("softmax")
class LogarithmOfSum(Kernels):
    """exp(x - max - log Σ), as a backward pass that keeps the logarithm computes it."""

    def probabilities(self, x: Array) -> Array:
        d = x - self.row_max(x)
        return np.exp(d - np.log(self.row_sum(np.exp(d))))


@same("softmax")
class SoftmaxGradientShifted(Kernels):
    """The cotangent less the one at the maximum, so that a row with one winner keeps its digits."""

    def softmax_back(self, y: Array, ct: Array) -> Array:
        top = np.take_along_axis(ct, np.argmax(y, axis=-1)[..., None], axis=-1)
        return super().softmax_back(y, ct - top)


@same("softmax")
class SoftmaxGradientOfStored(Kernels):
    """The gradient by the output as it was stored."""

    def softmax_stage(self, p: Inputs) -> tuple[Array, Saved]:
        y, _ = super().softmax_stage(p)
        return y, y


# Linear


@same("linear feed_forward")
class BiasFirst(Kernels):
    """Sums begin with the bias."""

    def affine_map(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        y = np.zeros((x[..., 0].size, len(weight)), self.wide)
        y = y if bias is None else y + bias
        rows = x.reshape(-1, x.shape[-1])
        for tile in self.depth_tiles(x.shape[-1]):
            y += rows[:, tile] @ weight[:, tile].T
        return self.store(y).reshape(*x.shape[:-1], len(weight))


@same("linear feed_forward")
class BiasAsColumn(Kernels):
    """The bias is one more column of the weight."""

    def affine_map(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        if bias is None:
            return super().affine_map(x, weight)
        ones = np.ones((*x.shape[:-1], 1), x.dtype)
        return super().affine_map(np.concatenate([x, ones], -1), np.c_[weight, bias])


@same("linear feed_forward")
class TransposedProducts(Kernels):
    """(bᵀ aᵀ)ᵀ."""

    def product(self, a: Array, b: Array) -> Array:
        return np.ascontiguousarray((b.T @ a.T).T)


@same("linear")
class WithoutBlas(Kernels):
    """NumPy's own loops."""

    def product(self, a: Array, b: Array) -> Array:
        return np.einsum("ij,jk->ik", a, b, optimize=False)


# Activations


@same("gelu_tanh", "tails", "constants")
class PlainTanh(Kernels):
    """½ x (1 + tanh(u)), in the dtype of sums."""

    def gelu_tanh(self, x: Array) -> Array:
        u = self.wide.type(SLOPE / 2) * (x + self.wide.type(0.044715) * x * x * x)
        return self.wide.type(0.5) * x * (1 + np.tanh(u))


@same("silu swiglu_feed_forward", "tails")
class PlainSilu(Kernels):
    """x / (1 + exp(-x)), and σ (1 + x (1 - σ))."""

    def silu(self, x: Array) -> Array:
        return x / (1 + np.exp(-x))

    def silu_back(self, x: Array, ct: Array) -> Array:
        s = 1 / (1 + np.exp(-x))
        return ct * (s * (1 + x * (1 - s)))


@same("gelu feed_forward", "tails")
class GeluByErf(Kernels):
    """½ x (1 + erf(x / √2)), in the dtype of sums."""

    def gelu(self, x: Array) -> Array:
        return x * self.wide.type(0.5) * (1 + F.erf(x * self.wide.type(math.sqrt(0.5))))


# Mixing and embedding


@same("token_mix mixer")
class MixByIndex(Kernels):
    """Numbers are gathered by their places in memory."""

    def mix(self, x: Array, heads: int) -> Array:
        B, T, D = x.shape
        places = np.arange(T * D).reshape(T, heads, -1).transpose(1, 0, 2).reshape(-1)
        return x.reshape(B, -1)[:, places].reshape(B, T, D)


@same("embedding model")
class SortedScatter(Kernels):
    """Ids are sorted, and the rows of each are added as a segment."""

    def scatter(self, ids: Array, ct: Array, weight: Array) -> Array:
        flat, rows = ids.reshape(-1), ct.reshape(-1, ct.shape[-1])
        order = np.argsort(flat, kind="stable")
        found, starts = np.unique(flat[order], return_index=True)
        total = np.zeros(weight.shape, self.wide)
        if len(flat):
            total[found] = np.add.reduceat(rows[order], starts, axis=0)
        return self.store(total)


@same("embedding model")
class ScatterAtRandom(Kernels):
    """Rows are added in an order that is another one in every call."""

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__(dtype)
        self.rng = np.random.default_rng(4)

    def scatter(self, ids: Array, ct: Array, weight: Array) -> Array:
        order = self.rng.permutation(ids.size)
        rows = ct.reshape(-1, ct.shape[-1])
        return super().scatter(ids.reshape(-1)[order], rows[order], weight)


# Networks


@same("swiglu_feed_forward")
class GateAndUpTogether(Kernels):
    """Gate and up are halves of one product."""

    def swiglu_feed_forward_stage(self, p: Inputs) -> tuple[Array, Saved]:
        n, of_norm = self.norm(p["x"], p["norm.weight"], p["norm.bias"], p["eps"])
        both = self.affine_map(n, np.concatenate([p["w1.weight"], p["w3.weight"]]))
        gate, up = np.split(both, 2, axis=-1)
        g = self.gated(gate, up)
        return self.add(p["x"], self.second(g, p["w2.weight"])), (n, of_norm, gate, up, g)


@same("feed_forward swiglu_feed_forward mixer block model")
class StoredAtTheEnd(Kernels):
    """A network is one kernel, which rounds its results alone."""

    def store(self, x: Array) -> Array:
        return x

    def output(self, x: Array) -> Array:
        return self.format.stored(x)


@same("feed_forward block model")
class NormsStayWide(Kernels):
    """A norm's output goes to the product without being rounded."""

    def norm(self, x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Saved]:
        h, rstd = self.normalized(x, eps)
        return self.affine(h, weight, bias), (h, rstd)

    def output(self, x: Array) -> Array:
        return self.format.stored(x)


@same("feed_forward block model")
class ActivationInEpilogue(Kernels):
    """The first layer's sums are activated before they are rounded, and saved rounded."""

    def feed_forward_stage(self, p: Inputs) -> tuple[Array, Saved]:
        n, of_norm = self.norm(p["x"], p["norm.weight"], p["norm.bias"], p["eps"])
        rows = n.reshape(-1, n.shape[-1])
        a = self.matmul(rows, p["linear1.weight"]) + p["linear1.bias"]
        a = a.reshape(*n.shape[:-1], -1)
        g = self.activated(a)
        out = self.second(g, p["linear2.weight"], p["linear2.bias"])
        return self.add(p["x"], out), (n, of_norm, self.store(a), g)


@same("feed_forward block model")
class ResidualInEpilogue(Kernels):
    """The residual is added to the second layer's sums before they are rounded."""

    def feed_forward_stage(self, p: Inputs) -> tuple[Array, Saved]:
        _, saved = super().feed_forward_stage(p)
        g = saved[-1].reshape(-1, saved[-1].shape[-1])
        y = self.matmul(g, p["linear2.weight"]) + p["linear2.bias"]
        return self.store(p["x"] + y.reshape(p["x"].shape)), saved


# Runs


class Outcome(NamedTuple):
    """What the kit said of one rewrite or library in one format."""

    name: str
    dtype: str
    verdict: str
    comparisons: int
    large: int  # of them those of large cases
    worst: float  # the largest error of a tensor, in parts of its bound
    alarms: list[str]
    seconds: float


def is_large(case: str) -> bool:
    """Whether a case is of the large ones, whose names have their sizes."""
    return "=" in case


def shown(found: list[Any]) -> list[str]:
    """Every tensor beyond its bound."""
    return [
        f"{one.case} {one.tensor}: {one.error:.3g} of {one.bound:.3g} roundings"
        for one in found
        if one.outcome == "fail"
    ]


def worst_of(found: list[Any]) -> float:
    """The largest error of a tensor that passes without a profile, in parts of its bound."""
    right = [one for one in found if one.outcome == "pass" and one.bound]
    return max((one.error / one.bound for one in right), default=0.0)


def outcome(name: str, adapter: Any, stages: list[str] | None = None, **options: Any) -> Outcome:
    """What a default run says."""
    begun, alarms = time.monotonic(), []
    found: list[Any] = []
    try:
        report = conform(adapter, stages=stages, **options)
        verdict = report.verdict
        found = [one for stage in report.stages for one in stage.comparisons]
        for stage in report.stages:
            if stage.outcome in ("fail", "inconclusive"):
                said = [*map(str, stage.broken), str(stage.diagnosis or stage.remarks)]
                alarms.append(f"{stage.stage} {stage.outcome}: {'; '.join(said)}")
        alarms += shown(found)
    except Exception as error:
        verdict, alarms = "error", [f"{type(error).__name__}: {error}"]
    seconds = time.monotonic() - begun
    large = sum(is_large(one.case) for one in found)
    return Outcome(
        name, adapter.dtype, verdict, len(found), large, worst_of(found), alarms, seconds
    )


PREPARED: dict[tuple[str, str, str], list[Prepared]] = {}


def prepared(stage: str, dtype: str, accumulation: str) -> list[Prepared]:
    """The cases of LARGE, with truth and bounds; networks have plain ones alone."""
    key = stage, dtype, accumulation
    if key not in PREPARED:
        kinds = KINDS if stage in ("layer_norm", "linear", "softmax") else KINDS[:1]
        cases = [
            make_case(stage, kind, seed, dtype, sizes)
            for sizes in LARGE[stage]
            for kind in kinds
            for seed in range(2 if kind == "plain" else 1)
        ]
        PREPARED[key] = prepare(cases, accumulation)
    return PREPARED[key]


def at_sizes(name: str, adapter: Any, stages: list[str]) -> Outcome:
    """What is found at the sizes of LARGE."""
    begun, found, alarms = time.monotonic(), [], []
    for stage in stages:
        for one in prepared(stage, adapter.dtype, adapter.accumulation):
            answer = answered(adapter, one.case, callable(getattr(adapter, "vjp", None)))
            found += comparisons_of(one, answer.results, Declaration(adapter).profile)
            alarms += [f"{one.case.name}: {answer.fault}"] * bool(answer.fault)
    alarms += shown(found)
    verdict = "fail" if alarms else "pass"
    count, worst, seconds = len(found), worst_of(found), time.monotonic() - begun
    name += ", sizes"
    return Outcome(name, adapter.dtype, verdict, count, count, worst, alarms, seconds)


def libraries(dtype: str) -> Iterator[tuple[str, Any]]:
    """The ready adapters whose libraries are installed and have the format."""
    for module, name in FRAMEWORKS.items():
        try:
            found = importlib.import_module(f"numixology.verify.conformance.adapters.{module}")
            yield module, getattr(found, name)(dtype=dtype)
        except Exception as error:
            print(f"{module} {dtype}: not run, {type(error).__name__}: {error}", flush=True)


def backends(names: list[str], dtype: str) -> Iterator[tuple[str, Any, list[str]]]:
    """Rewrites and libraries in a format, and the stages in which each is worth a run."""
    for name, make in REWRITES.items():
        if not names or name in names:
            adapter = make(dtype)
            adapter.stages = tuple(one for one in make.stages or () if one in STAGES)
            yield name, adapter, [*adapter.stages]
    if not names or set(names) & set(FRAMEWORKS):
        for name, adapter in libraries(dtype):
            if not names or name in names:
                yield name, adapter, [*(getattr(adapter, "stages", None) or STAGES)]


def outcomes(
    names: list[str],
    formats: tuple[str, ...],
    stages: list[str] | None = None,
    sizes: bool = False,
    **options: Any,
) -> Iterator[Outcome]:
    """Every rewrite and every library in every format."""
    for dtype in formats:
        PREPARED.clear()
        for name, adapter, own in backends(names, dtype):
            wanted = [one for one in own if not stages or one in stages]
            if wanted and sizes:
                yield at_sizes(name, adapter, wanted)
            elif wanted:
                yield outcome(name, adapter, wanted, **options)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", default=[], help="rewrites or libraries (all)")
    parser.add_argument("--format", action="append", choices=FORMATS, help="in these (all)")
    parser.add_argument("--stage", action="append", help="in these stages (where it matters)")
    parser.add_argument("--sizes", action="store_true", help="at sizes of this file's own")
    parser.add_argument("--seeds", type=int, default=3, help="how many cases of each kind (3)")
    options = parser.parse_args()
    formats = tuple(options.format or FORMATS)
    done: list[Outcome] = []
    for one in outcomes(options.only, formats, options.stage, options.sizes, seeds=options.seeds):
        done.append(one)
        print(
            f"{one.verdict:6} {one.dtype:8} {one.name:26} {one.comparisons:6} comparisons, "
            f"{one.large} large, at most {one.worst:.2f} of a bound, {one.seconds:.1f} s",
            *one.alarms,
            sep="\n       ",
            flush=True,
        )
    compared, large = sum(one.comparisons for one in done), sum(one.large for one in done)
    alarmed = [one for one in done if one.alarms]
    print(f"{len(done)} runs, {compared} comparisons, {large} of them of large cases")
    print(f"{len(alarmed)} runs with false alarms")
    return int(bool(alarmed))


if __name__ == "__main__":
    sys.exit(main())
