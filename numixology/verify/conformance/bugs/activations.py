"""Bugs of GELU, SiLU and softmax, forward and backward."""

import math
from collections.abc import Callable

import numpy as np

from .... import functional as F
from ....tensors import Tensor
from ..textbook import Textbook
from .overrides import gradient_by, gradient_of, instead, output
from .registry import Override, in_formats, table
from .steps import exponentials, in_format, silu_slope, whole

__all__ = ["BUGS"]

_ROOT = math.sqrt(2 / math.pi)


def _logistic(linear: float, cubic: float = 0.0) -> Callable[[Tensor], Tensor]:
    """x σ(a x + b x³)."""
    return lambda x: x * F.sigmoid(linear * x + cubic * x * x * x)


def _tanh_form(cubic: float = 0.044715, root: float = _ROOT) -> Callable[[Tensor], Tensor]:
    return _logistic(2 * root, 2 * root * cubic)


def _with_tanh(tanh: Callable[[Tensor], Tensor]) -> Override:
    return instead(lambda x: 0.5 * x * (1 + tanh(_ROOT * (x + 0.044715 * x * x * x))))


def _polynomial_form(x: Tensor) -> Tensor:
    t, p = 1 / (1 + 0.3275911 * F.abs(x) * math.sqrt(0.5)), 0 * x
    for c in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        p = t * (c + p)
    tail = 0.5 * p * F.exp(-0.5 * x * x)
    return x * F.where(x > 0, 1 - tail, tail)


def _slope(gate: Callable[[Tensor], Tensor]) -> Callable[[Callable[..., Tensor]], Override]:
    """The right value, and for its slope a function of x and of the gate."""
    return lambda slope: gradient_of(lambda x: x * slope(x, gate(x)).detach())


def _cubic_slope(inner: Callable[[Tensor], Tensor]) -> Override:
    return gradient_of(lambda x: x * F.sigmoid(2 * _ROOT * inner(x)))


def _shifted_by(top: Callable[[Tensor], Tensor | float]) -> Override:
    return lambda s, f, x: s.store((e := F.exp(x - top(x))) / s.total(e))


def _divided_by(total: Callable[[Textbook, Tensor], Tensor]) -> Override:
    return lambda s, f, x: s.store((e := exponentials(x)) / total(s, e))


def _with_zeros(count: Callable[[int], int]) -> Override:
    """The softmax of D scores and others that are 0, as many as D says."""
    return lambda s, f, x: (
        f(x) / (1 + count(x.shape[-1]) * F.exp(-F.logsumexp(x, axis=-1)[..., None]))
    )


def _from_zero(x: Tensor) -> Tensor:
    return F.maximum(F.max(x, axis=-1, keepdims=True), 0.0).detach()


def _softmax_backward(like: Override) -> Override:
    """The right value, with the gradient of something else made of x and of the output."""
    return gradient_by(0)(lambda s, f, x: like(s, x, f(x).detach()))


BUGS = table("activations", [
    ("gelu", "gelu", instead),
    ("tanh-for-erf", _tanh_form(), "GELU is computed in the form with tanh"),
    ("quick-gelu", _logistic(1.702), "GELU is computed as x σ(1.702 x)"),
    ("silu-for-gelu", F.silu, "SiLU takes the place of GELU"),
    ("relu-for-gelu", F.relu, "ReLU takes the place of GELU"),
    ("erf-without-root-two", lambda x: x * F.normal_cdf(2**0.5 * x), "erf is that of x"),
    ("root-two-mistyped", lambda x: x * F.normal_cdf(2**0.5 / 1.414 * x), "√2 is written as 1.414"),
    ("half-dropped", lambda x: 2 * F.gelu(x), "the factor ½ is missing"),
    ("gelu-input-cut", lambda x: F.gelu(F.clip(x, -10.0, 10.0)), "the input is cut to ±10 first"),
    ("gelu-tail-cut", lambda x: F.where(F.abs(x) > 3, F.relu(x), F.gelu(x)), "ReLU beyond ±3"),
    ("erf-from-polynomial", _polynomial_form, "erf is a short polynomial that is right to 1.5e-7"),
    ("logistic-for-normal", _logistic(1.5976, 0.07056), "Φ is a logistic function of a cubic"),
    ("gelu-tanh-of-x", _logistic(2.0), "GELU is computed as ½ x (1 + tanh x)"),
    ("gelu-gate-only", F.normal_cdf, "the gate Φ(x) comes out, not multiplied by x"),
    ("gelu", "gelu", _slope(F.normal_cdf)),
    ("slope-without-density", lambda x, g: g, "the slope of GELU lacks x φ(x)"),
    ("slope-of-density-only", lambda x, g: x * F.normal_pdf(x), "the slope of GELU lacks Φ(x)"),
    ("density-without-x", lambda x, g: g + F.normal_pdf(x), "the slope is Φ(x) + φ(x)"),
    ("density-without-half", lambda x, g: g + x * F.exp(-x * x) / math.sqrt(2 * math.pi)),
    ("density-over-two-pi", lambda x, g: g + x * F.normal_pdf(x) / math.sqrt(2 * math.pi)),
    ("density-over-root-pi", lambda x, g: g + x * F.normal_pdf(x) * math.sqrt(2)),
    ("slope-at-the-output", lambda x, g: F.normal_cdf(y := x * g) + y * F.normal_pdf(y)),
    *in_formats("normal-cdf-kept-in-{}",
                lambda kind: lambda x, g: in_format(g, kind) + x * F.normal_pdf(x)),
    ("gelu_tanh", "gelu_tanh", instead),
    ("erf-for-tanh", F.gelu, "the form with tanh is computed with erf"),
    ("quick-gelu-for-tanh", _logistic(1.702), "the form with tanh is computed as x σ(1.702 x)"),
    ("cubic-mistyped", _tanh_form(0.044175), "0.044715 is written as 0.044175"),
    ("cubic-digits-swapped", _tanh_form(0.044751), "0.044715 is written as 0.044751"),
    ("cubic-missing", _tanh_form(0.0), "the term with x³ is missing"),
    ("square-for-cube", lambda x: x * F.sigmoid(2 * _ROOT * (x + 0.044715 * x * x))),
    ("root-two-over-pi-without-root", _tanh_form(root=2**0.5 / math.pi), "√(2/π) is √2 / π"),
    ("root-two-over-pi-truncated", _tanh_form(root=0.797), "√(2/π) is written as 0.797"),
    ("root-missing", _tanh_form(root=2 / math.pi), "2/π stands where its root should"),
    ("tanh-half-dropped", lambda x: 2 * _tanh_form()(x), "the factor ½ is missing"),
    ("gelu_tanh", "gelu_tanh", _with_tanh),
    ("tanh-overflows", lambda u: ((e := F.exp(2 * u)) - 1) / (e + 1), "exp(2u) overflows"),
    ("tanh-overflows-to-the-left", lambda u: (1 - (e := F.exp(-2 * u))) / (1 + e)),
    ("tanh-overflows-on-both-sides", lambda u: ((e := F.exp(u)) - (i := F.exp(-u))) / (e + i)),
    ("gelu_tanh", "gelu_tanh", _cubic_slope),
    ("slope-without-that-of-the-cubic-term", lambda x: x + 0.044715 * (x * x * x).detach()),
    ("slope-of-the-cubic-term-without-three", lambda x: x + 0.044715 * x * (x * x).detach()),
    ("slope-with-one-minus-tanh-for-its-square", {"gelu_tanh": gradient_of(
        lambda x: x * ((t := F.tanh(_ROOT * (x + 0.044715 * x * x * x))) * 0.5 + 0.5
                       + 0.5 * x * (1 - t) * _ROOT * (1 + 3 * 0.044715 * x * x)).detach())}),
    ("slope-without-that-of-tanh", lambda x: (x + 0.044715 * x * x * x).detach()),
    ("silu", "silu", instead),
    ("sigmoid-overflow", lambda x: x * ((e := F.exp(x)) / (1 + e)), "exp(x) / (1 + exp(x)) is NaN"),
    ("sigmoid-missing", lambda x: x, "the gate is left out: x comes out"),
    ("silu-gate-only", F.sigmoid, "the gate σ(x) comes out, not multiplied by x"),
    ("gelu-for-silu", F.gelu, "GELU takes the place of SiLU"),
    ("quick-gelu-for-silu", _logistic(1.702), "the sigmoid is that of 1.702 x"),
    ("sigmoid-of-twice-x", _logistic(2.0), "the sigmoid is that of 2x, by tanh(x) for tanh(x/2)"),
    ("hard-swish", lambda x: x * F.clip(x + 3, 0.0, 6.0) / 6, "hard swish takes the place of SiLU"),
    ("sigmoid-negated", _logistic(-1.0), "the sigmoid is that of -x"),
    ("silu-input-cut", lambda x: F.silu(F.clip(x, -20.0, 20.0)), "the input is cut to ±20"),
    ("silu", "silu", _slope(F.sigmoid)),
    ("slope-of-sigmoid", lambda x, g: g * F.sigmoid(-x), "the slope is the sigmoid's"),
    ("silu-for-its-slope", lambda x, g: x * g),
    ("slope-of-gate-only", lambda x, g: g, "the slope of SiLU lacks x σ(x) (1 - σ(x))"),
    ("slope-without-x", lambda x, g: g + g * F.sigmoid(-x), "the slope is σ + σ (1 - σ)"),
    ("slope-without-complement", lambda x, g: g + x * g, "the slope is σ + x σ"),
    ("slope-without-one-minus", lambda x, g: g + x * g * g, "the slope is σ (1 + x σ)"),
    ("slope-of-silu-at-the-output", lambda x, g: silu_slope(x * g)),
    ("output-for-sigmoid-in-slope", lambda x, g: (y := x * g) * (1 + x * (1 - y))),
    ("slope-overflows-to-the-left", lambda x, g: g + x * (e := F.exp(-x)) / ((1 + e) ** 2)),
    *in_formats("sigmoid-kept-in-{}",
                lambda kind: lambda x, g: (k := in_format(g, kind)) * (1 + x * (1 - k))),
    ("softmax", "softmax", _shifted_by),
    ("softmax-without-shift", lambda x: 0.0, "the maximum is not subtracted, and exp overflows"),
    ("softmax-shifted-by-maximum-of-tensor", lambda x: F.max(x).detach()),
    ("softmax-shifted-by-maximum-from-zero", _from_zero, "float32", "bfloat16", "float16"),
    ("softmax", "softmax", _divided_by),
    ("softmax-divided-by-maximum", lambda s, e: F.max(e, axis=-1, keepdims=True)),
    ("softmax-over-sum-plus-one", lambda s, e: s.total(e) + 1),
    ("softmax-with-eps", lambda s, e: s.total(e) + 1e-6, "1e-6 is added to the sum"),
    ("softmax-over-sum-without-tail", lambda s, e: s.total(e[..., : whole(e.shape[-1])])),
    ("softmax", "softmax"),
    ("log-softmax", lambda s, f, x: s.store(F.log_softmax(x))),
    ("softmax-of-cut-tails",
     lambda s, f, x: s.store((e := F.maximum(exponentials(x), 1e-35)) / s.total(e))),
    ("softmax-with-one-in-the-sum", _with_zeros(lambda n: 1), "a score of 0 more is in the sum"),
    ("softmax-of-lanes-padded-to-a-multiple-of-four", _with_zeros(lambda n: -n % 4)),
    ("softmax-over-tokens", lambda s, f, x: f(x.permute(0, 2, 1)).permute(0, 2, 1)),
    ("softmax-over-batch", lambda s, f, x: f(x.permute(2, 1, 0)).permute(2, 1, 0)),
    ("softmax-of-scores-over-root-of-width", lambda s, f, x: f(x / math.sqrt(x.shape[-1]))),
    ("softmax-to-base-two", lambda s, f, x: f(math.log(2) * x), "2ˣ stands where eˣ should"),
    ("log2-of-e-mistyped", lambda s, f, x: f(1.4427 * math.log(2) * x), "log₂ e is 1.4427"),
    ("masked-scores-read-as-zero",
     lambda s, f, x: f(F.where(np.isneginf(x.data), 0.0, x)), "a score of -∞ counts as 0"),
    ("softmax-of-masked-scores-nan", lambda s, f, x: f(x) + 0 * x, "a score of -∞ gives NaN"),
    *in_formats("softmax-totals-in-{}", lambda kind: {"total": output(kind)}),
    ("softmax", "softmax", _softmax_backward),
    ("softmax-gradient-without-sum", lambda s, x, y: x * y, "the backward is y · ct alone"),
    ("softmax-gradient-of-sigmoid", lambda s, x, y: x * (y * (1 - y))),
    ("softmax-gradient-with-sum-of-ct", lambda s, x, y: x * y - s.total(x * y)),
    ("softmax-gradient-with-mean-for-sum", lambda s, x, y: x * y - y * s.mean(x * y)),
    ("softmax-gradient-of-sample", lambda s, x, y: x * y - y * (x * y).sum((1, 2), keepdims=True)),
])  # fmt: skip
