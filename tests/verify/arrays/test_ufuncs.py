"""Ufuncs of steps: what carries them, what raises, and ties."""

import inspect
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from pushed import H, evaluated, expressions, is_carried, is_one_sided, ties

from numixology.verify.arrays.steps import along, met, plain, stepped

CARRIED = """
-x | +x | x - 1 | 1 / x | x / (x + 1) | x @ x.T | x**2 | x**3.0 | x**-1.5 | 2**x | x**x | abs(x - 1)
x % 0.7 | x // 0.3 + x | divmod(x, 0.3)[1] | divmod(x, 0.3)[0] + x | np.fmod(x, 0.3) | 2 % x
np.exp(x) | np.exp2(x) | np.expm1(x) | np.log(x) | np.log2(x) | np.log10(x) | np.log1p(x)
np.sin(x) | np.cos(x) | np.tan(x / 2) | np.arcsin(x / 2) | np.arccos(x / 2) | np.arctan(x)
np.sinh(x) | np.cosh(x) | np.tanh(x) | np.arcsinh(x) | np.arccosh(x + 1) | np.arctanh(x / 2)
np.sqrt(x) | np.square(x) | np.cbrt(x) | np.cbrt(-x) | np.reciprocal(x) | np.conj(x) | np.deg2rad(x)
np.rad2deg(x) | np.degrees(x) | np.radians(x) | np.abs(x - 1) | np.fabs(-x) | np.sign(x - 1)
np.copysign(x, -1) | np.copysign(x - 1, 1) | np.floor(x) + x | np.ceil(3 * x) | np.rint(x) * x
np.trunc(x) | np.maximum(x, 1) | np.minimum(x, x[::-1]) | np.fmax(x, 1) | np.fmin(1, x)
np.clip(x, 0.5, 1) | np.clip(x, None, 1) | np.hypot(x, x - 1) | np.arctan2(x, x * x)
np.arctan2(x, -1) | np.logaddexp(x, x * x) | np.logaddexp2(x, 1) | np.power(2, x) | x**0
np.heaviside(x - 1, 0.5) + x | np.heaviside(0.0, x) | (x > 1) * x | np.maximum.accumulate(x, 1)
np.logaddexp.reduce(x) | np.logaddexp.reduce(x, 1, keepdims=True) | np.multiply.outer(x, x)
np.add.reduceat(x[0], [0, 2]) | np.fmax.reduce(x, 1) | np.add.accumulate(x)
np.add(x, 1, out=np.zeros_like(x)) | masked(x) | added(x) | np.multiply(x, 2, dtype=np.float64)
updated(x) | np.float64(2) * x | x * np.ones(4, complex) | np.asarray(x) * x
"""


@pytest.mark.parametrize("expression", expressions(CARRIED))
def test_a_carried_step_is_the_derivative(expression: str) -> None:
    is_carried(evaluated(expression, globals()))


def added(x: Any) -> Any:
    out = np.zeros_like(x)
    np.add.at(out, ([0, 0], [1, 1]), x[0, :2])
    return out


def masked(x: Any) -> Any:
    return np.exp(x, out=x * x, where=x > 1)


def updated(x: Any) -> Any:
    x = x.copy()
    x *= x
    x[0, 0] = 1.0
    return x


class Named:
    """A ufunc of SciPy's, computed by mpmath: what ``Step`` knows of it is its name."""

    types = ("d->d",)

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.__name__, self.function = name, function

    def __call__(self, *values: Any) -> Any:
        return np.array(
            [float(self.function(*map(float, one))) for one in zip(*values, strict=True)]
        )


SCIPY: dict[str, tuple[Callable[..., Any], tuple[float, ...]]] = {
    "expit": (lambda x: 1 / (1 + mpmath.exp(-x)), (-30, -0.7, 0.2, 40)),
    "log_expit": (lambda x: -mpmath.log(1 + mpmath.exp(-x)), (-30, -0.7, 0.2, 40)),
    "logit": (lambda x: mpmath.log(x / (1 - x)), (1e-9, 0.2, 0.9)),
    "gammaln": (lambda x: mpmath.loggamma(x), (1e-3, 0.2, 1.3, 7, 60)),
    "entr": (lambda x: -x * mpmath.log(x), (1e-9, 0.2, 3)),
    "xlogy": (lambda x, y: x * mpmath.log(y), (0.2, 0.7, 3)),
    "xlog1py": (lambda x, y: x * mpmath.log(1 + y), (0.2, 0.7, 3)),
    "rel_entr": (lambda x, y: x * mpmath.log(x / y), (0.2, 0.7, 3)),
    "kl_div": (lambda x, y: x * mpmath.log(x / y) - x + y, (0.2, 0.7, 3)),
}


@pytest.mark.parametrize("name", SCIPY)
def test_ufuncs_of_scipy_are_known_by_name(name: str) -> None:
    function, points = SCIPY[name]
    count = len(inspect.signature(function).parameters)
    arguments = [np.array(points) * (1 + i) for i in range(count)]
    steps = [stepped(x + 1j * H * (2 + i)) for i, x in enumerate(arguments)]
    found = steps[0].__array_ufunc__(Named(name, function), "__call__", *steps)
    with mpmath.workdps(30):
        expected = [
            float(
                mpmath.diff(lambda t, x=x: function(*[a + (2 + i) * t for i, a in enumerate(x)]), 0)
            )
            for x in zip(*arguments, strict=True)
        ]
    np.testing.assert_allclose(plain(found).imag / H, expected, rtol=1e-12)


def test_analytic_ufuncs_of_scipy_need_no_name() -> None:
    special = pytest.importorskip("scipy.special")
    x = np.array([-3.0, 0.3, 2.0])
    for function, own in [(special.erf, mpmath.erf), (special.ndtr, mpmath.ncdf)]:
        found = plain(function(stepped(x + 1j * H))).imag / H
        np.testing.assert_allclose(found, [float(mpmath.diff(own, one)) for one in x], rtol=1e-12)


def test_the_value_is_the_real_function_s() -> None:
    x = stepped(np.array([-1.0, np.inf, 0.5]) + 1j * H)
    with np.errstate(all="ignore"):
        assert np.isnan(plain(np.sqrt(x))[0]) and np.isnan(plain(np.log(x))[0])
        assert (plain(x * 2.0).imag == 2 * H).all()  # NumPy's ∞ (2 + 0i) is NaN
    with pytest.warns(RuntimeWarning, match="invalid value"):
        np.log(x)


def test_what_rests_stays_under_an_infinite_slope() -> None:
    x = stepped(np.array([0.0, 4.0]) + 1j * H * np.array([0.0, 1.0]))
    assert (plain(np.cbrt(x)).imag[0], plain(np.sqrt(x)).imag[0]) == (0, 0)
    assert (plain(0.0**x)[1], plain(x / np.inf)[1]) == (0, 0)


def test_zero_has_no_sign_in_an_absolute_value() -> None:
    x = stepped(np.array([0.0, -0.0]) + 0j)
    assert not np.signbit(plain(np.abs(x)).real).any()


def test_the_order_of_equal_numbers_is_that_of_their_steps_along_it() -> None:
    x = stepped(np.array([1.0, 1.0]) + 1j * H * np.array([1, 2]))
    assert not x[0] < x[1] and (x[0] <= x[1]) and (x[1] <= x[0])
    with along():
        assert x[0] < x[1] and not x[1] <= x[0]


REFUSED = """
np.nextafter(x, 1) | np.frompyfunc(abs, 1, 1)(x) | np.add(f, x, out=f) | f.__iadd__(x)
np.add.at(f, 0, x[0]) | np.maximum.at(x, 0, 1.0) | np.hypot.reduce(x) | np.power.reduce(x)
np.maximum.reduceat(x, [0]) | np.divmod(x, 2, out=(f, f)) | x * 1j | x * np.array([1j, 2j])
np.modf(x) | np.frexp(x) | np.ldexp(x, 2) | np.float_power(x, 2) | np.add(x, 1, dtype=np.float16)
"""


@pytest.mark.parametrize("expression", expressions(REFUSED))
def test_what_cannot_carry_a_step_raises(expression: str) -> None:
    x = stepped(np.array([1.0, 2.0]) + 1j * H)
    with pytest.raises((TypeError, ValueError)):
        eval(expression, globals(), {"x": x, "f": np.zeros(2), "A": np.outer(x, x)})


KINKS = """
np.abs(x) | np.fabs(x) | np.copysign(x, 1.0) | np.maximum(x, 1) | np.maximum(x, x[::-1])
np.fmin(x, 0) | np.clip(x, 0, 1) | np.hypot(x[2], x[2, ::-1]) | np.maximum.accumulate(x, 1)
np.fmax.reduce(x, 0) | np.max(x) | x.max(0) | x.min(1)
"""


@pytest.mark.parametrize("expression", expressions(KINKS))
def test_a_step_has_the_slope_of_its_side(expression: str) -> None:
    is_one_sided(evaluated(expression, globals()))


@pytest.mark.parametrize(
    ("call", "at", "beside"),
    [
        (np.sign, 0, 0.1),
        (np.floor, 2, 2.1),
        (np.rint, 2.5, 2.4),
        (np.sqrt, 0, 0.1),
        (np.cbrt, 0, 0.1),
        (lambda x: x**0.5, 0, 0.1),
        (lambda x: x ** x[::-1], 0, 0.1),
        (np.log, 0, 0.1),
        (np.arcsin, 1, 0.9),
        (lambda x: x % 0.5, 1, 1.1),
        (lambda x: x // 0.5, 1, 1.1),
        (lambda x: x > 1, 1, 1.1),
        (lambda x: x == 1, 1, 1.1),
        (lambda x: np.heaviside(x, 1), 0, 0.1),
        (lambda x: np.arctan2(x, -1), 0, 0.1),
        (np.logical_not, 0, 0.1),
        (lambda x: np.logical_and(x, 1), 0, 0.1),
        (lambda x: np.any(x), 0, 0.1),
        (lambda x: np.copysign(1.0, x), 0, 0.1),
    ],
)
def test_ties_are_counted(call: Any, at: float, beside: float) -> None:
    assert ties(call, at) > 0
    assert ties(call, beside) == 0


def test_what_rests_is_not_tied() -> None:
    x = stepped(np.array([0.0, 1.0, 1.0]) + 1j * H * np.array([0, 1, 1]))
    with met() as seen:
        np.abs(x), np.maximum(x, 0), np.sort(x), x > 0, np.max(x)
    assert seen.ties == 0
