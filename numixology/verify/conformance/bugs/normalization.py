"""Bugs of LayerNorm, forward and backward."""

from functools import partial

from .... import functional as F
from ....tensors import Tensor
from ..textbook import Textbook, straight_through
from .registry import Override, but, table
from .steps import first_row, in_format, rounded_up, scaled_gradient, whole

__all__ = ["BUGS"]


class _InParts(Textbook):
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


def _power_of_two(length: int) -> int:
    return 1 << (length - 1).bit_length()


def _statistics_in(kind: str) -> Override:
    return {
        "center": lambda s, right, x: x - in_format(s.mean(x), kind),
        "rstd": lambda s, right, variance, eps: in_format(right(variance, eps), kind),
    }


def _statistics_over(*axes: int) -> Override:
    def center(s: Textbook, right: object, x: Tensor) -> Tensor:
        h = x - x[:1, :1, :1]
        h = h - h.mean(axes, keepdims=True)
        return h - h.mean(axes, keepdims=True)

    return {
        "center": center,
        "variance": lambda s, right, x, h: (h * h).mean(axes, keepdims=True),
    }


def _variance_term(s: Textbook, x: Tensor, eps: float, factor: float) -> Tensor:
    """The normalized x, the gradient of whose deviation is too large by a factor."""
    h = s.center(x)
    return h * scaled_gradient(s.rstd(s.variance(x, h), eps), factor)


def _own_rstd(s: Textbook, x: Tensor, eps: float) -> Tensor:
    return s.rstd(s.variance(x, s.center(x)), eps).detach()


def _without_mean_term(s: Textbook, x: Tensor, eps: float) -> Tensor:
    h = straight_through(s.center(x), x)
    return h * s.rstd(s.variance(x, h), eps)


def _term_without_weight(s: Textbook, x: Tensor, weight: Tensor, eps: float) -> Tensor:
    h = s.center(x)
    rstd = s.rstd(s.variance(x, h), eps)
    return h * rstd.detach() * weight + h.detach() * rstd


_bugs = partial(table, "normalization", "layer_norm")

BUGS = [
    # The statistics
    *_bugs("rstd", [
        ("eps-added-to-deviation", "eps is added to the standard deviation, not to the variance",
         lambda s, right, variance, eps: 1 / (F.sqrt(variance) + eps)),
        ("eps-added-to-reciprocal", "eps is added to the reciprocal of the standard deviation",
         lambda s, right, variance, eps: 1 / F.sqrt(variance) + eps),
        ("eps-squared", "eps² is added to the variance",
         lambda s, right, variance, eps: right(variance, eps * eps)),
        ("eps-as-least", "eps is the least variance, not added to it",
         lambda s, right, variance, eps: 1 / F.sqrt(F.maximum(variance, eps))),
        ("eps-missing", "there is no eps: a row of equal numbers gives NaN",
         lambda s, right, variance, eps: right(variance, 0.0)),
        ("eps-fixed-at1e3", "eps is 1e-3, whatever it is told",
         lambda s, right, variance, eps: right(variance, 1e-3)),
        ("eps-fixed-at1e5", "eps is 1e-5, whatever it is told",
         lambda s, right, variance, eps: right(variance, 1e-5)),
        ("eps-fixed-at1e6", "eps is 1e-6, whatever it is told",
         lambda s, right, variance, eps: right(variance, 1e-6)),
        ("eps-fixed-at1e12", "eps is 1e-12, whatever it is told",
         lambda s, right, variance, eps: right(variance, 1e-12)),
        ("deviation-root-missing", "the difference is divided by the variance, not by its root",
         lambda s, right, variance, eps: 1 / (variance + eps)),
        ("approximate-rsqrt",
         "the reciprocal root is a 12-bit estimate without the Newton step that should follow",
         lambda s, right, variance, eps: right(variance, eps) * (1 + 2.0**-12)),
    ]),
    *_bugs("variance", [
        ("unbiased-variance", "the variance divides by D - 1",
         lambda s, right, x, h: s.total(h * h) / (x.shape[-1] - 1)),
        ("padding-in-variance-divisor",
         "the variance divides by D rounded up to a multiple of four",
         lambda s, right, x, h: s.total(h * h) / rounded_up(x.shape[-1], 4)),
        ("padding-in-variance",
         "lanes beyond D are zero, and (0 - mean)² of each is in the variance",
         lambda s, right, x, h: (
             s.total(h * h) + (-x.shape[-1] % 4) * (mean := s.mean(x)) * mean) / x.shape[-1]),
    ]),
    *_bugs("variance", [
        ("one-pass-variance", "the variance is E[x²] - E[x]², which cancels",
         lambda s, right, x, h: s.mean(x * x) - (mean := s.mean(x)) * mean),
    ], noisy=True),
    *_bugs("center", [
        ("padding-in-mean", "the mean divides by D rounded up to a multiple of four",
         lambda s, right, x: x - s.total(x) / rounded_up(x.shape[-1], 4)),
        ("padding-in-mean-to-power-of-two", "the mean divides by D rounded up to a power of two",
         lambda s, right, x: x - s.total(x) / _power_of_two(x.shape[-1])),
        ("rms-norm",
         "RMSNorm: nothing is subtracted, and the mean of squares takes the variance's place",
         lambda s, right, x: x),
        ("tail-left-out-of-statistics",
         "the mean and the variance leave out the columns beyond a multiple of four",
         {"mean": lambda s, right, x: right(x[..., : whole(x.shape[-1])]),
          "variance": lambda s, right, x, h: s.mean(h * h)}),
        ("statistics-over-tokens",
         "the mean and the variance are taken over the tokens, not over D", _statistics_over(1)),
        ("statistics-over-sample",
         "the mean and the variance are taken over tokens and D together", _statistics_over(1, 2)),
        ("statistics-of-batch",
         "the mean and the variance are taken over the batch, so that its rows mix",
         _statistics_over(0)),
        ("statistics-of-everything",
         "the mean and the variance are those of the whole tensor", _statistics_over(0, 1, 2)),
        ("float16-statistics", "the mean and the reciprocal deviation are kept in float16",
         _statistics_in("float16"), *but("float16")),
        ("bfloat16-statistics", "the mean and the reciprocal deviation are kept in bfloat16",
         _statistics_in("bfloat16"), *but("bfloat16")),
        ("float32-statistics", "the mean and the reciprocal deviation are kept in float32",
         _statistics_in("float32"), "float64"),
    ]),
    *_bugs("normalized", [
        ("eps-times-width", "eps is added to the sum of squares before it is divided by D",
         lambda s, right, x, eps: right(x, eps / x.shape[-1])),
        ("mean-not-subtracted", "the variance is right, but the mean stays in the output",
         lambda s, right, x, eps: x * s.rstd(s.variance(x, s.center(x)), eps)),
        ("mean-subtracted-twice",
         "the mean is subtracted twice, the variance is that of the right difference",
         lambda s, right, x, eps: (
             ((h := s.center(x)) - s.mean(x)) * s.rstd(s.variance(x, h), eps))),
    ]),
    # Weight and bias
    *_bugs("affine", [
        ("norm-weight-missing", "the weight is not applied",
         lambda s, right, h, weight, bias: h + bias),
        ("norm-bias-missing", "the bias is not added",
         lambda s, right, h, weight, bias: h * weight),
        ("weight-plus-one", "the weight is taken as an offset to one: (1 + weight)",
         lambda s, right, h, weight, bias: h * (1 + weight) + bias),
        ("bias-before-weight", "the bias is added before the weight multiplies",
         lambda s, right, h, weight, bias: (h + bias) * weight),
        ("weight-and-bias-swapped", "the weight and the bias are exchanged",
         lambda s, right, h, weight, bias: h * bias + weight),
        ("norm-bias-subtracted", "the bias is subtracted",
         lambda s, right, h, weight, bias: h * weight - bias),
        ("first-weight-for-all", "the weight's first entry multiplies every column",
         lambda s, right, h, weight, bias: h * weight[:1] + bias),
    ]),
    # The backward
    *_bugs("by_x", [
        ("gradient-without-weight", "the input's gradient leaves out the weight",
         lambda s, right, x, weight, eps: s.normalized(x, eps)),
        ("gradient-without-mean-term", "the input's gradient treats the mean as a constant",
         lambda s, right, x, weight, eps: _without_mean_term(s, x, eps) * weight),
        ("gradient-without-variance-term", "the input's gradient treats the variance as a constant",
         lambda s, right, x, weight, eps: s.center(x) * _own_rstd(s, x, eps) * weight),
        ("gradient-without-statistics",
         "the input's gradient treats the mean and the variance as constants",
         lambda s, right, x, weight, eps: x * _own_rstd(s, x, eps) * weight),
        ("variance-term-negated", "the variance's term of the input's gradient has the wrong sign",
         lambda s, right, x, weight, eps: _variance_term(s, x, eps, -1.0) * weight),
        ("variance-term-halved",
         "the variance's term of the input's gradient lacks the 2 of the square",
         lambda s, right, x, weight, eps: _variance_term(s, x, eps, 0.5) * weight),
        ("variance-term-without-weight",
         "the variance's term of the input's gradient leaves out the weight",
         lambda s, right, x, weight, eps: _term_without_weight(s, x, weight, eps)),
        ("gradient-without-deviation", "the input's gradient is not divided by the deviation",
         lambda s, right, x, weight, eps: right(
             scaled_gradient(x, 1 / _own_rstd(s, x, eps)), weight, eps)),
        ("gradient-without-eps", "the input's gradient has no eps in its deviation",
         lambda s, right, x, weight, eps: right(x, weight, 0.0)),
        ("gradient-with-unbiased-variance",
         "the variance's term of the input's gradient divides by D - 1",
         lambda s, right, x, weight, eps: weight * _variance_term(
             s, x, eps, x.shape[-1] / (x.shape[-1] - 1))),
        ("norm-gradient-negated", "the input's gradient has the wrong sign",
         lambda s, right, x, weight, eps: -right(x, weight, eps)),
        ("gradient-of-first-deviation",
         "the input's gradient takes the first token's deviation for every token",
         lambda s, right, x, weight, eps: right(scaled_gradient(
             x, (rstd := _own_rstd(s, x, eps))[:1, :1] / rstd), weight, eps)),
        ("constant-rows-get-no-gradient", "rows whose variance is below eps get no gradient",
         lambda s, right, x, weight, eps: right(x, weight, eps) * (
             s.variance(x, s.center(x)).data >= eps).astype(x.dtype)),
    ], base=_InParts),
    *_bugs("by_weight", [
        ("weight-gradient-of-first-row",
         "the weight's gradient comes from the first row of the batch only",
         lambda s, right, x, weight, eps: first_row(right(x, weight, eps))),
        ("weight-gradient-averaged",
         "the weight's gradient is an average over the tokens, not a sum",
         lambda s, right, x, weight, eps: right(x, weight, eps) / (x.size // x.shape[-1])),
        ("weight-gradient-of-input",
         "the weight's gradient multiplies by x, not by the normalized x",
         lambda s, right, x, weight, eps: x * weight),
        ("weight-gradient-of-centered",
         "the weight's gradient multiplies by x - mean, which is not divided by the deviation",
         lambda s, right, x, weight, eps: s.center(x) * weight),
        ("weight-gradient-of-output",
         "the weight's gradient multiplies by the output, not by the normalized x",
         lambda s, right, x, weight, eps: right(x, weight.detach(), eps) * weight),
        ("normalized-kept-in-bfloat16", "the normalized x is saved for the backward in bfloat16",
         lambda s, right, x, weight, eps: in_format(s.normalized(x, eps), "bfloat16") * weight,
         *but("bfloat16")),
    ], base=_InParts),
    *_bugs("by_bias", [
        ("norm-bias-gradient-of-first-row",
         "the bias's gradient comes from the first row of the batch only",
         lambda s, right, bias, y: first_row(right(bias, y))),
        ("norm-bias-gradient-averaged",
         "the bias's gradient is an average over the tokens, not a sum",
         lambda s, right, bias, y: right(bias, y) / (y.size // y.shape[-1])),
        ("norm-bias-gradient-missing", "the bias gets no gradient",
         lambda s, right, bias, y: 0 * y),
    ], base=_InParts),
]  # fmt: skip
