"""Complex steps that survive NumPy.

The imaginary part of a :class:`Step` is h times a derivative. NumPy's own complex arrays lose it in
``np.abs`` and ``np.linalg.norm``, and leave the real line in ``np.sqrt(-1.0)``. A Step is computed
as the real function that was meant: the function itself on the real parts, and the chain rule on
the imaginary ones,

    f(x + i h d) = f(x) + i h ⟨∇f(x), d⟩.

The rules are in :mod:`.ufuncs`, :mod:`.functions` and :mod:`.matrices`. What has no rule raises
:class:`NotCarried`, or for an option TypeError: no NumPy function that is given a Step returns
without its derivative.

**At a tie**, where f has a kink, the derivative is one-sided: along the step, so that a step and
its opposite give both slopes. (|x| at 0 moves by |h d|, the maximum of equals by the larger of
their steps, sorting puts the smaller step first, the norm of 0 moves by the norm of the step.)
Where f jumps, and in comparisons, only the real parts decide: the function stays on the branch that
it takes at x itself, with the slope of that branch. Under :func:`along` the steps of equal numbers
decide which of them is the larger, and the branch is the one that the step leads to.
:func:`met` counts all of these.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ...array import Array, Carrier, Setting
from ...errors import DTypeError

__all__ = [
    "ALONG", "FUNCTIONS", "METHODS", "Met", "NotCarried", "Step", "along", "joined", "mapped",
    "met", "not_carried", "parts", "plain", "step_of", "stepped", "tied", "value_of", "viewed",
    "written",
]  # fmt: skip

#: How NumPy's functions carry a step, and how ufuncs do, by the method that is called.
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
METHODS: dict[str, Callable[..., Any]] = {}


class NotCarried(DTypeError):
    """What a complex step is not carried through, by name; a TypeError."""


def not_carried(name: str) -> NotCarried:
    """The error for a function or a conversion without a rule."""
    invariant = "a complex step passes only through functions whose slopes are known"
    return NotCarried(invariant, name, "take real differences")


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
ALONG: ContextVar[bool] = ContextVar("along", default=False)


@contextmanager
def met() -> Iterator[Met]:
    """Record what steps meet inside the ``with`` block, in this thread or task."""
    seen = Met()
    with Setting(_SEEN, seen):
        yield seen


@contextmanager
def along() -> Iterator[None]:
    """Inside the ``with`` block, let the steps of equal numbers decide which is the larger."""
    with Setting(ALONG, True):
        yield


def tied(ties: Any) -> None:
    """Note that a step moves what is tied."""
    if (seen := _SEEN.get()) and np.any(ties):
        seen.ties += 1


# A step and its parts -----------------------------------------------------------------------


def stepped(z: Array) -> "Step":
    """The complex array ``z`` as a Step, in the same memory."""
    if z.dtype.char == "F" and (seen := _SEEN.get()):
        seen.precision = "float32"
    found: Step = viewed(z, Step)
    return found


def viewed(x: Any, kind: Any) -> Any:
    """``x`` as an array of that class; a scalar as one that nothing writes into."""
    found = np.asarray(x).view(kind)
    found.flags.writeable &= not isinstance(x, np.generic)
    return found


def plain(tree: Any) -> Any:
    """``tree``, nested tuples, lists and dicts, with plain arrays for those of subclasses."""
    return mapped(lambda one: np.asarray(one) if isinstance(one, np.ndarray) else one, tree)


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


def parts(x: Any) -> tuple[Any, Any]:
    """Value and step, which is None for what does not move.

    A plain complex array is a Step that went through ``np.asarray``, if it is almost real.
    """
    if isinstance(x, Step):
        z = np.asarray(x)
        return z.real, z.imag
    if not np.iscomplexobj(x):
        return x, None
    value, step = np.real(x), np.imag(x)
    if np.max(np.abs(step), initial=0) > 2.0**-10 * np.max(np.abs(value), initial=2.0**-10):
        raise not_carried("complex numbers")
    return value, step if np.any(step) else None


def value_of(tree: Any) -> Any:
    """``tree``, nested tuples, lists and dicts, with values for Steps."""
    return mapped(lambda one: parts(one)[0], tree)


def step_of(x: Any) -> Any:
    """The step of an array, zeros for what does not move."""
    step = parts(x)[1]
    return np.zeros(np.shape(x)) if step is None else step


def joined(value: Any, step: Any) -> Any:
    """Value and step in one; what is no float does not move."""
    y = np.asarray(value)
    if y.dtype.kind not in "fc":
        return value
    z = np.empty_like(y, _complex(y.dtype))
    z.real, z.imag = y, step
    return stepped(z[()])


def _complex(dtype: Any) -> np.dtype[Any]:
    """The dtype of a Step whose real part has this one."""
    if np.dtype(dtype).kind not in "fc" or np.dtype(dtype) == np.float16:
        raise not_carried(f"a conversion to {np.dtype(dtype)}")
    return np.result_type(dtype, np.complex64)


def written(out: Any, found: Any, where: Any = True) -> Any:
    """What was found, or the array ``out=`` that was given for it; a scalar is replaced."""
    if out is None or (out.ndim == 0 and not out.flags.writeable):
        return found
    if isinstance(found, Step) and not np.iscomplexobj(out):
        raise not_carried(f"a result into an array of {out.dtype}")
    np.copyto(plain(out), plain(found), where=plain(where), casting="same_kind")
    return stepped(out) if isinstance(found, Step) else out


# The array ----------------------------------------------------------------------------------


def _by(function: Any) -> Any:
    return lambda self, *arguments, **options: function(self, *arguments, **options)


def _refused(name: str) -> Any:
    def refuse(self: Any, *arguments: Any, **options: Any) -> Any:
        raise not_carried(name)

    return refuse


_KNOWN = (np.ndarray, np.generic, int, float, complex, list, tuple, type(None))


class Step(Carrier):
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

    def __array_finalize__(self, given: Any) -> None:
        if self.dtype.kind != "c":
            raise not_carried(f"a conversion to {self.dtype}")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """The real ufunc with its step."""
        (out,), where = options.pop("out", (None,)), options.pop("where", True)
        if not all(isinstance(one, _KNOWN) for one in (*inputs, out)):
            return NotImplemented
        if options.get("dtype") is not None:
            options["dtype"] = np.dtype(options["dtype"]).type().real.dtype
        if method != "__call__" and where is not True:
            options["where"], where = value_of(where), True
        return written(out, _wrapped(METHODS[method](ufunc, *inputs, **options)), where)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """The real function with its step."""
        if function not in FUNCTIONS:
            raise not_carried(f"{function.__module__}.{function.__name__}")
        return _wrapped(FUNCTIONS[function](*args, **kwargs))

    def __getitem__(self, index: Any) -> Any:
        return _wrapped(super().__getitem__(index))

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Step({np.asarray(self)!r})"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __int__(self) -> int:
        return int(self.astype(int))

    def astype(self, dtype: Any, *arguments: Any, **options: Any) -> Any:
        """The step in another precision; integers and booleans do not move."""
        if np.dtype(dtype).kind in "biu":
            whole = self != 0 if np.dtype(dtype).kind == "b" else np.trunc(self)
            return value_of(whole).astype(dtype, *arguments, **options)
        return stepped(super().astype(_complex(dtype), *arguments, **options))

    def view(self, *classes: Any, **options: Any) -> Any:
        """A view as another class; as another dtype it would take the step apart."""
        if options or not all(isinstance(c, type) and issubclass(c, np.ndarray) for c in classes):
            raise not_carried("a view of another dtype")
        return super().view(*classes)

    def sort(self, *arguments: Any, **options: Any) -> None:
        """Sort in place."""
        self[...] = np.sort(self, *arguments, **options)

    real: Any = property(lambda self: self)
    imag: Any = property(lambda self: np.zeros_like(self))
    argmax, argmin = _by(np.argmax), _by(np.argmin)
    argpartition, argsort, dot = _by(np.argpartition), _by(np.argsort), _by(np.dot)
    nonzero, round, searchsorted = _by(np.nonzero), _by(np.round), _by(np.searchsorted)
    std, take, trace, var = _by(np.std), _by(np.take), _by(np.trace), _by(np.var)
    __float__, __complex__, item = _refused("float"), _refused("complex"), _refused("item")
    tolist, tobytes, partition = map(_refused, ("tolist", "tobytes", "partition in place"))
    flat = property(_refused("flat"))
