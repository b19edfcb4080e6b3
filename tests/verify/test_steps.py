"""Complex steps through NumPy: what carries them, beside real differences, and what raises."""

import numpy as np
import pytest

from numixology.verify.steps import NotCarried, met, plain, stepped

H = 2.0**-70


def test_a_step_survives_abs_and_norm() -> None:
    x = stepped(np.array([-3.0, 4.0]) + 1j * H * np.array([1.0, 0.0]))
    assert plain(np.linalg.norm(x)).imag / H == pytest.approx(-0.6, rel=1e-15)
    assert (plain(np.abs(x)).imag / H == [-1, 0]).all()


def test_what_cannot_carry_it_raises() -> None:
    x = stepped(np.array([1.0, 2.0]) + 1j * H)
    with pytest.raises(NotCarried, match="fft"):
        np.fft.fft(x)
    with pytest.raises(NotCarried, match="float"):
        np.zeros(2)[0] = x[0]


def test_ties_are_counted() -> None:
    x = stepped(np.array([0.0, 2.0]) + 1j * H)
    with met() as seen:
        np.abs(x)
    assert (seen.ties, seen.precision) == (1, "float64")
