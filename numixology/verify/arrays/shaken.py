"""How far its own rounding moves a result: Monte Carlo arithmetic.

A :class:`Shaken` array moves every result that NumPy rounds by one more rounding, at random. What a
formula makes of that in a few runs is what the digits of its result are worth: 1 - tanh(x)² moves
by 2⁻⁵² where it is 10⁻¹⁰, and a wrong formula does not move more than a right one. (Parker, Monte
Carlo arithmetic, 1997.)

A sum is rounded at the size of its terms: it moves by roundings of the sum of their sizes.
"""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from ...array import Array, Setting, ignoring_fp_errors
from .steps import mapped, plain, viewed, written

__all__ = ["Shaken", "roundings"]

_RNG: ContextVar[Any] = ContextVar("rng", default=None)
#: By how many roundings of which size a result may be off.
_MOVES = np.array([-1.0, -0.5, 0.5, 1.0])

#: Ufuncs that round nothing. Of sums, products, quotients and roots some are exact, too.
_EXACT = {
    *("negative", "positive", "absolute", "fabs", "conjugate", "maximum", "minimum", "fmax"),
    *("fmin", "clip", "sign", "copysign", "floor", "ceil", "rint", "trunc", "nextafter", "spacing"),
    *("heaviside", "remainder", "fmod", "floor_divide", "ldexp", "frexp", "modf", "divmod"),
}
_PRODUCTS = {"multiply", "divide", "matmul"}
_SUMS = {np.einsum, np.dot, np.inner, np.tensordot, np.vdot, np.convolve, np.correlate}


def roundings(
    call: Callable[..., Any], arrays: Sequence[Array], rng: "np.random.Generator", tries: int = 6
) -> list[Array]:
    """How far roundings inside a function move each entry of its results.

    Args:
        call: returns an array, or nested tuples, lists or dicts of them.
        arrays: its arguments; those of floats are shaken.
        rng: what the roundings are drawn from.
        tries: how often it is called.

    Returns:
        For each array that is returned, the largest move of each of its entries. It is 0 where the
        function cannot be called with a subclass of ndarray, or converts it.

    Example:
        >>> x, rng = np.array([0.5, 12.0]), np.random.default_rng(0)
        >>> moves = roundings(lambda x: 1 - np.tanh(x) ** 2, [x], rng)[0]
        >>> bool((moves < 1e-15).all()), bool(moves[1] > 1e-7 * (1 - np.tanh(12.0) ** 2))
        (True, True)
    """
    found = _leaves(call(*[np.array(x) for x in arrays]))
    moves = [np.zeros(np.shape(one)) for one in found]
    for _ in range(tries):
        shaken = [np.array(x).view(Shaken) if x.dtype.kind in "fc" else x.copy() for x in arrays]
        try:
            with Setting(_RNG, rng), ignoring_fp_errors():
                nearby = _leaves(call(*shaken))
                pairs = zip(moves, nearby, found, strict=True)
                apart = [np.maximum(move, np.abs(near - one)) for move, near, one in pairs]
        except Exception:  # whatever the function does not do with a subclass
            break
        moves = [np.where(np.isfinite(one), one, 0) for one in apart]
    return moves


def _leaves(tree: Any) -> list[Array]:
    found: list[Array] = []
    mapped(lambda one: found.append(np.asarray(one)), tree)
    return found


def _wrapped(tree: Any) -> Any:
    return mapped(lambda one: viewed(one, Shaken) if _is_inexact(one) else one, tree)


def _is_inexact(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fc"


def _sizes(tree: Any) -> Any:
    """Of complex numbers, the sizes of both parts."""

    def size(x: Any) -> Any:
        return np.abs(x.real) + 1j * np.abs(x.imag) if np.iscomplexobj(x) else np.abs(x)

    return mapped(lambda one: size(one) if _is_inexact(one) else one, tree)


def _moved(y: Any, size: Any) -> Any:
    """A result that was rounded at that size, moved by one rounding; both parts if complex."""
    if not _is_inexact(y) or _RNG.get() is None:  # or it was kept by a function that is done
        return y
    if y.dtype.kind == "f":
        moves = np.finfo(y.dtype).eps * _RNG.get().choice(_MOVES, np.shape(y)) * size
        return np.asarray(y + moves, y.dtype)[()]
    z = np.empty(np.shape(y), y.dtype)
    z.real, z.imag = _moved(y.real, np.real(size)), _moved(y.imag, np.imag(size))
    return z[()]


def _nearby(tree: Any) -> Any:
    return mapped(lambda one: _moved(one, _sizes(one)), tree)


def _rounded(name: str, y: Any, a: Any, b: Any = 1.0) -> Any:
    """Whether an operation had to round, by what its inverse gives back."""
    if name in ("add", "subtract"):
        b = b if name == "add" else -b
        part = y - a
        return (a - (y - part)) + (b - part) != 0
    if name in ("multiply", "square"):
        return _product_error(a, a if name == "square" else b, y) != 0
    if name in ("divide", "sqrt"):
        return _product_error(y, y if name == "sqrt" else b, a) != 0
    return True


def _product_error(a: Any, b: Any, y: Any) -> Any:
    """a b - y, exactly where y is nearly a b (Dekker 1971)."""
    shift = 2.0 ** ((np.finfo(np.result_type(a, b, y)).nmant + 2) // 2) + 1
    (high, low), (other, rest) = [(h := shift * x - (shift * x - x), x - h) for x in (a, b)]
    return ((high * other - y) + high * rest + low * other) + low * rest


class Shaken(np.ndarray[Any, Any]):
    """An array of which every rounded result is moved by one more rounding."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """The ufunc, and a rounding."""
        (out,), where = options.pop("out", (None,)), options.pop("where", True)
        name, arguments = ufunc.__name__, plain(inputs)
        run = getattr(ufunc, method)
        if method == "at":
            return run(*arguments)
        if method != "__call__" and where is not True:
            options["where"] = plain(where)
        if name in _PRODUCTS and any(map(np.iscomplexobj, arguments)):
            arguments = _nearby(arguments)  # each part is a sum, which may cancel
        y = run(*arguments, **options)
        if name not in _EXACT and not isinstance(y, tuple):
            if ufunc.signature or (name == "add" and method != "__call__"):
                y = _moved(y, run(*_sizes(arguments), **options))
            elif method == "__call__" and y.dtype.kind == "f":
                y = _moved(y, np.abs(y) * _rounded(name, y, *arguments))
            else:
                y = _nearby(y)
        return written(out, _wrapped(y), where)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """The function of shaken arrays; of moved ones where it is written in Fortran."""
        if function in _SUMS:
            y, size = (function(*one, **kwargs) for one in (plain(args), _sizes(plain(args))))
            return _wrapped(_moved(y, size))
        if function.__module__ in ("numpy.linalg", "numpy.fft"):
            return _wrapped(_nearby(function(*_nearby(plain(args)), **plain(kwargs))))
        return _wrapped(super().__array_function__(function, types, args, kwargs))

    def __getitem__(self, index: Any) -> Any:
        return _wrapped(super().__getitem__(index))

    def dot(self, other: Any, out: Any = None) -> Any:
        """The sum of products, as ``np.dot`` has it."""
        return np.dot(self, other)
