"""What a gradient promises besides its values: what it remembers, and a forward derivative."""

import numpy as np
from support import numbers

from numixology.verify import gradcheck


def test_a_gradient_that_adds_to_a_buffer_fails() -> None:
    class Layer:
        dw = 0.0

        def vjp(self, ct, x):
            self.dw = self.dw + 2 * ct * x
            return self.dw

    report = gradcheck(np.square, numbers(3), vjp=Layer().vjp)
    assert report.verdict == "fail"
    assert "adds to what an earlier call left; start from zero" in report.reason


def test_a_gradient_of_an_earlier_cotangent_fails() -> None:
    class Layer:
        ct = np.zeros(3)

        def vjp(self, ct, x):
            before, self.ct = self.ct, ct.copy()
            return 2 * before * x

    report = gradcheck(np.square, numbers(3), vjp=Layer().vjp)
    assert report.verdict == "fail"
    assert "that of an earlier call" in report.reason


def test_noise_may_be_allowed() -> None:
    rng = np.random.default_rng(0)

    def vjp(ct, x):
        return 2 * x * ct * (1 + 1e-13 * rng.standard_normal(x.shape))

    assert gradcheck(np.square, numbers(3), vjp=vjp).verdict == "inconclusive"
    assert gradcheck(np.square, numbers(3), vjp=vjp, nondet_tol=1e-11).passed


def test_a_forward_derivative_is_held_to_the_gradient() -> None:
    def vjp(ct, x, w):
        return ct * w, ct * x

    def jvp(tangents, x, w):
        return tangents[0] * w + tangents[1] * x

    x, w = numbers(3), 2 * numbers(3)
    assert gradcheck(np.multiply, x, w, vjp=vjp, check_jvp=jvp).passed
    wrong = gradcheck(np.multiply, x, w, vjp=vjp, check_jvp=lambda t, x, w: t[0] * w)
    assert wrong.verdict == "fail"
    assert "jvp and vjp disagree" in wrong.reason


def test_a_function_whose_shape_depends_on_the_layout_fails() -> None:
    def fn(x):
        return x if x.flags.c_contiguous else x[:1]

    report = gradcheck(fn, np.outer(numbers(3), numbers(4)), vjp=lambda ct, x: ct + 0 * x)
    assert report.verdict == "fail"
    assert "Fortran-ordered inputs" in report.reason
