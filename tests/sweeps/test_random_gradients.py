"""The right gradients of random_gradients.py are right, and its mistakes are mistakes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sweeps import random_gradients
from sweeps.random_gradients import FAMILIES, drawn, outcome, sizes_of
from sweeps.random_gradients_drawing import Array, Made
from sweeps.random_gradients_mistakes import leaves, listed, mapped

NAMES = [one.name for one in FAMILIES]
#: Steps as a part of a number, and for numbers near zero by themselves.
STEPS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-11)

extended_precision = pytest.mark.skipif(
    np.finfo(np.longdouble).eps > 1e-18, reason="this machine has no extended precision"
)


def weighted(made: Made, ct: Any, inputs: list[Array]) -> Any:
    out = leaves(made.fn(*inputs))
    return sum((np.asarray(w) * y).sum() for w, y in zip(leaves(ct), out, strict=True))


def slopes(made: Made, ct: Any, which: int, j: int) -> Iterator[tuple[float, float]]:
    """Below and above, by extrapolated differences in extended precision, for many steps."""
    inputs = [random_gradients.extended(x) for x in made.inputs]
    here = weighted(made, ct, inputs)

    def moved(h: float) -> Any:
        x = np.array(inputs[which])
        x.flat[j] += h
        try:
            return weighted(made, ct, [*inputs[:which], x, *inputs[which + 1 :]])
        except ValueError:  # outside of the domain
            return np.longdouble("nan")

    for h in {s * (abs(float(inputs[which].flat[j])) or 1.0) for s in STEPS} | set(STEPS):
        a, b = (moved(h) - moved(-h)) / (2 * h), (moved(h / 2) - moved(-h / 2)) / h
        c = (moved(h / 4) - moved(-h / 4)) / (h / 2)
        yield ((c * 64 - 20 * b + a) / 45,) * 2
        below, above = (here - moved(-h / 4)) / (h / 4), (moved(h / 4) - here) / (h / 4)
        yield (below, above) if np.isfinite(below + above) else (np.nanmax((below, above)),) * 2


def case_of(name: str, number: int) -> random_gradients.Case:
    return drawn(5, NAMES.index(name) + number * len(NAMES), right=True)


def is_right(made: Made, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ct = mapped(lambda y: rng.standard_normal(np.shape(y)), made.fn(*made.inputs))
    gradients = listed((made.exact or made.vjp)(ct, *made.inputs))
    floats = [i for i, x in enumerate(made.inputs) if np.asarray(x).dtype.kind == "f"]
    assert len(gradients) == len(floats)
    for i, g in zip(floats, gradients, strict=True):
        assert np.shape(g) == np.shape(made.inputs[i])
        scale = 1e-7 * np.abs(g).max()
        for j in range(np.size(g)):
            value = float(np.asarray(g).flat[j])
            seen = list(slopes(made, ct, i, j))
            assert any(
                min(low, high) - scale <= value <= max(low, high) + scale for low, high in seen
            ), (i, j, value, seen)


@extended_precision
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_gradients_are_what_differences_in_extended_precision_say(name: str) -> None:
    case = case_of(name, 0)
    if "float32" not in case.kinds:
        is_right(case.made, case.number)


@pytest.mark.parametrize("name", NAMES)
def test_a_mistake_makes_a_difference(name: str) -> None:
    case = drawn(5, NAMES.index(name), right=False)
    assert case.mistake
    assert outcome(case).size > 0


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
