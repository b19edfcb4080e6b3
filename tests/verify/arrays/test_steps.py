"""The array that carries a step, and what every function of NumPy makes of it."""

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pushed import H, evaluated, expressions, is_carried, ties

from numixology.verify.arrays.steps import NotCarried, met, plain, stepped

CARRIED = """
x.conj() | np.real(x) | x.real | np.imag(x) + x | x.imag + x | x * x.astype(bool)
x * x.astype(int) | x.astype(np.float64) | deepcopied(x) | filled(x) | max(x[0]) | sum(x)
sorted_(x) | x[1] | x[:, [2, 0]] | x[x > 1] | x.T | x.reshape(-1) | A.trace() | x.take(5)
x.take([1, 2], 1) | x.dot(x[0]) | x.clip(0.5)
"""


@pytest.mark.parametrize("expression", expressions(CARRIED))
def test_a_carried_step_is_the_derivative(expression: str) -> None:
    is_carried(evaluated(expression, globals()))


def deepcopied(x: Any) -> Any:
    return copy.deepcopy(x)


def filled(x: Any) -> Any:
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = x[i] ** 2
    return out


def sorted_(x: Any) -> Any:
    x = x.copy()
    x.sort(0)
    return x


def test_questions_are_answered_about_values() -> None:
    x = stepped(np.array([3.0, 1.0, 2.0]) + 1j * H)
    assert (x > 2).tolist() == [True, False, False] and type(x > 2) is np.ndarray
    assert np.isfinite(x).all() and x.any() and x.all() and np.logical_and.reduce(x)
    assert bool(x[0]) and int(x[2]) == 2 and 2.0 in x
    assert repr(x) == str(x) == f"Step({plain(x)!r})"


def test_a_sum_that_runs_on_leaves_earlier_ones() -> None:
    total, found = 0.0, []
    for one in stepped(np.arange(3.0) + 1j * H):
        total += one
        found.append(total)
    np.testing.assert_array_equal(plain(np.stack(found)), [0 + 1j * H, 1 + 2j * H, 3 + 3j * H])
    place = np.zeros_like(found[0])
    place += 1
    assert plain(np.sum(found[2], out=place)) == plain(place) == 3 + 3j * H


def test_a_result_lies_in_memory_as_the_real_one() -> None:
    x = np.asarray(np.ones((2, 3)).T)
    y = np.exp(stepped(x + 1j * H))
    assert y.flags.f_contiguous and np.exp(x).flags.f_contiguous


def test_trees_of_steps_become_plain_ones() -> None:
    x = stepped(np.ones(2) + 1j * H)
    tree = plain({"a": [x, (x, 3)], "b": np.linalg.slogdet(stepped(np.eye(2) + 1j * H))})
    assert type(tree["a"][0]) is type(tree["a"][1][0]) is type(tree["b"].logabsdet) is np.ndarray


def test_what_is_not_carried_reaches_another_process() -> None:
    with pytest.raises(NotCarried, match=r"numpy\.unwrap") as refusal:
        np.unwrap(stepped(np.ones(2) + 1j * H))
    assert str(pickle.loads(pickle.dumps(refusal.value))) == str(refusal.value)


REFUSED = """
float(x[0]) | complex(x[0]) | x.item(0) | x.tolist() | x.tobytes() | x.view(float)
np.float32(x) | np.array(x, object, subok=True) | x.astype(np.float16) | x.astype(str)
f.__setitem__(0, x[0]) | f.__setitem__(slice(None), x) | x.partition(1) | x.flat()
"""


@pytest.mark.parametrize("expression", expressions(REFUSED))
def test_what_cannot_carry_a_step_raises(expression: str) -> None:
    x = stepped(np.array([1.0, 2.0]) + 1j * H)
    with pytest.raises((TypeError, np.exceptions.ComplexWarning)):
        eval(expression, globals(), {"x": x, "f": np.zeros(2), "A": np.outer(x, x)})


def test_other_libraries_are_asked_first() -> None:
    class Other:
        def __array_ufunc__(self, *arguments: Any, **options: Any) -> str:
            return "other"

    assert stepped(np.ones(2) + 1j * H) * Other() == "other"


@pytest.mark.parametrize(
    ("call", "at", "beside"),
    [(lambda x: bool(x[0]), 0, 0.1), (lambda x: x.astype(int), 2, 2.1)],
)
def test_conversions_meet_ties(call: Any, at: float, beside: float) -> None:
    assert ties(call, at) > 0
    assert ties(call, beside) == 0


def test_precision_is_the_narrowest() -> None:
    x = stepped(np.ones(2) + 1j * H)
    with met() as seen:
        y = np.exp(x.astype(np.float32)).astype(np.float64)
    assert (y.dtype, seen.precision) == (complex, "float32")
    with met() as seen:
        np.exp(x)
    assert seen.precision == "float64"


#: They are asked what an array is, make plain arrays of it, or read its memory.
ASKED = {"iscomplexobj", "isrealobj", "frombuffer", "fromstring", "info", "empty_like"}
SQUARE = np.random.default_rng(3).uniform(0.3, 1.7, (3, 3)) + 3 * np.eye(3)


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
