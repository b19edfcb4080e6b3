"""The right gradients of random_gradients.py are right, and its mistakes are mistakes."""

import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sweeps import random_gradients, random_gradients_cases, random_gradients_idioms
from sweeps.random_gradients_cases import FAMILIES, drawn, drawn_of, size_of, sizes_of
from sweeps.random_gradients_drawing import Array, Made
from sweeps.random_gradients_mistakes import leaves, listed, mapped

NAMES = [one.name for one in FAMILIES]
#: Steps as a part of a number, and for numbers near zero by themselves.
STEPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-11)

extended_precision = pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="this machine has no extended precision"
)


def solved(a: Array, b: Array) -> Array:
    """Gauss's elimination, for extended precision."""
    n, a = len(a), np.array(a)
    b = np.array(b).astype(a.dtype).reshape(n, -1)
    for i in range(n):
        p = i + int(np.abs(a[i:, i]).argmax())
        a[[i, p]], b[[i, p]] = a[[p, i]], b[[p, i]]
        for k in (k for k in range(n) if k != i):
            factor = a[k, i] / a[i, i]
            a[k], b[k] = a[k] - factor * a[i], b[k] - factor * b[i]
    return b / np.diag(a)[:, None]


def determinant(a: Array) -> Any:
    if len(a) == 1:
        return a[0, 0]
    minors = (np.delete(a[1:], j, axis=1) for j in range(len(a)))
    return sum((-1) ** j * a[0, j] * determinant(minor) for j, minor in enumerate(minors))


def lower(a: Array) -> Array:
    """Cholesky's factor."""
    y = np.zeros_like(a)
    for i in range(len(a)):
        for j in range(i):
            y[i, j] = (a[i, j] - (y[i] * y[j]).sum()) / y[j, j]
        y[i, i] = np.sqrt(a[i, i] - (y[i] * y[i]).sum())
    return y


def interpolated(x: Array, grid: Array, y: Array) -> Array:
    i = np.clip(np.searchsorted(grid, x, side="right") - 1, 0, len(grid) - 2)
    return y[i] + (y[i + 1] - y[i]) * (x - grid[i]) / (grid[i + 1] - grid[i])


@pytest.fixture
def extended_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy with linear algebra in extended precision, which it also takes for float32."""
    linalg = types.SimpleNamespace(
        norm=lambda x: np.sqrt((x * x).sum()),
        solve=lambda a, b: solved(a, b).reshape(b.shape),
        inv=lambda a: solved(a, np.eye(len(a))),
        det=determinant,
        cholesky=lower,
    )
    news = {
        "linalg": linalg,
        "float32": np.longdouble,
        "interp": interpolated,
        "zeros": lambda shape: np.zeros(shape, np.longdouble),
    }
    other = types.SimpleNamespace(**{**vars(np), **news})
    for module in random_gradients_cases.MODULES:
        monkeypatch.setattr(module, "np", other)
    monkeypatch.setattr(random_gradients_idioms, "math", np)


def weighted(made: Made, ct: Any, inputs: list[Array]) -> Any:
    out = leaves(made.fn(*inputs))
    return sum((np.asarray(w) * y).sum() for w, y in zip(leaves(ct), out, strict=True))


def slopes(made: Made, ct: Any, which: int, j: int) -> Iterator[tuple[float, float]]:
    """Below and above, by extrapolated differences in extended precision, for many steps."""
    inputs = [random_gradients_cases.extended(x) for x in made.inputs]
    here = weighted(made, ct, inputs)

    def moved(h: float) -> Any:
        x = np.array(inputs[which])
        x.flat[j] += h
        try:
            return weighted(made, ct, [*inputs[:which], x, *inputs[which + 1 :]])
        except (ValueError, ArithmeticError):  # outside of the domain
            return np.longdouble("nan")

    for h in {s * (abs(float(inputs[which].flat[j])) or 1.0) for s in STEPS} | set(STEPS):
        a, b = (moved(h) - moved(-h)) / (2 * h), (moved(h / 2) - moved(-h / 2)) / h
        c = (moved(h / 4) - moved(-h / 4)) / (h / 2)
        yield ((c * 64 - 20 * b + a) / 45,) * 2
        below, above = (here - moved(-h / 4)) / (h / 4), (moved(h / 4) - here) / (h / 4)
        yield (below, above) if np.isfinite(below + above) else (np.nanmax((below, above)),) * 2


def case_of(name: str, number: int) -> random_gradients_cases.Case:
    return drawn_of(FAMILIES[NAMES.index(name)], 5, number, right=True)


def cotangent(made: Made, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return mapped(lambda y: rng.standard_normal(np.shape(y)), made.fn(*made.inputs))


def is_right(made: Made, seed: int) -> None:
    ct = cotangent(made, seed)
    rounding = 1e-14 * sum(
        np.abs(w * y).sum() for w, y in zip(leaves(ct), leaves(made.fn(*made.inputs)), strict=True)
    )
    gradients = listed((made.exact or made.vjp)(ct, *made.inputs))
    floats = [i for i, x in enumerate(made.inputs) if np.asarray(x).dtype.kind == "f"]
    assert len(gradients) == len(floats)
    for i, g in zip(floats, gradients, strict=True):
        assert np.shape(g) == np.shape(made.inputs[i])
        slack = 1e-7 * np.abs(g).max() + rounding
        for j in range(np.size(g)):
            value = float(np.asarray(g).flat[j])
            seen = list(slopes(made, ct, i, j))
            assert any(
                min(low, high) - slack <= value <= max(low, high) + slack for low, high in seen
            ), (i, j, value, seen)


@extended_precision
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("extended_numpy")
def test_gradients_are_what_differences_in_extended_precision_say(name: str) -> None:
    case = case_of(name, 0)
    if "float32" not in case.kinds:
        is_right(case.made, case.number)


@pytest.mark.parametrize("name", NAMES)
def test_a_mistake_makes_a_difference(name: str) -> None:
    case = drawn(5, NAMES.index(name), right=False)
    assert case.mistake
    if case.vjp is not None:
        case.vjp(cotangent(case.made, 0), *case.made.inputs)  # some remember it
        tried = [size_of(case.made, case.vjp, cotangent(case.made, i)) for i in range(1, 5)]
        assert max(tried) > 5e-14


def test_a_case_depends_on_seed_and_number_alone() -> None:
    one, other = drawn(0, 40, right=False), drawn(0, 40, right=False)
    assert (one.mistake, one.kinds) == (other.mistake, other.kinds)
    for a, b in zip(one.made.inputs, other.made.inputs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_size_is_measured_from_the_nearest_right_gradient() -> None:
    def shared(ct, x):
        return ct * (x == x.max()) / (x == x.max()).sum()

    made = Made(np.max, shared, (np.array([1.0, 3.0, 3.0]),))
    for right in ([0, 1, 0], [0, 0, 1], [0, 0.5, 0.5], [0, 0.25, 0.75]):
        assert sizes_of(made, [np.array(right)], np.asarray(1.0)) < 1e-15
    for wrong in ([0, 1, 1], [0, 0, 0], [0.1, 0.9, 0]):
        assert sizes_of(made, [np.array(wrong)], np.asarray(1.0)) > 0.09


def test_the_tables_count_what_was_said() -> None:
    numbers = range(12)
    right = list(random_gradients.outcomes(numbers, True, 0, elsewhere=False))
    wrong = list(random_gradients.outcomes(numbers, False, 0, elsewhere=False))
    text = random_gradients.tables(right, wrong)
    first, _, ours = text.splitlines()[:3]
    assert first.split()[:3] == ["right", "gradients", "runs"]
    assert ours.split()[:2] == ["numixology", "12"]
    assert max(map(len, text.splitlines())) <= 120


def test_a_false_claim_is_a_pass_above_what_would_have_been_caught() -> None:
    one = next(random_gradients.outcomes([0], False, 0, elsewhere=False))
    one = one._replace(verdict="pass", size=1e-9)
    assert one._replace(detectable=1e-12).offends
    assert not one._replace(detectable=1e-6).offends
    assert not one._replace(detectable=1e-12, verdict="fail").offends


def test_no_right_gradient_fails_and_nearly_all_pass() -> None:
    found = list(random_gradients.outcomes(range(0, len(FAMILIES), 2), True, 3, elsewhere=False))
    bad = [one for one in found if one.verdict in ("fail", "raised")]
    assert not bad, "\n".join(map(random_gradients.described, bad))
    assert sum(one.verdict == "pass" for one in found) >= 0.95 * len(found)


def test_no_wrong_gradient_passes_above_the_claim_and_nearly_all_fail() -> None:
    found = list(random_gradients.outcomes(range(1, len(FAMILIES), 2), False, 3, elsewhere=False))
    bad = [one for one in found if one.offends]
    assert not bad, "\n".join(map(random_gradients.described, bad))
    assert sum(one.verdict == "fail" for one in found) >= 0.9 * len(found)
