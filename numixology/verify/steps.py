"""Complex steps that survive NumPy.

The imaginary part of a :class:`Step` is h times a derivative. NumPy's own complex arrays lose it in
``np.abs`` and ``np.linalg.norm``, and leave the real line in ``np.sqrt(-1.0)``. A Step is computed
as the real function that was meant: the function itself on the real parts, and the chain rule on
the imaginary ones,

    f(x + i h d) = f(x) + i h ⟨∇f(x), d⟩.

What has no derivative here raises :class:`NotCarried`; nothing returns without its step.

**At a tie**, where f has a kink, the derivative is one-sided: along the step, so that a step and
its opposite give both slopes. (|x| at 0 moves by |h d|, the maximum of equals by the larger of
their steps, sorting puts the smaller step first, the norm of 0 moves by the norm of the step.)
Where f jumps, and in comparisons, only the real parts decide: the function stays on the branch that
it takes at x itself, with the slope of that branch. An infinite slope is infinite. :func:`met`
counts all of these.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..array import Array, Setting, ignoring_fp_errors
from ..errors import DTypeError

__all__ = ["Met", "NotCarried", "Step", "met", "plain", "stepped"]


class NotCarried(DTypeError):
    """A function through which a step is not carried; the message names it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "a complex step passes only through functions whose slopes are known",
            name,
            "take real differences",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return NotCarried, (self.args[1],)


class Met:
    """What steps met while a function ran.

    Attributes:
        ties: how many operations met equality where their function has a kink, a jump or an
            infinite slope, in an entry that the step moves.
        precision: the narrowest dtype that a step passed through, float64 or float32.
    """

    def __init__(self) -> None:
        self.ties, self.precision = 0, "float64"


_SEEN: ContextVar[Met | None] = ContextVar("seen", default=None)


@contextmanager
def met() -> Iterator[Met]:
    """Record what steps meet inside the ``with`` block, in this thread or task."""
    seen = Met()
    with Setting(_SEEN, seen):
        yield seen


def _tied(ties: Any) -> None:
    if (seen := _SEEN.get()) and np.any(ties):
        seen.ties += 1


# Steps and their parts ----------------------------------------------------------------------


def stepped(z: Array) -> "Step":
    """The complex array ``z`` as a Step, in the same memory."""
    z = np.asarray(z)
    if z.dtype == np.complex64 and (seen := _SEEN.get()):
        seen.precision = "float32"
    return z.view(Step)


def plain(tree: Any) -> Any:
    """``tree``, nested tuples, lists and dicts, with plain complex arrays for its Steps."""
    return _mapped(lambda one: one.view(np.ndarray) if isinstance(one, Step) else one, tree)


def _mapped(change: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):  # as NumPy's SVDResult
        return type(tree)(*[_mapped(change, one) for one in tree])
    if isinstance(tree, tuple | list):
        return type(tree)([_mapped(change, one) for one in tree])
    if isinstance(tree, dict):
        return {key: _mapped(change, one) for key, one in tree.items()}
    return change(tree)


def _wrapped(found: Any) -> Any:
    """Complex results as Steps; what is real stays as it is."""

    def change(one: Any) -> Any:
        return stepped(np.asarray(one)) if _steps(one) else one

    return _mapped(change, found)


def _steps(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "c"


def _parts(x: Any) -> tuple[Any, Any]:
    """Value and step; the step is None for what does not move.

    A plain complex array is a Step that went through ``np.asarray`` if its imaginary part is small.
    """
    if isinstance(x, Step):
        z = x.view(np.ndarray)
        return z.real, z.imag
    if isinstance(x, complex) or _steps(x):
        value, step = np.real(x), np.imag(x)
        if np.max(np.abs(step), initial=0) > 2.0**-10 * np.max(np.abs(value), initial=2.0**-10):
            raise NotCarried("complex numbers")
        return value, step if np.any(step) else None
    return x, None


def _value(tree: Any) -> Any:
    return _mapped(lambda one: _parts(one)[0], tree)


def _step(x: Any) -> Any:
    found = _parts(x)[1]
    return np.zeros(np.shape(x)) if found is None else found


def _joined(value: Any, step: Any) -> Any:
    value = np.asarray(value)
    if value.dtype.kind != "f":
        return value[()]
    z = np.empty(value.shape, np.result_type(value.dtype, np.complex64))
    z.real, z.imag = value, step
    return stepped(z)


def _times(step: Any, slope: Any) -> Any:
    """The product, where what does not move stays, even under an infinite slope."""
    product = step * slope
    return np.where(step == 0, 0.0, product) if np.isnan(product).any() else product


# Functions of single numbers: slopes by the value y and the arguments -----------------------------

_LN2, _LN10, _SQRT_PI = math.log(2), math.log(10), math.sqrt(math.pi)


def _digamma(x: Any) -> Any:
    """The recurrence up to 10 and the asymptotic series; reflected below 0."""
    low = x < 0
    z, found = np.where(low, 1 - x, x), np.zeros(np.shape(x))
    for _ in range(10):
        found, z = np.where(z < 10, found - 1 / z, found), np.where(z < 10, z + 1, z)
    w = 1 / (z * z)
    series = w * (1 / 12 - w * (1 / 120 - w * (1 / 252 - w * (1 / 240 - w * (1 / 132 - w / 47.4)))))
    found = found + np.log(z) - 0.5 / z - series
    return np.where(low, found - np.pi / np.tan(np.pi * x), found)


def _logistic(x: Any) -> Any:
    return np.exp(-np.logaddexp(0, -x))


#: By the name of a ufunc, SciPy's among them: the slope by each argument.
_SLOPES: dict[str, tuple[Callable[..., Any], ...]] = {
    "positive": (lambda y, x: 1,),
    "conjugate": (lambda y, x: 1,),
    "negative": (lambda y, x: -1,),
    "add": (lambda y, a, b: 1, lambda y, a, b: 1),
    "subtract": (lambda y, a, b: 1, lambda y, a, b: -1),
    "multiply": (lambda y, a, b: b, lambda y, a, b: a),
    "divide": (lambda y, a, b: 1 / b, lambda y, a, b: -y / b),
    "power": (
        lambda y, a, b: b * np.power(a, np.where(b == 0, 1.0, b - 1.0)),
        lambda y, a, b: np.where(y == 0, 0, y * np.log(a)),
    ),
    "reciprocal": (lambda y, x: -y * y,),
    "square": (lambda y, x: 2 * x,),
    "sqrt": (lambda y, x: 0.5 / y,),
    "cbrt": (lambda y, x: 1 / (3 * y * y),),
    "exp": (lambda y, x: y,),
    "exp2": (lambda y, x: y * _LN2,),
    "expm1": (lambda y, x: np.exp(x),),
    "log": (lambda y, x: 1 / np.where(x < 0, np.nan, x),),
    "log2": (lambda y, x: 1 / (np.where(x < 0, np.nan, x) * _LN2),),
    "log10": (lambda y, x: 1 / (np.where(x < 0, np.nan, x) * _LN10),),
    "log1p": (lambda y, x: 1 / (1 + np.where(x < -1, np.nan, x)),),
    "sin": (lambda y, x: np.cos(x),),
    "cos": (lambda y, x: -np.sin(x),),
    "tan": (lambda y, x: 1 + y * y,),
    "arcsin": (lambda y, x: 1 / np.sqrt((1 - x) * (1 + x)),),
    "arccos": (lambda y, x: -1 / np.sqrt((1 - x) * (1 + x)),),
    "arctan": (lambda y, x: 1 / (1 + x * x),),
    "sinh": (lambda y, x: np.cosh(x),),
    "cosh": (lambda y, x: np.sinh(x),),
    "tanh": (lambda y, x: 1 / np.cosh(x) ** 2,),
    "arcsinh": (lambda y, x: 1 / np.hypot(1, x),),
    "arccosh": (lambda y, x: 1 / np.sqrt((x - 1) * (x + 1)),),
    "arctanh": (lambda y, x: 1 / ((1 - x) * (1 + x)),),
    "deg2rad": (lambda y, x: np.pi / 180,),
    "rad2deg": (lambda y, x: 180 / np.pi,),
    "ldexp": (lambda y, x, n: np.ldexp(1.0, n),),
    "arctan2": (
        lambda y, a, b: b / np.hypot(a, b) ** 2,
        lambda y, a, b: -a / np.hypot(a, b) ** 2,
    ),
    "logaddexp": (lambda y, a, b: np.exp(a - y), lambda y, a, b: np.exp(b - y)),
    "logaddexp2": (lambda y, a, b: np.exp2(a - y), lambda y, a, b: np.exp2(b - y)),
    "remainder": (lambda y, a, b: 1, lambda y, a, b: -np.floor_divide(a, b)),
    "fmod": (lambda y, a, b: 1, lambda y, a, b: -np.trunc(a / b)),
    # SciPy's
    "expit": (lambda y, x: y * _logistic(-x),),
    "log_expit": (lambda y, x: _logistic(-x),),
    "logit": (lambda y, x: 1 / (x * (1 - x)),),
    "erf": (lambda y, x: 2 / _SQRT_PI * np.exp(-x * x),),
    "erfc": (lambda y, x: -2 / _SQRT_PI * np.exp(-x * x),),
    "ndtr": (lambda y, x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),),
    "log_ndtr": (lambda y, x: np.exp(-x * x / 2 - y) / math.sqrt(2 * math.pi),),
    "gammaln": (lambda y, x: _digamma(x),),
    "xlogy": (lambda y, a, b: np.log(b), lambda y, a, b: a / b),
    "xlog1py": (lambda y, a, b: np.log1p(b), lambda y, a, b: a / (1 + b)),
    "entr": (lambda y, x: -np.log(x) - 1,),
    "rel_entr": (lambda y, a, b: np.log(a / b) + 1, lambda y, a, b: -a / b),
    "kl_div": (lambda y, a, b: np.log(a / b), lambda y, a, b: 1 - a / b),
}
_SLOPES["float_power"], _SLOPES["degrees"] = _SLOPES["power"], _SLOPES["rad2deg"]
_SLOPES["radians"] = _SLOPES["deg2rad"]


def _absolute(y: Any, x: Any, dx: Any) -> Any:
    return np.where(x == 0, np.abs(dx), np.sign(x) * dx)


def _picking(further: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """The step of the argument that was picked; of equals, the one that goes further."""

    def step(y: Any, a: Any, b: Any, da: Any, db: Any) -> Any:
        return np.where((a == y) & ((a != b) | further(da, db)), da, db)

    return step


#: The steps of functions with a kink, by their value, their arguments and these ones' steps.
_KINKED: dict[str, Callable[..., Any]] = {
    "absolute": _absolute,
    "fabs": _absolute,
    "copysign": lambda y, a, b, da, db: np.copysign(1, b) * _absolute(y, a, da),
    "maximum": _picking(np.greater_equal),
    "fmax": _picking(np.greater_equal),
    "minimum": _picking(np.less_equal),
    "fmin": _picking(np.less_equal),
    "hypot": lambda y, a, b, da, db: np.where(
        y == 0, np.hypot(da, db), a / np.where(y == 0, 1, y) * da + b / np.where(y == 0, 1, y) * db
    ),
}

#: Steps, comparisons and other questions: no slope.
_FLAT = {
    *("sign", "floor", "ceil", "rint", "trunc", "floor_divide", "heaviside", "signbit", "equal"),
    *("not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or"),
    *("logical_not", "logical_xor", "isnan", "isinf", "isfinite"),
}

#: Linear in every argument.
_PRODUCTS = frozenset(("matmul", "vecdot", "matvec", "vecmat"))


def _at_zero(y: Any, x: Any, dx: Any) -> Any:
    return (x == 0) & (dx != 0)


def _at_integer(y: Any, x: Any, dx: Any) -> Any:
    return (x == np.rint(x)) & (dx != 0)


def _of_equals(y: Any, a: Any, b: Any, da: Any, db: Any) -> Any:
    return (a == b) & (da != db)


def _of_wraps(y: Any, a: Any, b: Any, da: Any, db: Any) -> Any:
    return (np.remainder(a, b) == 0) & (da != y * db)


#: Where a function has a kink, a jump or an infinite slope.
_TIES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("absolute", "fabs", "sign", "signbit", "logical_not"), _at_zero),
    **dict.fromkeys(("floor", "ceil", "trunc"), _at_integer),
    **dict.fromkeys(("maximum", "minimum", "fmax", "fmin", "equal", "not_equal"), _of_equals),
    **dict.fromkeys(("less", "less_equal", "greater", "greater_equal"), _of_equals),
    **dict.fromkeys(("remainder", "fmod", "floor_divide"), _of_wraps),
    # An infinite slope hides what moves: the square of 0 does not, and its root is a kink.
    **dict.fromkeys(("sqrt", "cbrt", "log", "entr"), lambda y, x, dx: x == 0),
    **dict.fromkeys(("arcsin", "arccos", "arccosh", "arctanh"), lambda y, x, dx: np.abs(x) == 1),
    "rint": lambda y, x, dx: (np.abs(x - np.trunc(x)) == 0.5) & (dx != 0),
    "hypot": lambda y, a, b, da, db: (y == 0) & ((da != 0) | (db != 0)),
    "copysign": lambda y, a, b, da, db: ((a == 0) & (da != 0)) | ((b == 0) & (db != 0)),
    "arctan2": lambda y, a, b, da, db: (a == 0) & (b <= 0) & ((da != 0) | (db != 0)),
    "power": lambda y, a, b, da, db: (a == 0) & (b < 1) & (b != 0),
    "heaviside": lambda y, a, b, da, db: (a == 0) & (da != 0),
    **dict.fromkeys(
        ("logical_and", "logical_or", "logical_xor"),
        lambda y, a, b, da, db: ((a == 0) & (da != 0)) | ((b == 0) & (db != 0)),
    ),
}

#: Ufuncs of several outputs, and clip, by other ones.
_COMPOSED: dict[str, Callable[..., Any]] = {
    "divmod": lambda a, b: (np.floor_divide(a, b), np.remainder(a, b)),
    "modf": lambda x: (x - np.trunc(x), np.trunc(x)),
    "frexp": lambda x: (np.ldexp(x, -np.frexp(_value(x))[1]), np.frexp(_value(x))[1]),
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
}


def _called(ufunc: np.ufunc, inputs: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """A ufunc on Steps."""
    name = ufunc.__name__
    if name in _COMPOSED:
        return _COMPOSED[name](*inputs)
    if name in _PRODUCTS:
        return _multilinear(ufunc, inputs, options)
    values, steps = zip(*map(_parts, inputs), strict=True)
    value = ufunc(*values, **options)
    with ignoring_fp_errors():
        moved = [0.0 if step is None else step for step in steps]
        if name in _TIES:
            _tied(_TIES[name](value, *values, *moved))
        if name in _FLAT:
            return _joined(value, 0)
        if name in _KINKED:
            return _joined(value, _KINKED[name](value, *values, *moved))
        if name in _SLOPES:
            terms = [
                _times(step, slope(value, *values))
                for step, slope in zip(steps, _SLOPES[name], strict=False)
                if step is not None
            ]
            return _joined(value, sum(terms[1:], terms[0]) if terms else 0)
        if "D->D" in ufunc.types or "DD->D" in ufunc.types:  # analytic
            found = ufunc(*plain(inputs), **options)
            return _joined(value, np.where(np.isnan(value), np.nan, found.imag))
    raise NotCarried(name)


def _multilinear(function: Any, inputs: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """A function that is linear in every array that it is given."""
    values, steps = zip(*map(_parts, inputs), strict=True)
    value, step = function(*values, **options), 0.0
    for i, own in enumerate(steps):
        if own is not None:
            step = step + function(*values[:i], own, *values[i + 1 :], **options)
    return _joined(value, step)


# The methods of ufuncs -----------------------------------------------------------------------


def _reduced(ufunc: np.ufunc, x: Any, axis: Any = 0, keepdims: bool = False, **options: Any) -> Any:
    if ufunc.__name__ in ("add", "multiply"):
        return ufunc.reduce(plain(x), axis, keepdims=keepdims, **options)
    if ufunc.__name__ in ("maximum", "minimum", "fmax", "fmin"):
        found = ufunc.reduce(plain(x), axis, keepdims=True, **options)
        value, step = _parts(stepped(x))
        _tied((value == found.real) & (step != found.imag))
        return found if keepdims else found.reshape(ufunc.reduce(value, axis, **options).shape)
    if options or not isinstance(axis, int):
        raise NotCarried(f"{ufunc.__name__}.reduce")
    found = _accumulated(ufunc, x, axis)[(slice(None),) * (axis % x.ndim) + (slice(-1, None),)]
    return found if keepdims else found.squeeze(axis)


def _accumulated(ufunc: np.ufunc, x: Any, axis: int = 0, **options: Any) -> Any:
    if ufunc.__name__ in ("add", "multiply"):
        return ufunc.accumulate(plain(x), axis, **options)
    rows = list(np.moveaxis(x, axis, 0))
    for i in range(1, len(rows)):
        rows[i] = ufunc(rows[i - 1], rows[i])
    return np.stack(rows, axis)


def _outer(ufunc: np.ufunc, a: Any, b: Any, **options: Any) -> Any:
    return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b, **options)


def _at(ufunc: np.ufunc, target: Any, places: Any, *operand: Any) -> None:
    if ufunc.__name__ not in ("add", "subtract", "multiply") or not _steps(target):
        raise NotCarried(f"{ufunc.__name__}.at")
    ufunc.at(plain(target), places, *plain(operand))


def _reduced_at(ufunc: np.ufunc, x: Any, places: Any, axis: int = 0, **options: Any) -> Any:
    if ufunc.__name__ not in ("add", "multiply"):
        raise NotCarried(f"{ufunc.__name__}.reduceat")
    return ufunc.reduceat(plain(x), places, axis, **options)


_METHODS: dict[str, Callable[..., Any]] = {
    "reduce": _reduced,
    "accumulate": _accumulated,
    "outer": _outer,
    "at": _at,
    "reduceat": _reduced_at,
}


def _complex(dtype: Any) -> Any:
    """The dtype of a Step whose real part has this one."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "fc" or dtype == np.float16:
        raise NotCarried(f"dtype {dtype}")
    return np.result_type(dtype, np.complex64)


# Functions of arrays -------------------------------------------------------------------------


def _named(home: Any, names: str) -> set[Any]:
    return {getattr(home, name) for name in names.split() if hasattr(home, name)}


#: They move entries, or are polynomials or analytic: NumPy's own complex arithmetic is right.
_ANALYTIC = _named(
    np,
    "append array_split atleast_1d atleast_2d atleast_3d block broadcast_arrays broadcast_to "
    "choose column_stack compress concat concatenate copy cross cumprod cumsum "
    "cumulative_prod cumulative_sum delete diag diagflat diagonal diff dsplit dstack ediff1d "
    "expand_dims extract flip fliplr flipud gradient hsplit hstack insert kron linspace "
    "matrix_transpose moveaxis pad permute_dims poly polyadd polyder polyint polymul polysub "
    "polyval prod ravel repeat reshape resize roll rollaxis rot90 select split squeeze stack "
    "sum swapaxes take take_along_axis tile trace transpose trapezoid tri tril triu unstack "
    "vander vsplit vstack where",
) | _named(
    np.linalg,
    "cross det diagonal inv matrix_power matrix_transpose multi_dot solve tensorinv "
    "tensorsolve trace",
)
#: They answer about real parts, by numbers that do not move.
_QUESTIONS = _named(
    np,
    "allclose argpartition argwhere array2string array_equal array_equiv array_repr array_str "
    "can_cast common_type count_nonzero digitize flatnonzero isclose isneginf isposinf lexsort "
    "ndim nonzero searchsorted shape size",
) | _named(np.linalg, "matrix_rank")
#: They are asked what a complex array is.
_KINDS = _named(
    np, "iscomplexobj isrealobj may_share_memory min_scalar_type result_type shares_memory"
)
#: They are written in terms of others.
_WRITTEN = _named(
    np,
    "all amax amin any apply_along_axis apply_over_axes array_split average clip cumulative_prod "
    "cumulative_sum max mean min nanmax nanmin nanmean nanprod nansum piecewise sinc "
    "fix",
)
#: Linear in every array.
_BILINEAR = _named(np, "convolve correlate dot einsum inner kron outer tensordot vdot") | _named(
    np.linalg, "outer tensordot"
)
#: They write into their first argument.
_WRITING = _named(np, "copyto fill_diagonal place put put_along_axis putmask")


def _like(function: Any) -> Callable[..., Any]:
    """Room for steps, unless something else than floats is asked for."""

    def new(x: Any, *arguments: Any, dtype: Any = None, **options: Any) -> Any:
        value = _value(x)
        kind = np.asarray(value).dtype if dtype is None else np.dtype(dtype)
        options["subok"] = False
        if kind.kind in "biu":
            return function(value, *arguments, dtype=kind, **options)
        return function(value, *plain(arguments), dtype=_complex(kind), **options)

    return new


def _ordered(x: Any, axis: Any) -> Any:
    """Sorted along an axis, by value and then by step; equal neighbors are ties."""
    z = np.sort(plain(x), axis)
    if axis is None:
        axis = 0
    _tied((np.diff(z.real, axis=axis) == 0) & (np.diff(z.imag, axis=axis) != 0))
    return z


def _sort(x: Any, axis: Any = -1, kind: Any = None, order: Any = None, stable: Any = None) -> Any:
    return _ordered(x, axis)


def _arg(function: Any, axis: Any) -> Callable[..., Any]:
    """An index by order: by the real parts, where the first of equals counts."""

    def found(x: Any, axis: Any = axis, *arguments: Any, **options: Any) -> Any:
        _ordered(x, axis)
        return function(_value(x), axis, *arguments, **options)

    return found


def _quantiles(x: Any, q: Any, axis: Any) -> Any:
    """Linear between the two nearest ranks; q first, then the axes that stay."""
    z = plain(x)
    axes = range(z.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    z = np.moveaxis(z, list(axes), range(-len(axes), 0))
    z = _ordered(z.reshape(*z.shape[: z.ndim - len(axes)], -1), -1)
    place = np.asarray(q) * (z.shape[-1] - 1)
    low = np.clip(np.floor(place).astype(int), 0, max(z.shape[-1] - 2, 0))
    high = np.minimum(low + 1, z.shape[-1] - 1)
    found = z[..., low] + (place - low) * (z[..., high] - z[..., low])
    return np.moveaxis(found, range(found.ndim - place.ndim, found.ndim), range(place.ndim))


def _quantile(function: Any, scale: float) -> Callable[..., Any]:
    def found(x: Any, q: Any, axis: Any = None, **options: Any) -> Any:
        if options.get("method", "linear") != "linear" or options.get("weights") is not None:
            raise NotCarried(function.__name__)
        value = function(_value(x), _value(q), axis, **options)
        return _joined(
            value, _quantiles(x, np.asarray(_value(q)) / scale, axis).imag.reshape(value.shape)
        )

    return found


def _median(x: Any, axis: Any = None, **options: Any) -> Any:
    value = np.asarray(np.median(_value(x), axis, **options))
    return _joined(value, _quantiles(x, 0.5, axis).imag.reshape(value.shape))


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    value, step = _parts(stepped(x))
    y = np.linalg.norm(value, ord, axis, keepdims=True)
    matrix = value.ndim == 2 if axis is None else isinstance(axis, tuple) and len(axis) == 2
    axes = axis if axis is not None else None
    if ord is None or ord == "fro" or (ord == 2 and not matrix):
        still, steps = y == 0, np.linalg.norm(step, None, axes, keepdims=True)
        _tied(still & (steps != 0))
        dots = (value / np.where(still, 1, y) * step).sum(axes, keepdims=True)
        found = _joined(y, np.where(still, steps, dots))
    elif not matrix:
        sizes = np.abs(x)
        if abs(ord) == np.inf:
            found = (np.max if ord > 0 else np.min)(sizes, axes, keepdims=True)
        elif ord == 0:
            found = (sizes != 0).astype(y.dtype).sum(axes, keepdims=True)
        else:
            found = (sizes**ord).sum(axes, keepdims=True) ** (1 / ord)
    else:
        rows, columns = axes or (0, 1)
        if ord in (2, -2, "nuc"):
            sizes = np.linalg.svd(np.moveaxis(x, (rows, columns), (-2, -1)), compute_uv=False)
            best = sizes.sum(-1) if ord == "nuc" else sizes[..., 0 if ord == 2 else -1]
        else:
            first, other = (rows, columns) if abs(ord) == 1 else (columns, rows)
            sums = np.abs(x).sum(first, keepdims=True)
            best = (np.max if ord > 0 else np.min)(sums, other, keepdims=True)
        found = best.reshape(y.shape)
    return found if keepdims else found.reshape(np.linalg.norm(value, ord, axis).shape)


def _axes(x: Any, axis: Any) -> tuple[int, ...]:
    return (
        tuple(range(np.ndim(x))) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    )


def _var(
    x: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, **options: Any
) -> Any:
    if dtype is not None or out is not None or set(options) - {"keepdims", "correction"}:
        raise NotCarried("var with dtype, out or where")
    ddof = options.pop("correction", ddof)
    value, step = _parts(stepped(x))
    axes = _axes(value, axis)
    found = np.asarray(np.var(value, axes, ddof=ddof, **options))
    count = math.prod(value.shape[i] for i in axes) - ddof
    centered = value - value.mean(axes, keepdims=True)
    steps = 2 * (centered * step).sum(axes) / count
    return _joined(found, steps.reshape(found.shape))


def _std(
    x: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, **options: Any
) -> Any:
    """Of numbers that are all equal, the deviation of their steps: one-sided, as the norm is."""
    variance = _var(x, axis, dtype, out, ddof, **options)
    step = _step(stepped(x))
    ddof = options.pop("correction", ddof)
    still, steps = variance.view(np.ndarray).real == 0, np.std(step, axis, ddof=ddof, **options)
    _tied(still & (steps != 0))
    root = np.sqrt(variance.view(np.ndarray).real)
    return _joined(
        root, np.where(still, steps, variance.view(np.ndarray).imag / np.where(still, 1, 2 * root))
    )


def _interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """By x, the slope of its piece; by fp, which is linear, the function itself; not by xp."""
    if period is not None or (_parts(xp)[1] is not None):
        raise NotCarried("interp by xp or with a period")
    (value, step), (fv, fs), xs = _parts(x), _parts(fp), np.asarray(_value(xp))
    found = np.asarray(np.interp(value, xs, fv, _value(left), _value(right)))
    total = np.zeros(found.shape)
    if step is not None:
        piece = np.clip(np.searchsorted(xs, value, "right") - 1, 0, len(xs) - 2)
        _tied(np.isin(value, xs) & (step != 0))
        slopes = np.diff(fv)[piece] / np.diff(xs)[piece]
        total = total + step * np.where((value < xs[0]) | (value > xs[-1]), 0, slopes)
    if fs is not None:
        ends = [None if one is None else _step(one) for one in (left, right)]
        total = total + np.interp(value, xs, fs, *ends)
    return _joined(found, total)


# Matrices: dA is the step of A ----------------------------------------------------------------


def _t(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def _lower(a: Any) -> Any:
    """A symmetric matrix by its lower triangle, which is all that NumPy reads."""
    return np.tril(a) + _t(np.tril(a, -1))


def _slogdet(a: Any) -> Any:
    value, step = _parts(stepped(a))
    sign, log = np.linalg.slogdet(value)
    slope = np.trace(np.linalg.solve(value, step), axis1=-2, axis2=-1)
    return type(np.linalg.slogdet(np.eye(1)))(sign, _joined(log, slope))


def _cholesky(a: Any, *, upper: bool = False) -> Any:
    """L⁻¹ dA L⁻ᵀ, its lower half with half its diagonal, is L⁻¹ dL."""
    value, step = _parts(stepped(_t(a) if upper else a))
    low = np.linalg.cholesky(value)
    inner = np.linalg.solve(low, _t(np.linalg.solve(low, _lower(step))))
    half = np.tril(inner) - 0.5 * inner * np.eye(inner.shape[-1])
    found = _joined(low, low @ half)
    return _t(found) if upper else found


def _eigh(a: Any, UPLO: str = "L") -> Any:
    """dw = diag(Qᵀ dA Q), and the eigenvectors turn by its other entries over differences of w."""
    value, step = _parts(stepped(_t(a) if UPLO.upper() == "U" else a))
    w, q = np.linalg.eigh(value)
    inner = _t(q) @ _lower(step) @ q
    apart = w[..., None, :] - w[..., :, None]
    off = (apart == 0) & (np.eye(w.shape[-1]) == 0)
    _tied(off & (inner != 0))
    turn = np.where(apart == 0, 0, inner / np.where(apart == 0, 1, apart))
    steps = np.diagonal(inner, axis1=-2, axis2=-1)
    return type(np.linalg.eigh(np.eye(1)))(_joined(w, steps), _joined(q, q @ turn))


def _eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return _eigh(a, UPLO)[0]


def _svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """ds = diag(Uᵀ dA V)."""
    if compute_uv or hermitian:
        raise NotCarried("svd with compute_uv=True")
    value, step = _parts(stepped(a))
    u, s, vt = np.linalg.svd(value, full_matrices=False)
    _tied((np.diff(s, axis=-1) == 0) | (s[..., 1:] == 0))
    return _joined(s, np.einsum("...ji,...jk,...ik->...i", u, step, vt))


def _svdvals(x: Any, /) -> Any:
    return _svd(x, compute_uv=False)


def _pinv(a: Any, *arguments: Any, **options: Any) -> Any:
    """Of full rank: where it changes, the inverse jumps."""
    value, step = _parts(stepped(a))
    p, (m, n) = np.linalg.pinv(value, *arguments, **options), value.shape[-2:]
    rest = p @ _t(p) @ _t(step) @ (np.eye(m) - value @ p)
    rest = rest + (np.eye(n) - p @ value) @ _t(step) @ _t(p) @ p
    return _joined(p, rest - p @ step @ p)


def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, **rest: Any
) -> Any:
    if y is not None or rest:
        raise NotCarried("cov with y or weights")
    x = np.atleast_2d(m) if rowvar or np.ndim(m) == 1 else np.transpose(m)
    centered = x - x.mean(1, keepdims=True)
    return (
        centered @ centered.T / (x.shape[1] - (int(not bias) if ddof is None else ddof))
    ).squeeze()


def _corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    found = _cov(x, y, rowvar)
    root = np.sqrt(np.diagonal(found)) if np.ndim(found) else np.sqrt(found)
    return found / np.expand_dims(root, -1) / root if np.ndim(found) else found / found


def _nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    value, step = _parts(stepped(x))
    if not copy:
        raise NotCarried("nan_to_num with copy=False")
    found = np.nan_to_num(value, nan=nan, posinf=posinf, neginf=neginf)
    return _joined(found, np.where(np.isfinite(value), step, 0))


def _round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    if out is not None:
        raise NotCarried("round with out")
    value, step = _parts(stepped(a))
    scaled = value * 10.0**decimals
    _tied((np.abs(scaled - np.trunc(scaled)) == 0.5) & (step != 0))
    return _joined(np.round(value, decimals), 0)


def _without_nan(name: str) -> Callable[..., Any]:
    """A function that skips NaN, where there is none."""

    def found(x: Any, *arguments: Any, **options: Any) -> Any:
        if np.isnan(_value(x)).any():
            raise NotCarried(f"nan{name} of NaN")
        return getattr(np, name)(x, *arguments, **options)

    return found


#: Functions whose step has its own rule.
_RULES: dict[Any, Callable[..., Any]] = {
    **{one: _like(one) for one in (np.zeros_like, np.ones_like, np.empty_like, np.full_like)},
    np.sort: _sort,
    np.partition: lambda x, kth, axis=-1, *more, **options: _ordered(x, axis),
    np.argsort: _arg(np.argsort, -1),
    np.argmax: _arg(np.argmax, None),
    np.argmin: _arg(np.argmin, None),
    np.nanargmax: _arg(np.nanargmax, None),
    np.nanargmin: _arg(np.nanargmin, None),
    np.median: _median,
    np.quantile: _quantile(np.quantile, 1.0),
    np.percentile: _quantile(np.percentile, 100.0),
    np.ptp: lambda x, axis=None, **options: np.max(x, axis, **options) - np.min(x, axis, **options),
    np.var: _var,
    np.std: _std,
    np.cov: _cov,
    np.corrcoef: _corrcoef,
    np.interp: _interp,
    np.round: _round,
    np.around: _round,
    np.nan_to_num: _nan_to_num,
    np.real: lambda x: stepped(x),
    np.imag: lambda x: np.zeros(np.shape(x)),
    **{
        getattr(np, f"nan{name}"): _without_nan(name)
        for name in ("var", "std", "median", "quantile", "percentile")
    },
    np.unwrap: lambda p, *more, **options: _joined(
        np.unwrap(_value(p), *more, **options), _step(p)
    ),
    np.linalg.norm: _norm,
    np.linalg.slogdet: _slogdet,
    np.linalg.cholesky: _cholesky,
    np.linalg.eigh: _eigh,
    np.linalg.eigvalsh: _eigvalsh,
    np.linalg.svd: _svd,
    np.linalg.svdvals: _svdvals,
    np.linalg.pinv: _pinv,
    np.linalg.matrix_norm: lambda x, /, *, keepdims=False, ord="fro": _norm(
        x, ord, (-2, -1), keepdims
    ),
    np.linalg.vector_norm: lambda x, /, *, axis=None, keepdims=False, ord=2: (
        _norm(x if axis is not None else np.ravel(x), ord, axis, keepdims)
        if axis is not None or not keepdims
        else _refuse("vector_norm of all axes with keepdims")
    ),
}


def _refuse(name: str) -> Any:
    raise NotCarried(name)


def _by(function: Any) -> Any:
    """A method of arrays by the function of the same name."""

    def method(self: "Step", *arguments: Any, **options: Any) -> Any:
        return function(self, *arguments, **options)

    return method


def _refused(name: str) -> Any:
    def method(self: "Step", *arguments: Any, **options: Any) -> Any:
        raise NotCarried(name)

    return method


_KNOWN = (np.ndarray, np.generic, int, float, complex, list, tuple, type(None))


class Step(np.ndarray[Any, Any]):
    """A complex array that is computed as the real one that it stands for.

    Example:
        >>> x = stepped(np.array([-3.0, 4.0]) + 1e-20j * np.array([1.0, 0.0]))
        >>> plain(np.abs(x)).imag / 1e-20
        array([-1.,  0.])
        >>> print(plain(np.linalg.norm(x)).imag / 1e-20)
        -0.6
    """

    __array_priority__ = 1000.0

    def __array_finalize__(self, given: Any) -> None:
        if self.dtype.kind != "c":
            raise NotCarried(f"conversion to {self.dtype}")

    def __array_ufunc__(
        self,
        ufunc: Any,
        method: str,
        *inputs: Any,
        out: Any = None,
        where: Any = True,
        **options: Any,
    ) -> Any:
        outs = () if out is None else out
        if not all(isinstance(one, _KNOWN) for one in (*inputs, *outs)):
            return NotImplemented
        options = {k: v for k, v in options.items() if k not in ("casting", "order", "subok")}
        if options.get("dtype") is not None and ufunc.__name__ not in _FLAT:
            dtype = _complex(options["dtype"])
            options["dtype"] = dtype.type().real.dtype if method == "__call__" else dtype
        if ufunc.__name__ in _FLAT and method != "__call__":
            return getattr(ufunc, method)(*map(_value, inputs), where=where, **options)
        if method == "__call__":
            found = _called(ufunc, inputs, options)
        elif method == "reduce":
            found = _METHODS[method](
                ufunc, *inputs, **options, **({} if where is True else {"where": where})
            )
        else:
            found = _METHODS[method](ufunc, *inputs, **options)
        return _into(outs, _wrapped(found), where, ufunc.__name__)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in _RULES:
            return _wrapped(_RULES[func](*args, **kwargs))
        if func in _WRITING and not _steps(args[0]):
            raise NotCarried(f"{func.__name__} into an array of {args[0].dtype}")
        if func in _WRITING | _ANALYTIC | _KINDS:
            return _wrapped(func(*plain(args), **plain(kwargs)))
        if func in _QUESTIONS:
            return func(*_value(args), **_value(kwargs))
        if func in _BILINEAR:
            out = kwargs.pop("out", None)
            return _into(
                () if out is None else (out,), _multilinear(func, args, kwargs), True, "out"
            )
        if func in _WRITTEN:
            return _wrapped(super().__array_function__(func, types, args, kwargs))
        raise NotCarried(f"{func.__module__}.{func.__name__}")

    def __getitem__(self, index: Any) -> Any:
        return _wrapped(super().__getitem__(index))

    def __repr__(self) -> str:
        return f"Step({self.view(np.ndarray)!r})"

    def __str__(self) -> str:
        return str(self.view(np.ndarray))

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        value, step = _parts(self)
        _tied((value == 0) & (step != 0))
        return bool(value)

    def __int__(self) -> int:
        return int(np.trunc(self).view(np.ndarray).real)

    def astype(self, dtype: Any, *arguments: Any, **options: Any) -> Any:
        """The step in another precision; integers and booleans are cut off, and do not move."""
        kind = np.dtype(dtype).kind
        if kind in "biu":
            value = _value(self != 0 if kind == "b" else np.trunc(self))
            return value.astype(dtype, *arguments, **options)
        return stepped(super().astype(_complex(dtype), *arguments, **options))

    def view(self, *arguments: Any, **options: Any) -> Any:
        """A view as another class; another dtype would take the step apart."""
        if options or not all(
            isinstance(one, type) and issubclass(one, np.ndarray) for one in arguments
        ):
            raise NotCarried("view")
        return super().view(*arguments)

    def sort(self, *arguments: Any, **options: Any) -> None:
        """In place."""
        self[...] = np.sort(self, *arguments, **options)

    real: Any = property(lambda self: self)
    imag: Any = property(lambda self: np.zeros(self.shape))
    flat: Any = property(lambda self: self.reshape(-1, copy=False))
    argmax: Any = _by(np.argmax)
    argmin: Any = _by(np.argmin)
    argsort: Any = _by(np.argsort)
    argpartition: Any = _by(np.argpartition)
    dot: Any = _by(np.dot)
    nonzero: Any = _by(np.nonzero)
    round: Any = _by(np.round)
    searchsorted: Any = _by(np.searchsorted)
    std: Any = _by(np.std)
    trace: Any = _by(np.trace)
    var: Any = _by(np.var)
    __float__: Any = _refused("float")
    __complex__: Any = _refused("complex")
    item: Any = _refused("item")
    tolist: Any = _refused("tolist")
    tobytes: Any = _refused("tobytes")
    partition: Any = _refused("partition in place")


def _into(outs: Any, found: Any, where: Any, name: str) -> Any:
    """What was found, or the arrays that were given for it."""
    if not outs:
        return found
    for out, one in zip(outs, found if isinstance(found, tuple) else (found,), strict=True):
        if out is not None:
            if isinstance(one, Step) and not _steps(out):
                raise NotCarried(f"{name} into an array of {out.dtype}")
            np.copyto(plain(out), plain(one), where=where, casting="same_kind")
    return outs[0] if len(outs) == 1 else outs
