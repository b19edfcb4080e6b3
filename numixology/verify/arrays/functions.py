"""How NumPy's functions of arrays carry a step.

Most need no rule: they move entries, or are analytic, so that complex arithmetic is right; or they
are linear in each array, so that the product rule is; or NumPy writes them in terms of others that
carry steps. Sorting is right on complex numbers too, since of equal values NumPy puts the smaller
step first.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .steps import ALONG, FUNCTIONS, joined, not_carried, plain, step_of, tied, value_of, written
from .ufuncs import multilinear

__all__: list[str] = []


def _native(function: Any) -> Callable[..., Any]:
    """By complex arithmetic."""
    return lambda *args, **options: function(*plain(args), **plain(options))


def _linear(function: Any) -> Callable[..., Any]:
    """By the product rule."""
    return lambda *args, out=None, **options: written(
        out, multilinear(partial(function, **plain(options)), args)
    )


def _conditional(function: Any) -> Callable[..., Any]:
    """Of a condition, which is 0 or not."""
    return lambda condition, *args, **options: function(
        np.not_equal(condition, 0), *plain(args), **plain(options)
    )


def _ordered(function: Any) -> Callable[..., Any]:
    """By the order of complex numbers; places in it, such as argsort, only along the step."""
    moves = not function.__name__.startswith("arg")

    def rule(x: Any, *args: Any, **options: Any) -> Any:
        z = np.sort(plain(x), None)
        tied((np.diff(z.real) == 0) & (np.diff(z.imag) != 0))
        return function(plain(x) if moves or ALONG.get() else value_of(x), *args, **options)

    return rule


def _question(function: Any) -> Callable[..., Any]:
    """About the values."""
    return lambda *args, **options: function(*value_of(args), **value_of(options))


def _by_numpy(function: Any) -> Callable[..., Any]:
    """As NumPy writes it in terms of others."""
    return lambda *args, **options: np.ndarray.__array_function__(
        np.empty(0), function, (), args, options
    )


def _carry(rule: Callable[..., Any], home: Any, names: str) -> None:
    found = [getattr(home, name) for name in names.split() if hasattr(home, name)]
    FUNCTIONS.update({function: rule(function) for function in found})


_carry(
    _native,
    np,
    "append array_split atleast_1d atleast_2d atleast_3d block broadcast_arrays broadcast_to "
    "choose column_stack concat concatenate copy copyto delete diag diagflat diagonal diff dsplit "
    "dstack empty_like expand_dims fill_diagonal flip fliplr flipud full_like gradient hsplit "
    "hstack insert iscomplexobj isrealobj linspace matrix_transpose may_share_memory meshgrid "
    "moveaxis ones_like pad permute_dims polyval put put_along_axis ravel repeat reshape resize "
    "result_type roll rollaxis rot90 select shares_memory split squeeze stack swapaxes take "
    "take_along_axis tile trace transpose trapezoid tril triu unstack vander vsplit vstack "
    "zeros_like",
)
_carry(_native, np.linalg, "det diagonal inv matrix_power matrix_transpose multi_dot solve trace")
_carry(_linear, np, "bincount convolve correlate cross dot einsum inner kron outer tensordot vdot")
_carry(_linear, np.linalg, "cross matmul outer tensordot vecdot")
_carry(_conditional, np, "argwhere compress count_nonzero extract flatnonzero nonzero where")
_carry(_ordered, np, "argmax argmin argpartition argsort median sort")
_carry(_question, np, "allclose array_equal array_equiv isclose ndim shape size")
_carry(_question, np.linalg, "matrix_rank")
_carry(
    _by_numpy,
    np,
    "all amax amin any apply_along_axis apply_over_axes average clip cumprod cumsum "
    "cumulative_prod cumulative_sum fix imag isneginf isposinf max mean min nancumprod nancumsum "
    "nanmax nanmean nanmin nanprod nansum prod real sinc sum",
)


# What needs a rule --------------------------------------------------------------------------


def _round(a: Any, decimals: int = 0) -> Any:
    return np.rint(a * 10.0**decimals) / 10.0**decimals


def _searchsorted(a: Any, v: Any, side: str = "left") -> Any:
    before = np.less if side == "left" else np.less_equal
    return np.sum(before(a, np.expand_dims(v, -1)), -1)


def _interp(x: Any, xp: Any, fp: Any) -> Any:
    """Linear in the piece where x lies."""
    xp, fp = np.asanyarray(xp), np.asanyarray(fp)
    x = np.clip(x, xp[0], xp[-1])
    k = np.clip(np.searchsorted(xp, x, "right") - 1, 0, len(xp) - 2)
    return fp[k] + (x - xp[k]) / (xp[k + 1] - xp[k]) * (fp[k + 1] - fp[k])


def _partition(x: Any, kth: Any, axis: Any = -1) -> Any:
    """What was sorted, in the places that NumPy gives it."""
    ordered = np.sort(x, axis)
    places = np.argsort(np.partition(value_of(x), kth, axis), axis, "stable")
    np.put_along_axis(found := np.empty_like(ordered), places, ordered, axis)
    return found


def _quantile(x: Any, q: Any, axis: Any = None) -> Any:
    """Linear between the two nearest ranks; q's axes stand first."""
    axes = range(np.ndim(x)) if axis is None else np.atleast_1d(axis)
    rows = np.moveaxis(x, axes, range(-len(axes), 0))
    rows = np.sort(rows.reshape(*rows.shape[: rows.ndim - len(axes)], -1))
    ranks = np.arange(rows.shape[-1])
    away = np.abs(np.expand_dims(np.multiply(q, ranks[-1]), -1) - ranks)
    return np.tensordot(np.maximum(1 - away, 0), rows, (-1, -1))


def _centered(a: Any, axis: Any, ddof: Any) -> tuple[Any, Any]:
    """The deviations from the mean, and how many degrees of freedom they have."""
    mean = np.mean(a, axis, keepdims=True)
    return a - mean, max(np.size(a) / max(np.size(mean), 1) - ddof, 0)


def _var(a: Any, axis: Any = None, *, ddof: Any = 0, keepdims: bool = False) -> Any:
    centered, freedom = _centered(a, axis, ddof)
    return np.sum(np.square(centered), axis, keepdims=keepdims) / freedom


def _std(a: Any, axis: Any = None, *, ddof: Any = 0, keepdims: bool = False) -> Any:
    centered, freedom = _centered(a, axis, ddof)
    return _norm(centered, None, axis, keepdims) / np.sqrt(freedom)


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Where it is 0, it moves by the norm of the step."""
    is_matrix = np.ndim(x) > 1 if axis is None else np.size(axis) > 1
    along: dict[Any, Any] = {1: np.sum, np.inf: np.max, -np.inf: np.min}
    if ord in along and not is_matrix:
        return along[ord](np.abs(x), axis, keepdims=keepdims)
    if ord not in (None, "fro", 2) or (ord == 2 and is_matrix):
        raise not_carried(f"a norm of order {ord}")
    value, step = value_of(x), step_of(x)
    y, steps = (np.sqrt(np.sum(one * one, axis, keepdims=keepdims)) for one in (value, step))
    tied((y == 0) & (steps != 0))
    moves = np.sum(value * step, axis, keepdims=keepdims) / np.where(y == 0, 1, y)
    return joined(y, np.where(y == 0, steps, moves))


FUNCTIONS.update(
    {
        np.around: _round,
        np.interp: _interp,
        np.partition: _partition,
        np.percentile: lambda x, q, axis=None: _quantile(x, np.divide(q, 100), axis),
        np.piecewise: lambda x, where, *to: _by_numpy(np.piecewise)(x, np.not_equal(where, 0), *to),
        np.ptp: lambda x, axis=None: np.max(x, axis) - np.min(x, axis),
        np.quantile: _quantile,
        np.round: _round,
        np.searchsorted: _searchsorted,
        np.std: _std,
        np.var: _var,
        np.linalg.norm: _norm,
    }
)
