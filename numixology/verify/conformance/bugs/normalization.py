"""Bugs of LayerNorm, forward and backward."""

from typing import Any

import numpy as np

from .... import functional as F
from ....tensors import Tensor
from ..textbook import Textbook, straight_through
from .registry import Override, but, table
from .steps import (
    averaged,
    first_row,
    gradient_by,
    in_format,
    last_row,
    last_token,
    nothing,
    only,
    part_of,
    rounded_up,
    scaled_gradient,
    whole,
)  # fmt: skip

__all__ = ["BUGS"]


def _power_of_two(length: int) -> int:
    return 1 << (length - 1).bit_length()


def _statistics_in(kind: str) -> dict[str, Override]:
    return {
        "center": lambda s, f, x: x - in_format(s.mean(x), kind),
        "rstd": lambda s, f, v, eps: in_format(f(v, eps), kind),
    }


def _statistics_over(*axes: int) -> dict[str, Override]:
    def center(s: Textbook, f: Override, x: Tensor) -> Tensor:
        h = x - x[:1, :1, :1]
        h = h - h.mean(axes, keepdims=True)
        return h - h.mean(axes, keepdims=True)

    return {"center": center, "variance": lambda s, f, x, h: (h * h).mean(axes, keepdims=True)}


def _statistics_at(place: Any) -> dict[str, Override]:
    return {
        "center": lambda s, f, x: x - s.mean(x)[place],
        "variance": lambda s, f, x, h: s.mean(Textbook.center(s, x) ** 2)[place],
    }


def _with_lanes(s: Textbook, x: Tensor, h: Tensor, lanes: int) -> Tensor:
    """The variance over so many lanes, of which those beyond D are zero and lack the mean."""
    mean = s.mean(x)
    return (s.total(h * h) + (lanes - x.shape[-1]) * mean * mean) / x.shape[-1]


def _variance_term(s: Textbook, x: Tensor, eps: float, factor: float) -> Tensor:
    """The normalized x, the gradient of whose deviation is too large by a factor."""
    h = s.center(x)
    return h * scaled_gradient(s.rstd(s.variance(x, h), eps), factor)


def _over_sample(s: Textbook, x: Tensor, h: Tensor, eps: float) -> Tensor:
    z = x * _own_rstd(s, x, eps)
    return z - z.mean((1, 2), keepdims=True) - h * (z * h).mean((1, 2), keepdims=True)


def _own_rstd(s: Textbook, x: Tensor, eps: float) -> Tensor:
    return s.rstd(s.variance(x, s.center(x)), eps).detach()


BUGS = table("normalization", [
    ("layer_norm", "rstd"),
    ("eps-added-to-deviation", lambda s, f, v, eps: 1 / (F.sqrt(v) + eps),
     "eps is added to the standard deviation, not to the variance"),
    ("eps-added-to-reciprocal", lambda s, f, v, eps: 1 / F.sqrt(v) + eps,
     "eps is added to the reciprocal of the standard deviation"),
    ("eps-squared", lambda s, f, v, eps: f(v, eps * eps), "eps² is added to the variance"),
    ("eps-as-least", lambda s, f, v, eps: 1 / F.sqrt(F.maximum(v, eps)),
     "eps is the least variance, not added to it"),
    ("eps-missing", lambda s, f, v, eps: f(v, 0.0),
     "there is no eps: a row of equal numbers gives NaN"),
    ("eps-twice", lambda s, f, v, eps: f(v, 2 * eps), "eps is added twice"),
    ("eps-in-float16", lambda s, f, v, eps: f(v, float(np.float16(eps))), "eps is kept in float16"),
    ("eps-fixed-at1e3", lambda s, f, v, eps: f(v, 1e-3), "eps is 1e-3, whatever it is told"),
    ("eps-fixed-at1e5", lambda s, f, v, eps: f(v, 1e-5), "eps is 1e-5, whatever it is told"),
    ("eps-fixed-at1e6", lambda s, f, v, eps: f(v, 1e-6), "eps is 1e-6, whatever it is told"),
    ("eps-fixed-at1e12", lambda s, f, v, eps: f(v, 1e-12), "eps is 1e-12, whatever it is told"),
    ("deviation-root-missing", lambda s, f, v, eps: 1 / (v + eps),
     "the difference is divided by the variance, not by its root"),
    ("approximate-rsqrt", lambda s, f, v, eps: f(v, eps) * (1 + 2.0**-12),
     "the reciprocal root is a 12-bit estimate without the Newton step that should follow"),
    ("layer_norm", "variance"),
    ("second-moment-for-variance", lambda s, f, x, h: s.mean(x * x),
     "the mean of squares takes the variance's place, though the mean is subtracted"),
    ("unbiased-variance", lambda s, f, x, h: s.total(h * h) / (x.shape[-1] - 1),
     "the variance divides by D - 1"),
    ("padding-in-variance-divisor", lambda s, f, x, h: s.total(h * h) / rounded_up(x.shape[-1], 4),
     "the variance divides by D rounded up to a multiple of four"),
    ("padding-in-variance", lambda s, f, x, h: _with_lanes(s, x, h, rounded_up(x.shape[-1], 4)),
     "lanes beyond D are zero, and (0 - mean)² of each is in the variance"),
    ("padding-in-variance-to-power-of-two",
     lambda s, f, x, h: _with_lanes(s, x, h, _power_of_two(x.shape[-1])),
     "lanes beyond D up to a power of two are zero, and (0 - mean)² of each is in the variance"),
    ("padding-in-variance-divisor-to-power-of-two",
     lambda s, f, x, h: s.total(h * h) / _power_of_two(x.shape[-1]),
     "the variance divides by D rounded up to a power of two"),
    ("totals-in-bfloat16", {"total": lambda s, f, x: in_format(f(x), "bfloat16")},
     "sums along a row are kept in bfloat16", *but("bfloat16")),
    ("totals-in-float16", {"total": lambda s, f, x: in_format(f(x), "float16")},
     "sums along a row are kept in float16", "float64", "float32"),
    ("one-pass-variance", lambda s, f, x, h: s.mean(x * x) - (mean := s.mean(x)) * mean,
     "the variance is E[x²] - E[x]², which cancels", "noisy"),
    ("layer_norm", "center"),
    ("padding-in-mean", lambda s, f, x: x - s.total(x) / rounded_up(x.shape[-1], 4),
     "the mean divides by D rounded up to a multiple of four"),
    ("padding-in-mean-to-power-of-two", lambda s, f, x: x - s.total(x) / _power_of_two(x.shape[-1]),
     "the mean divides by D rounded up to a power of two"),
    ("rms-norm", lambda s, f, x: x,
     "RMSNorm: nothing is subtracted, and the mean of squares takes the variance's place"),
    ("tail-left-out-of-statistics",
     {"mean": lambda s, f, x: f(x[..., : whole(x.shape[-1])]),
      "variance": lambda s, f, x, h: s.mean(h * h)},
     "the mean and the variance leave out the columns beyond a multiple of four"),
    ("statistics-over-tokens", _statistics_over(1),
     "the mean and the variance are taken over the tokens, not over D"),
    ("statistics-over-sample", _statistics_over(1, 2),
     "the mean and the variance are taken over tokens and D together"),
    ("statistics-of-batch", _statistics_over(0),
     "the mean and the variance are taken over the batch, so that its rows mix"),
    ("statistics-of-everything", _statistics_over(0, 1, 2),
     "the mean and the variance are those of the whole tensor"),
    ("statistics-of-first-row", _statistics_at(np.s_[:1]),
     "every row of the batch has the mean and the variance of the first"),
    ("statistics-of-first-token", _statistics_at(np.s_[:, :1]),
     "every token has the mean and the variance of the first"),
    ("statistics-of-last-token", _statistics_at(np.s_[:, -1:]),
     "every token has the mean and the variance of the last"),
    ("float16-statistics", _statistics_in("float16"),
     "the mean and the reciprocal deviation are kept in float16", *but("float16")),
    ("bfloat16-statistics", _statistics_in("bfloat16"),
     "the mean and the reciprocal deviation are kept in bfloat16", *but("bfloat16")),
    ("float32-statistics", _statistics_in("float32"),
     "the mean and the reciprocal deviation are kept in float32", "float64"),
    ("layer_norm", "normalized"),
    ("eps-times-width", lambda s, f, x, eps: f(x, eps / x.shape[-1]),
     "eps is added to the sum of squares before it is divided by D"),
    ("mean-not-subtracted", lambda s, f, x, eps: x * s.rstd(s.variance(x, s.center(x)), eps),
     "the variance is right, but the mean stays in the output"),
    ("mean-subtracted-twice",
     lambda s, f, x, eps: (((h := s.center(x)) - s.mean(x)) * s.rstd(s.variance(x, h), eps)),
     "the mean is subtracted twice, the variance is that of the right difference"),
    ("layer_norm", "affine"),
    ("norm-weight-missing", lambda s, f, h, w, b: h + b, "the weight is not applied"),
    ("norm-bias-missing", lambda s, f, h, w, b: h * w, "the bias is not added"),
    ("weight-plus-one", lambda s, f, h, w, b: h * (1 + w) + b,
     "the weight is taken as an offset to one: (1 + weight)"),
    ("bias-before-weight", lambda s, f, h, w, b: (h + b) * w,
     "the bias is added before the weight multiplies"),
    ("weight-and-bias-swapped", lambda s, f, h, w, b: h * b + w,
     "the weight and the bias are exchanged"),
    ("norm-bias-subtracted", lambda s, f, h, w, b: h * w - b, "the bias is subtracted"),
    ("first-weight-for-all", lambda s, f, h, w, b: h * w[:1] + b,
     "the weight's first entry multiplies every column"),
    ("last-weight-for-all", lambda s, f, h, w, b: h * w[-1:] + b,
     "the weight's last entry multiplies every column"),
    ("norm-bias-twice", lambda s, f, h, w, b: h * w + 2 * b, "the bias is added twice"),
    ("layer_norm", "layer_norm", gradient_by(0)),
    ("gradient-without-weight", lambda s, f, x, w, b, eps: s.normalized(x, eps),
     "the input's gradient leaves out the weight"),
    ("gradient-without-mean-term",
     lambda s, f, x, w, b, eps: w * (h := straight_through(s.center(x), x))
     * s.rstd(s.variance(x, h), eps),
     "the input's gradient treats the mean as a constant"),
    ("gradient-without-variance-term",
     lambda s, f, x, w, b, eps: s.center(x) * _own_rstd(s, x, eps) * w,
     "the input's gradient treats the variance as a constant"),
    ("gradient-without-statistics", lambda s, f, x, w, b, eps: x * _own_rstd(s, x, eps) * w,
     "the input's gradient treats the mean and the variance as constants"),
    ("variance-term-negated", lambda s, f, x, w, b, eps: _variance_term(s, x, eps, -1.0) * w,
     "the variance's term of the input's gradient has the wrong sign"),
    ("variance-term-halved", lambda s, f, x, w, b, eps: _variance_term(s, x, eps, 0.5) * w,
     "the variance's term of the input's gradient lacks the 2 of the square"),
    ("variance-term-without-weight",
     lambda s, f, x, w, b, eps: (h := s.center(x)) * _own_rstd(s, x, eps) * w
     + h.detach() * s.rstd(s.variance(x, h), eps),
     "the variance's term of the input's gradient leaves out the weight"),
    ("gradient-without-deviation",
     lambda s, f, x, w, b, eps: f(scaled_gradient(x, 1 / _own_rstd(s, x, eps)), w, b, eps),
     "the input's gradient is not divided by the deviation"),
    ("gradient-over-variance",
     lambda s, f, x, w, b, eps: f(scaled_gradient(x, _own_rstd(s, x, eps)), w, b, eps),
     "the input's gradient is divided by the variance, not by its root"),
    ("gradient-without-eps", lambda s, f, x, w, b, eps: f(x, w, b, 0.0),
     "the input's gradient has no eps in its deviation"),
    ("gradient-with-unbiased-variance",
     lambda s, f, x, w, b, eps: w * _variance_term(s, x, eps, x.shape[-1] / (x.shape[-1] - 1)),
     "the variance's term of the input's gradient divides by D - 1"),
    ("norm-gradient-negated", lambda s, f, x, w, b, eps: -f(x, w, b, eps),
     "the input's gradient has the wrong sign"),
    ("gradient-of-first-deviation",
     lambda s, f, x, w, b, eps: f(
         scaled_gradient(x, (r := _own_rstd(s, x, eps))[:1, :1] / r), w, b, eps),
     "the input's gradient takes the first token's deviation for every token"),
    ("constant-rows-get-no-gradient",
     lambda s, f, x, w, b, eps: only(
         f(x, w, b, eps), s.variance(x, s.center(x)).data >= eps),
     "rows whose variance is below eps get no gradient"),
    ("gradient-means-over-sample",
     lambda s, f, x, w, b, eps: _over_sample(s, x, s.normalized(x, eps).detach(), eps) * w,
     "the means in the input's gradient run over tokens and D, as if there were two axes"),
    ("layer_norm", "layer_norm", part_of(1)),
    ("weight-gradient-of-last-row", last_row,
     "the weight's gradient comes from the last row of the batch only"),
    ("weight-gradient-of-last-token", last_token, "the weight's gradient is the last token's"),
    ("weight-gradient-of-batch-averaged", lambda y: y / len(y),
     "the weight's gradient is divided by the size of the batch"),
    ("weight-gradient-missing", nothing, "the weight gets no gradient"),
    ("weight-gradient-of-first-row", first_row,
     "the weight's gradient comes from the first row of the batch only"),
    ("weight-gradient-averaged", averaged,
     "the weight's gradient is an average over the tokens, not a sum"),
    ("layer_norm", "layer_norm", gradient_by(1)),
    ("weight-gradient-of-input", lambda s, f, x, w, b, eps: x * w,
     "the weight's gradient multiplies by x, not by the normalized x"),
    ("weight-gradient-of-centered", lambda s, f, x, w, b, eps: s.center(x) * w,
     "the weight's gradient multiplies by x - mean, which is not divided by the deviation"),
    ("weight-gradient-of-output", lambda s, f, x, w, b, eps: s.normalized(x, eps) * w.detach() * w,
     "the weight's gradient multiplies by the output, not by the normalized x"),
    ("normalized-kept-in-bfloat16",
     lambda s, f, x, w, b, eps: in_format(s.normalized(x, eps), "bfloat16") * w,
     "the normalized x is saved for the backward in bfloat16", *but("bfloat16")),
    ("layer_norm", "layer_norm", part_of(2)),
    ("norm-bias-gradient-of-first-row", first_row,
     "the bias's gradient comes from the first row of the batch only"),
    ("norm-bias-gradient-averaged", averaged,
     "the bias's gradient is an average over the tokens, not a sum"),
    ("norm-bias-gradient-of-last-row", last_row,
     "the bias's gradient comes from the last row of the batch only"),
    ("norm-bias-gradient-of-last-token", last_token, "the bias's gradient is the last token's"),
    ("norm-bias-gradient-of-batch-averaged", lambda y: y / len(y),
     "the bias's gradient is divided by the size of the batch"),
    ("norm-bias-gradient-missing", nothing, "the bias gets no gradient"),
])  # fmt: skip
