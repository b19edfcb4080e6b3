"""Watching a calculation, which changes nothing and is over when it is over."""

import threading

import numpy as np
import pytest

import numixology as nx
from numixology.observe import debug_shapes, educational, observing, silence, step


def test_a_step_hands_on_the_value_itself(capsys) -> None:
    x = np.zeros((2, 3))
    assert step("alone", x) is x
    with observing(lambda name, value: None), educational():
        assert step("watched", x) is x
    assert capsys.readouterr().out == "watched: (2, 3), contiguous: True\n"


def test_an_observer_sees_name_and_value_in_order() -> None:
    seen: list[tuple[str, object]] = []
    x, y = np.zeros(2), nx.tensor([1.0])
    step("before", x)
    with observing(lambda name, value: seen.append((name, value))):
        step("first", x)
        step("second", y)
    step("after", x)
    assert [name for name, _ in seen] == ["first", "second"]
    assert seen[0][1] is x
    assert seen[1][1] is y


def test_observers_nest_and_leave_one_by_one() -> None:
    seen: list[str] = []
    with observing(lambda name, _: seen.append(f"outer {name}")):
        with observing(lambda name, _: seen.append(f"inner {name}")):
            step("a", 0)
        step("b", 0)
    step("c", 0)
    assert seen == ["outer a", "inner a", "outer b"]


@pytest.mark.parametrize(
    "watching", [lambda: observing(print), educational], ids=["observing", "educational"]
)
def test_nobody_watches_after_an_error(watching, capsys) -> None:
    with pytest.raises(KeyError, match="mine"), watching():
        raise KeyError("mine")
    step("after", np.zeros(2))
    assert capsys.readouterr().out == ""


def test_an_observers_error_is_the_callers() -> None:
    def fail(name: str, value: object) -> None:
        raise KeyError(name)

    with pytest.raises(KeyError, match="here"), observing(fail):
        step("here", 0)


def test_other_threads_are_not_watched(capsys) -> None:
    with educational():
        thread = threading.Thread(target=step, args=("elsewhere", np.zeros(2)))
        thread.start()
        thread.join()
        step("here", np.zeros(3))
    assert capsys.readouterr().out == "here: (3,), contiguous: True\n"


def test_educational_mode_prints_each_step_once_even_when_nested(capsys) -> None:
    with educational():
        with educational():
            step("a", np.zeros((2, 3)).T)
        step("b", nx.tensor([1.0]))
    step("c", np.zeros(2))
    assert capsys.readouterr().out == ("a: (3, 2), contiguous: False\nb: (1,), contiguous: True\n")


def test_educational_mode_keeps_the_other_observers(capsys) -> None:
    seen: list[str] = []
    with observing(lambda name, _: seen.append(name)), educational():
        step("a", np.zeros(2))
    assert seen == ["a"]
    assert capsys.readouterr().out == "a: (2,), contiguous: True\n"


def test_silence_stops_the_printing_and_nothing_else(capsys) -> None:
    seen: list[str] = []
    with observing(lambda name, _: seen.append(name)), educational():
        with silence():
            step("quiet", np.zeros(2))
        step("loud", np.zeros(2))
    assert seen == ["quiet", "loud"]
    assert capsys.readouterr().out == "loud: (2,), contiguous: True\n"


def test_silence_ends_with_an_error(capsys) -> None:
    with educational():
        with pytest.raises(KeyError), silence():
            raise KeyError
        step("loud", np.zeros(2))
    assert capsys.readouterr().out == "loud: (2,), contiguous: True\n"


@pytest.mark.parametrize(
    "make",
    [np.asarray, nx.tensor, lambda x: nx.tensor(x, requires_grad=True)],
    ids=["array", "tensor", "tracked"],
)
def test_debug_shapes_prints_always_and_returns_its_argument(make, capsys) -> None:
    x = make([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert debug_shapes(x, "x") is x
    across = x.T
    with silence():
        assert debug_shapes(across, "across") is across
    assert capsys.readouterr().out == (
        "x: (2, 3), contiguous: True\nacross: (3, 2), contiguous: False\n"
    )


def test_debug_shapes_stays_on_the_tape(capsys) -> None:
    x = nx.tensor([1.0, 2.0], requires_grad=True)
    (nx.debug_shapes(x * x, "squares")).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 4.0]
    assert capsys.readouterr().out == "squares: (2,), contiguous: True\n"
