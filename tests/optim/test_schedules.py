"""Schedules: the values at their joints, and that they keep nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology.errors import ArgumentError
from numixology.optim import constant, cosine, step_decay, warmup

counts = st.integers(1, 50)


@given(steps=counts, n=st.integers(0, 200))
def test_cosine_falls_from_the_rate_to_the_final_one(steps, n) -> None:
    rate = cosine(3.0, steps, final=1.0)
    assert rate(0) == 3.0
    assert rate(n) >= rate(n + 1) >= 1.0
    assert rate(steps + n) == 1.0
    assert rate(n) + rate(max(steps - n, 0)) == pytest.approx(4.0)


@given(every=counts, n=st.integers(0, 200))
def test_a_step_falls_by_its_factor_every_so_often(every, n) -> None:
    rate = step_decay(8.0, every, factor=0.5)
    assert rate(n + every) == rate(n) / 2
    assert rate(every - 1) == 8.0


@given(steps=counts, n=st.integers(0, 200))
def test_warmup_rises_evenly_and_then_is_what_it_scales(steps, n) -> None:
    rate = warmup(constant(2.0), steps)
    assert rate(0) == 2.0 * (1 / steps)
    assert rate(steps - 1 + n) == 2.0
    assert rate(n) <= rate(n + 1)


@pytest.mark.parametrize("make", [cosine, step_decay, lambda lr, n: warmup(constant(lr), n)])
def test_no_steps_are_refused(make) -> None:
    with refused(ArgumentError, "is a positive integer: got 0"):
        make(0.1, 0)
