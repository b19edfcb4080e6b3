"""Bugs of formats: sums, results and constants with fewer digits or less range than declared."""

from collections.abc import Callable

import numpy as np
from sweeps.kernel_bug import bug
from sweeps.kernels import (
    SLOPE,
    Array,
    Inputs,
    Kernels,
    Saved,
    slices,
    to_bfloat16,
    to_float16,
    to_tf32,
)

import numixology.functional as F

Rounding = Callable[[Array], Array]


def one_after_the_other(parts: list[Array], rounded: Rounding) -> Array:
    """Their sum, which is rounded after every addition."""
    total = rounded(parts[0])
    for part in parts[1:]:
        total = rounded(total + part)
    return total


def as_a_tree(parts: list[Array], rounded: Rounding) -> Array:
    """Their sum in pairs, and pairs of pairs, each rounded."""
    parts = [rounded(part) for part in parts]
    while len(parts) > 1:
        pairs = [rounded(a + b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = pairs + parts[len(parts) // 2 * 2 :]
    return parts[0]


def products(a: Array, b: Array, depth: int) -> list[Array]:
    return [a[:, t] @ b[t] for t in slices(a.shape[1], depth)] or [a @ b]


# Accumulators of 16 bits


@bug("format", "linear")
class Bfloat16Accumulator(Kernels):
    """A product's sum is bfloat16, to which the terms are added 16 at a time."""

    def matmul(self, x: Array, weight: Array) -> Array:
        return one_after_the_other(products(x, weight.T, 16), to_bfloat16)


@bug("format", "linear")
class Float16Accumulator(Kernels):
    """A product's sum is float16, to which the terms are added 16 at a time."""

    def matmul(self, x: Array, weight: Array) -> Array:
        return one_after_the_other(products(x, weight.T, 16), to_float16)


@bug("format", "linear")
class TilesAddedInBfloat16(Kernels):
    """Sums of 64 terms are float32, and are added to a bfloat16 sum of the whole."""

    def matmul(self, x: Array, weight: Array) -> Array:
        return one_after_the_other(products(x, weight.T, 64), to_bfloat16)


@bug("format", "linear")
class TreeOfBfloat16(Kernels):
    """Sums of 16 terms are added in bfloat16 as a tree."""

    def matmul(self, x: Array, weight: Array) -> Array:
        return as_a_tree(products(x, weight.T, 16), to_bfloat16)


@bug("format", "linear")
class SplitIntoBfloat16(Kernels):
    """From 256 terms on 16 workers write their sums in bfloat16, which are added in float32."""

    def matmul(self, x: Array, weight: Array) -> Array:
        if x.shape[1] < 256:
            return super().matmul(x, weight)
        parts = products(x, weight.T, -(-x.shape[1] // 16))
        return np.asarray(sum(to_bfloat16(part) for part in parts))


@bug("format", "linear")
class DweightByBfloat16Atomics(Kernels):
    """Tiles of 128 rows add their weight's gradient to one of bfloat16."""

    def linear_dweight(self, ct: Array, x: Array) -> Array:
        return one_after_the_other(products(ct.T, x, 128), to_bfloat16)


@bug("format", "linear")
class DbiasInBfloat16(Kernels):
    """The bias's gradient is a bfloat16 sum of the rows, 8 at a time."""

    def linear_dbias(self, ct: Array) -> Array:
        parts = [ct[t].sum(axis=0) for t in slices(len(ct), 8)]
        return one_after_the_other(parts or [ct.sum(axis=0)], to_bfloat16)


@bug("format", "linear")
class DxInBfloat16Tiles(Kernels):
    """The gradient by x is summed in bfloat16 over tiles of 32 outputs."""

    def linear_dx(self, ct: Array, weight: Array) -> Array:
        return one_after_the_other(products(ct, weight, 32), to_bfloat16)


@bug("format", "layer_norm")
class RowSumsInBfloat16(Kernels):
    """Sums of a row are bfloat16, to which 32 lanes' sums are added in turn."""

    def row_sum(self, x: Array) -> Array:
        parts = [x[..., t].sum(axis=-1, keepdims=True) for t in slices(x.shape[-1], 32)]
        return one_after_the_other(parts, to_bfloat16)


@bug("format", "layer_norm")
class RowSumsByShuffledBfloat16(Kernels):
    """The lanes' sums of a row are added by shuffles of bfloat16 numbers."""

    def row_sum(self, x: Array) -> Array:
        lanes = [x[..., i::32].sum(axis=-1, keepdims=True) for i in range(min(32, x.shape[-1]))]
        return as_a_tree(lanes, to_bfloat16)


@bug("format", "layer_norm")
class DweightInBfloat16Buffers(Kernels):
    """The buffers of parameters' gradients, of 32 rows each, are bfloat16, and so is their sum."""

    def column_sum(self, x: Array) -> Array:
        parts = [x[t].sum(axis=0) for t in slices(len(x), 32)]
        return one_after_the_other(parts or [x.sum(axis=0)], to_bfloat16)


@bug("format", "layer_norm")
class DweightInFloat16Tree(Kernels):
    """Rows' parts of the weight's gradient are added as a tree of float16 numbers."""

    def norm_dweight(self, terms: Array) -> Array:
        parts = [terms[t].sum(axis=0) for t in slices(len(terms), 8)]
        return as_a_tree(parts or [terms.sum(axis=0)], to_float16)


@bug("format", "embedding")
class TableByBfloat16Atomics(Kernels):
    """The table's gradient is bfloat16, and rounded after every addition."""

    def scatter(self, ids: Array, ct: Array, weight: Array) -> Array:
        flat, rows = ids.reshape(-1), ct.reshape(-1, ct.shape[-1])
        total = np.zeros(weight.shape, np.float32)
        order = np.argsort(flat, kind="stable")
        rank = np.arange(len(flat)) - np.searchsorted(flat[order], flat[order])
        for turn in range(int(rank.max(initial=-1)) + 1):  # the n-th addition to every row at once
            now = order[rank == turn]
            total[flat[now]] = to_bfloat16(total[flat[now]] + rows[now])
        return total


@bug("format", "softmax")
class ExponentialsInBfloat16Sum(Kernels):
    """The sum of exponentials is bfloat16, to which tiles of 16 are added."""

    def probabilities(self, x: Array) -> Array:
        e = np.exp(x - self.row_max(x))
        parts = [e[..., t].sum(axis=-1, keepdims=True) for t in slices(x.shape[-1], 16)]
        return e / one_after_the_other(parts, to_bfloat16)


@bug("format", "softmax")
class SoftmaxDotInFloat16(Kernels):
    """The gradient's sum along a row is a float16 one of tiles of 16."""

    def softmax_back(self, y: Array, ct: Array) -> Array:
        terms = ct * y
        parts = [terms[..., t].sum(axis=-1, keepdims=True) for t in slices(y.shape[-1], 16)]
        return y * (ct - one_after_the_other(parts, to_float16))


# Rounded on the way


@bug("format", "layer_norm")
class StatisticsInBfloat16(Kernels):
    """The mean and the reciprocal deviation of a row are bfloat16."""

    def moments(self, x: Array) -> tuple[Array, Array]:
        d, variance = super().moments(x)
        mean = x - d
        return x - to_bfloat16(mean), variance

    def rsqrt(self, variance: Array, eps: float) -> Array:
        return to_bfloat16(super().rsqrt(variance, eps))


@bug("format", "layer_norm", formats="float32")
class SavedDeviationInBfloat16(Kernels):
    """The reciprocal deviation is saved for the backward pass in bfloat16."""

    def norm(self, x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Saved]:
        y, (h, rstd) = super().norm(x, weight, bias, eps)
        return y, (h, to_bfloat16(rstd))


@bug("format", "feed_forward", formats="float32")
class SavedInBfloat16(Kernels):
    """What a forward pass in float32 saves is bfloat16."""

    def feed_forward_stage(self, p: Inputs) -> tuple[Array, Saved]:
        y, (n, (h, rstd), a, g) = super().feed_forward_stage(p)
        return y, (to_bfloat16(n), (to_bfloat16(h), rstd), to_bfloat16(a), to_bfloat16(g))


@bug("format", "model", formats="float32")
class ResidualStreamInBfloat16(Kernels):
    """What one layer hands to the next is bfloat16."""

    def add(self, x: Array, y: Array) -> Array:
        return to_bfloat16(x + y)


@bug("format", "linear", formats="float32")
class Tf32Products(Kernels):
    """Factors are rounded to TF32."""

    def product(self, a: Array, b: Array) -> Array:
        return super().product(to_tf32(a), to_tf32(b))


@bug("format", "linear", formats="float32")
class Tf32Dweight(Kernels):
    """Factors of the weight's gradient alone are rounded to TF32."""

    def linear_dweight(self, ct: Array, x: Array) -> Array:
        return super().linear_dweight(to_tf32(ct), to_tf32(x))


@bug("format", "block", formats="float32")
class Tf32SecondLayer(Kernels):
    """The second layer of the feed-forward network has TF32 factors."""

    def second(self, g: Array, weight: Array, bias: Array | None = None) -> Array:
        return super().second(to_tf32(g), to_tf32(weight), bias)


@bug("format", "linear", formats="float32")
class WeightInBfloat16(Kernels):
    """Weights are converted to bfloat16 when they are packed."""

    def matmul(self, x: Array, weight: Array) -> Array:
        return super().matmul(x, to_bfloat16(weight))


@bug("format", "softmax", formats="float32")
class ExponentialsInFloat16(Kernels):
    """Exponentials are float16 before they are added and divided."""

    def probabilities(self, x: Array) -> Array:
        e = to_float16(np.exp(x - self.row_max(x)))
        return e / self.row_sum(e)


@bug("format", "layer_norm", formats="float32")
class ApproximateRoot(Kernels):
    """The reciprocal root has 12 digits, without the step of Newton's that would mend it."""

    def rsqrt(self, variance: Array, eps: float) -> Array:
        return super().rsqrt(variance, eps) * (1 + self.wide.type(2.0**-13))


@bug("format", "softmax", formats="float32")
class ExponentialByShortConstant(Kernels):
    """exp(x) is 2 to the power of 1.4427 x."""

    def probabilities(self, x: Array) -> Array:
        e = np.exp2(self.wide.type(1.4427) * (x - self.row_max(x)))
        return e / self.row_sum(e)


@bug("format", "gelu", formats="float32")
class ErrorFunctionToSixDigits(Kernels):
    """The error function is a formula of five terms that is good to 1.5e-7 of one."""

    def gelu(self, x: Array) -> Array:
        x = x.astype(np.float64)
        z = np.abs(x) / np.sqrt(2)
        t = 1 / (1 + 0.3275911 * z)
        series = 1.061405429 * t**5 - 1.453152027 * t**4 + 1.421413741 * t**3
        tail = (series - 0.284496736 * t**2 + 0.254829592 * t) * np.exp(-z * z) / 2
        return x * np.where(x < 0, tail, 1 - tail)


@bug("format", "swiglu_feed_forward")
class InnerInFloat16(Kernels):
    """Inner features pass through float16, beyond whose range they are infinite."""

    def gated(self, gate: Array, up: Array) -> Array:
        return to_float16(super().gated(gate, up))


@bug("format", "layer_norm")
class SquaresInFloat16(Kernels):
    """The sum of squares is float16, and infinite from 65,520 on."""

    def moments(self, x: Array) -> tuple[Array, Array]:
        d, variance = super().moments(x)
        return d, to_float16(variance * x.shape[-1]) / x.shape[-1]


@bug("format", "layer_norm")
class SquaresMinusSquare(Kernels):
    """The variance is the mean of squares less the square of the mean, in float32."""

    def moments(self, x: Array) -> tuple[Array, Array]:
        mean = self.row_sum(x) / x.shape[-1]
        variance = self.row_sum(x * x) / x.shape[-1] - mean * mean
        return x - mean, np.maximum(variance, 0)


@bug("format", "layer_norm")
class EpsInFloat16(Kernels):
    """eps is float16, where 1e-5 is a subnormal number and 1e-8 is zero."""

    def rsqrt(self, variance: Array, eps: float) -> Array:
        return super().rsqrt(variance, float(np.float16(eps)))


# Results that are rounded more than once, where one rounding is claimed


class Once(Kernels):
    """Each stage's result is claimed to be rounded once."""

    rounds = "once"


@bug("format", "gelu", formats="bfloat16")
class StoredByTruncation(Once):
    """Results are cut to bfloat16, not rounded to the nearest."""

    def store(self, x: Array) -> Array:
        bits = np.ascontiguousarray(x, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
        return bits.view(np.float32)


@bug("format", "gelu_tanh", formats="bfloat16")
class StepsInBfloat16(Once):
    """Every step of the formula is rounded to bfloat16."""

    def gelu_tanh(self, x: Array) -> Array:
        u = to_bfloat16(x + to_bfloat16(0.044715 * to_bfloat16(x * x * x)))
        s = to_bfloat16(F.sigmoid(to_bfloat16(np.float32(SLOPE) * u)))
        return x * s


@bug("format", "linear", formats="bfloat16")
class RoundedBeforeBias(Once):
    """The product is rounded to bfloat16 before the bias is added."""

    def with_bias(self, y: Array, bias: Array) -> Array:
        return to_bfloat16(y) + bias


@bug("format", "layer_norm", formats="bfloat16")
class NormalizedInBfloat16(Once):
    """The normalized row is rounded to bfloat16 before weight and bias."""

    def affine(self, h: Array, weight: Array, bias: Array) -> Array:
        return to_bfloat16(to_bfloat16(h) * weight) + bias


@bug("format", "softmax", formats="bfloat16")
class ExponentialsInBfloat16(Once):
    """Exponentials are bfloat16 before they are added and divided."""

    def probabilities(self, x: Array) -> Array:
        e = to_bfloat16(np.exp(to_bfloat16(x - self.row_max(x))))
        return e / self.row_sum(e)


# Rare values


class Flushed(Kernels):
    """Subnormal numbers are declared to be kept."""

    subnormals = "kept"

    def flushed(self, x: Array) -> Array:
        return np.where(np.abs(x) < 2.0**-126, np.copysign(self.wide.type(0), x), x)


@bug("format", "gelu")
class SubnormalOutputsFlushed(Flushed):
    """Subnormal results are zero."""

    def store(self, x: Array) -> Array:
        return self.flushed(super().store(x))


@bug("format", "token_mix")
class SubnormalInputsFlushed(Flushed):
    """Subnormal numbers are read as zero."""

    def load(self, name: str, x: Array) -> Array:
        return self.flushed(super().load(name, x))


@bug("format", "softmax")
class SubnormalProbabilitiesFlushed(Flushed):
    """Exponentials below 2⁻¹²⁶ are zero."""

    def probabilities(self, x: Array) -> Array:
        return self.flushed(super().probabilities(x))


@bug("format", "silu")
class SubnormalGradientsFlushed(Flushed):
    """Subnormal cotangents are read as zero."""

    def silu_back(self, x: Array, ct: Array) -> Array:
        return super().silu_back(x, self.flushed(ct))


@bug("format", "layer_norm")
class CotangentClippedAt1000(Kernels):
    """Cotangents are clipped to ±1,000."""

    def load(self, name: str, x: Array) -> Array:
        x = super().load(name, x)
        return np.clip(x, -1e3, 1e3) if name == "cotangent" else x


@bug("format", "linear")
class CotangentClippedAt30000(Kernels):
    """Cotangents are clipped to ±30,000."""

    def load(self, name: str, x: Array) -> Array:
        x = super().load(name, x)
        return np.clip(x, -3e4, 3e4) if name == "cotangent" else x


@bug("format", "gelu")
class CotangentBeyondFloat16(Kernels):
    """Cotangents beyond float16's range are infinite, though others keep their digits."""

    def load(self, name: str, x: Array) -> Array:
        x = super().load(name, x)
        return np.where(np.abs(x) < 65520, x, x * np.inf) if name == "cotangent" else x


@bug("format", "silu")
class CotangentBelowFloat16(Kernels):
    """Cotangents below 6e-8, float16's smallest number, are zero."""

    def load(self, name: str, x: Array) -> Array:
        x = super().load(name, x)
        return np.where(np.abs(x) > 6e-8, x, 0 * x) if name == "cotangent" else x


@bug("format", "softmax")
class CotangentByItsLargest(Kernels):
    """Cotangents are divided by their largest before the sums, and 0 by 0 is not a number."""

    def softmax_back(self, y: Array, ct: Array) -> Array:
        top = np.abs(ct).max(axis=-1, keepdims=True)
        return super().softmax_back(y, ct / top) * top


@bug("format", "softmax")
class MaskedTile(Kernels):
    """An online softmax whose first tile of 32 columns is masked subtracts infinities."""

    def probabilities(self, x: Array) -> Array:
        top = np.full((*x.shape[:-1], 1), -np.inf, x.dtype)
        total = np.zeros_like(top)
        for t in slices(x.shape[-1], 32):
            new = np.maximum(top, x[..., t].max(axis=-1, keepdims=True))
            part = np.exp(x[..., t] - new).sum(axis=-1, keepdims=True)
            total = total * np.exp(top - new) + part
            top = new
        return np.exp(x - top) / total


@bug("format", "softmax")
class MaskOfFiniteNumbers(Kernels):
    """Minus infinity is replaced by -1e4, which is not far enough from other low scores."""

    def probabilities(self, x: Array) -> Array:
        return super().probabilities(np.maximum(x, -1e4))


@bug("format", "silu")
class SlopeBySquaredExponential(Kernels):
    """The slope of the sigmoid is exp(-x) / (1 + exp(-x))², which is ∞ / ∞ far to the left."""

    def silu_back(self, x: Array, ct: Array) -> Array:
        e = np.exp(-x)
        s = 1 / (1 + e)
        return ct * (s + x * e / ((1 + e) * (1 + e)))


@bug("format", "gelu_tanh")
class TanhByExponentials(Kernels):
    """tanh(u) is (exp(2u) - 1) / (exp(2u) + 1), which is ∞ / ∞ far to the right."""

    def gelu_tanh(self, x: Array) -> Array:
        e = np.exp(np.float32(SLOPE) * (x + np.float32(0.044715) * x * x * x))
        return x / 2 * (1 + (e - 1) / (e + 1))


@bug("format", "swiglu_feed_forward")
class GateByExponential(Kernels):
    """The gate is exp(x) / (1 + exp(x)) in float32, which is ∞ / ∞ past 88."""

    def silu(self, x: Array) -> Array:
        e = np.exp(x)
        return x * (e / (1 + e))


@bug("format", "softmax")
class MaximumWithMargin(Kernels):
    """Exponents are clamped to -80, so that what is exp(-100) of the largest is exp(-80)."""

    def probabilities(self, x: Array) -> Array:
        e = np.exp(np.maximum(x - self.row_max(x), -80))
        return e / self.row_sum(e)
