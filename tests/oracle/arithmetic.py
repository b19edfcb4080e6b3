"""The operations that the oracle's layers are made of, on numbers and on numbers with a bound.

A number is an ``mpf`` of mpmath. A :class:`Bounded` is one together with a bound on the error that
it has if everything so far was calculated in float64: each operation passes on the errors of its
arguments, to first order, and adds its own rounding. Run on these, the layers give bounds that
depend on nobody's implementation: any float64 evaluation of the textbook formulas, in whatever
order it adds, stays within them.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import mpmath as mp

UNIT = mp.mpf(2) ** -53  # the unit roundoff: a float64 operation is off by this share at most


class Bounded(NamedTuple):
    """A number, and how far off it may be where float64 has calculated it."""

    value: mp.mpf
    error: mp.mpf

    def __add__(self, other: Any) -> "Bounded":
        other = bounded(other)
        return rounded(self.value + other.value, self.error + other.error)

    __radd__ = __add__

    def __neg__(self) -> "Bounded":
        return Bounded(-self.value, self.error)

    def __sub__(self, other: Any) -> "Bounded":
        return self + (-other)

    def __rsub__(self, other: Any) -> "Bounded":
        return -self + other

    def __mul__(self, other: Any) -> "Bounded":
        other = bounded(other)
        error = abs(self.value) * other.error + abs(other.value) * self.error
        return rounded(self.value * other.value, error)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Bounded":
        other = bounded(other)
        quotient = self.value / other.value
        return rounded(quotient, (self.error + abs(quotient) * other.error) / abs(other.value))


def bounded(x: Any) -> Bounded:
    """x as it is, or an exact number without error."""
    return x if isinstance(x, Bounded) else Bounded(mp.mpf(x), mp.mpf(0))


def rounded(value: mp.mpf, error: mp.mpf) -> Bounded:
    """The result of one operation: what was off before, and its own rounding."""
    return Bounded(value, error + UNIT * abs(value))


def value_of(x: Any) -> mp.mpf:
    """The number itself."""
    return x.value if isinstance(x, Bounded) else x


def error_of(x: Any) -> mp.mpf:
    """Its bound, 0 for an exact one."""
    return x.error if isinstance(x, Bounded) else mp.mpf(0)


def total(terms: list[Any]) -> Any:
    """The sum; its bound, (n - 1) units of Σ |term|, holds for every order of adding."""
    value = mp.fsum(value_of(term) for term in terms)
    if not any(isinstance(term, Bounded) for term in terms):
        return value
    size = mp.fsum(abs(value_of(term)) for term in terms)
    error = mp.fsum(error_of(term) for term in terms)
    return Bounded(value, error + (len(terms) - 1) * UNIT * size)


def dot(a: list[Any], b: list[Any]) -> Any:
    """Σ a b; its bound is K units of Σ |a b|."""
    return total([x * y for x, y in zip(a, b, strict=True)])


def through(f: Callable[[mp.mpf], mp.mpf], x: Any, ulps: int) -> Any:
    """f(x), for which a float64 implementation may be so many units in the last place off."""
    if not isinstance(x, Bounded):
        return f(x)
    y = f(x.value)
    return Bounded(y, abs(mp.diff(f, x.value)) * x.error + 2 * ulps * UNIT * abs(y))


# Lists of lists ---------------------------------------------------------------


def leaves(nested: Any) -> Iterator[Any]:
    """All numbers of a list of lists, in order."""
    if isinstance(nested, list):
        for one in nested:
            yield from leaves(one)
    else:
        yield nested


def mapped(f: Callable[[Any], Any], nested: Any) -> Any:
    """The same list of lists with f applied to every number."""
    return [mapped(f, one) for one in nested] if isinstance(nested, list) else f(nested)


def paired(f: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """f of the numbers that stand in the same place."""
    if isinstance(a, list):
        return [paired(f, x, y) for x, y in zip(a, b, strict=True)]
    return f(a, b)


def plus(a: Any, b: Any) -> Any:
    """The sum, place by place."""
    return paired(lambda x, y: x + y, a, b)


def times(a: Any, b: Any) -> Any:
    """The product, place by place."""
    return paired(lambda x, y: x * y, a, b)
