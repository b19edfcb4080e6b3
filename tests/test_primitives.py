"""What surrounds a call of a primitive: names and lists."""

import pickle
import pkgutil
from collections.abc import Iterator
from functools import partial
from importlib import import_module

import numpy as np
import pytest
from support import refused

import numixology as nx
from numixology import functional as F
from numixology.errors import DTypeError, ShapeError
from numixology.primitives import Checked, as_array

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


@pytest.mark.parametrize(
    "forward", [np.sinc, len, partial(np.add, 1.0)], ids=["numpy", "C", "partial"]
)
def test_only_functions_of_python_make_a_primitive(forward) -> None:
    with refused(DTypeError, "written in Python", "@implements"):
        nx.primitive(forward)


class Own(np.ndarray):
    """A subclass as a user may have it."""


def test_tensors_hold_plain_arrays_whatever_a_forward_and_a_rule_return() -> None:
    @nx.primitive
    def doubled(x):
        return (2 * x).view(Own)

    @doubled.vjp("x")
    def doubled_dx(ct, y, x):
        fresh = Own(ct.shape)
        fresh[...] = 2 * ct
        return fresh

    x = nx.tensor([1.0, 2.0], requires_grad=True)
    y = doubled(x)
    y.sum().backward()
    assert type(y.data) is type(x.grad.data) is np.ndarray
    number = nx.tensor(2.0, requires_grad=True)
    (number * number).backward()
    assert type(number.grad.data) is np.ndarray
    with refused(DTypeError, "takes plain arrays"):
        F.exp(np.ones(2).view(Own))
