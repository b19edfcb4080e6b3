"""Switching the tape off, and that it comes on again whatever happens."""

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import numpy as np
import pytest
from support import refused

import numixology as nx
from numixology.array import Setting
from numixology.autograd import _recording, is_recording
from numixology.errors import DTypeError


def test_nothing_is_recorded_inside_and_everything_after() -> None:
    with nx.no_grad():
        assert not is_recording()
    assert is_recording()


def test_it_may_be_entered_twice() -> None:
    off = nx.no_grad()
    with off:
        with off:
            assert not is_recording()
        assert not is_recording()
    assert is_recording()


def test_it_decorates_generator_functions() -> None:
    seen: list[object] = []

    @nx.no_grad()
    def batches():
        try:
            seen.append((yield is_recording()))
            seen.append(is_recording())
            try:
                yield 2
            except KeyError as error:
                seen.append((error.args[0], is_recording()))
            yield 3
            return "end"
        finally:
            seen.append(("closed", is_recording()))

    running = batches()
    assert next(running) is False
    assert is_recording(), "whoever waits for the generator records"
    assert running.send("sent") == 2
    assert running.throw(KeyError("mine")) == 3
    with pytest.raises(StopIteration) as stop:
        next(running)
    assert stop.value.value == "end"
    assert seen == ["sent", False, ("mine", False), ("closed", False)]
    abandoned = batches()
    next(abandoned)
    abandoned.close()
    assert seen[-1] == ("closed", False)
    assert is_recording()


def test_it_decorates_coroutine_functions() -> None:
    @nx.no_grad()
    async def later(seconds):
        await asyncio.sleep(seconds)
        return is_recording()

    async def both():
        return [await later(0), is_recording()]

    assert asyncio.run(both()) == [False, True]


def test_what_it_cannot_decorate_is_refused() -> None:
    async def stream():
        yield 1

    for nothing in (stream, 3):
        with refused(DTypeError, "no_grad() decorates functions", "with nx.no_grad()"):
            nx.no_grad()(nothing)


def test_a_block_may_be_left_in_another_thread() -> None:
    def values():
        with nx.no_grad():
            yield 1
            yield 2

    begun = values()
    next(begun)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(list, begun).result() == [2]
    _recording.set(True)  # this thread's own, which the abandoned block switched off


def test_tasks_do_not_see_each_other() -> None:
    async def off(begun: asyncio.Event, go_on: asyncio.Event) -> None:
        with nx.no_grad():
            begun.set()
            await go_on.wait()

    async def both() -> bool:
        begun, go_on = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(off(begun, go_on))
        await begun.wait()
        seen = is_recording()
        go_on.set()
        await task
        return seen

    assert asyncio.run(both())


class Interrupt(BaseException):
    """As a signal raises it: where a function begins, or right after a call of one in C."""


def interrupted(nth: int, call: Callable[[], object]) -> bool:
    """Call, and interrupt at the nth place where Python would; whether there were so many."""
    places = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal places
        if event in ("call", "c_return") and frame.f_code.co_name != "__del__":
            places += 1
            if places == nth:
                raise Interrupt

    sys.setprofile(profile)
    try:
        call()
    except Interrupt:
        pass
    finally:
        sys.setprofile(None)
    return places >= nth


# Python swallows what is raised where a generator is closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_at_any_moment_leaves_nothing_behind() -> None:
    x = nx.tensor([1.0, 2.0], requires_grad=True)

    def calculate() -> None:
        with nx.no_grad():
            nx.vjp(lambda t: t * t, [1.0])
        nx.functional.exp(x * x).sum().backward()

    before, nth = np.geterr(), 1
    while interrupted(nth, calculate):
        assert is_recording(), f"recording stayed off after an interrupt at place {nth}"
        assert np.geterr() == before, f"NumPy stayed quiet after an interrupt at place {nth}"
        nth += 1
    assert nth > 200


def test_a_setting_is_of_its_thread_alone() -> None:
    seen: list[bool] = []
    with Setting(_recording, False):
        thread = threading.Thread(target=lambda: seen.append(is_recording()))
        thread.start()
        thread.join()
    assert seen == [True]
