"""Bugs of LayerNorm and RMSNorm, forward and backward."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .... import functional as F
from ....tensors import Tensor
from ..textbook import Textbook, straight_through
from .overrides import arguments, changed, formula, gradient_by, output, part_of
from .registry import Override, Row, each, in_formats, table
from .steps import GRADIENTS, MISREAD, cast, in_format, only, tiles, variance_within, whole

__all__ = ["BUGS"]

#: Stages that divide by a deviation.
_BOTH = "layer_norm rms_norm"


def _padded(to: Callable[[int], int]) -> list[Row]:
    """Rows of numbers that reach beyond D; lanes there are zero, and lack the mean."""
    return [
        ("mean-over-{0}", {"center": lambda s, f, x: x - s.total(x) / to(x.shape[-1])}),
        ("variance-with-zeros-of-{0}", {"variance": lambda s, f, x, h: f(x, h)
                                        + (to(x.shape[-1]) / x.shape[-1] - 1) * s.mean(x) ** 2}),
    ]  # fmt: skip


def _statistics_in(kind: str) -> dict[str, Override]:
    return {"center": lambda s, f, x: x - in_format(s.mean(x), kind), "rstd": output(kind)}


def _statistics_cast(k: str) -> dict[str, Override]:
    return {
        "center": lambda s, f, x: x - cast(s.mean(cast(x, k)), k),
        "variance": lambda s, f, x, h: cast(s.mean(cast(cast(s.center(cast(x, k)), k) ** 2, k)), k),
    }


def _statistics_over(*axes: int) -> dict[str, Override]:
    return {
        "center": lambda s, f, x: x - x.mean(axes, keepdims=True),
        "variance": lambda s, f, x, h: (h * h).mean(axes, keepdims=True),
    }


def _statistics_at(*place: Any) -> dict[str, Override]:
    return {
        "center": lambda s, f, x: x - s.mean(x)[place],
        "variance": lambda s, f, x, h: s.mean(Textbook.center(s, x) ** 2)[place],
    }


def _rstd(s: Textbook, x: Tensor, h: Tensor, eps: float) -> Tensor:
    """The reciprocal deviation, without a gradient."""
    return s.rstd(s.variance(x, h), eps).detach()


def _over_deviation(s: Textbook, x: Tensor, eps: float) -> Tensor:
    """What has the gradient ct / deviation by x."""
    return x * _rstd(s, x, s.center(x), eps)


def _scaled_gradient(x: Tensor, factor: Tensor | float) -> Tensor:
    """``x``, whose gradient is too large by a factor."""
    return straight_through(x, x * factor)


def _deviation(factor: Callable[[int], float]) -> Override:
    """The normalized x, the gradient of whose deviation is too large by a factor."""
    return lambda s, f, x, h, eps: (
        h * _scaled_gradient(s.rstd(s.variance(x, h), eps), factor(x.shape[-1]))
    )


def _times(factor: Callable[[Tensor], Tensor]) -> Override:
    """The normalized x, with a gradient too large by a factor, which is made of 1 / deviation."""
    return lambda s, f, x, h, eps: _scaled_gradient(f(x, h, eps), factor(_rstd(s, x, h, eps)))


def _backward(z: Tensor, h: Tensor, *axes: int) -> Tensor:
    """What has the gradient c - mean(c) - h mean(c h) by z."""
    h = h.detach()
    return z - z.mean(axes, keepdims=True) - h * (z * h).mean(axes, keepdims=True)


BUGS = table("normalization", [
    (_BOTH, "rstd", formula),
    ("eps-added-to-deviation", lambda v, eps: 1 / (F.sqrt(v) + eps)),
    ("eps-added-to-reciprocal", lambda v, eps: 1 / F.sqrt(v) + eps, "eps is added to 1 / √var"),
    ("eps-as-least-variance", lambda v, eps: 1 / F.sqrt(F.maximum(v, eps))),
    ("divided-by-variance", lambda v, eps: 1 / (v + eps), "the root of the variance is missing"),
    (_BOTH, "rstd", changed(1)),
    ("eps-squared", lambda eps: eps * eps),
    ("eps-missing", lambda eps: 0.0, "there is no eps: a row of equal numbers gives NaN"),
    ("eps-twice", lambda eps: 2 * eps),
    ("eps-in-float16", lambda eps: float(np.float16(eps))),
    *((f"eps-fixed-at1e{n}", lambda eps, n=n: 10.0**-n, f"eps is 1e-{n}, whatever it is told")
      for n in (3, 5, 6, 8, 12)),
    ("approximate-rsqrt", {"rstd": lambda s, f, *args: f(*args) * (1 + 2.0**-12)}),
    (_BOTH, "variance"),
    ("variance-not-divided-by-width", lambda s, f, x, h: s.total(h * h)),
    ("unbiased-variance", lambda s, f, x, h: s.total(h * h) / (x.shape[-1] - 1),
     "the variance divides by D - 1"),
    ("variance-over-padding-to-a-multiple-of-four",
     lambda s, f, x, h: s.total(h * h) / (-(-x.shape[-1] // 4) * 4)),
    ("variance-over-padding-to-a-power-of-two",
     lambda s, f, x, h: s.total(h * h) / (1 << (x.shape[-1] - 1).bit_length())),
    *in_formats("sums-along-a-row-in-{}", lambda kind: {"total": output(kind)}),
    ("layer_norm", "variance"),
    ("second-moment-for-variance", lambda s, f, x, h: s.mean(x * x)),
    *((f"variance-within-{word}",
       lambda s, f, x, h, n=n: variance_within(s, tiles(x, -(-x.shape[-1] // n))))
      for n, word in ((2, "halves"), (4, "quarters"), (8, "eighths"))),
    ("one-pass-variance", lambda s, f, x, h: F.relu(s.mean(x * x) - s.mean(x) ** 2),
     "the variance is E[x²] - E[x]², which cancels", "noisy"),
    *each(_padded(lambda n: -(-n // 4) * 4), "padding-to-a-multiple-of-four"),
    *each(_padded(lambda n: 1 << (n - 1).bit_length()), "padding-to-a-power-of-two"),
    (_BOTH, "center"),
    ("statistics-over-tokens", _statistics_over(1), "mean and variance run over tokens"),
    ("statistics-over-sample", _statistics_over(1, 2), "mean and variance run over tokens and D"),
    ("statistics-over-batch", _statistics_over(0), "mean and variance run over the batch"),
    ("statistics-of-everything", _statistics_over(0, 1, 2), "mean and variance are the tensor's"),
    *in_formats("statistics-kept-in-{}", _statistics_in, kinds=("bfloat16", "float16", "float32")),
    ("layer_norm", "center"),
    ("rms-norm", lambda s, f, x: x, "RMSNorm: nothing is subtracted, also in the variance"),
    ("tail-left-out-of-statistics", {"mean": lambda s, f, x: f(x[..., : whole(x.shape[-1])]),
                                     "variance": lambda s, f, x, h: s.mean(h * h)}),
    ("statistics-of-first-row-for-all", _statistics_at(np.s_[:1])),
    ("statistics-of-first-token-for-all", _statistics_at(np.s_[:], np.s_[:1])),
    ("statistics-of-last-token-for-all", _statistics_at(np.s_[:], np.s_[-1:])),
    *in_formats("statistics-calculated-in-{}", _statistics_cast),
    ("layer_norm", "normalized"),
    ("eps-added-to-sum-of-squares", lambda s, f, x, eps: f(x, eps / x.shape[-1])),
    ("mean-left-in-output", lambda s, f, x, eps: x * s.rstd(s.variance(x, s.center(x)), eps)),
    ("mean-subtracted-twice",
     lambda s, f, x, eps: ((h := s.center(x)) - s.mean(x)) * s.rstd(s.variance(x, h), eps)),
    (_BOTH, "affine", changed(1)),
    ("norm-weight-as-offset-to-one", lambda w: 1 + w),
    ("norm-weight-missing", lambda w: 0 * w + 1),
    *each(MISREAD[1:], "norm-weight"),
    ("layer_norm", "affine", formula),
    ("norm-bias-added-before-weight", lambda h, w, b: (h + b) * w),
    ("norm-weight-and-bias-exchanged", lambda h, w, b: h * b + w),
    ("layer_norm", "affine", changed(2)),
    *each(MISREAD, "norm-bias"),
    (_BOTH, "scaled"),
    *in_formats("normalized-in-{}", output),
    ("gradient-without-variance-term", lambda s, f, x, h, eps: h * _rstd(s, x, h, eps)),
    ("variance-term-of-gradient-negated", _deviation(lambda n: -1.0)),
    ("variance-term-of-gradient-halved", _deviation(lambda n: 0.5)),
    ("variance-term-of-gradient-unbiased", _deviation(lambda n: n / (n - 1))),
    ("gradient-not-divided-by-deviation", _times(lambda rstd: 1 / rstd)),
    ("gradient-divided-by-variance", _times(lambda rstd: rstd)),
    ("gradient-divided-by-first-deviation", _times(lambda rstd: rstd[:1, :1] / rstd)),
    ("norm-gradient-negated", lambda s, f, *args: _scaled_gradient(f(*args), -1.0)),
    ("constant-rows-get-no-gradient",
     lambda s, f, x, h, eps: straight_through(
         y := f(x, h, eps), only(y, s.variance(x, h).data >= eps))),
    ("layer_norm", "normalized", gradient_by(0)),
    ("gradient-without-mean-term",
     lambda s, f, x, eps: (h := straight_through(s.center(x), x)) * s.rstd(s.variance(x, h), eps)),
    ("gradient-without-mean-and-variance-terms", lambda s, f, *args: _over_deviation(s, *args)),
    ("gradient-with-means-over-sample",
     lambda s, f, *args: _backward(_over_deviation(s, *args), f(*args), 1, 2)),
    ("layer_norm", "layer_norm", gradient_by(0)),
    ("gradient-without-weight", lambda s, f, x, w, b, eps: s.normalized(x, eps)),
    ("gradient-with-output-for-normalized",
     lambda s, f, x, w, b, eps: _backward(_over_deviation(s, x, eps), f(x, w, b, eps), -1) * w),
    ("gradient-times-weight-after-the-means", lambda s, f, x, w, b, eps: (
        _backward(_over_deviation(s, x, eps) * w, s.normalized(x, eps), -1))),
    ("variance-term-without-weight",
     lambda s, f, x, w, b, eps: (h := s.center(x)) * _rstd(s, x, h, eps) * w
     + h.detach() * s.rstd(s.variance(x, h), eps)),
    ("mean-term-without-weight", lambda s, f, x, w, b, eps: (
        (z := _over_deviation(s, x, eps)) - (h := s.normalized(x, eps).detach()) * s.mean(z * h)
        ) * w - s.mean(z)),
    ("layer_norm", "layer_norm"),
    ("output-over-weight-for-normalized", lambda s, f, x, w, b, eps: straight_through(
        y := f(x, w, b, eps), (h := (y / w).detach()) * w + b
        + _backward(_over_deviation(s, x, eps), h, -1) * w.detach()),
     "the backward takes y / weight for the normalized x, as if there were no bias"),
    ("layer_norm", "layer_norm", gradient_by(1)),
    ("weight-gradient-with-input", lambda s, f, x, w, b, eps: x * w),
    ("weight-gradient-with-centered-input", lambda s, f, x, w, b, eps: s.center(x) * w),
    (_BOTH, "affine", gradient_by(1)),
    ("weight-gradient-with-output", lambda s, f, h, w, b: f(h, w, b).detach() * w),
    *in_formats("weight-gradient-with-normalized-in-{}", arguments(0)),
    (_BOTH, "affine", part_of(1)),
    *each(GRADIENTS, "norm-weight"),
    ("layer_norm", "affine", part_of(2)),
    *each(GRADIENTS, "norm-bias"),
    ("rms_norm", "rms_norm"),
    ("layer-norm-for-rms-norm", lambda s, f, x, w, eps: s.store(s.normalized(x, eps) * w)),
    ("mean-magnitude-for-root-of-mean-square", lambda s, f, x, w, eps: s.store(
        x / (s.mean(F.abs(x)) + eps) * w)),
    ("variance-for-mean-square", {"variance": lambda s, f, x, h: f(x, s.center(x))}),
    ("rms_norm", "rms_norm", gradient_by(0)),
    ("rms-mean-term-without-weight", lambda s, f, x, w, eps: (z := x * _rstd(s, x, x, eps)) * w
     - (h := s.scaled(x, x, eps).detach()) * s.mean(z * h)),
    ("rms-gradient-with-output-for-normalized", lambda s, f, x, w, eps: (
        (z := x * _rstd(s, x, x, eps)) - (y := f(x, w, eps).detach()) * s.mean(z * y)) * w),
])  # fmt: skip
