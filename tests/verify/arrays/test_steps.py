"""Complex steps through NumPy: what carries them, beside real differences, and what raises.

The derivatives that they are compared with are independent of them: extrapolated real differences
at smooth points, one-sided ones at ties, mpmath's for functions that NumPy does not have.
"""

import copy
import math
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np
import pytest

from numixology.verify.arrays.steps import NotCarried, Step, met, plain, stepped

H = 2.0**-70
RNG = np.random.default_rng(3)
X = RNG.uniform(0.2, 1.7, (3, 4))
U = RNG.standard_normal((3, 4))


def pushed(call: Callable[[Any], Any], x: np.ndarray, u: np.ndarray) -> tuple[Any, Any]:
    """Value and derivative along u by a Step, which must come out as one."""
    found = call(stepped(x + 1j * H * u))
    assert isinstance(found, Step)
    return plain(found).real, plain(found).imag / H


def extrapolated(call: Callable[[Any], Any], x: np.ndarray, u: np.ndarray) -> Any:
    """The derivative along u by central differences, extrapolated (Ridders 1982)."""
    row: list[Any] = []
    best, error = None, math.inf
    for h in 0.02 / 2.0 ** np.arange(8):
        previous, row = row, [(np.asarray(call(x + h * u)) - call(x - h * u)) / (2 * h)]
        for k, coarser in enumerate(previous):
            row.append(row[k] + (row[k] - coarser) / (4 ** (k + 1) - 1))
            apart = np.abs(row[k + 1] - row[k]).max()
            if apart < error:
                best, error = row[k + 1], apart
    return best


# Every function that carries a step: x has shape (3, 4), A is square, S is positive definite.
CARRIED = """
-x | +x | x - 1 | 1 / x | x / (x + 1) | x @ x.T | x**2 | x**3.0 | x**-1.5 | 2**x | x**x
abs(x - 1) | x % 0.7 | x // 0.3 + x | divmod(x, 0.3)[1] | divmod(x, 0.3)[0] + x | np.fmod(x, 0.3)
2 % x | np.exp(x) | np.exp2(x) | np.expm1(x) | np.log(x) | np.log2(x) | np.log10(x) | np.log1p(x)
np.sin(x) | np.cos(x) | np.tan(x / 2) | np.arcsin(x / 2) | np.arccos(x / 2) | np.arctan(x)
np.sinh(x) | np.cosh(x) | np.tanh(x) | np.arcsinh(x) | np.arccosh(x + 1) | np.arctanh(x / 2)
np.sqrt(x) | np.square(x) | np.cbrt(x) | np.cbrt(-x) | np.reciprocal(x) | np.conj(x) | x.conj()
np.deg2rad(x) | np.rad2deg(x) | np.degrees(x) | np.radians(x) | np.sinc(x) | np.ldexp(x, 3)
np.abs(x - 1) | np.fabs(-x) | np.sign(x - 1) | np.copysign(x, -1) | np.copysign(x - 1, 1)
np.floor(x) + x | np.ceil(3 * x) | np.rint(x) * x | np.trunc(x) | np.fix(x) + x
np.round(x, 1) * x | np.maximum(x, 1) | np.minimum(x, x[::-1]) | np.fmax(x, 1) | np.fmin(1, x)
np.clip(x, 0.5, 1) | x.clip(0.5) | np.clip(x, None, 1) | np.hypot(x, x - 1) | np.arctan2(x, x * x)
np.arctan2(x, -1) | np.logaddexp(x, x * x) | np.logaddexp2(x, 1) | np.power(2, x)
np.float_power(x, 2) | x**0 | np.heaviside(x - 1, 0.5) + x | np.heaviside(0.0, x)
np.modf(3 * x)[0] | np.modf(x)[1] + x | np.frexp(x)[0] | np.nan_to_num(x)
np.nan_to_num(np.where(x > 1, np.nan, x)) | np.unwrap(9 * x) | np.where(x > 1, x * x, np.sin(x))
np.select([x < 1, x < 1.3], [x * x, x], 0) | (x > 1) * x
np.piecewise(x, [x < 1, x >= 1], [np.square, np.exp]) | x * x.astype(bool) | x * x.astype(int)
x.sum() | x.sum(0) | np.sum(x, (0, 1), keepdims=True) | x.sum(where=x > 1)
np.sum(x, 0, np.float64) | np.cumprod(x, dtype=float) | x.mean(0)
np.mean(x, axis=1, keepdims=True) | x.prod() | np.prod(x, 0) | x.cumsum(1) | np.cumprod(x, 1)
np.max(x) | x.max(0) | x.min((0, 1), keepdims=True) | np.ptp(x, 0) | x.max(initial=1.0) | x.var()
np.var(x, 0) | x.std(1, ddof=1, keepdims=True) | np.std(x) | np.cov(x) | np.cov(x[0])
np.cov(x, rowvar=False, bias=True) | np.corrcoef(x) | np.average(x, 0, weights=x**2) | np.sort(x)
np.sort(x, 0) | np.sort(x, None) | sorted_(x) | np.partition(x, 2)[:, 2]
x.ravel()[np.argsort(x, None)] | x[0, np.argpartition(x[0], 1)[1]] | x[x.argmin(0), range(4)]
np.take_along_axis(x, x.argsort(1), 1) | np.median(x) | np.median(x, 0, keepdims=True)
np.quantile(x, [[0.1], [0.5]], axis=1) | np.percentile(x, 30, axis=(0, 1)) | np.quantile(x, 1.0)
np.nanmean(x, 0) | np.nansum(x) | np.nanmax(x, 0) | np.nanmin(x) | np.nanstd(x, 0) | np.nanvar(x)
np.nanmedian(x) | np.nanquantile(x, 0.3) | np.nanpercentile(x, 9, 0) | np.nancumsum(x)
np.unique(x) | np.interp(x, [0, 0.5, 1, 2], [0, 3, 1, 5])
np.interp([0.2, 0.7, 4], [0, 0.5, 1], x[0, :3])
np.interp(x - 1, [0, 1], [1, 3], left=0, right=2) | np.bincount([0, 1, 0, 2], x[0])
np.linalg.norm(x) | np.linalg.norm(x, axis=0) | np.linalg.norm(x, axis=(1, 0), keepdims=True)
np.linalg.norm(x, 1) | np.linalg.norm(x, -1) | np.linalg.norm(x, 2) | np.linalg.norm(x, -2)
np.linalg.norm(x, np.inf) | np.linalg.norm(x, -np.inf, (0, 1)) | np.linalg.norm(x, "nuc")
np.linalg.norm(x, 1, 0) | np.linalg.norm(x, 2, 1) | np.linalg.norm(x, 3, 1, True)
np.linalg.norm(x, np.inf, 1) | np.linalg.norm(x, -np.inf, 1) | np.linalg.norm(x, 0, 1) + x[:, 0]
np.linalg.vector_norm(x) | np.linalg.vector_norm(x, axis=1, ord=1) | np.linalg.matrix_norm(x)
np.linalg.det(A) | np.linalg.inv(A) | np.linalg.solve(A, x) | np.linalg.slogdet(A)[1]
np.linalg.cholesky(S) | np.linalg.cholesky(S, upper=True) | np.linalg.cholesky(A + A.T + 9 * I)
np.linalg.eigvalsh(S) | np.linalg.eigh(S)[0] | np.abs(np.linalg.eigh(S, "U")[1])
np.linalg.pinv(x) | np.linalg.svd(x, compute_uv=False) | np.linalg.svdvals(x)
np.linalg.matrix_power(A, 3) | np.linalg.multi_dot([x, x.T, x]) | np.linalg.eigvalsh(A, "U")
np.stack([x, 2 * x]).sum(0) | np.dot(x, x.T) | x.dot(x[0]) | np.vdot(x, x) | np.inner(x, x)
np.outer(x, x) | np.kron(x, x) | np.matmul(x, x.T) | np.einsum("ij,kj->k", x, x)
np.tensordot(x, x, 2) | np.cross(A, x[:, 1:]) | np.convolve(x[0], x[1])
np.correlate(x[0], x[1], "full") | np.polyval([1, 2, 3], x) | np.vecdot(x, x) | np.gradient(x)[1]
np.diff(x) | np.trapezoid(x) | np.vander(x[0]) | x[1] | x[:, [2, 0]] | x[x > 1] | x.T
x.reshape(-1) | np.moveaxis(x, 0, 1) | np.concatenate([x, x]) | np.roll(x, 1) | np.tile(x, 2)
np.pad(x, 1) | np.pad(x, 1, "edge") | np.tril(A) | np.diag(A) | np.trace(A) | A.trace()
np.linspace(0, x, 3) | np.real(x) | x.real | x.flat[1] | np.compress([True, False, True], x, 0)
np.extract(x > 1, x) | deepcopied(x) | np.maximum.accumulate(x, 1) | np.logaddexp.reduce(x)
np.hypot.reduce(x, 1) | max(x[0]) | sum(x) | np.multiply.outer(x, x)
np.add.reduceat(x[0], [0, 2]) | np.fmax.reduce(x, 1) | np.add.accumulate(x)
np.apply_along_axis(np.linalg.norm, 1, x) | x.astype(np.float64) | filled(x) | added(x)
copied(x) | np.add(x, 1, out=np.zeros_like(x)) | masked(x) | np.full_like(x, x[0, 0])
np.asarray(x) * x | np.mean(x, dtype=np.float64) | np.ones_like(x) * x
np.multiply(x, 2, dtype=np.float64) | updated(x) | np.sum(x, out=np.zeros_like(x[0, 0]))
np.dot(x, x.T, out=np.zeros_like(A)) | np.imag(x) + x | x.imag + x | np.float64(2) * x
x * np.ones(4, complex) | np.modf(x, out=(None, x.copy()))[0]
"""
EXPRESSIONS = [one.strip() for line in CARRIED.split("\n") for one in line.split(" | ") if one]


def deepcopied(x: Any) -> Any:
    return copy.deepcopy(x)


def filled(x: Any) -> Any:
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = x[i] ** 2
    return out


def added(x: Any) -> Any:
    out = np.zeros_like(x)
    np.add.at(out, ([0, 0], [1, 1]), x[0, :2])
    return out


def copied(x: Any) -> Any:
    out = np.zeros_like(x)
    np.copyto(out, x, where=x > 1)
    return out


def masked(x: Any) -> Any:
    return np.exp(x, out=x * x, where=x > 1)


def updated(x: Any) -> Any:
    x = x.copy()
    x *= x
    x[0, 0] = 1.0
    return x


def sorted_(x: Any) -> Any:
    x = x.copy()
    x.sort(0)
    return x


def evaluated(expression: str) -> Callable[[Any], Any]:
    code = compile(expression, expression, "eval")
    names = {name: globals()[name] for name in code.co_names if name in globals()}

    def call(x: Any) -> Any:
        A, I = x[:, :3], np.eye(3)  # noqa: E741
        return eval(code, names, {"x": x, "A": A, "S": x @ x.T + I, "I": I})

    return call


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_carried_step_is_the_derivative(expression: str) -> None:
    call = evaluated(expression)
    value, slope = pushed(call, X, U)
    expected = extrapolated(call, X, U)
    np.testing.assert_allclose(value, call(X), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(slope, expected, rtol=1e-8, atol=2e-9 * (np.abs(expected).max() + 1))


@pytest.mark.parametrize("expression", EXPRESSIONS[::7])
def test_float32_steps_stay_in_float32(expression: str) -> None:
    call = evaluated(expression)
    x = X.astype(np.float32)
    with met() as seen:
        found = plain(call(stepped((x + 1j * 2.0**-24 * U).astype(np.complex64))))
    assert seen.precision == "float32"
    exact = pushed(call, x.astype(float), U)[1]
    apart = np.abs(found.imag * 2.0**24 - exact).max()
    assert apart <= 1e-4 * (np.abs(exact).max() + 1)


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
    "gammaln": (mpmath.loggamma, (1e-3, 0.2, 1.3, 7, 60)),
    "entr": (lambda x: -x * mpmath.log(x), (1e-9, 0.2, 3)),
    "rel_entr": (lambda x, y: x * mpmath.log(x / y), (0.2, 0.7, 3)),
    "kl_div": (lambda x, y: x * mpmath.log(x / y) - x + y, (0.2, 0.7, 3)),
}


@pytest.mark.parametrize("name", SCIPY)
def test_ufuncs_of_scipy_are_known_by_name(name: str) -> None:
    function, points = SCIPY[name]
    count = 2 if name in ("rel_entr", "kl_div") else 1
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


# Exact laws ---------------------------------------------------------------------------------


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


def test_questions_are_answered_about_real_parts() -> None:
    x = stepped(np.array([3.0, 1.0, 2.0]) + 1j * H)
    assert (x > 2).tolist() == [True, False, False] and type(x > 2) is np.ndarray
    assert (x.argmax(), np.argmin(x), x.searchsorted(5)) == (0, 1, 3)
    assert np.array_equal(np.argsort(x), [1, 2, 0]) and np.array_equal(x.nonzero()[0], [0, 1, 2])
    assert (np.digitize(x, [1.5, 2.5])).tolist() == [2, 0, 1] and np.isfinite(x).all()
    assert np.allclose(x, [3, 1, 2]) and x.any() and x.all() and np.logical_and.reduce(x)
    assert bool(x[0]) and int(x[2]) == 2 and np.shape(x) == (3,) and 2.0 in x
    assert np.zeros_like(x, dtype=int).dtype == int and np.iscomplexobj(x)
    assert np.linalg.matrix_rank(stepped(np.eye(2) + 1j * H)) == 2
    assert np.where(x)[0].tolist() == [0, 1, 2] and np.count_nonzero(x) == 3
    assert repr(x) == f"Step({plain(x)!r})" and str(x) == str(plain(x))


def test_trees_of_steps_become_plain_ones() -> None:
    x = stepped(np.ones(2) + 1j * H)
    tree = plain({"a": [x, (x, 3)], "b": np.linalg.slogdet(stepped(np.eye(2) + 1j * H))})
    assert type(tree["a"][0]) is type(tree["a"][1][0]) is type(tree["b"].logabsdet) is np.ndarray
    assert pickle.loads(pickle.dumps(NotCarried("sum"))).args == NotCarried("sum").args


# What raises ---------------------------------------------------------------------------------

RAISES = """
float(x[0]) | math.log(x[0]) | complex(x[0]) | x.item(0) | x.tolist() | x.tobytes()
x.view(float) | np.fft.fft(x) | np.float32(x) | np.array(x, object, subok=True)
x.astype(np.float16) | x * 1j | x.astype(str) | np.vectorize(abs)(x) | np.frompyfunc(abs, 1, 1)(x)
np.nextafter(x, 1) | np.add(f, x, out=f) | np.add.at(f, 0, x[0]) | np.copyto(f, x)
np.put(f, [0], x[:1]) | f.__iadd__(x) | np.maximum.at(x, 0, 1.0)
np.fmod.reduce(x, keepdims=True) | np.maximum.reduceat(x, [0])
np.quantile(x, 0.5, method="lower") | np.quantile([1.0, 2.0], x / 9) | np.std(x, where=x > 1)
np.nanmedian(np.where(x > 1, np.nan, x)) | np.interp(0.5, x, [1.0, 2.0])
np.linalg.svd(np.outer(x, x)) | np.linalg.qr(np.outer(x, x)) | np.outer(x, x).T.flat
x.partition(1) | x * np.array([1j, 2j]) | np.round(x, out=f) | f.__setitem__(0, x[0])
"""


@pytest.mark.parametrize(
    "expression", [one.strip() for line in RAISES.split("\n") for one in line.split(" | ") if one]
)
def test_what_cannot_carry_a_step_raises(expression: str) -> None:
    x = stepped(np.array([1.0, 2.0]) + 1j * H)
    with pytest.raises(NotCarried):
        eval(expression, globals(), {"x": x, "f": np.zeros(2)})


def test_a_slice_of_floats_warns_which_a_check_makes_an_error() -> None:
    with pytest.raises(np.exceptions.ComplexWarning):
        np.zeros(2)[:] = stepped(np.ones(2) + 1j * H)


def test_other_libraries_are_asked_first() -> None:
    class Other:
        def __array_ufunc__(self, *arguments: Any, **options: Any) -> str:
            return "other"

    assert stepped(np.ones(2) + 1j * H) * Other() == "other"


# Ties ---------------------------------------------------------------------------------------

TIED = np.array([[0.0, 1, 1, 2], [2, 1, 0, -1], [0, 0, 0, 0]])
KINKS = """
np.abs(x) | np.fabs(x) | np.copysign(x, 1.0) | np.max(x) | x.max(0) | x.min(1) | np.maximum(x, 1)
np.maximum(x, x[::-1]) | np.fmin(x, 0) | np.clip(x, 0, 1) | np.sort(x) | np.sort(x, 0)
np.median(x) | np.sort(x, None) | np.median(x, 0) | np.quantile(x, [0.2, 0.5], axis=1) | np.ptp(x)
x.std(1) | np.linalg.norm(x, axis=1) | np.linalg.norm(x, 1, 1) | np.linalg.norm(x, 3, 1)
np.linalg.norm(x, 1) | np.linalg.norm(x[2:], 2) | np.linalg.norm(x[2:], "nuc")
np.linalg.norm(x, -np.inf, 1) | np.hypot(x[2], x[2, ::-1]) | np.maximum.accumulate(x, 1)
np.fmax.reduce(x, 0) | np.abs(np.maximum(x, 0) - np.sort(x, 1)).max(1)
np.interp(x, [0, 1, 2], [0, 2, 1]) * 0 + abs(x) | np.partition(x, 2, 1).sum(1) + abs(x).sum(1)
"""


@pytest.mark.parametrize(
    "expression", [one.strip() for line in KINKS.split("\n") for one in line.split(" | ") if one]
)
def test_a_step_has_the_slope_of_its_side(expression: str) -> None:
    call = evaluated(expression)
    for sign in (1, -1):
        u = sign * np.random.default_rng(1).standard_normal(TIED.shape)
        with met() as seen:
            slope = pushed(call, TIED, u)[1]
        h = 2.0**-24
        expected = (np.asarray(call(TIED + h * u)) - call(TIED)) / h
        np.testing.assert_allclose(slope, expected, atol=1e-5)
        assert seen.ties > 0


@pytest.mark.parametrize(
    ("call", "at", "beside"),
    [
        (np.sign, 0, 0.1),
        (np.floor, 2, 2.1),
        (np.rint, 2.5, 2.4),
        (np.round, 2.5, 2.4),
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
        (lambda x: bool(x[0]), 0, 0.1),
        (lambda x: x.astype(int), 2, 2.1),
        (np.logical_not, 0, 0.1),
        (lambda x: np.logical_and(x, 1), 0, 0.1),
        (lambda x: np.where(x), 0, 0.1),
        (lambda x: x.searchsorted([1, 2.0]), 1, 1.1),
        (lambda x: x.argmax(), 1, None),
        (lambda x: np.linalg.eigvalsh(np.eye(2) * x[0]), 1, None),
        (lambda x: np.linalg.svdvals(np.eye(2) * x[0]), 1, None),
        (np.unique, 1, None),
    ],
)
def test_ties_are_counted(call: Any, at: float, beside: float | None) -> None:
    u = np.array([1.0, 2.0])
    with np.errstate(all="ignore"), met() as seen:
        call(
            stepped(np.array([at, at + 0.03]) + 1j * H * u)
            if beside
            else stepped(np.array([at, at]) + 1j * H * u)
        )
    assert seen.ties > 0
    if beside is not None:
        with np.errstate(all="ignore"), met() as seen:
            call(stepped(np.array([beside, beside + 0.03]) + 1j * H * u))
        assert seen.ties == 0


def test_what_rests_is_not_tied() -> None:
    x = stepped(np.array([0.0, 1.0, 1.0]) + 1j * H * np.array([0, 1, 1]))
    with met() as seen:
        np.abs(x), np.maximum(x, 0), np.sort(x), x > 0, np.max(x)
    assert seen.ties == 0


def test_precision_is_the_narrowest() -> None:
    x = stepped(np.ones(2) + 1j * H)
    with met() as seen:
        y = np.exp(x.astype(np.float32)).astype(np.float64)
    assert (y.dtype, seen.precision) == (complex, "float32")
    with met() as seen:
        np.exp(x)
    assert seen.precision == "float64"


# All of NumPy ----------------------------------------------------------------------------------

#: They are asked what an array is, make plain arrays of it, or read its memory.
ASKED = {"iscomplexobj", "isrealobj", "frombuffer", "fromstring", "info", "empty_like"}
SQUARE = RNG.uniform(0.3, 1.7, (3, 3)) + 3 * np.eye(3)


def functions() -> Iterator[tuple[str, Any]]:
    for home in (np, np.linalg, np.fft):
        for name in sorted(dir(home)):
            one = getattr(home, name)
            is_function = callable(one) and not isinstance(one, type) and name[0] != "_"
            if is_function and name not in ASKED and "save" not in name and name != "test":
                yield f"{home.__name__}.{name}", one


def arguments(x: Any) -> Iterator[tuple[Any, ...]]:
    more = SQUARE > 1
    yield from [(x,), (x, 1.3 * x), (x, 1), (0.3, x), (x, 0, 1), (more, x), (x, more, 1.0 * x)]
    yield from [(x, [1, 2]), ([0, 2], x), ("ij,jk", x, x), (x, 0.5), (x, [more], [np.exp])]
    yield from [([more], [x]), (x, (1, 0)), (np.zeros((3, 3)), x), (x, [0, 1, 5], [0, 2, 1.0])]


def flat(tree: Any) -> list[Any]:
    return (
        [one for part in tree for one in flat(part)] if isinstance(tree, tuple | list) else [tree]
    )


def moving(call: Callable[[Any], Any], u: np.ndarray, h: float = 1e-6) -> list[Any]:
    pairs = zip(flat(call(SQUARE + h * u)), flat(call(SQUARE - h * u)), strict=True)
    return [(np.asarray(a, complex) - np.asarray(b, complex)) / (2 * h) for a, b in pairs]


def agree(found: Any, slope: np.ndarray) -> bool:
    """Also what was escaped by ``np.asarray`` or a list has its step still."""
    own = np.imag(np.asarray(0 if found is None else plain(found), complex)) / H
    return bool((np.isclose(own, slope, 1e-5, 1e-5) | ~np.isfinite(slope)).all())


def test_no_function_of_numpy_drops_a_step() -> None:
    u, dropped, carried = np.linspace(-1, 1, 9).reshape(3, 3), [], set()
    for name, function in functions():
        for i, _ in enumerate(arguments(SQUARE)):

            def call(x: Any, f: Any = function, i: int = i) -> Any:
                given = list(arguments(x))[i]
                return [f(*given), *(one for one in given if isinstance(one, np.ndarray))]

            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    slopes = moving(call, u)
                except Exception:  # it does not take these arguments, or returns no numbers
                    continue
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                try:
                    found = flat(call(stepped(SQUARE + 1j * H * u)))
                except (TypeError, ValueError, np.exceptions.ComplexWarning):
                    continue
                if not all(map(agree, found, slopes)):
                    dropped.append(f"{name} {i}")
            carried.add(name)
    assert dropped == []
    assert len(carried) > 250
