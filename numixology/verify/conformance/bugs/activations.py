"""Bugs of GELU, SiLU and softmax, forward and backward."""

import math

from .... import functional as F
from ....tensors import Tensor
from ..textbook import Textbook
from .registry import Override, but, table
from .steps import exponentials, gradient_by, gradient_of, in_format, instead, silu_slope, whole

__all__ = ["BUGS"]

_ROOT = math.sqrt(2 / math.pi)


def _tanh_form(x: Tensor, cubic: float = 0.044715, root: float = _ROOT) -> Tensor:
    return x * F.sigmoid(2 * root * (x + cubic * x * x * x))


def _inner(x: Tensor) -> Tensor:
    return _ROOT * (x + 0.044715 * x * x * x)


def _erf_form(x: Tensor) -> Tensor:
    return x * F.normal_cdf(x)


def _quick_form(x: Tensor) -> Tensor:
    return x * F.sigmoid(1.702 * x)


def _silu(x: Tensor) -> Tensor:
    return x * F.sigmoid(x)


def _overflowing_sigmoid(u: Tensor) -> Tensor:
    e = F.exp(u)
    return e / (1 + e)


def _polynomial_form(x: Tensor) -> Tensor:
    z = F.abs(x) * math.sqrt(0.5)
    t = 1 / (1 + 0.3275911 * z)
    p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * -1.453152027)))
    p = p + 1.061405429 * t * t * t * t * t
    erf = F.sign(x).detach() * (1 - p * F.exp(-z * z))
    return 0.5 * x * (1 + erf)


def _gelu_slope(y: Tensor) -> Tensor:
    return F.normal_cdf(y) + F.clip(y, -1e3, 1e3) * F.normal_pdf(y)


def _shifted(x: Tensor) -> Tensor:
    return x - F.max(x, axis=-1, keepdims=True).detach()


def _padded(s: Textbook, x: Tensor) -> Tensor:
    top = F.maximum(F.max(x, axis=-1, keepdims=True), 0.0).detach()
    e, lane = F.exp(x - top), F.exp(-top)
    return e / (s.total(e) + (-x.shape[-1] % 4) * lane)


def _softmax(compute: Override) -> Override:
    """An override that computes something else, and stores it."""
    return lambda s, f, x: s.store(compute(s, x))


BUGS = table("activations", [
    ("gelu", "gelu", instead),
    ("tanh-for-erf", _tanh_form, "GELU is computed in the form with tanh"),
    ("quick-gelu", _quick_form, "GELU is computed as x σ(1.702 x)"),
    ("silu-for-gelu", _silu, "SiLU takes the place of GELU"),
    ("relu-for-gelu", F.relu, "ReLU takes the place of GELU"),
    ("erf-without-root-two", lambda x: x * F.normal_cdf(math.sqrt(2) * x),
     "the argument of erf is not divided by √2"),
    ("root-two-mistyped", lambda x: x * F.normal_cdf(math.sqrt(2) / 1.414 * x),
     "√2 is written as 1.414"),
    ("half-dropped", lambda x: 2 * _erf_form(x), "the factor ½ is missing"),
    ("gelu-input-cut", lambda x: _erf_form(F.clip(x, -10.0, 10.0)),
     "the input is cut to ±10 first, and nothing larger comes out"),
    ("gelu-tail-cut", lambda x: F.where(x > 3, x, F.where(x < -3, 0.0, _erf_form(x))),
     "below -3 the result is zero, above 3 it is x"),
    ("erf-from-polynomial", _polynomial_form,
     "erf comes from a short polynomial that is right to 1.5e-7"),
    ("logistic-for-normal", lambda x: x * F.sigmoid(x * (1.5976 + 0.07056 * x * x)),
     "Φ is a logistic function of a cubic"),
    ("gelu-tanh-of-x", lambda x: x * F.sigmoid(2 * x), "GELU is computed as ½ x (1 + tanh x)"),
    ("gelu-gate-only", F.normal_cdf, "the gate Φ(x) comes out, not multiplied by x"),
    ("gelu", "gelu", gradient_of),
    ("backward-of-tanh-form", _tanh_form, "the backward of GELU is that of the form with tanh"),
    ("backward-without-density", lambda x: x * F.normal_cdf(x).detach(),
     "the backward of GELU lacks the term x φ(x)"),
    ("backward-with-density-only", lambda x: x.detach() * F.normal_cdf(x),
     "the backward of GELU lacks the term Φ(x)"),
    ("density-without-x", lambda x: x * F.normal_cdf(x).detach() + F.normal_cdf(x),
     "the backward of GELU adds φ(x), not multiplied by x"),
    ("density-without-half",
     lambda x: x * (F.normal_cdf(x) + x * (F.exp(-x * x) / math.sqrt(2 * math.pi))).detach(),
     "the density in the backward of GELU is exp(-x²) / √(2π)"),
    ("density-without-root",
     lambda x: x * (F.normal_cdf(x) + x * F.normal_pdf(x) / math.sqrt(2 * math.pi)).detach(),
     "the density in the backward of GELU is divided by 2π, not by its root"),
    ("density-with-root-pi",
     lambda x: x * (gate := F.normal_cdf(x)).detach() + math.sqrt(2) * x.detach() * gate,
     "the density in the backward of GELU is divided by √π, not by √(2π)"),
    ("backward-of-quick-gelu", _quick_form, "the backward of GELU is that of x σ(1.702 x)"),
    ("backward-of-relu", F.relu, "the backward of GELU is that of ReLU"),
    ("backward-at-the-output", lambda x: x * _gelu_slope(_erf_form(x)).detach(),
     "the backward of GELU takes the slope at the output, not at the input"),
    ("gelu_tanh", "gelu_tanh", instead),
    ("erf-for-tanh", _erf_form, "the form with tanh is computed with erf"),
    ("quick-gelu-for-tanh", _quick_form, "the form with tanh is computed as x σ(1.702 x)"),
    ("cubic-mistyped", lambda x: _tanh_form(x, 0.044175), "0.044715 is written as 0.044175"),
    ("cubic-digits-swapped", lambda x: _tanh_form(x, 0.044751),
     "0.044715 is written as 0.044751"),
    ("root-two-over-pi-without-root", lambda x: _tanh_form(x, root=math.sqrt(2) / math.pi),
     "√2 / π stands where √(2/π) should"),
    ("cubic-truncated", lambda x: _tanh_form(x, 0.0447), "0.044715 is written as 0.0447"),
    ("cubic-missing", lambda x: _tanh_form(x, 0.0), "the term with x³ is missing"),
    ("square-for-cube", lambda x: x * F.sigmoid(2 * _ROOT * (x + 0.044715 * x * x)),
     "the term with x³ has x² in it"),
    ("root-two-over-pi-truncated", lambda x: _tanh_form(x, root=0.797),
     "√(2/π) is written as 0.797"),
    ("root-two-over-pi-rounded", lambda x: _tanh_form(x, root=0.7978),
     "√(2/π) is written as 0.7978"),
    ("root-missing", lambda x: _tanh_form(x, root=2 / math.pi),
     "2/π stands where its root should"),
    ("tanh-half-dropped", lambda x: 2 * _tanh_form(x), "the factor ½ is missing"),
    ("tanh-overflow", lambda x: x * _overflowing_sigmoid(2 * _ROOT * (x + 0.044715 * x * x * x)),
     "tanh u is (exp(2u) - 1) / (exp(2u) + 1), which overflows to NaN"),
    ("tanh-overflow-to-the-left",
     lambda x: 0.5 * x * (1 + (1 - (e := F.exp(-2 * _inner(x)))) / (1 + e)),
     "tanh u is (1 - exp(-2u)) / (1 + exp(-2u)), which overflows to NaN"),
    ("tanh-of-two-exponentials",
     lambda x: 0.5 * x * (1 + ((e := F.exp(_inner(x))) - (i := F.exp(-_inner(x)))) / (e + i)),
     "tanh u is (exp(u) - exp(-u)) / (exp(u) + exp(-u)), which overflows to NaN on both sides"),
    ("gelu_tanh", "gelu_tanh", gradient_of),
    ("backward-of-erf-form", _erf_form,
     "the backward of the form with tanh is that of the form with erf"),
    ("backward-without-cubic-slope",
     lambda x: x * F.sigmoid(2 * _ROOT * (x + (0.044715 * x * x * x).detach())),
     "the backward leaves out 3 · 0.044715 x², the slope of the cubic term"),
    ("cubic-slope-without-three",
     lambda x: x * F.sigmoid(2 * _ROOT * (x + 0.044715 * x * (x * x).detach())),
     "the slope of the cubic term lacks its 3 in the backward"),
    ("backward-of-gate-only",
     lambda x: x * F.sigmoid(2 * _ROOT * (x + 0.044715 * x * x * x)).detach(),
     "the backward lacks the term with the slope of tanh"),
    ("silu", "silu", instead),
    ("sigmoid-overflow", lambda x: x * _overflowing_sigmoid(x),
     "the sigmoid is exp(x) / (1 + exp(x)), which overflows to NaN"),
    ("sigmoid-missing", lambda x: x, "the gate is left out: x comes out"),
    ("silu-gate-only", F.sigmoid, "the gate σ(x) comes out, not multiplied by x"),
    ("gelu-for-silu", _erf_form, "GELU takes the place of SiLU"),
    ("quick-gelu-for-silu", _quick_form, "the sigmoid is that of 1.702 x"),
    ("hard-swish", lambda x: x * F.clip(x + 3, 0.0, 6.0) / 6,
     "hard swish, x min(max(x + 3, 0), 6) / 6, takes the place of SiLU"),
    ("sigmoid-negated", lambda x: x * F.sigmoid(-x), "the sigmoid is that of -x"),
    ("silu-input-cut", lambda x: _silu(F.clip(x, -20.0, 20.0)),
     "the input is cut to ±20 first, and nothing larger comes out"),
    ("silu", "silu", gradient_of),
    ("backward-of-sigmoid", F.sigmoid, "the backward of SiLU is that of the sigmoid"),
    ("backward-without-slope", lambda x: x * F.sigmoid(x).detach(),
     "the backward of SiLU lacks the term x σ(x) (1 - σ(x))"),
    ("slope-without-x", lambda x: x * F.sigmoid(x).detach() + F.sigmoid(x),
     "the backward of SiLU lacks the x in x σ(x) (1 - σ(x))"),
    ("slope-without-complement", lambda x: x * ((gate := F.sigmoid(x)) + x * gate).detach(),
     "the backward of SiLU lacks the 1 - σ(x) in x σ(x) (1 - σ(x))"),
    ("silu-backward-at-the-output", lambda x: x * silu_slope(_silu(x).detach()),
     "the backward of SiLU takes the slope at the output, not at the input"),
    ("sigmoid-slope-overflow",
     lambda x: x * (F.sigmoid(x) + x * ((e := F.exp(-x)) / ((1 + e) * (1 + e)))).detach(),
     "the slope of the sigmoid is exp(-x) / (1 + exp(-x))², which is ∞ / ∞ far to the left"),
    ("softmax", "softmax", _softmax),
    ("softmax-without-shift", lambda s, x: (e := F.exp(x)) / s.total(e),
     "the maximum is not subtracted, and exp overflows"),
    ("softmax-shift-of-tensor", lambda s, x: (e := F.exp(x - F.max(x).detach())) / s.total(e),
     "one maximum, that of the whole tensor, is subtracted: low rows underflow to 0/0"),
    ("softmax-of-padded-lanes", _padded,
     "lanes beyond D up to a multiple of four are zero, and are in the sum"),
    ("softmax-divided-by-max",
     lambda s, x: (e := exponentials(x)) / F.max(e, axis=-1, keepdims=True),
     "the exponentials are divided by their maximum, not by their sum"),
    ("softmax-with-eps", lambda s, x: (e := exponentials(x)) / (s.total(e) + 1e-6),
     "1e-6 is added to the sum"),
    ("softmax-plus-one",
     lambda s, x: (e := F.exp(x - F.max(x, axis=-1, keepdims=True))) / (s.total(e) + 1),
     "one is added to the sum, as for a score of the maximum that is nobody's"),
    ("softmax-maximum-from-zero",
     lambda s, x: (e := F.exp(x - F.maximum(F.max(x, axis=-1, keepdims=True), 0.0).detach()))
     / s.total(e),
     "the running maximum begins at zero: rows far below it are 0/0", *but("float64")),
    ("softmax-exponents-cut",
     lambda s, x: (e := F.exp(F.maximum(_shifted(x), -80.0))) / s.total(e),
     "exponents of the softmax are cut at -80"),
    ("log-softmax", lambda s, x: F.log_softmax(x), "the logarithm of the softmax comes out"),
    ("softmax-tail-dropped",
     lambda s, x: (e := exponentials(x)) / s.total(e[..., : whole(x.shape[-1])]),
     "the columns beyond a multiple of four are not in the sum"),
    ("softmax", "softmax"),
    ("softmax-over-tokens", lambda s, f, x: f(x.permute(0, 2, 1)).permute(0, 2, 1),
     "the softmax runs over the tokens"),
    ("softmax-over-batch", lambda s, f, x: f(x.permute(2, 1, 0)).permute(2, 1, 0),
     "the softmax runs over the batch"),
    ("softmax-with-temperature", lambda s, f, x: f(x / math.sqrt(x.shape[-1])),
     "the input is divided by √D first"),
    ("softmax-to-base-two", lambda s, f, x: f(math.log(2) * x),
     "2ˣ stands where eˣ should: the factor log₂ e is missing"),
    ("softmax-to-base-two-truncated", lambda s, f, x: f(1.4427 * math.log(2) * x),
     "log₂ e is written as 1.4427"),
    ("softmax-of-masked-scores-nan", lambda s, f, x: f(x) + 0 * x,
     "a score of -∞ gives NaN: it is multiplied by zero"),
    ("softmax-totals-in-bfloat16", {"total": lambda s, f, x: in_format(f(x), "bfloat16")},
     "the sum of exponentials is kept in bfloat16", *but("bfloat16")),
    ("softmax-totals-in-float16", {"total": lambda s, f, x: in_format(f(x), "float16")},
     "the sum of exponentials is kept in float16", "float64", "float32"),
    ("softmax", "softmax", gradient_by(0)),
    ("softmax-gradient-without-sum", lambda s, f, x: x * f(x).detach(),
     "the backward of the softmax lacks the sum: y · ct alone"),
    ("softmax-gradient-diagonal", lambda s, f, x: x * ((y := f(x).detach()) * (1 - y)),
     "the backward of the softmax is that of a sigmoid: y (1 - y) · ct"),
    ("softmax-gradient-with-plain-sum",
     lambda s, f, x: (xy := x * f(x).detach()) - s.total(xy),
     "the sum in the backward of the softmax is Σ ct, not Σ ct · y"),
    ("softmax-gradient-over-sample",
     lambda s, f, x: (xy := x * (y := f(x).detach())) - y * xy.sum((1, 2), keepdims=True),
     "the sum in the backward of the softmax runs over tokens and D, as if there were two axes"),
])  # fmt: skip
