"""Words for plain data, and letting infinities pass in silence."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from types import FunctionType
from typing import Protocol

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

import numixology as nx
from numixology import array
from numixology.array import (
    ArrayOrTensor,
    Setting,
    ignoring_fp_errors,
    keepdims_shape,
    normalize_axes,
    real_part,
    shape_of,
)
from numixology.errors import DTypeError

# values


@pytest.mark.parametrize("kind", [np.ndarray, nx.Tensor], ids=lambda kind: kind.__name__)
def test_what_a_rule_may_use_is_there(kind) -> None:
    promised = [
        name
        for name, thing in vars(ArrayOrTensor).items()
        if isinstance(thing, property | FunctionType) and name not in vars(Protocol)
    ]
    assert len(promised) > 20
    for name in promised:
        assert getattr(kind, name, None) is not None, name


# axes


@st.composite
def shapes_and_axes(draw) -> tuple[tuple[int, ...], int | tuple[int, ...] | None]:
    shape = draw(st.permutations([1, 2, 3, 5]))[: draw(st.integers(0, 4))]
    ndim = len(shape)
    if not ndim or draw(st.booleans()):
        return tuple(shape), None
    if draw(st.booleans()):
        return tuple(shape), draw(st.integers(-ndim, ndim - 1))
    chosen = draw(st.lists(st.integers(0, ndim - 1), unique=True))
    return tuple(shape), tuple(draw(st.sampled_from([i, i - ndim])) for i in chosen)


@given(shapes_and_axes())
def test_kept_shape_is_what_numpy_keeps(case) -> None:
    shape, axis = case
    assert keepdims_shape(shape, axis) == np.zeros(shape).sum(axis=axis, keepdims=True).shape


@given(shapes_and_axes())
def test_axes_are_counted_from_zero(case) -> None:
    shape, axis = case
    found = normalize_axes(axis, len(shape))
    reduced = np.zeros(shape).sum(axis=axis).shape
    assert tuple(n for i, n in enumerate(shape) if i not in found) == reduced
    assert all(0 <= i < len(shape) for i in found)


def test_axes_keep_the_order_in_which_they_are_named() -> None:
    assert normalize_axes((-1, 0), 3) == (2, 0)
    assert normalize_axes(-1, 3) == (2,)
    assert normalize_axes(None, 3) == (0, 1, 2)


def test_a_single_number_has_no_axes_to_name() -> None:
    assert normalize_axes(0, 0) == normalize_axes((0, -1), 0) == normalize_axes(None, 0) == ()
    assert keepdims_shape((), 0) == ()


def test_the_shape_of_arrays_and_tensors() -> None:
    assert shape_of(np.zeros((2, 3)), "f") == shape_of(nx.tensor(np.zeros((2, 3))), "f") == (2, 3)
    assert shape_of(np.float64(1.0), "f") == ()
    for other, name in (([1.0, 2.0], "list"), (1.0, "float"), (None, "NoneType")):
        with refused(DTypeError, "mixer takes arrays or tensors", name, "np.asarray", "nx.tensor"):
            shape_of(other, "mixer")


# what a branch may look at


def test_the_real_part_of_complex_data_only() -> None:
    z = np.array([1 + 2j, -3 - 4j])
    np.testing.assert_array_equal(real_part(z), [1.0, -3.0])
    assert real_part(2 + 3j) == 2
    x = np.array([1.0, 2.0])
    assert real_part(x) is x
    assert real_part(2.5) == 2.5


# silence

SETTINGS = [
    {},
    {"all": "raise"},
    {"all": "warn", "divide": "ignore"},
    {"all": "print", "over": "raise"},
]


def loud() -> Iterator[str]:
    """Four calculations, one for each kind of floating-point error."""
    tiny, huge = np.float64(1e-300), np.float64(1e300)
    for name, calculation in {
        "divide": lambda: np.float64(1) / np.float64(0),
        "invalid": lambda: np.float64(np.inf) - np.float64(np.inf),
        "over": lambda: huge * huge,
        "under": lambda: tiny * tiny,
    }.items():
        try:
            with np.errstate(**{name: np.geterr()[name]}):
                calculation()
        except (FloatingPointError, RuntimeWarning):
            yield name


@pytest.mark.parametrize("around", SETTINGS, ids=str)
def test_ignoring_is_numpys_own_ignore(around) -> None:
    with np.errstate(all="ignore", call=None):
        ignored, callback = np.geterr(), np.geterrcall()
    with np.errstate(**around), ignoring_fp_errors():
        assert np.geterr() == ignored == dict.fromkeys(ignored, "ignore")
        assert np.geterrcall() is callback is None
        assert list(loud()) == []


@pytest.mark.parametrize("around", SETTINGS, ids=str)
def test_what_was_before_comes_back(around) -> None:
    complaints: list[object] = []
    with np.errstate(**around, call=complaints.append):
        before, callback = np.geterr(), np.geterrcall()
        with ignoring_fp_errors():
            pass
        assert np.geterr() == before
        assert np.geterrcall() is callback


def test_infinities_are_loud_again_afterwards() -> None:
    with np.errstate(all="raise"):
        with ignoring_fp_errors():
            assert np.isposinf(np.float64(1) / np.float64(0))
        assert list(loud()) == ["divide", "invalid", "over", "under"]


def test_silence_ends_when_the_block_fails() -> None:
    before = np.geterr()
    with pytest.raises(KeyError, match="mine"), ignoring_fp_errors():
        assert np.geterr() != before
        raise KeyError("mine")
    assert np.geterr() == before


def test_silences_nest() -> None:
    before = np.geterr()
    setting = ignoring_fp_errors()
    with setting:
        with setting:
            pass
        assert set(np.geterr().values()) == {"ignore"}
    assert np.geterr() == before


def test_the_users_own_strictness_holds_inside() -> None:
    with ignoring_fp_errors(), np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        np.float64(1) / np.float64(0)


def test_other_threads_stay_loud() -> None:
    seen: list[dict[str, str]] = []
    before = np.geterr()
    with ignoring_fp_errors():
        thread = threading.Thread(target=lambda: seen.append(np.geterr()))
        thread.start()
        thread.join()
    assert seen == [before]


def test_a_numpy_that_keeps_its_settings_elsewhere_is_left_alone(monkeypatch) -> None:
    monkeypatch.setattr(np, "errstate", lambda **_: nullcontext())
    variable, ignore = array._found_errstate()
    before = np.geterr()
    with Setting(variable, ignore), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert np.geterr() == before
        np.float64(1) / np.float64(0)
    assert [one.category for one in warned] == [RuntimeWarning]
