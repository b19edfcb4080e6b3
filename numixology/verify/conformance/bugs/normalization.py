"""Bugs of LayerNorm, forward and backward."""

import numpy as np

from .... import functional as F
from ....tensors import Tensor
from ..textbook import Textbook, straight_through
from .registry import known
from .steps import first_row, in_format, rounded_up, scaled_gradient

# The statistics


@known("layer_norm")
class UnbiasedVariance(Textbook):
    """The variance divides by D - 1."""

    def variance(self, x: Tensor, h: Tensor) -> Tensor:
        return self.total(h * h) / (x.shape[-1] - 1)


@known("layer_norm")
class EpsAddedToDeviation(Textbook):
    """eps is added to the standard deviation, not to the variance."""

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        return 1 / (F.sqrt(variance) + eps)


@known("layer_norm")
class EpsAddedToReciprocal(Textbook):
    """eps is added to the reciprocal of the standard deviation."""

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        return 1 / F.sqrt(variance) + eps


@known("layer_norm")
class EpsSquared(Textbook):
    """eps² is added to the variance."""

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        return super().rstd(variance, eps * eps)


@known("layer_norm")
class EpsAsLeast(Textbook):
    """eps is the least variance, not added to it."""

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        return 1 / F.sqrt(F.maximum(variance, eps))


@known("layer_norm")
class EpsTimesWidth(Textbook):
    """eps is added to the sum of squares before it is divided by D."""

    def normalized(self, x: Tensor, eps: float) -> Tensor:
        return super().normalized(x, eps / x.shape[-1])


@known("layer_norm")
class EpsMissing(Textbook):
    """There is no eps: a row of equal numbers gives NaN."""

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        return super().rstd(variance, 0.0)


class _FixedEps(Textbook):
    eps = 0.0

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        return super().rstd(variance, self.eps)


@known("layer_norm")
class EpsFixedAt1e3(_FixedEps):
    """eps is 1e-3, whatever it is told."""

    eps = 1e-3


@known("layer_norm")
class EpsFixedAt1e5(_FixedEps):
    """eps is 1e-5, whatever it is told."""

    eps = 1e-5


@known("layer_norm")
class EpsFixedAt1e6(_FixedEps):
    """eps is 1e-6, whatever it is told."""

    eps = 1e-6


@known("layer_norm")
class EpsFixedAt1e12(_FixedEps):
    """eps is 1e-12, whatever it is told."""

    eps = 1e-12


@known("layer_norm", noisy=True)
class OnePassVariance(Textbook):
    """The variance is E[x²] - E[x]², which cancels."""

    def variance(self, x: Tensor, h: Tensor) -> Tensor:
        mean = self.mean(x)
        return self.mean(x * x) - mean * mean


@known("layer_norm")
class PaddingInMean(Textbook):
    """The mean divides by D rounded up to a multiple of four."""

    def center(self, x: Tensor) -> Tensor:
        return x - self.total(x) / rounded_up(x.shape[-1], 4)


@known("layer_norm")
class PaddingInMeanToPowerOfTwo(Textbook):
    """The mean divides by D rounded up to a power of two."""

    def center(self, x: Tensor) -> Tensor:
        return x - self.total(x) / (1 << (x.shape[-1] - 1).bit_length())


@known("layer_norm")
class PaddingInVarianceDivisor(Textbook):
    """The variance divides by D rounded up to a multiple of four."""

    def variance(self, x: Tensor, h: Tensor) -> Tensor:
        return self.total(h * h) / rounded_up(x.shape[-1], 4)


@known("layer_norm")
class PaddingInVariance(Textbook):
    """Lanes beyond D are zero, and (0 - mean)² of each is in the variance."""

    def variance(self, x: Tensor, h: Tensor) -> Tensor:
        spare = rounded_up(x.shape[-1], 4) - x.shape[-1]
        mean = self.mean(x)
        return (self.total(h * h) + spare * mean * mean) / x.shape[-1]


@known("layer_norm")
class TailLeftOutOfStatistics(Textbook):
    """The mean and the variance leave out the columns beyond a multiple of four."""

    def mean(self, x: Tensor) -> Tensor:
        whole = x.shape[-1] // 4 * 4 or x.shape[-1]
        return super().mean(x[..., :whole])

    def variance(self, x: Tensor, h: Tensor) -> Tensor:
        return self.mean(h * h)


class _OverAxes(Textbook):
    axes: tuple[int, ...] = (-1,)

    def center(self, x: Tensor) -> Tensor:
        h = x - x[:1, :1, :1]
        h = h - h.mean(self.axes, keepdims=True)
        return h - h.mean(self.axes, keepdims=True)

    def variance(self, x: Tensor, h: Tensor) -> Tensor:
        return (h * h).mean(self.axes, keepdims=True)


@known("layer_norm")
class StatisticsOverTokens(_OverAxes):
    """The mean and the variance are taken over the tokens, not over D."""

    axes = (1,)


@known("layer_norm")
class StatisticsOverSample(_OverAxes):
    """The mean and the variance are taken over tokens and D together."""

    axes = (1, 2)


@known("layer_norm")
class StatisticsOfBatch(_OverAxes):
    """The mean and the variance are taken over the batch, so that its rows mix."""

    axes = (0,)


@known("layer_norm")
class StatisticsOfEverything(_OverAxes):
    """The mean and the variance are those of the whole tensor."""

    axes = (0, 1, 2)


@known("layer_norm")
class RmsNorm(Textbook):
    """RMSNorm: nothing is subtracted, and the mean of squares takes the variance's place."""

    def center(self, x: Tensor) -> Tensor:
        return x


@known("layer_norm")
class MeanNotSubtracted(Textbook):
    """The variance is right, but the mean stays in the output."""

    def normalized(self, x: Tensor, eps: float) -> Tensor:
        return x * self.rstd(self.variance(x, self.center(x)), eps)


@known("layer_norm")
class MeanSubtractedTwice(Textbook):
    """The mean is subtracted twice, the variance is that of the right difference."""

    def normalized(self, x: Tensor, eps: float) -> Tensor:
        h = self.center(x)
        return (h - self.mean(x)) * self.rstd(self.variance(x, h), eps)


@known("layer_norm")
class DeviationRootMissing(Textbook):
    """The difference is divided by the variance, not by its root."""

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        return 1 / (variance + eps)


@known("layer_norm", dtypes=("float64", "float32", "bfloat16"))
class Float16Statistics(Textbook):
    """The mean and the reciprocal deviation are kept in float16."""

    def center(self, x: Tensor) -> Tensor:
        return x - in_format(self.mean(x), "float16")

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        return in_format(super().rstd(variance, eps), "float16")


@known("layer_norm", dtypes=("float64", "float32", "float16"))
class Bfloat16Statistics(Textbook):
    """The mean and the reciprocal deviation are kept in bfloat16."""

    def center(self, x: Tensor) -> Tensor:
        return x - in_format(self.mean(x), "bfloat16")

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        return in_format(super().rstd(variance, eps), "bfloat16")


@known("layer_norm", dtypes=("float64",))
class Float32Statistics(Textbook):
    """The mean and the reciprocal deviation are kept in float32."""

    def center(self, x: Tensor) -> Tensor:
        return x - in_format(self.mean(x), "float32")

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        return in_format(super().rstd(variance, eps), "float32")


@known("layer_norm")
class ApproximateRsqrt(Textbook):
    """The reciprocal root is a 12-bit estimate without the Newton step that should follow."""

    def rstd(self, variance: Tensor, eps: float) -> Tensor:
        exact = super().rstd(variance, eps)
        return exact * (1 + 2.0**-12)


# Weight and bias


@known("layer_norm")
class NormWeightMissing(Textbook):
    """The weight is not applied."""

    def affine(self, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return h + bias


@known("layer_norm")
class NormBiasMissing(Textbook):
    """The bias is not added."""

    def affine(self, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return h * weight


@known("layer_norm")
class WeightPlusOne(Textbook):
    """The weight is taken as an offset to one: (1 + weight)."""

    def affine(self, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return h * (1 + weight) + bias


@known("layer_norm")
class BiasBeforeWeight(Textbook):
    """The bias is added before the weight multiplies."""

    def affine(self, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return (h + bias) * weight


@known("layer_norm")
class WeightAndBiasSwapped(Textbook):
    """The weight and the bias are exchanged."""

    def affine(self, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return h * bias + weight


@known("layer_norm")
class NormBiasSubtracted(Textbook):
    """The bias is subtracted."""

    def affine(self, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return h * weight - bias


@known("layer_norm")
class FirstWeightForAll(Textbook):
    """The weight's first entry multiplies every column."""

    def affine(self, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return h * weight[:1] + bias


# The backward


class _Backward(Textbook):
    """The right value, with a gradient put together from three parts."""

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        y = super().layer_norm(x, weight, bias, eps)
        like = self.by_x(x, weight.detach(), eps)
        like = like + self.by_weight(x.detach(), weight, eps) + self.by_bias(bias, y.detach())
        return straight_through(y, self.store(like))

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """What has the gradient of the input."""
        return self.normalized(x, eps) * weight

    def by_weight(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """What has the gradient of the weight."""
        return self.normalized(x, eps) * weight

    def by_bias(self, bias: Tensor, y: Tensor) -> Tensor:
        """What has the gradient of the bias."""
        return bias + 0 * y


@known("layer_norm")
class GradientWithoutWeight(_Backward):
    """The input's gradient leaves out the weight."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return self.normalized(x, eps)


@known("layer_norm")
class GradientWithoutMeanTerm(_Backward):
    """The input's gradient treats the mean as a constant."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        h = straight_through(self.center(x), x)
        return h * self.rstd(self.variance(x, h), eps) * weight


@known("layer_norm")
class GradientWithoutVarianceTerm(_Backward):
    """The input's gradient treats the variance as a constant."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        h = self.center(x)
        return h * self.rstd(self.variance(x, h), eps).detach() * weight


@known("layer_norm")
class GradientWithoutStatistics(_Backward):
    """The input's gradient treats the mean and the variance as constants."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return x * self.rstd(self.variance(x, self.center(x)), eps).detach() * weight


@known("layer_norm")
class VarianceTermNegated(_Backward):
    """The variance's term of the input's gradient has the wrong sign."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        h = self.center(x)
        return h * scaled_gradient(self.rstd(self.variance(x, h), eps), -1.0) * weight


@known("layer_norm")
class VarianceTermHalved(_Backward):
    """The variance's term of the input's gradient lacks the 2 of the square."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        h = self.center(x)
        return h * scaled_gradient(self.rstd(self.variance(x, h), eps), 0.5) * weight


@known("layer_norm")
class VarianceTermWithoutWeight(_Backward):
    """The variance's term of the input's gradient leaves out the weight."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        h = self.center(x)
        rstd = self.rstd(self.variance(x, h), eps)
        return h * rstd.detach() * weight + h.detach() * rstd


@known("layer_norm")
class GradientWithoutDeviation(_Backward):
    """The input's gradient is not divided by the deviation."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        rstd = self.rstd(self.variance(x, self.center(x)), eps).detach()
        return super().by_x(scaled_gradient(x, 1 / rstd), weight, eps)


@known("layer_norm")
class GradientWithoutEps(_Backward):
    """The input's gradient has no eps in its deviation."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return super().by_x(x, weight, 0.0)


@known("layer_norm")
class GradientWithUnbiasedVariance(_Backward):
    """The variance's term of the input's gradient divides by D - 1."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        h = self.center(x)
        factor = x.shape[-1] / (x.shape[-1] - 1)
        return h * scaled_gradient(self.rstd(self.variance(x, h), eps), factor) * weight


@known("layer_norm")
class WeightGradientOfFirstRow(_Backward):
    """The weight's gradient comes from the first row of the batch only."""

    def by_weight(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return first_row(self.normalized(x, eps) * weight)


@known("layer_norm")
class WeightGradientAveraged(_Backward):
    """The weight's gradient is an average over the tokens, not a sum."""

    def by_weight(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return self.normalized(x, eps) * weight / (x.size // x.shape[-1])


@known("layer_norm")
class WeightGradientOfInput(_Backward):
    """The weight's gradient multiplies by x, not by the normalized x."""

    def by_weight(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return x * weight


@known("layer_norm")
class WeightGradientOfCentered(_Backward):
    """The weight's gradient multiplies by x - mean, which is not divided by the deviation."""

    def by_weight(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return self.center(x) * weight


@known("layer_norm")
class WeightGradientOfOutput(_Backward):
    """The weight's gradient multiplies by the output, not by the normalized x."""

    def by_weight(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return self.normalized(x, eps) * weight.detach() * weight


@known("layer_norm")
class NormBiasGradientOfFirstRow(_Backward):
    """The bias's gradient comes from the first row of the batch only."""

    def by_bias(self, bias: Tensor, y: Tensor) -> Tensor:
        return first_row(super().by_bias(bias, y))


@known("layer_norm")
class NormBiasGradientAveraged(_Backward):
    """The bias's gradient is an average over the tokens, not a sum."""

    def by_bias(self, bias: Tensor, y: Tensor) -> Tensor:
        return super().by_bias(bias, y) / (y.size // y.shape[-1])


@known("layer_norm")
class NormBiasGradientMissing(_Backward):
    """The bias gets no gradient."""

    def by_bias(self, bias: Tensor, y: Tensor) -> Tensor:
        return 0 * y


@known("layer_norm")
class NormGradientNegated(_Backward):
    """The input's gradient has the wrong sign."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return -super().by_x(x, weight, eps)


@known("layer_norm")
class GradientOfFirstDeviation(_Backward):
    """The input's gradient takes the first token's deviation for every token."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        rstd = self.rstd(self.variance(x, self.center(x)), eps).detach()
        return super().by_x(scaled_gradient(x, rstd[:1, :1] / rstd), weight, eps)


@known("layer_norm", dtypes=("float64", "float32", "float16"))
class NormalizedKeptInBfloat16(_Backward):
    """The normalized x is saved for the backward in bfloat16."""

    def by_weight(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        kept = in_format(self.normalized(x, eps), "bfloat16").detach()
        return kept * weight


@known("layer_norm")
class ConstantRowsGetNoGradient(_Backward):
    """Rows whose variance is below eps get no gradient."""

    def by_x(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        flat = self.variance(x, self.center(x)).data < eps
        return super().by_x(x, weight, eps) * (~flat).astype(np.dtype(x.dtype))
