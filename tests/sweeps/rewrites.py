"""Legitimate rewrites: other ways to compute the same, all of which must pass.

They hold the bounds from below. A bound that one of them exceeds would call a right backend wrong;
how far they stay inside says by how much a bound could be lowered.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from numixology import functional as F
from numixology.array import Array
from numixology.tensors import Tensor, leaf
from numixology.verify.conformance.stages import Inputs
from numixology.verify.conformance.textbook import Textbook, straight_through

__all__ = ["REWRITES", "Rewrite"]

K = TypeVar("K", bound=type[Textbook])

_FEED_FORWARDS = ("feed_forward", "swiglu_feed_forward")
_SUMS = ("layer_norm", "linear", "softmax", *_FEED_FORWARDS, "mixer", "block", "model")
_NORMS = ("layer_norm", *_FEED_FORWARDS, "mixer", "block", "model")
_LINEARS = ("linear", *_FEED_FORWARDS, "block", "model")
_GELUS = ("gelu", "feed_forward", "block", "model")
_SILUS = ("silu", "swiglu_feed_forward")
_NETWORKS = (*_FEED_FORWARDS, "block", "model")


class Rewrite(NamedTuple):
    """Another way to compute the same.

    Attributes:
        name: in kebab-case.
        description: what it does otherwise.
        stages: where that makes a difference.
        kind: the textbook, so rewritten.
        profile: what it has to declare, since it is less accurate somewhere.
    """

    name: str
    description: str
    stages: tuple[str, ...]
    kind: type[Textbook]
    profile: tuple[str, ...]

    def make(self, dtype: str = "float64") -> Textbook:
        """A backend that is written so."""
        return self.kind(dtype)


#: Every rewrite by its name.
REWRITES: dict[str, Rewrite] = {}


def _same(*stages: str, profile: Sequence[str] = ()) -> Callable[[K], K]:
    def enter(kind: K) -> K:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower()
        description = " ".join((kind.__doc__ or "").split()).rstrip(".")
        kind.name = name
        kind.profile = tuple(profile)
        REWRITES[name] = Rewrite(name, description, stages, kind, tuple(profile))
        return kind

    return enter


# Sums


def _shuffled(length: int) -> Array:
    return np.random.default_rng(length).permutation(length)


@_same(*_SUMS)
class ShuffledSums(Textbook):
    """Terms and rows are added in an order of their own."""

    def total(self, x: Tensor) -> Tensor:
        return super().total(x[..., _shuffled(x.shape[-1])])

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        rows, terms = _shuffled(len(x)), _shuffled(x.shape[-1])
        return super().product(x[rows][..., terms], weight[:, terms])[np.argsort(rows)]

    def per_token_linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        rows, terms = _shuffled(len(x)), _shuffled(x.shape[-1])
        y = super().per_token_linear(x[rows][..., terms], weight[..., terms], bias)
        return y[np.argsort(rows)]


@_same(*_SUMS)
class ReversedSums(Textbook):
    """Terms are added from the last to the first."""

    def total(self, x: Tensor) -> Tensor:
        return super().total(x[..., ::-1])

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        return super().product(x[..., ::-1], weight[:, ::-1])


@_same(*_SUMS)
class OneByOneSums(Textbook):
    """Terms are added one by one to a running total."""

    def total(self, x: Tensor) -> Tensor:
        return F.cumsum(x, axis=-1)[..., -1:]

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        total = x[..., :1] * weight[:, 0]
        for i in range(1, x.shape[-1]):
            total = total + x[..., i : i + 1] * weight[:, i]
        return total


@_same(*_SUMS)
class PairwiseSums(Textbook):
    """Terms are added in pairs, and the pairs in pairs."""

    def total(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        return x if not half else self.total(x[..., :half]) + self.total(x[..., half:])

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        if half < 2:
            return super().product(x, weight)
        return self.product(x[..., :half], weight[:, :half]) + self.product(
            x[..., half:], weight[:, half:]
        )


@_same(*_LINEARS)
class SplitDepth(Textbook):
    """The terms of a product go to four workers, whose sums are added."""

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        terms = np.array_split(np.arange(x.shape[-1]), min(4, x.shape[-1]))
        total = super().product(x[..., terms[0]], weight[:, terms[0]])
        for some in terms[1:]:
            total = total + super().product(x[..., some], weight[:, some])
        return total


@_same(*_SUMS, "gelu", "gelu_tanh", "silu")
class WiderSums(Textbook):
    """Everything is calculated in float64, and stored in the backend's format."""

    def __init__(self, dtype: str = "float64", accumulation: str | None = None) -> None:
        super().__init__(dtype, "float64")
        self.accumulation = "float64" if dtype == "float64" else "float32"  # it promises no more


# LayerNorm


@_same(*_NORMS)
class RootAsPower(Textbook):
    """The reciprocal root is a power of -1/2."""

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        return (variance + eps) ** -0.5


@_same(*_NORMS)
class DividedByDeviation(Textbook):
    """The difference is divided by the deviation."""

    def normalized(self, x: Tensor, eps: float) -> Tensor:
        h = self.center(x)
        return h / F.sqrt(self.variance(x, h) + eps)


@_same(*_NORMS)
class ReciprocalOfWidth(Textbook):
    """Sums are multiplied by 1/D."""

    def mean(self, x: Tensor) -> Tensor:
        return self.total(x) * (1 / x.shape[-1])

    def variance(self, x: Tensor, h: Tensor) -> Tensor:
        return self.mean(h * h)


@_same(*_NORMS)
class MeanByProduct(Textbook):
    """The mean is a product with a column of 1/D."""

    def mean(self, x: Tensor) -> Tensor:
        width = x.shape[-1]
        return x @ leaf(np.full((width, 1), 1 / width, x.dtype))


@_same(*_NORMS)
class FusedScale(Textbook):
    """The reciprocal deviation is multiplied by the weight first."""

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        h = self.center(x)
        return self.store(h * (self.rstd(self.variance(x, h), eps) * weight) + bias)


@_same(*_NORMS)
class MeanOfSquaresOfDifference(Textbook):
    """The variance is that of x - x₀, E[h²] - E[h]² around a value nearby."""

    def variance(self, x: Tensor, h: Tensor) -> Tensor:
        return self.mean(h * h) - self.mean(h) * self.mean(h)


@_same(*_NORMS, profile=("offsets",))
class PlainTwoPasses(Textbook):
    """The mean is that of x itself, and the variance that of x - mean."""

    def center(self, x: Tensor) -> Tensor:
        return x - self.mean(x)


@_same(*_NORMS, profile=("offsets",))
class RunningVariance(Textbook):
    """The mean and the variance are updated entry by entry, as Welford does."""

    def normalized(self, x: Tensor, eps: float) -> Tensor:
        mean = x[..., :1]
        squares = 0 * mean
        for i in range(1, x.shape[-1]):
            step = x[..., i : i + 1] - mean
            mean = mean + step / (i + 1)
            squares = squares + step * (x[..., i : i + 1] - mean)
        return (x - mean) * self.rstd(squares / x.shape[-1], eps)


# Not in a block: in float16 a large offset and a small deviation leave nothing of its rows.
@_same("layer_norm", *_FEED_FORWARDS, profile=("offsets",))
class ScaleAndShift(Textbook):
    """One product and one sum: x · a + (bias - mean · a), where a = rstd · weight."""

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        scale = self.rstd(self.variance(x, self.center(x)), eps) * weight
        return self.store(x * scale + (bias - self.mean(x) * scale))


@_same(*_NORMS)
class NormGradientByFormula(Textbook):
    """The backward is rstd (g - mean(g) - h mean(g h)), not that of each step."""

    def normalized(self, x: Tensor, eps: float) -> Tensor:
        h = self.center(x).detach()
        rstd = self.rstd(self.variance(x, h), eps).detach()
        h = h * rstd
        # the transpose of g - mean(g) - h mean(g h) is itself
        return straight_through(h, (x - self.mean(x) - h * self.mean(x * h)) * rstd)


# Linear layers


@_same(*_LINEARS)
class BiasAsTerm(Textbook):
    """The bias is one more term of the product, its factor a one."""

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if bias is None:
            return super().linear(x, weight)
        ones = leaf(np.ones((*x.shape[:-1], 1), x.dtype))
        x = F.concatenate([ones, x], axis=-1)
        return super().linear(x, F.concatenate([bias[:, None], weight], axis=1))


@_same(*_LINEARS)
class ProductByIndices(Textbook):
    """The product is written as a sum over indices."""

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.einsum("btd,fd->btf", x, weight)


@_same(*_LINEARS)
class RowByRow(Textbook):
    """One row of the batch is multiplied at a time."""

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        rows = [super(RowByRow, self).product(x[i : i + 1], weight) for i in range(len(x))]
        return F.concatenate(rows)


@_same("swiglu_feed_forward")
class PackedGate(Textbook):
    """w1 and w3 are one weight, and their product is cut in two."""

    def gated_branch(self, p: Inputs, h: Tensor, k: Tensor) -> Tensor:
        packed = F.concatenate([p["w1.weight"], p["w3.weight"]])
        both, width = self.linear(h, packed), len(p["w1.weight"])
        return self.linear(self.gated(both[..., :width], both[..., width:]), p["w2.weight"])


# Activations


@_same(*_GELUS)
class GeluByComplement(Textbook):
    """To the right of zero GELU is x - x Φ(-x)."""

    def gelu(self, x: Tensor) -> Tensor:
        left = x * F.normal_cdf(-F.abs(x))
        return self.store(F.where(x > 0, x - left, left))


@_same(*_GELUS, profile=("tails",))
class GeluByErf(Textbook):
    """GELU is ½ x (1 + erf(x/√2)), which cancels to the left."""

    def gelu(self, x: Tensor) -> Tensor:
        return self.store(0.5 * x * (1 + F.erf(x * math.sqrt(0.5))))


@_same(*_GELUS)
class GeluGradientByFormula(Textbook):
    """The backward of GELU is Φ(x) + x φ(x)."""

    def gelu(self, x: Tensor) -> Tensor:
        bounded = F.clip(x, -1e3, 1e3)
        slope = F.normal_cdf(x) + bounded * F.normal_pdf(x)
        return straight_through(super().gelu(x), self.store(x * slope.detach()))


@_same("gelu_tanh")
class TanhByExponential(Textbook):
    """The gate of the form with tanh is 1 / (1 + exp(-u)), with the sign of u apart."""

    def gelu_tanh(self, x: Tensor) -> Tensor:
        u = 2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
        e = F.exp(-F.abs(u))
        return self.store(x * F.where(u > 0, 1 / (1 + e), e / (1 + e)))


@_same("gelu_tanh", profile=("tails",))
class TanhItself(Textbook):
    """The form with tanh is ½ x (1 + tanh u), which cancels to the left."""

    def gelu_tanh(self, x: Tensor) -> Tensor:
        u = math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x * x)
        return self.store(0.5 * x * (1 + F.tanh(u)))


@_same(*_SILUS)
class SigmoidByExponential(Textbook):
    """The sigmoid is 1 / (1 + exp(-x)), with the sign of x apart."""

    def silu(self, x: Tensor) -> Tensor:
        e = F.exp(-F.abs(x))
        return self.store(x * F.where(x > 0, 1 / (1 + e), e / (1 + e)))


@_same(*_SILUS, profile=("tails",))
class SigmoidByTanh(Textbook):
    """The sigmoid is ½ (1 + tanh(x/2)), which cancels to the left."""

    def silu(self, x: Tensor) -> Tensor:
        return self.store(x * (0.5 + 0.5 * F.tanh(0.5 * x)))


@_same("softmax")
class SoftmaxByLogarithm(Textbook):
    """The softmax is exp(z - log Σ exp(z)), where z = x - max."""

    def softmax(self, x: Tensor) -> Tensor:
        z = x - F.max(x, axis=-1, keepdims=True).detach()
        return self.store(F.exp(z - F.log(self.total(F.exp(z)))))


@_same("softmax")
class SoftmaxToBaseTwoScaled(Textbook):
    """The exponentials of the softmax are powers of two, of x log₂ e."""

    def softmax(self, x: Tensor) -> Tensor:
        z = (x - F.max(x, axis=-1, keepdims=True).detach()) * (1 / math.log(2))
        e = 2.0**z
        return self.store(e / self.total(e))


@_same("softmax")
class SoftmaxByReciprocal(Textbook):
    """The exponentials are multiplied by the reciprocal of their sum."""

    def softmax(self, x: Tensor) -> Tensor:
        e = F.exp(x - F.max(x, axis=-1, keepdims=True).detach())
        return self.store(e * (1 / self.total(e)))


# Mixing, and what calculates nothing


@_same("token_mix", "block", "model")
class MixedByIndices(Textbook):
    """The chunks are taken in the order of an index array."""

    def token_mix(self, x: Tensor, num_heads: int) -> Tensor:
        B, T, D = x.shape
        order = np.arange(T * num_heads).reshape(T, num_heads).T.ravel()
        return x.reshape(B, T * num_heads, D // num_heads)[:, order].reshape(B, T, D)


@_same("token_mix", "block", "model")
class MixedByStacking(Textbook):
    """The heads are cut out and joined one below another."""

    def token_mix(self, x: Tensor, num_heads: int) -> Tensor:
        B, T, D = x.shape
        width = D // num_heads
        heads = [x[:, :, i * width : (i + 1) * width] for i in range(num_heads)]
        return F.concatenate(heads, axis=1).reshape(B, T, D)


@_same("embedding", "model")
class RowsByProduct(Textbook):
    """The rows are a product of the table with zeros and ones."""

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return leaf(np.eye(len(weight), dtype=weight.dtype)[ids]) @ weight


@_same(*_NETWORKS)
class ResidualLast(Textbook):
    """The branch comes first in the sum, and nothing is stored before it is added."""

    def residual(self, x: Tensor, y: Tensor) -> Tensor:
        return super().residual(y, x)


@_same(*_NETWORKS, "per_token_feed_forward", "per_token_swiglu", "mixer_large")
class StoredOnce(Textbook):
    """The steps of a network are fused: only its result is written to memory."""

    def store(self, x: Tensor) -> Tensor:
        return x


@_same(
    *(*_SUMS, "gelu", "gelu_tanh", "silu", "token_mix", "token_revert", "embedding"),
    *("rms_norm", "per_token_linear"),
)
class Library(Textbook):
    """Every step is the library's own function, with its own backward."""

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        return self.store(F.layer_norm(x, weight, bias, eps))

    def linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return self.store(F.linear(x, weight, bias))

    def gelu(self, x: Tensor) -> Tensor:
        return self.store(F.gelu(x))

    def gelu_tanh(self, x: Tensor) -> Tensor:
        return self.store(F.gelu(x, approximate="tanh"))

    def silu(self, x: Tensor) -> Tensor:
        return self.store(F.silu(x))

    def softmax(self, x: Tensor) -> Tensor:
        return self.store(F.softmax(x))

    def rms_norm(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return self.store(F.rms_norm(x, weight, eps))

    def per_token_linear(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return self.store(F.per_token_linear(x, weight, bias))

    def token_mix(self, x: Tensor, num_heads: int) -> Tensor:
        return F.token_mix(x, num_heads)

    def token_revert(self, x: Tensor, num_heads: int) -> Tensor:
        return F.token_revert(x, num_heads)

    def embedding(self, ids: Array, weight: Tensor) -> Tensor:
        return F.embedding(ids, weight)


@_same("model")
class PositionsGathered(Textbook):
    """The positions are looked up as the tokens are, and the positions come first in the sum."""

    def embedded(self, ids: Array, tokens: Tensor, positions: Tensor) -> Tensor:
        rows = self.embedding(np.arange(ids.shape[1]), positions)
        return self.residual(rows, self.embedding(ids, tokens))
