"""How NumPy's ufuncs carry a step, and SciPy's by their names.

Of a function that is analytic, complex arithmetic gives the step. What NumPy does not compute on
complex numbers has its partial derivatives in a table here, or is composed of other ufuncs.

NumPy orders complex numbers by their real parts and equal ones by their imaginary parts. So the
maximum of complex numbers is that of their values, and of equal values the one whose step is the
larger; and |x|, the maximum of x and -x, moves by |h d| at 0.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ...array import ignoring_fp_errors
from .steps import ALONG, METHODS, joined, not_carried, parts, plain, step_of, tied, value_of

__all__ = ["multilinear"]


def _digamma(x: Any) -> Any:
    """ψ(x) = ψ(x + 10) - Σ 1/(x + k), and its asymptotic series there."""
    z = np.where(x > 0, x, np.nan) + 10.0
    w = 1 / (z * z)
    series = w * (1 / 12 - w * (1 / 120 - w * (1 / 252 - w * (1 / 240 - w / 132))))
    return np.log(z) - 0.5 / z - series - sum(1 / (x + k) for k in range(10))


def _logistic(x: Any) -> Any:
    return np.exp(-np.logaddexp(0, -x))


#: The slopes by all arguments, from the value y and the arguments.
_SLOPES: dict[str, Callable[..., Any]] = {
    "multiply": lambda y, a, b: (b, a),
    "divide": lambda y, a, b: (1 / b, -y / b),
    "power": lambda y, a, b: (
        b * a ** np.where(b == 0, 1.0, b - 1.0),
        y * np.log(np.where(a == 0, 1, a)),
    ),
    "cbrt": lambda y, x: (1 / (3 * y * y),),
    "arctan2": lambda y, a, b: (b / (a * a + b * b), -a / (a * a + b * b)),
    "logaddexp": lambda y, a, b: (_logistic(a - b), _logistic(b - a)),
    "logaddexp2": lambda y, a, b: (np.exp2(a - y), np.exp2(b - y)),
    "remainder": lambda y, a, b: (1, -np.floor_divide(a, b)),
    "fmod": lambda y, a, b: (1, -np.trunc(a / b)),
    "expit": lambda y, x: (y * _logistic(-x),),
    "log_expit": lambda y, x: (_logistic(-x),),
    "logit": lambda y, x: (1 / (x * (1 - x)),),
    "gammaln": lambda y, x: (_digamma(x),),
    "entr": lambda y, x: (-np.log(x) - 1,),
    "xlogy": lambda y, a, b: (np.log(b), a / b),
    "xlog1py": lambda y, a, b: (np.log1p(b), a / (1 + b)),
    "rel_entr": lambda y, a, b: (np.log(a / b) + 1, -a / b),
    "kl_div": lambda y, a, b: (np.log(a / b), 1 - a / b),
    **dict.fromkeys(("deg2rad", "radians"), lambda y, x: (math.pi / 180,)),
    **dict.fromkeys(("rad2deg", "degrees"), lambda y, x: (180 / math.pi,)),
}


#: By other ufuncs.
_COMPOSED: dict[str, Callable[..., Any]] = {
    "conjugate": lambda x: +x,
    **dict.fromkeys(("absolute", "fabs"), lambda x: np.maximum(x, -x) + 0.0),  # -0 is 0
    "copysign": lambda a, b: np.where(np.signbit(b), -np.abs(a), np.abs(a)),
    "hypot": lambda a, b: np.linalg.norm(np.stack(np.broadcast_arrays(a, b)), axis=0),
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "divmod": lambda a, b: (np.floor_divide(a, b), np.remainder(a, b)),
    "heaviside": lambda a, b: np.where(a == 0, b, np.sign(a) / 2 + 0.5),
}

_EXTREMES = {"maximum", "minimum", "fmax", "fmin"}
#: Complex arithmetic carries them, as it does what is analytic.
_NATIVE = {"add", "subtract", *_EXTREMES}
#: Linear in all arguments.
_PRODUCTS = {"matmul", "vecdot", "matvec", "vecmat"}
_ORDER = {"less", "less_equal", "greater", "greater_equal"}
_COMPARISONS = {"equal", "not_equal", *_ORDER}
#: Their value does not move.
_FLAT = {
    *("sign", "signbit", "floor", "ceil", "rint", "trunc", "floor_divide"),
    *("isnan", "isinf", "isfinite", *_COMPARISONS),
}

#: What is 0 at a kink or a jump: there is a tie where a step moves it away from 0.
_EDGES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(_EXTREMES | _COMPARISONS, lambda a, b: a - b),
    **dict.fromkeys(("sign", "signbit"), lambda x: x),
    **dict.fromkeys(("floor", "ceil", "trunc"), lambda x: x - np.rint(x.real)),
    "rint": lambda x: x - np.floor(x.real) - 0.5,
    **dict.fromkeys(
        ("remainder", "fmod", "floor_divide"), lambda a, b: a - np.rint((a / b).real) * b
    ),
    "arctan2": lambda a, b: np.where(b.real <= 0, a, 1),
}
#: Where a slope is infinite, from the arguments. It is a tie even where nothing moves: the root of
#: x² has a kink where x² rests.
_STEEP: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("sqrt", "cbrt", "log", "log2", "log10", "entr"), lambda x: x == 0),
    **dict.fromkeys(("arcsin", "arccos", "arccosh", "arctanh"), lambda x: np.abs(x) == 1),
    "power": lambda a, b: (a == 0) & (b != np.rint(b)) & (b < 1),
}


def _called(ufunc: np.ufunc, *inputs: Any, **options: Any) -> Any:
    """A ufunc of Steps."""
    name = ufunc.__name__
    if name in _COMPOSED:
        return _COMPOSED[name](*inputs)
    if name.startswith("logical"):
        return ufunc(*(np.not_equal(one, 0) for one in inputs))
    if name in _PRODUCTS:
        return multilinear(partial(ufunc, **options), inputs)
    values, steps = zip(*map(parts, inputs), strict=True)
    y = ufunc(*values, **options)
    with ignoring_fp_errors():
        numbers = [np.multiply(value, 1.0) for value in values]  # floats, also of a list
        if name in _EDGES:
            edge = _EDGES[name](*map(np.asarray, inputs))
            tied((edge.real == 0) & (edge.imag != 0))
        if name in _STEEP:
            tied(_STEEP[name](*numbers))
        if name in _ORDER and ALONG.get():
            return ufunc(*plain(inputs))
        if name in _FLAT:
            return joined(y, 0)
        if name in _SLOPES:
            pairs = zip(_SLOPES[name](y, *numbers), steps, strict=True)
            return joined(y, sum(_times(slope, dx) for slope, dx in pairs if dx is not None))
        if name in _NATIVE or "D->D" in ufunc.types:
            return joined(y, np.where(np.isnan(y), np.nan, ufunc(*plain(inputs)).imag))
    raise not_carried(name)


def _times(slope: Any, step: Any) -> Any:
    """The product; what rests has no step, even under an infinite slope."""
    product = slope * step
    return np.where(step == 0, 0, product) if np.isnan(product).any() else product


def multilinear(function: Callable[..., Any], inputs: Sequence[Any]) -> Any:
    """A function that is linear in every array that it is given: the product rule."""
    values, steps = zip(*map(parts, inputs), strict=True)
    moves = [
        function(*values[:i], step, *values[i + 1 :])
        for i, step in enumerate(steps)
        if step is not None
    ]
    return joined(function(*values), sum(moves))


# Their methods ------------------------------------------------------------------------------


def _outer(ufunc: np.ufunc, a: Any, b: Any, **options: Any) -> Any:
    return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b, **options)


def _at(ufunc: np.ufunc, x: Any, index: Any, *more: Any) -> None:
    if ufunc.__name__ not in ("add", "subtract", "multiply") or not np.iscomplexobj(x):
        raise not_carried(f"{ufunc.__name__}.at on an array of {x.dtype}")
    ufunc.at(plain(x), index, *plain(more))


def _along(method: str) -> Callable[..., Any]:
    """What ufuncs do along an axis."""

    def carried(ufunc: np.ufunc, x: Any, *more: Any, dtype: Any = None, **options: Any) -> Any:
        name, native = ufunc.__name__, getattr(ufunc, method)
        if name.startswith("logical"):
            return native(x != 0, *more, **options)
        if name in ("add", "multiply") or (name in _EXTREMES and method == "reduce"):
            y = native(value_of(x), *more, dtype=dtype, **options)
            found = joined(y, native(plain(x), *more, **options).imag)
            if name in _EXTREMES:
                best = native(plain(x), *more, **{**options, "keepdims": True})
                tied((value_of(x) == best.real) & (step_of(x) != best.imag))
            return found
        if name not in {"logaddexp", "logaddexp2", *_EXTREMES} or method == "reduceat":
            raise not_carried(f"{name}.{method}")
        return _folded(ufunc, method, x, **options)

    return carried


def _folded(ufunc: Any, method: str, x: Any, axis: int = 0, keepdims: bool = False) -> Any:
    rows = list(itertools.accumulate(np.moveaxis(x, axis, 0), ufunc))
    if method == "accumulate":
        return np.stack(rows, axis)
    return np.expand_dims(rows[-1], axis) if keepdims else rows[-1]


METHODS.update({"__call__": _called, "outer": _outer, "at": _at})
METHODS.update({method: _along(method) for method in ("reduce", "accumulate", "reduceat")})
