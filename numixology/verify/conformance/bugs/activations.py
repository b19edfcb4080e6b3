"""Bugs of GELU, SiLU and softmax, forward and backward."""

import math
from collections.abc import Callable
from functools import partial

from .... import functional as F
from ....tensors import Tensor
from ..textbook import Textbook, straight_through
from .registry import Override, table
from .steps import exponentials, gradient_of, instead, rounded_up, whole

__all__ = ["BUGS"]

_ROOT = math.sqrt(2 / math.pi)


def _tanh_form(x: Tensor, cubic: float = 0.044715, root: float = _ROOT) -> Tensor:
    return x * F.sigmoid(2 * root * (x + cubic * x * x * x))


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


def _silu_slope(y: Tensor) -> Tensor:
    return F.sigmoid(y) * (1 + F.clip(y, -1e3, 1e3) * F.sigmoid(-y))


def _padded_softmax(s: Textbook, x: Tensor) -> Tensor:
    top = F.maximum(F.max(x, axis=-1, keepdims=True), 0.0).detach()
    e, lane = F.exp(x - top), F.exp(-top)
    spare = rounded_up(x.shape[-1], 4) - x.shape[-1]
    return e / (s.total(e) + spare * lane)


def _softmax(compute: Callable[..., Tensor]) -> Override:
    """An override that computes something else, and stores it."""
    return lambda s, right, x: s.store(compute(s, x))


def _softmax_gradient(compute: Callable[..., Tensor]) -> Override:
    """The right softmax y, with the gradient of something else of x and of y, a constant."""
    return lambda s, right, x: straight_through(y := right(x), s.store(compute(s, x, y.detach())))


_gelu = partial(table, "activations", "gelu", "gelu")
_gelu_tanh = partial(table, "activations", "gelu_tanh", "gelu_tanh")
_silus = partial(table, "activations", "silu", "silu")
_softmaxes = partial(table, "activations", "softmax", "softmax")

BUGS = [
    *_gelu([
        ("tanh-for-erf", "GELU is computed in the form with tanh", _tanh_form),
        ("quick-gelu", "GELU is computed as x σ(1.702 x)", _quick_form),
        ("silu-for-gelu", "SiLU takes the place of GELU", _silu),
        ("relu-for-gelu", "ReLU takes the place of GELU", F.relu),
        ("erf-without-root-two", "the argument of erf is not divided by √2",
         lambda x: x * F.normal_cdf(math.sqrt(2) * x)),
        ("root-two-mistyped", "√2 is written as 1.414",
         lambda x: x * F.normal_cdf(math.sqrt(2) / 1.414 * x)),
        ("half-dropped", "the factor ½ is missing", lambda x: 2 * _erf_form(x)),
        ("gelu-input-cut", "the input is cut to ±10 first, and nothing larger comes out",
         lambda x: _erf_form(F.clip(x, -10.0, 10.0))),
        ("gelu-tail-cut", "below -3 the result is zero, above 3 it is x",
         lambda x: F.where(x > 3, x, F.where(x < -3, 0.0, _erf_form(x)))),
        ("erf-from-polynomial", "erf comes from a short polynomial that is right to 1.5e-7",
         _polynomial_form),
        ("gelu-gate-only", "the gate Φ(x) comes out, not multiplied by x", F.normal_cdf),
    ], wrap=instead),
    *_gelu([
        ("backward-of-tanh-form", "the backward of GELU is that of the form with tanh", _tanh_form),
        ("backward-without-density", "the backward of GELU lacks the term x φ(x)",
         lambda x: x * F.normal_cdf(x).detach()),
        ("backward-with-density-only", "the backward of GELU lacks the term Φ(x)",
         lambda x: x.detach() * F.normal_cdf(x)),
        ("density-without-x", "the backward of GELU adds φ(x), not multiplied by x",
         lambda x: x * F.normal_cdf(x).detach() + F.normal_cdf(x)),
        ("density-without-half", "the density in the backward of GELU is exp(-x²) / √(2π)",
         lambda x: x * (F.normal_cdf(x) + x * (F.exp(-x * x) / math.sqrt(2 * math.pi))).detach()),
        ("density-with-root-pi",
         "the density in the backward of GELU is divided by √π, not by √(2π)",
         lambda x: x * (gate := F.normal_cdf(x)).detach() + math.sqrt(2) * x.detach() * gate),
        ("backward-of-quick-gelu", "the backward of GELU is that of x σ(1.702 x)", _quick_form),
        ("backward-of-relu", "the backward of GELU is that of ReLU", F.relu),
        ("backward-at-the-output",
         "the backward of GELU takes the slope at the output, not at the input",
         lambda x: x * _gelu_slope(_erf_form(x)).detach()),
    ], wrap=gradient_of),
    *_gelu_tanh([
        ("erf-for-tanh", "the form with tanh is computed with erf", _erf_form),
        ("quick-gelu-for-tanh", "the form with tanh is computed as x σ(1.702 x)", _quick_form),
        ("cubic-mistyped", "0.044715 is written as 0.044175", lambda x: _tanh_form(x, 0.044175)),
        ("cubic-truncated", "0.044715 is written as 0.0447", lambda x: _tanh_form(x, 0.0447)),
        ("cubic-missing", "the term with x³ is missing", lambda x: _tanh_form(x, 0.0)),
        ("square-for-cube", "the term with x³ has x² in it",
         lambda x: x * F.sigmoid(2 * _ROOT * (x + 0.044715 * x * x))),
        ("root-two-over-pi-truncated", "√(2/π) is written as 0.797",
         lambda x: _tanh_form(x, root=0.797)),
        ("root-two-over-pi-rounded", "√(2/π) is written as 0.7978",
         lambda x: _tanh_form(x, root=0.7978)),
        ("root-missing", "2/π stands where its root should",
         lambda x: _tanh_form(x, root=2 / math.pi)),
        ("tanh-half-dropped", "the factor ½ is missing", lambda x: 2 * _tanh_form(x)),
        ("tanh-overflow", "tanh u is (exp(2u) - 1) / (exp(2u) + 1), which overflows to NaN",
         lambda x: x * _overflowing_sigmoid(2 * _ROOT * (x + 0.044715 * x * x * x))),
    ], wrap=instead),
    *_gelu_tanh([
        ("backward-of-erf-form", "the backward of the form with tanh is that of the form with erf",
         _erf_form),
        ("backward-without-cubic-slope",
         "the backward leaves out 3 · 0.044715 x², the slope of the cubic term",
         lambda x: x * F.sigmoid(2 * _ROOT * (x + (0.044715 * x * x * x).detach()))),
        ("cubic-slope-without-three", "the slope of the cubic term lacks its 3 in the backward",
         lambda x: x * F.sigmoid(2 * _ROOT * (x + 0.044715 * x * (x * x).detach()))),
        ("backward-of-gate-only", "the backward lacks the term with the slope of tanh",
         lambda x: x * F.sigmoid(2 * _ROOT * (x + 0.044715 * x * x * x)).detach()),
    ], wrap=gradient_of),
    *_silus([
        ("sigmoid-overflow", "the sigmoid is exp(x) / (1 + exp(x)), which overflows to NaN",
         lambda x: x * _overflowing_sigmoid(x)),
        ("sigmoid-missing", "the gate is left out: x comes out", lambda x: x),
        ("silu-gate-only", "the gate σ(x) comes out, not multiplied by x", F.sigmoid),
        ("gelu-for-silu", "GELU takes the place of SiLU", _erf_form),
        ("quick-gelu-for-silu", "the sigmoid is that of 1.702 x", _quick_form),
        ("hard-swish", "hard swish, x min(max(x + 3, 0), 6) / 6, takes the place of SiLU",
         lambda x: x * F.clip(x + 3, 0.0, 6.0) / 6),
        ("sigmoid-negated", "the sigmoid is that of -x", lambda x: x * F.sigmoid(-x)),
        ("silu-input-cut", "the input is cut to ±20 first, and nothing larger comes out",
         lambda x: _silu(F.clip(x, -20.0, 20.0))),
    ], wrap=instead),
    *_silus([
        ("backward-of-sigmoid", "the backward of SiLU is that of the sigmoid", F.sigmoid),
        ("backward-without-slope", "the backward of SiLU lacks the term x σ(x) (1 - σ(x))",
         lambda x: x * F.sigmoid(x).detach()),
        ("slope-without-x", "the backward of SiLU lacks the x in x σ(x) (1 - σ(x))",
         lambda x: x * F.sigmoid(x).detach() + F.sigmoid(x)),
        ("slope-without-complement",
         "the backward of SiLU lacks the 1 - σ(x) in x σ(x) (1 - σ(x))",
         lambda x: x * ((gate := F.sigmoid(x)) + x * gate).detach()),
        ("silu-backward-at-the-output",
         "the backward of SiLU takes the slope at the output, not at the input",
         lambda x: x * _silu_slope(_silu(x).detach())),
    ], wrap=gradient_of),
    *_softmaxes([
        ("softmax-without-shift", "the maximum is not subtracted, and exp overflows",
         lambda s, x: (e := F.exp(x)) / s.total(e)),
        ("softmax-shift-of-tensor",
         "one maximum, that of the whole tensor, is subtracted: low rows underflow to 0/0",
         lambda s, x: (e := F.exp(x - F.max(x).detach())) / s.total(e)),
        ("softmax-of-padded-lanes",
         "lanes beyond D up to a multiple of four are zero, and are in the sum", _padded_softmax),
        ("softmax-divided-by-max",
         "the exponentials are divided by their maximum, not by their sum",
         lambda s, x: (e := exponentials(x)) / F.max(e, axis=-1, keepdims=True)),
        ("softmax-with-eps", "1e-6 is added to the sum",
         lambda s, x: (e := exponentials(x)) / (s.total(e) + 1e-6)),
        ("log-softmax", "the logarithm of the softmax comes out", lambda s, x: F.log_softmax(x)),
        ("softmax-tail-dropped", "the columns beyond a multiple of four are not in the sum",
         lambda s, x: (e := exponentials(x)) / s.total(e[..., : whole(x.shape[-1])])),
    ], wrap=_softmax),
    *_softmaxes([
        ("softmax-over-tokens", "the softmax runs over the tokens",
         lambda s, right, x: right(x.permute(0, 2, 1)).permute(0, 2, 1)),
        ("softmax-over-batch", "the softmax runs over the batch",
         lambda s, right, x: right(x.permute(2, 1, 0)).permute(2, 1, 0)),
        ("softmax-with-temperature", "the input is divided by √D first",
         lambda s, right, x: right(x / math.sqrt(x.shape[-1]))),
        ("softmax-to-base-two", "2ˣ stands where eˣ should: the factor log₂ e is missing",
         lambda s, right, x: right(math.log(2) * x)),
    ]),
    *_softmaxes([
        ("softmax-gradient-without-sum", "the backward of the softmax lacks the sum: y · ct alone",
         lambda s, x, y: x * y),
        ("softmax-gradient-diagonal",
         "the backward of the softmax is that of a sigmoid: y (1 - y) · ct",
         lambda s, x, y: x * (y * (1 - y))),
        ("softmax-gradient-with-plain-sum",
         "the sum in the backward of the softmax is Σ ct, not Σ ct · y",
         lambda s, x, y: x * y - s.total(x * y)),
    ], wrap=_softmax_gradient),
]  # fmt: skip
