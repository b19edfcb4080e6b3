"""The exceptions: three parts, and the Python exception that one would think of first."""

import copy
import pickle

import numpy as np
import pytest

from numixology import errors
from numixology.errors import (
    ArgumentError,
    DTypeError,
    GradientError,
    IndexRangeError,
    NumixologyError,
    ShapeError,
    StateDictError,
    TapeError,
    UnsupportedError,
    VectorError,
)

PARENTS = {
    ShapeError: {ValueError},
    ArgumentError: {ValueError},
    DTypeError: {TypeError},
    IndexRangeError: {IndexError},
    TapeError: {RuntimeError},
    GradientError: {RuntimeError},
    UnsupportedError: {RuntimeError},
    StateDictError: {KeyError, ValueError},
    VectorError: {ValueError},
}
FAMILIAR = {ValueError, TypeError, IndexError, KeyError, RuntimeError}


def test_the_table_has_every_exception() -> None:
    named = {getattr(errors, name) for name in errors.__all__}
    assert named == {*PARENTS, NumixologyError}


@pytest.mark.parametrize("kind", [NumixologyError, *PARENTS], ids=lambda kind: kind.__name__)
class TestEveryException:
    def test_derives_from_what_one_would_catch_and_nothing_else(self, kind) -> None:
        assert issubclass(kind, NumixologyError)
        assert {one for one in FAMILIAR if issubclass(kind, one)} == PARENTS.get(kind, set())

    def test_says_what_holds_what_came_and_what_to_do(self, kind) -> None:
        # KeyError on its own would show the repr of one argument
        error = kind("heads divide the width", "8 and 3", "try 2 or 4")
        assert str(error) == "heads divide the width: got 8 and 3; try 2 or 4"
        assert error.args == ("heads divide the width", "8 and 3", "try 2 or 4")

    def test_needs_all_three_parts(self, kind) -> None:
        with pytest.raises(TypeError, match="instead"):
            kind("heads divide the width", "8 and 3")

    @pytest.mark.parametrize(
        "through", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
    )
    def test_survives_a_process_boundary(self, kind, through) -> None:
        error = through(kind("a", "b", "c"))
        assert type(error) is kind
        assert str(error) == "a: got b; c"


def test_messages_are_short_however_large_the_argument() -> None:
    error = ArgumentError("a word", "x" * 100_000, "use another")
    assert len(str(error)) < 1000
    assert str(error).startswith("a word: got xxx")
    assert str(error).endswith("xxx; use another")


def test_what_was_given_is_shown_in_a_few_words() -> None:
    deep: list[object] = []
    deep.append(deep)
    assert errors.shown("tanh") == "'tanh'"
    assert errors.shown(np.zeros((2, 3))) == "shape (2, 3) of float64"
    assert all(len(errors.shown(one)) < 100 for one in ("x" * 10**6, list(range(10**5)), deep))
