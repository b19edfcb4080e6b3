"""What surrounds a call of a primitive: residuals, names and lists."""

import pickle
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import numpy as np
import pytest
from support import refused

import numixology as nx
from numixology import functional as F
from numixology.errors import DTypeError, ShapeError
from numixology.observe import observing
from numixology.primitives import Checked, as_array

# Residuals

calls: list[str] = []


def spread(x, by):
    """The residuals of a function of x, which is divided by ``by``."""
    calls.append(type(x).__name__)
    return {"e": F.exp(x / by)}


@nx.primitive(residuals=spread)
def bell(x, shift=0.0, *, by, e):
    return e * e + shift


@bell.vjp("x")
def bell_dx(ct, y, x, shift, *, by, e):
    return ct * 2 * e * e / by


@bell.vjp("shift")
def bell_dshift(ct, y, x, shift, *, by, e):
    return ct


@pytest.fixture
def x():
    calls.clear()
    return nx.tensor([0.5, -1.0], requires_grad=True)


def test_residuals_are_computed_once(x) -> None:
    bell(x, by=2.0).sum().backward()
    assert calls == ["ndarray"]
    np.testing.assert_allclose(x.grad.data, np.exp(x.data), rtol=1e-15)
    np.testing.assert_array_equal(bell(np.zeros(2), 1.0, by=3.0), [2.0, 2.0])
    assert calls == ["ndarray"] * 2


def test_where_rules_run_on_tensors_residuals_have_a_past(x) -> None:
    (first,) = nx.grad(bell(x, by=1.0).sum(), x, create_graph=True)
    (second,) = nx.grad(first.sum(), x, create_graph=True)
    (third,) = nx.grad(second.sum(), x)
    np.testing.assert_allclose(third.data, 8 * np.exp(2 * x.data), rtol=1e-14)
    assert "Tensor" in calls


def test_residuals_are_no_options_of_the_call(x) -> None:
    """Observers are told what was asked for."""
    seen = []
    with observing(call=seen.append):
        bell(x, by=2.0)
    assert [call.options for call in seen] == [{"by": 2.0}]


def test_a_gradient_check_of_both_orders() -> None:
    for order in (1, 2):
        report = nx.gradcheck(lambda x: bell(x, by=1.5), np.ones(2), order=order)
        assert report.verdict == "pass"


# Names


def primitives() -> Iterator[Checked]:
    """Every primitive of the package, once, whether it is public or not."""
    found: dict[int, Checked] = {}
    for room in ("", "functional."):
        package = import_module(f"numixology.{room}".rstrip("."))
        for module in pkgutil.iter_modules(package.__path__):
            if module.name in ("__main__", "pytest_plugin", "pytest_conformance"):
                continue
            things = vars(import_module(f"numixology.{room}{module.name}"))
            found |= {id(thing): thing for thing in things.values() if isinstance(thing, Checked)}
    yield from found.values()


@pytest.mark.parametrize("primitive", [*primitives()], ids=lambda p: p.__qualname__)
def test_every_primitive_is_pickled_by_its_name(primitive) -> None:
    assert pickle.loads(pickle.dumps(primitive)) is primitive


@pytest.mark.parametrize("name", F.__all__)
def test_every_public_function_is_pickled_by_its_name(name) -> None:
    function = getattr(F, name)
    assert pickle.loads(pickle.dumps(function)) is function


def test_all_primitives_are_found() -> None:
    names = {primitive.__qualname__ for primitive in primitives()}
    assert {"add", "_reshape", "_sum", "_einsum", "_linear", "copy_of", "_gelu"} <= names
    assert len(names) > 50


# Lists


class Foreign:
    """An array of another library, of a dtype that NumPy does not have."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Got unsupported ScalarType BFloat16")


def test_what_another_library_cannot_hand_over_is_an_error_of_its_dtype() -> None:
    with refused(DTypeError, "BFloat16", "float32"):
        nx.tensor(Foreign())


def test_lists_as_deep_as_arrays_are_taken() -> None:
    deep: list = [1.0]
    for _ in range(63):
        deep = [deep]
    assert as_array(deep, "f").shape == (1,) * 64
    with refused(ShapeError, "64 deep"):
        as_array([deep], "f")


def test_numbers_too_large_for_any_array_are_refused() -> None:
    with refused(DTypeError, "relu", "too large"):
        F.relu(10**30)
    assert F.relu(np.array([-1, 2])).tolist() == [0, 2]
