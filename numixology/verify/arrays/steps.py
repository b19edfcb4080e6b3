"""Complex steps that survive NumPy.

The imaginary part of a :class:`Step` is h times a derivative. NumPy's own complex arrays lose it in
``np.abs`` and ``np.linalg.norm``, and leave the real line in ``np.sqrt(-1.0)``. A Step is computed
as the real function that was meant: the function itself on the real parts, and the chain rule on
the imaginary ones,

    f(x + i h d) = f(x) + i h ⟨∇f(x), d⟩.

Where f is analytic, NumPy's complex arithmetic does the latter. What has no rule here raises
:class:`NotCarried`, so that no NumPy function which is given a Step returns without its derivative.

**At a tie**, where f has a kink, the derivative is one-sided: along the step, so that a step and
its opposite give both slopes. (|x| at 0 moves by |h d|, the maximum of equals by the larger of
their steps, sorting puts the smaller step first, the norm of 0 moves by the norm of the step.)
Where f jumps, and in comparisons, only the real parts decide: the function stays on the branch that
it takes at x itself, with the slope of that branch. Under :func:`along` the steps of equal numbers
decide which of them is the larger, and the branch is the one that the step leads to.
:func:`met` counts all of these.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from inspect import signature
from typing import Any

import numpy as np

from ...array import Array, Setting, ignoring_fp_errors
from ...errors import DTypeError

__all__ = ["Met", "NotCarried", "Step", "mapped", "along", "met", "plain", "stepped"]


class NotCarried(DTypeError):
    """What a complex step is not carried through, by name; a TypeError."""

    def __init__(self, name: str, *_: str) -> None:
        invariant = "a complex step passes only through functions whose slopes are known"
        super().__init__(invariant, name, "take real differences")

    def __reduce__(self) -> tuple[Any, ...]:
        return NotCarried, (self.args[1],)


class Met:
    """What steps met while a function ran.

    Attributes:
        ties: how many operations met equality where their function has a kink or a jump, in an
            entry that the step moves, or an infinite slope.
        precision: the narrowest dtype that a step passed through, float64 or float32.
    """

    def __init__(self) -> None:
        self.ties, self.precision = 0, "float64"


_SEEN: ContextVar[Met | None] = ContextVar("seen", default=None)
_ALONG: ContextVar[bool] = ContextVar("along", default=False)


@contextmanager
def met() -> Iterator[Met]:
    """Record what steps meet inside the ``with`` block, in this thread or task."""
    seen = Met()
    with Setting(_SEEN, seen):
        yield seen


@contextmanager
def along() -> Iterator[None]:
    """Inside the ``with`` block, let the steps of equal numbers decide which is the larger."""
    with Setting(_ALONG, True):
        yield


def _tied(ties: Any) -> None:
    if (seen := _SEEN.get()) and np.any(ties):
        seen.ties += 1


# A step and its parts -----------------------------------------------------------------------


def stepped(z: Array) -> "Step":
    """The complex array ``z`` as a Step, in the same memory."""
    z = np.asarray(z)
    if z.dtype.char == "F" and (seen := _SEEN.get()):
        seen.precision = "float32"
    return z.view(Step)


def plain(tree: Any) -> Any:
    """``tree``, nested tuples, lists and dicts, with plain complex arrays for its Steps."""
    return mapped(lambda one: np.asarray(one) if isinstance(one, Step) else one, tree)


def mapped(change: Callable[[Any], Any], tree: Any) -> Any:
    """``tree``, nested tuples, lists and dicts, with everything in it changed."""
    if isinstance(tree, dict):
        return {key: mapped(change, one) for key, one in tree.items()}
    if isinstance(tree, tuple | list):
        found = [mapped(change, one) for one in tree]
        return type(tree)(*found) if hasattr(tree, "_fields") else type(tree)(found)
    return change(tree)


def _wrapped(found: Any) -> Any:
    """Complex results as Steps; what is real stays as it is."""
    return mapped(lambda one: stepped(one) if _is_complex(one) else one, found)


def _is_complex(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "c"


def _parts(x: Any) -> tuple[Any, Any]:
    """Value and step, which is None for what does not move.

    A plain complex array is a Step that went through ``np.asarray``, if it is almost real.
    """
    if isinstance(x, Step):
        z = np.asarray(x)
        return z.real, z.imag
    if not isinstance(x, complex) and not _is_complex(x):
        return x, None
    value, step = np.real(x), np.imag(x)
    if np.max(np.abs(step), initial=0) > 2.0**-10 * np.max(np.abs(value), initial=2.0**-10):
        raise NotCarried("complex numbers")
    return value, step if np.any(step) else None


def _value(tree: Any) -> Any:
    return mapped(lambda one: _parts(one)[0], tree)


def _step(x: Any) -> Any:
    step = _parts(x)[1]
    return np.zeros(np.shape(x)) if step is None else step


def _joined(value: Any, step: Any) -> Any:
    """Value and step in one; what is no float does not move."""
    y = np.asarray(value)
    if y.dtype.kind != "f":
        return value
    z = np.empty(y.shape, np.result_type(y.dtype, np.complex64))
    z.real, z.imag = y, step
    return stepped(z)


def _complex(dtype: Any) -> np.dtype[Any]:
    """The dtype of a Step whose real part has this one."""
    if np.dtype(dtype).kind not in "fc" or np.dtype(dtype) == np.float16:
        raise NotCarried(f"a conversion to {np.dtype(dtype)}")
    return np.result_type(dtype, np.complex64)


# Ufuncs, by name: SciPy's among them ---------------------------------------------------------


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
    "conjugate": lambda y, x: (1,),
    "multiply": lambda y, a, b: (b, a),
    "divide": lambda y, a, b: (1 / b, -y / b),
    "power": lambda y, a, b: (
        b * a ** np.where(b == 0, 1.0, b - 1.0),
        y * np.log(np.where(a == 0, 1, a)),
    ),
    "float_power": lambda y, a, b: (
        b * a ** np.where(b == 0, 1.0, b - 1.0),
        y * np.log(np.where(a == 0, 1, a)),
    ),
    "cbrt": lambda y, x: (1 / (3 * y * y),),
    "ldexp": lambda y, x, n: (2.0**n, None),
    "arctan2": lambda y, a, b: (b / (a * a + b * b), -a / (a * a + b * b)),
    "logaddexp": lambda y, a, b: (_logistic(a - b), _logistic(b - a)),
    "logaddexp2": lambda y, a, b: (np.exp2(a - y), np.exp2(b - y)),
    "remainder": lambda y, a, b: (1, -np.floor_divide(a, b)),
    "fmod": lambda y, a, b: (1, -np.trunc(a / b)),
    "heaviside": lambda y, a, b: (0.0, a == 0),
    "expit": lambda y, x: (y * _logistic(-x),),
    "log_expit": lambda y, x: (_logistic(-x),),
    "logit": lambda y, x: (1 / (x * (1 - x)),),
    "gammaln": lambda y, x: (_digamma(x),),
    "entr": lambda y, x: (-np.log(x) - 1,),
    "rel_entr": lambda y, a, b: (np.log(a / b) + 1, -a / b),
    "kl_div": lambda y, a, b: (np.log(a / b), 1 - a / b),
    **dict.fromkeys(("deg2rad", "radians"), lambda y, x: (math.pi / 180,)),
    **dict.fromkeys(("rad2deg", "degrees"), lambda y, x: (180 / math.pi,)),
}


def _of_abs(y: Any, x: Any, dx: Any) -> Any:
    return np.where(x == 0, np.abs(dx), np.sign(x) * dx)


def _of_max(y: Any, a: Any, b: Any, da: Any, db: Any) -> Any:
    return np.where((a == y) & ((a != b) | (da >= db)), da, db)


def _of_min(y: Any, a: Any, b: Any, da: Any, db: Any) -> Any:
    return np.where((a == y) & ((a != b) | (da <= db)), da, db)


def _of_hypot(y: Any, a: Any, b: Any, da: Any, db: Any) -> Any:
    safe = np.where(y == 0, 1, y)
    return np.where(y == 0, np.hypot(da, db), a / safe * da + b / safe * db)


#: The step of functions with a kink, from the value, the arguments and their steps.
_KINKED: dict[str, Callable[..., Any]] = {
    "absolute": _of_abs,
    "fabs": _of_abs,
    "copysign": lambda y, a, b, da, db: np.copysign(1, b) * _of_abs(y, a, da),
    "maximum": _of_max,
    "fmax": _of_max,
    "minimum": _of_min,
    "fmin": _of_min,
    "hypot": _of_hypot,
}

_COMPARISONS = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
#: Steps, comparisons and other questions: nothing moves.
_FLAT = _COMPARISONS | {
    *("sign", "floor", "ceil", "rint", "trunc", "floor_divide", "signbit", "logical_and"),
    *("logical_or", "logical_not", "logical_xor", "isnan", "isinf", "isfinite"),
}
_ORDER = {"less", "less_equal", "greater", "greater_equal"}
#: Linear in all arguments together, and in every one.
_SUMS = {"add", "subtract", "positive", "negative"}
_PRODUCTS = {"matmul", "vecdot", "matvec", "vecmat"}
#: By other ufuncs.
_COMPOSED: dict[str, Callable[..., Any]] = {
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "divmod": lambda a, b: (np.floor_divide(a, b), np.remainder(a, b)),
    "frexp": lambda x: (np.ldexp(x, -np.frexp(_value(x))[1]), np.frexp(_value(x))[1]),
    "modf": lambda x: (x - np.trunc(x), np.trunc(x)),
}

#: Where there is a tie, from the value y, the arguments and their steps. The last ones have an
#: infinite slope there, which shows what no step does: the root of x² has a kink where x² rests.
_TIES: dict[str, Callable[..., Any]] = {
    "rint": lambda y, x, dx: (np.abs(x - np.trunc(x)) == 0.5) & (dx != 0),
    "heaviside": lambda y, a, b, da, db: (a == 0) & (da != 0),
    "hypot": lambda y, a, b, da, db: (y == 0) & ((da != 0) | (db != 0)),
    "arctan2": lambda y, a, b, da, db: (a == 0) & (b <= 0) & ((da != 0) | (db != 0)),
    **dict.fromkeys(
        ("absolute", "fabs", "sign", "signbit", "logical_not"),
        lambda y, x, dx: (x == 0) & (dx != 0),
    ),
    **dict.fromkeys(("floor", "ceil", "trunc"), lambda y, x, dx: (x == np.rint(x)) & (dx != 0)),
    **dict.fromkeys(
        ("remainder", "fmod", "floor_divide"),
        lambda y, a, b, da, db: (np.fmod(a, b) == 0) & (da != np.rint(a / b) * db),
    ),
    **dict.fromkeys(
        ("copysign", "logical_and", "logical_or", "logical_xor"),
        lambda y, a, b, da, db: ((a == 0) & (da != 0)) | ((b == 0) & (db != 0)),
    ),
    **dict.fromkeys(
        ("maximum", "minimum", "fmax", "fmin", *_COMPARISONS),
        lambda y, a, b, da, db: (a == b) & (da != db),
    ),
    **dict.fromkeys(("sqrt", "cbrt", "log", "log2", "log10", "entr"), lambda y, x, dx: x == 0),
    **dict.fromkeys(("arcsin", "arccos", "arccosh", "arctanh"), lambda y, x, dx: abs(x) == 1),
    **dict.fromkeys(
        ("power", "float_power"), lambda y, a, b, da, db: (a == 0) & (b != np.rint(b)) & (b < 1)
    ),
}


def _called(ufunc: np.ufunc, *inputs: Any, **options: Any) -> Any:
    """A ufunc of Steps."""
    name = ufunc.__name__
    if name in _COMPOSED:
        return _COMPOSED[name](*inputs)
    values, steps = zip(*map(_parts, inputs), strict=True)
    if name in _SUMS:
        return ufunc(*plain(inputs), **options)
    if options.get("dtype") is not None:
        options["dtype"] = options["dtype"].type().real.dtype
    if name in _PRODUCTS:
        return _multilinear(ufunc, inputs, options)
    y = ufunc(*values, **options)
    with ignoring_fp_errors():
        numbers = [_number(value) for value in values]
        arguments = [y, *numbers, *(0.0 if step is None else step for step in steps)]
        if name in _TIES:
            _tied(_TIES[name](*arguments))
        if name in _ORDER and _ALONG.get():
            a, b, da, db = arguments[1:]
            y = np.where(a == b, ufunc(da, db), y)
        if name in _FLAT:
            return _joined(y, 0)
        if name in _KINKED:
            return _joined(y, _KINKED[name](*arguments))
        if name in _SLOPES:
            slopes = _SLOPES[name](y, *numbers)
            pairs = zip(slopes, steps, strict=True)
            return _joined(y, sum(_times(slope, dx) for slope, dx in pairs if dx is not None))
        if _is_analytic(ufunc):
            dy = ufunc(*plain(inputs)).imag
            return _joined(y, np.where(np.isnan(y), np.nan, dy))
    raise NotCarried(name)


@cache
def _is_analytic(ufunc: np.ufunc) -> bool:
    """Of what has no rule here, whether it is defined on complex numbers."""
    return "D->D" in ufunc.types or "DD->D" in ufunc.types


def _number(x: Any) -> Any:
    """What is not an array of floats is made one: slopes divide by it."""
    return x if isinstance(x, np.ndarray) and x.dtype.kind == "f" else np.multiply(x, 1.0)


def _times(slope: Any, step: Any) -> Any:
    """The product; what rests has no step, even under an infinite slope."""
    product = slope * step
    return np.where(step == 0, 0, product) if np.isnan(product).any() else product


def _multilinear(function: Any, inputs: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """A function that is linear in every array that it is given: the product rule."""
    values, steps = zip(*map(_parts, inputs), strict=True)
    moves = [
        function(*values[:i], step, *values[i + 1 :], **options)
        for i, step in enumerate(steps)
        if step is not None
    ]
    return _joined(function(*values, **options), sum(moves))


def _method(ufunc: np.ufunc, method: str, x: Any, *more: Any, **options: Any) -> Any:
    """What ufuncs do along an axis, in pairs, or in places."""
    name, native = ufunc.__name__, getattr(ufunc, method)
    if name in _FLAT:
        return native(*_value((x, *more)), **options)
    if method == "at" and not _is_complex(x):
        raise NotCarried(f"{name}.at on an array of {x.dtype}")
    if method == "outer":
        return ufunc(np.reshape(x, np.shape(x) + (1,) * np.ndim(more[0])), *more, **options)
    if name in ("add", "multiply") or (name == "subtract" and method == "at"):
        return native(*plain((x, *more)), **options)
    if name in ("maximum", "minimum", "fmax", "fmin") and method == "reduce":
        found = native(*plain((x, *more)), **options)
        kept = native(*plain((x, *more)), **{**options, "keepdims": True})
        _tied((_value(x) == kept.real) & (_step(x) != kept.imag))
        return found
    axis = options.pop("axis", 0)
    if method not in ("reduce", "accumulate") or options.pop("keepdims", False) or options:
        raise NotCarried(f"{name}.{method}")
    rows = list(itertools.accumulate(np.moveaxis(x, axis, 0), ufunc))
    return rows[-1] if method == "reduce" else np.stack(rows, axis)


# Functions of arrays ---------------------------------------------------------------------------


def _named(home: Any, names: str) -> set[Any]:
    return {getattr(home, name) for name in names.split() if hasattr(home, name)}


#: They move entries, are polynomials or analytic: right in NumPy's complex arithmetic.
_ANALYTIC = (
    _named(
        np,
        "append array_split atleast_1d atleast_2d atleast_3d block broadcast_arrays broadcast_to "
        "choose column_stack concat concatenate copy cross delete diag diagflat diagonal diff "
        "dsplit dstack ediff1d expand_dims flip fliplr flipud gradient hsplit hstack insert kron "
        "linspace matrix_transpose meshgrid moveaxis pad permute_dims poly polyadd polyder "
        "polyint polymul polysub polyval ravel repeat reshape resize roll rollaxis rot90 select "
        "split squeeze stack swapaxes take take_along_axis tile trace transpose trapezoid tril "
        "triu unstack vander vsplit vstack where",
    )
    | _named(
        np.linalg,
        "cross det diagonal inv matrix_power matrix_transpose multi_dot solve tensorinv "
        "tensorsolve trace",
    )
    | _named(np.fft, "fftshift ifftshift")
)
#: Linear in every array.
_BILINEAR = _named(np, "convolve correlate dot einsum inner outer tensordot vdot") | _named(
    np.linalg, "matmul outer tensordot vecdot"
)
#: They write into their first argument.
_WRITING = _named(np, "copyto fill_diagonal place put put_along_axis putmask")
#: They answer about the real parts, by what does not move.
_QUESTIONS = _named(
    np,
    "allclose argwhere array2string array_equal array_equiv array_repr array_str count_nonzero "
    "flatnonzero isclose ndim nonzero shape size",
) | _named(np.linalg, "matrix_rank")
#: They are asked what a complex array is.
_KINDS = _named(
    np,
    "can_cast common_type diag_indices_from einsum_path iscomplexobj isrealobj may_share_memory "
    "min_scalar_type result_type shares_memory",
)
#: They are written in terms of others.
_WRITTEN = _named(
    np,
    "all amax amin any apply_along_axis apply_over_axes average clip cumprod cumsum "
    "cumulative_prod cumulative_sum fix isneginf isposinf max mean min nancumprod nancumsum "
    "nanmax nanmean nanmin nanprod nansum piecewise prod sinc sum",
)


def _ordered(x: Any, axis: Any = -1) -> Any:
    """Sorted along an axis, by value and then by step; equal neighbors are ties."""
    z = np.sort(plain(x), axis)
    along = -1 if axis is None else axis
    _tied((np.diff(z.real, axis=along) == 0) & (np.diff(z.imag, axis=along) != 0))
    return z


def _sort(y: Any, x: Any, axis: Any = -1, kind: Any = None, *, stable: Any = None) -> Any:
    """The step of each value that was sorted, wherever it lies now."""
    steps, along = np.empty(y.shape), -1 if axis is None else axis
    np.put_along_axis(steps, np.argsort(y, along, "stable"), _ordered(x, axis).imag, along)
    return steps


def _partition(y: Any, x: Any, kth: Any, axis: Any = -1) -> Any:
    return _sort(y, x, axis)


def _argument(y: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> float:
    _ordered(x, axis)
    return 0.0


def _place(y: Any, x: Any, axis: Any = -1, kind: Any = None, *, stable: Any = None) -> float:
    return _argument(y, x, axis)


def _zeros(y: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> float:
    _tied((_value(x) == 0) & (_step(x) != 0))
    return 0.0


def _search(y: Any, a: Any, v: Any, side: str = "left", *, right: bool = False) -> float:
    """Also of digitize, which has the two the other way round."""
    a, v = np.ravel(a), np.ravel(v)
    _tied((_value(a)[:, None] == _value(v)) & (_step(a)[:, None] != _step(v)))
    return 0.0


def _where(y: Any, condition: Any, *values: Any) -> Any:
    _zeros(y, condition)
    return np.where(_value(condition), *map(_step, values)) if values else 0.0


def _round(y: Any, a: Any, decimals: int = 0) -> float:
    x = _value(a) * 10.0**decimals
    _tied((np.abs(x - np.trunc(x)) == 0.5) & (_step(a) != 0))
    return 0.0


def _unique(y: Any, ar: Any) -> Any:
    _ordered(ar, None)
    return np.ravel(_step(ar))[np.unique(_value(ar), return_index=True)[1]]


def _quantile(y: Any, x: Any, q: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Linear between the two nearest ranks; q's axes stand first."""
    if _parts(q)[1] is not None:
        raise NotCarried("quantile by q")
    z = plain(x)
    axes = range(z.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    z = np.moveaxis(z, list(axes), range(-len(axes), 0))
    z = _ordered(z.reshape(*z.shape[: z.ndim - len(axes)], -1)).imag
    place = np.asarray(q) * (z.shape[-1] - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, z.shape[-1] - 1)
    found = z[..., low] + (place - low) * (z[..., high] - z[..., low])
    return np.moveaxis(found, range(found.ndim - place.ndim, found.ndim), range(place.ndim))


def _percentile(y: Any, x: Any, q: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _quantile(y, x, np.divide(q, 100), axis)


def _median(y: Any, x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _quantile(y, x, 0.5, axis)


def _without_nan(function: Any) -> Callable[..., Any]:
    """Of a function that skips NaN, the rule of the one that does not, where there are none."""

    def rule(y: Any, x: Any, *more: Any, **options: Any) -> Any:
        if np.isnan(_value(x)).any():
            raise NotCarried(f"nan{function.__name__} of NaN")
        return _RULES[function](y, x, *more, **options)

    return rule


def _var(y: Any, a: Any, axis: Any = None, *, ddof: Any = 0, keepdims: bool = False) -> Any:
    x, count = _value(a), np.size(a) / max(np.size(y), 1)
    moves = (x - x.mean(axis, keepdims=True)) * _step(a)
    return 2 * moves.sum(axis, keepdims=keepdims) / (count - ddof)


def _std(y: Any, a: Any, axis: Any = None, *, ddof: Any = 0, keepdims: bool = False) -> Any:
    """Of equal numbers, the deviation of their steps."""
    steps = np.std(_step(a), axis, ddof=ddof, keepdims=keepdims)
    _tied((y == 0) & (steps != 0))
    moves = _var(y, a, axis, ddof=ddof, keepdims=keepdims)
    return np.where(y == 0, steps, moves / np.where(y == 0, 1, 2 * y))


def _cov(y: Any, m: Any, *, rowvar: bool = True, bias: bool = False, ddof: Any = None) -> Any:
    x = np.atleast_2d(plain(m) if rowvar else plain(m).T)
    x = x - x.mean(1, keepdims=True)
    return (x @ x.T / (x.shape[1] - ((not bias) if ddof is None else ddof))).imag


def _corrcoef(y: Any, x: Any, *, rowvar: bool = True) -> Any:
    found = np.atleast_2d(
        stepped(_joined(np.cov(_value(x), rowvar=rowvar), _cov(y, x, rowvar=rowvar)))
    )
    std = np.sqrt(np.diagonal(found))
    return _step(found / std / std[:, None])


def _interp(y: Any, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """The slope of its piece by x, and linear in what it interpolates."""
    value, xs, ends = _value(x), np.asarray(_value(xp)), (left, right)
    if _parts(xp)[1] is not None:
        raise NotCarried("interp by xp")
    _tied(np.isin(value, xs) & (_step(x) != 0))
    piece = np.clip(np.searchsorted(xs, value, "right") - 1, 0, len(xs) - 2)
    slope = (np.diff(_value(fp)) / np.diff(xs))[piece]
    moves = np.interp(value, xs, _step(fp), *[one and _step(one) for one in ends])
    return moves + np.where((value < xs[0]) | (value > xs[-1]), 0, slope) * _step(x)


def _norm(y: Any, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Where a norm is 0, it is that of the step."""
    moves = np.reshape(_of_norm(x, ord, axis), np.shape(y))
    if ord is not None and not isinstance(ord, str) and ord <= 0:
        return moves
    steps = np.reshape(np.linalg.norm(_step(x), ord, axis), np.shape(y))
    _tied((y == 0) & (steps != 0))
    return np.where(y == 0, steps, moves)


def _of_norm(x: Any, ord: Any, axis: Any) -> Any:
    matrix = np.ndim(x) == 2 if axis is None else isinstance(axis, tuple) and len(axis) == 2
    if ord in (None, "fro") or (ord == 2 and not matrix):
        y = np.linalg.norm(_value(x), None, axis, keepdims=True)
        return (_value(x) / np.where(y == 0, 1, y) * _step(x)).sum(axis)
    far = np.max if isinstance(ord, str) or ord > 0 else np.min
    if not matrix:
        sizes = np.abs(x)
        if ord in (np.inf, -np.inf):
            return _step(far(sizes, axis))
        return _step((sizes**ord).sum(axis) ** (1 / ord)) if ord else _step((sizes != 0).sum(axis))
    a = np.moveaxis(x, axis or (0, 1), (-2, -1))
    if ord in (1, -1, np.inf, -np.inf):
        return _step(far(np.abs(a).sum(-2 if abs(ord) == 1 else -1), -1))
    values = np.linalg.svd(a, compute_uv=False)
    return _step(values.sum(-1) if ord == "nuc" else far(values, -1))


# Matrices: dA is the step of A ------------------------------------------------------------------


def _t(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def _symmetric(a: Any, upper: bool) -> Any:
    """By one triangle, which is all that NumPy reads."""
    half = np.triu(a, 1) if upper else np.tril(a, -1)
    return half + _t(half) + a * np.eye(a.shape[-1])


def _slogdet(y: Any, a: Any) -> Any:
    """d log |det A| = tr A⁻¹ dA."""
    return 0.0, np.trace(np.linalg.solve(_value(a), _step(a)), axis1=-2, axis2=-1)


def _cholesky(y: Any, a: Any, *, upper: bool = False) -> Any:
    """L⁻¹ dL is the lower half of L⁻¹ dA L⁻ᵀ, with half its diagonal."""
    low = _t(y) if upper else y
    inner = np.linalg.solve(low, _t(np.linalg.solve(low, _symmetric(_step(a), upper))))
    found = low @ (np.tril(inner) - inner * np.eye(inner.shape[-1]) / 2)
    return _t(found) if upper else found


def _eigh(y: Any, a: Any, UPLO: str = "L") -> Any:
    """dw = diag Qᵀ dA Q, and Q turns by its other entries over the differences of w."""
    w, q = y
    inner = _t(q) @ _symmetric(_step(a), UPLO.upper() == "U") @ q
    apart = w[..., None, :] - w[..., :, None]
    _tied((apart == 0) & (np.eye(w.shape[-1]) == 0))
    turn = np.where(apart == 0, 0, inner / np.where(apart == 0, 1, apart))
    return np.diagonal(inner, axis1=-2, axis2=-1), q @ turn


def _eigvalsh(y: Any, a: Any, UPLO: Any = "L") -> Any:
    return _eigh(np.linalg.eigh(_value(a), UPLO), a, UPLO)[0]


def _svd(y: Any, a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """ds = diag Uᵀ dA V."""
    if compute_uv:
        raise NotCarried("svd with compute_uv=True")
    u, s, vt = np.linalg.svd(_value(a), full_matrices=False)
    _tied(s * np.append(s[..., 1:] != s[..., :-1], np.ones_like(s[..., :1]), -1) == 0)
    return np.einsum("...ji,...jk,...ik->...i", u, _step(a), vt)


def _pinv(y: Any, a: Any) -> Any:
    """Of full rank; where the rank changes it jumps."""
    x, dx, p = _value(a), _t(_step(a)), y
    left, right = np.eye(x.shape[-2]) - x @ p, np.eye(x.shape[-1]) - p @ x
    return p @ _t(p) @ dx @ left + right @ dx @ _t(p) @ p - p @ _t(dx) @ p


#: The steps of functions, from their value and arguments.
_RULES: dict[Any, Callable[..., Any]] = {
    np.argmax: _argument,
    np.argmin: _argument,
    np.argpartition: lambda y, x, kth, axis=-1: _argument(y, x, axis),
    np.argsort: _place,
    np.argwhere: _zeros,
    np.bincount: lambda y, x, weights=None, minlength=0: np.bincount(x, _step(weights), minlength),
    np.compress: lambda y, condition, a, axis=None: np.compress(_value(condition), _step(a), axis),
    np.corrcoef: _corrcoef,
    np.count_nonzero: _zeros,
    np.cov: _cov,
    np.digitize: _search,
    np.empty_like: lambda y, x, *, dtype=None, shape=None: 0.0,
    np.extract: lambda y, condition, arr: np.extract(_value(condition), _step(arr)),
    np.flatnonzero: _zeros,
    np.full_like: lambda y, x, fill, *, dtype=None, shape=None: _step(fill),
    np.imag: lambda y, x: 0.0,
    np.interp: _interp,
    np.median: _median,
    np.nan_to_num: lambda y, x, *, nan=0.0, posinf=None, neginf=None: np.where(
        np.isfinite(_value(x)), _step(x), 0
    ),
    np.nonzero: _zeros,
    np.ones_like: lambda y, x, *, dtype=None, shape=None: 0.0,
    np.partition: _partition,
    np.percentile: _percentile,
    np.ptp: lambda y, x, axis=None, *, keepdims=False: _step(np.max(x, axis) - np.min(x, axis)),
    np.quantile: _quantile,
    np.real: lambda y, x: _step(x),
    np.around: _round,
    np.round: _round,
    np.searchsorted: _search,
    np.sort: _sort,
    np.std: _std,
    np.unique: _unique,
    np.unwrap: lambda y, p, discont=None, axis=-1, *, period=0: _step(p),
    np.var: _var,
    np.where: _where,
    np.zeros_like: lambda y, x, *, dtype=None, shape=None: 0.0,
    np.nanargmax: _without_nan(np.argmax),
    np.nanargmin: _without_nan(np.argmin),
    np.nanmedian: _without_nan(np.median),
    np.nanpercentile: _without_nan(np.percentile),
    np.nanquantile: _without_nan(np.quantile),
    np.nanstd: _without_nan(np.std),
    np.nanvar: _without_nan(np.var),
    np.linalg.cholesky: _cholesky,
    np.linalg.eigh: _eigh,
    np.linalg.eigvalsh: _eigvalsh,
    np.linalg.matrix_norm: lambda y, x, *, ord="fro", keepdims=False: _norm(y, x, ord, (-2, -1)),
    np.linalg.norm: _norm,
    np.linalg.pinv: _pinv,
    np.linalg.slogdet: _slogdet,
    np.linalg.svd: _svd,
    np.linalg.svdvals: lambda y, x: _svd(y, x, compute_uv=False),
    np.linalg.vector_norm: lambda y, x, *, axis=None, ord=2, keepdims=False: _norm(
        y, np.ravel(x) if axis is None else x, ord, axis
    ),
}


def _ruled(function: Any, arguments: Any, options: Any) -> Any:
    """The function itself of the real parts, and the step of its value."""
    try:
        signature(_RULES[function]).bind(None, *arguments, **options)
    except TypeError:
        raise NotCarried(f"these arguments of {function.__name__}") from None
    y = function(*_value(arguments), **_value(options))
    steps = _RULES[function](y, *arguments, **options)
    if isinstance(y, tuple) and isinstance(steps, tuple):
        return type(y)(*map(_joined, y, steps))
    return _joined(y, np.reshape(steps, np.shape(y)) if np.size(steps) > 1 else steps)


def _by(function: Any) -> Any:
    return lambda self, *arguments, **options: function(self, *arguments, **options)


def _refused(name: str) -> Any:
    def refuse(self: Any, *arguments: Any, **options: Any) -> Any:
        raise NotCarried(name)

    return refuse


_KNOWN = (np.ndarray, np.generic, int, float, complex, list, tuple, type(None))


class Step(np.ndarray[Any, Any]):
    """A complex array that is computed as the real one that it stands for.

    ``np.asarray(x)``, ``np.array([x, y])`` and other libraries make plain complex arrays of Steps,
    without a word. So where a result is no Step, its imaginary part may be wrong or missing.

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
            raise NotCarried(f"a conversion to {self.dtype}")

    def __array_ufunc__(
        self,
        ufunc: Any,
        method: str,
        *inputs: Any,
        out: Any = (),
        where: Any = True,
        **options: Any,
    ) -> Any:
        """The real ufunc with its step."""
        if not all(isinstance(one, _KNOWN) for one in (*inputs, *out)):
            return NotImplemented
        options = {k: v for k, v in options.items() if k not in ("casting", "order", "subok")}
        if options.get("dtype") is not None and ufunc.__name__ not in _FLAT:
            options["dtype"] = _complex(options["dtype"])
        if method == "__call__":
            found = _called(ufunc, *inputs, **options)
            return _into(out, found if isinstance(found, Step) else _wrapped(found), where)
        if where is not True:
            options["where"] = _value(where)
        return _into(out, _wrapped(_method(ufunc, method, *inputs, **options)))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """The real function with its step."""
        if function in _RULES:
            return _ruled(function, args, kwargs)
        if function in _WRITING and not _is_complex(args[0]):
            raise NotCarried(f"{function.__name__} into an array of {np.asarray(args[0]).dtype}")
        if function in _WRITING | _ANALYTIC | _KINDS:
            return _wrapped(function(*plain(args), **plain(kwargs)))
        if function in _QUESTIONS:
            return function(*_value(args), **_value(kwargs))
        if function in _BILINEAR:
            out = kwargs.pop("out", None)
            return _into(() if out is None else (out,), _multilinear(function, args, kwargs))
        if function in _WRITTEN:
            return _wrapped(super().__array_function__(function, types, args, kwargs))
        raise NotCarried(f"{function.__module__}.{function.__name__}")

    def __getitem__(self, index: Any) -> Any:
        return _wrapped(super().__getitem__(index))

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Step({self.view(np.ndarray)!r})"

    def __str__(self) -> str:
        return str(self.view(np.ndarray))

    def __bool__(self) -> bool:
        return bool(_value(self != 0))

    def __int__(self) -> int:
        return int(_value(np.trunc(self)))

    def astype(self, dtype: Any, *arguments: Any, **options: Any) -> Any:
        """The step in another precision; integers and booleans do not move."""
        if np.dtype(dtype).kind in "biu":
            whole = self != 0 if np.dtype(dtype).kind == "b" else np.trunc(self)
            return np.asarray(_value(whole)).astype(dtype, *arguments, **options)
        return stepped(super().astype(_complex(dtype), *arguments, **options))

    def view(self, *classes: Any, **options: Any) -> Any:
        """A view as another class; as another dtype it would take the step apart."""
        if options or not all(isinstance(c, type) and issubclass(c, np.ndarray) for c in classes):
            raise NotCarried("a view of another dtype")
        return super().view(*classes)

    def sort(self, *arguments: Any, **options: Any) -> None:
        """Sort in place."""
        self[...] = np.sort(self, *arguments, **options)

    @property
    def flat(self) -> Any:
        """The entries in a row, in the same memory, so that they can be assigned to."""
        row = self.reshape(-1)
        if not np.shares_memory(row, self):
            raise NotCarried("flat of what is not contiguous")
        return row

    real: Any = property(lambda self: self)
    imag: Any = property(lambda self: np.zeros_like(self))
    argmax, argmin = _by(np.argmax), _by(np.argmin)
    argpartition, argsort, dot = _by(np.argpartition), _by(np.argsort), _by(np.dot)
    nonzero, round, searchsorted = _by(np.nonzero), _by(np.round), _by(np.searchsorted)
    std, trace, var = _by(np.std), _by(np.trace), _by(np.var)
    __float__, __complex__, item = _refused("float"), _refused("complex"), _refused("item")
    tolist, tobytes, partition = map(_refused, ("tolist", "tobytes", "partition in place"))


def _into(outs: Any, found: Any, where: Any = True) -> Any:
    """What was found, or the arrays that were given for it."""
    if not outs:
        return found
    results = found if isinstance(found, tuple) else (found,)
    for out, one in zip(outs, results, strict=True):
        if out is not None:
            if isinstance(one, Step) and not _is_complex(out):
                raise NotCarried(f"a result into an array of {out.dtype}")
            np.copyto(plain(out), plain(one), where=where, casting="same_kind")
    given = [one if out is None else out for out, one in zip(outs, results, strict=True)]
    return tuple(given) if isinstance(found, tuple) else given[0]
