"""The gradient check passes what is right, fails what is wrong, and says when it cannot tell."""

import io
import itertools
import math
import multiprocessing
import re
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import numbers, refused

import numixology as nx
from numixology import functional as F
from numixology.errors import ArgumentError, DTypeError, GradientError
from numixology.verify import GradcheckReport, gradcheck

SCALES = [1e-6, 1e-3, 1.0, 1e3, 1e6]


def normal(*shape, seed=0):
    return np.random.default_rng([7, seed, *shape]).standard_normal(shape)


# Functions of NumPy arrays with hand-written gradients ------------------------------


def softmax(x):
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


def softmax_vjp(ct, x):
    y = softmax(x)
    return y * (ct - (ct * y).sum(-1, keepdims=True))


def standardized(x):
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)


def deviation(x):
    return np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def standardized_vjp(ct, x):
    y = standardized(x)
    inner = ct - ct.mean(-1, keepdims=True) - y * (ct * y).mean(-1, keepdims=True)
    return inner / deviation(x)


def linear(x, w, b):
    return x @ w.T + b


def linear_vjp(ct, x, w, b):
    return ct @ w, ct.T @ x, ct.sum(0)


SQUARE = [normal(3, 4), normal(4, 4, seed=1), normal(4, seed=2)]
RIGHT = {
    "exp": (np.exp, lambda ct, x: ct * np.exp(x), [normal(2, 3)]),
    "softmax": (softmax, softmax_vjp, [normal(3, 5)]),
    "standardized": (standardized, standardized_vjp, [normal(3, 5)]),
    "linear": (linear, linear_vjp, SQUARE),
    "sum": (lambda x: x.sum(0), lambda ct, x: np.broadcast_to(ct, x.shape), [normal(3, 3)]),
    "product": (lambda a, b: a * b, lambda ct, a, b: [ct * b, ct * a], [normal(4), normal(4)]),
    "a number": (lambda x: x**3, lambda ct, x: 3 * x * x * ct, [2.0]),
    "a list": (np.sin, lambda ct, x: ct * np.cos(x), [[0.5, -2.0, 3.0]]),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("method", ["auto", "complex", "central"])
def test_right_gradients_pass(name, fast, method) -> None:
    fn, vjp, inputs = RIGHT[name]
    report = gradcheck(fn, *inputs, vjp=vjp, fast=fast, method=method)
    assert report.passed, report
    assert report.method == ("central" if method == "central" else "complex")
    size = sum(np.size(one) for one in inputs)
    assert report.coordinates == (4 if fast else size)
    assert report.max_error <= report.tolerance
    if method == "central":
        assert 5e-7 < report.tolerance < 1.2e-6
    else:  # what rounding can do there
        assert 1e-15 < report.tolerance < 5e-14


def planted(vjp, change):
    """The vjp with `change` applied to its gradients, a list of fresh arrays."""

    def wrong(ct, *inputs):
        found = vjp(ct, *inputs)
        found = list(found) if isinstance(found, list | tuple) else [found]
        return change([np.array(g) for g in found])

    return wrong


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("fast", [False, True])
def test_a_relative_error_of_one_in_1e11_fails(name, fast) -> None:
    fn, vjp, inputs = RIGHT[name]
    wrong = planted(vjp, lambda gradients: [g * (1 + 1e-11) for g in gradients])
    report = gradcheck(fn, *inputs, vjp=wrong, fast=fast)
    assert report.verdict == "fail"
    assert report.max_error < 1e-10
    assert "is wrong" in report.reason


@given(
    name=st.sampled_from(["exp", "softmax", "standardized", "linear", "product"]),
    which=st.integers(0, 2),
    place=st.integers(0, 100),
    size=st.sampled_from([1e-11, -1e-11, 1e-9, 1e-3, 1.0]),
)
def test_an_error_in_one_coordinate_fails_and_is_found(name, which, place, size) -> None:
    fn, vjp, inputs = RIGHT[name]
    which %= len(inputs)
    place %= inputs[which].size

    def change(gradients):
        one = gradients[which]
        one.flat[place] += size * np.abs(one).max()
        return gradients

    report = gradcheck(fn, *inputs, vjp=planted(vjp, change))
    assert report.verdict == "fail"
    index = tuple(int(i) for i in np.unravel_index(place, inputs[which].shape))
    assert report.worst[:2] == (which, index)
    ours, theirs = report.worst[2:]
    assert math.copysign(1, ours - theirs) == math.copysign(1, size)
    assert report.names[which] in report.reason
    place = f"farthest apart at {report.names[which]}{list(index)}, outputs weighted at random:"
    assert f"  {place}\n    gradient {ours:.17g}\n    slope    {theirs:.17g}\n" in str(report)


MISTAKES = {
    "sign": (np.cos, lambda ct, x: ct * np.sin(x), [normal(5)]),
    "zero": (np.exp, lambda ct, x: np.zeros_like(x), [normal(5)]),
    "not a number": (np.exp, lambda ct, x: ct * np.nan, [normal(5)]),
    "infinite": (np.exp, lambda ct, x: ct / np.array([1.0, 0.0]), [normal(2)]),
    "axis": (
        lambda x, b: x * b,
        lambda ct, x, b: (ct * b, (ct * x).sum(1)),
        [normal(4, 4), normal(4)],
    ),
    "transposed": (linear, lambda ct, x, w, b: (ct @ w.T, ct.T @ x, ct.sum(0)), SQUARE),
    "transposed too": (
        linear,
        lambda ct, x, w, b: (ct @ w, x.T @ ct, ct.sum(0)),
        [normal(4, 4)] * 3,
    ),
    "exchanged": (lambda a, b: a / b, lambda ct, a, b: (-ct * a / b**2, ct / b), [numbers(3)] * 2),
    "mean of LayerNorm left out": (
        standardized,
        lambda ct, x: (
            (ct - standardized(x) * (ct * standardized(x)).mean(-1, keepdims=True)) / deviation(x)
        ),
        [normal(3, 5)],
    ),
    "projection of LayerNorm left out": (
        standardized,
        lambda ct, x: (ct - ct.mean(-1, keepdims=True)) / deviation(x),
        [normal(3, 5)],
    ),
    "diagonal of softmax alone": (
        softmax,
        lambda ct, x: ct * softmax(x) * (1 - softmax(x)),
        [normal(3, 5)],
    ),
    "cotangent left out": (np.exp, lambda ct, x: np.exp(x), [normal(5)]),
    "rolled": (np.exp, lambda ct, x: np.roll(ct * np.exp(x), 1), [normal(5)]),
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("method", ["auto", "central"])
def test_mistakes_fail(name, fast, method) -> None:
    fn, vjp, inputs = MISTAKES[name]
    report = gradcheck(fn, *inputs, vjp=vjp, fast=fast, method=method)
    assert report.verdict == "fail"
    assert not report.passed
    assert not report


@pytest.mark.parametrize("gradient", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_fails_for_being_so(gradient) -> None:
    def vjp(ct, x):
        g = ct * np.exp(x)
        g[1] = gradient
        return g

    report = gradcheck(np.exp, normal(3), vjp=vjp)
    assert report.verdict == "fail"
    assert "x is not finite everywhere" in report.reason
    assert report.worst[1] == (1,)


def test_a_function_that_is_not_finite_proves_nothing() -> None:
    report = gradcheck(lambda x: x / 0, numbers(3))
    assert report.verdict == "inconclusive"
    assert "fn is not finite here" in report.reason


def test_shapes_and_numbers_of_gradients_are_compared_first() -> None:
    x, w, b = SQUARE
    report = gradcheck(linear, x, w, b, vjp=lambda ct, x, w, b: (ct @ w, ct.T @ x))
    assert report.verdict == "fail"
    assert "shapes [(3, 4), (4, 4)], and the inputs [(3, 4), (4, 4), (4,)]" in report.reason
    assert math.isnan(report.max_error)
    assert report.worst is None
    unsummed = gradcheck(linear, x, w, b, vjp=lambda ct, x, w, b: (ct @ w, ct.T @ x, ct))
    assert unsummed.verdict == "fail"
    assert "shapes" in unsummed.reason
    listed = gradcheck(np.exp, x, vjp=lambda ct, x: [ct * np.exp(x), ct])
    assert "shapes" in listed.reason


# Functions of tensors ---------------------------------------------------------------

ON_TAPE = {
    "exp": lambda s: lambda x: F.exp(x / s),
    "square": lambda s: lambda x: x * x,
    "softmax": lambda s: lambda x: F.softmax(x / s),
    "layer_norm": lambda s: lambda x: F.layer_norm(x),
    "gelu": lambda s: F.gelu,
    "relu": lambda s: F.relu,
    "absolute": lambda s: abs,
    "logsumexp": lambda s: lambda x: F.logsumexp(x),
    "sum of squares": lambda s: lambda x: (x * x).sum(),
    "product": lambda s: lambda x: F.prod(x / s, axis=-1),
    "rational": lambda s: lambda x: x / (s * s + x * x),
    "one and a little": lambda s: lambda x: 1 + x,
}
CURVED = ("exp", "square", "softmax", "rational", "sum of squares", "product")


@pytest.mark.parametrize("name", ON_TAPE)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("how", ["complex", "central", "fast", "float32"])
def test_the_tape_is_right_at_every_scale(name, scale, how) -> None:
    dtype = np.float32 if how == "float32" else np.float64
    x = (scale * normal(2, 5, seed=3)).astype(dtype)
    method = how if how == "central" else "auto"
    report = gradcheck(ON_TAPE[name](scale), x, method=method, fast=how == "fast")
    assert report.passed, report
    if how != "central":
        assert report.method == "complex", report.reason
    if dtype == np.float32:
        assert report.tolerance == pytest.approx(1e-4, rel=0.2)


@pytest.mark.parametrize("name", CURVED)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("fast", [False, True])
def test_second_order_is_right_at_every_scale(name, scale, fast) -> None:
    report = gradcheck(ON_TAPE[name](scale), scale * normal(2, 5, seed=3), order=2, fast=fast)
    assert report.passed, report
    assert report.order == 2
    assert report.method == "complex", report.reason


@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from([(), (1,), (7,), (2, 3), (2, 1, 3)]),
    scale=st.sampled_from(SCALES),
)
def test_right_and_nearly_right_are_told_apart_for_any_shape_scale_and_seed(
    seed, shape, scale
) -> None:
    x = scale * (np.random.default_rng(seed).standard_normal(shape) + 0.1)
    right = gradcheck(np.square, x, vjp=lambda ct, x: 2 * x * ct, rng=seed)
    assert right.passed, right
    wrong = gradcheck(np.square, x, vjp=lambda ct, x: 2 * x * ct * (1 + 1e-11), rng=seed)
    assert wrong.verdict == "fail"


def test_several_inputs_and_integers_are_handed_over() -> None:
    ids = np.array([[0, 2], [2, 1]])
    mask = np.array([True, False])
    seen = []

    def fn(weight, ids, mask, bias):
        seen.append((ids.dtype, mask.dtype))
        return F.where(mask[:, None], F.embedding(ids, weight).sum(axis=1), bias * bias)

    report = gradcheck(fn, normal(3, 4), ids, mask, nx.tensor(normal(4)), order=1)
    assert report.passed, report
    assert report.coordinates == 16
    assert set(seen) == {(np.dtype(np.int64), np.dtype(np.bool_))}


def test_the_gradients_of_a_vjp_belong_to_the_floating_point_inputs() -> None:
    def fn(n, x, mask):
        return np.where(mask, x**n, x)

    def vjp(ct, n, x, mask):
        return np.where(mask, n * x ** (n - 1), 1) * ct

    assert gradcheck(fn, 3, normal(3), np.array([True, False, True]), vjp=vjp).passed


def test_an_empty_input_beside_others_is_no_obstacle() -> None:
    report = gradcheck(lambda a, b: F.exp(b) + a.sum(), np.zeros((0, 3)), normal(4))
    assert report.passed, report
    assert report.coordinates == 4


@pytest.mark.parametrize("fast", [False, True])
def test_empty_inputs_alone_prove_nothing(fast) -> None:
    report = gradcheck(F.exp, np.zeros((0, 3)), fast=fast)
    assert report.verdict == "inconclusive"
    assert not report


@nx.primitive
def once_right(x):
    return x**3


@once_right.vjp("x")
def once_right_dx(ct, y, x):
    """Right to first order; the tape does not see x, so the second order is lost."""
    return ct * (3 * np.square(np.asarray(x)))


@nx.primitive
def nearly_right(x):
    return x**3


@nearly_right.vjp("x")
def nearly_right_dx(ct, y, x):
    return ct * (3 + 1e-9) * x**2


def test_second_order_sees_what_first_order_does_not() -> None:
    assert gradcheck(once_right, numbers(4)).passed
    second = gradcheck(lambda x: once_right(x) + x * x, numbers(4), order=2)
    assert second.verdict == "fail"
    assert gradcheck(lambda x: x**3 + x * x, numbers(4), order=2).passed


@pytest.mark.parametrize("fast", [False, True])
def test_a_wrong_rule_on_the_tape_fails(fast) -> None:
    assert gradcheck(nearly_right, normal(4), fast=fast).verdict == "fail"


def test_the_second_order_of_what_is_linear_is_inconclusive() -> None:
    report = gradcheck(lambda x, y: x * 3 + y, normal(3), normal(3), order=2)
    assert report.verdict == "inconclusive"
    assert "x is zero, which proves nothing" in report.reason


def test_mixed_second_derivatives() -> None:
    assert gradcheck(lambda x, y: x * y * y + F.exp(x), normal(3), normal(3), order=2).passed


def test_modules_with_their_parameters() -> None:
    block = nx.nn.RankMixerBlock(3, 4, 2, rng=0).eval()
    state = block.state_dict()

    def call(x, *parameters):
        return nx.nn.functional_call(block, dict(zip(state, parameters, strict=True)), x)

    assert gradcheck(call, normal(2, 3, 4), *state.values(), fast=True).passed


# What breaks complex steps without a sound ------------------------------------------

#: Each drops the imaginary part somewhere, so complex steps see only some of its derivative.
SILENT = {
    "abs": (np.abs, lambda ct, x: ct * np.sign(x)),
    "var": (np.var, lambda ct, x: ct * 2 * (x - x.mean()) / x.size),
    "norm": (np.linalg.norm, lambda ct, x: ct * x / np.linalg.norm(x)),
    "real": (lambda x: x.real**2, lambda ct, x: 2 * x * ct),
    "a large term beside abs": (
        lambda x: 1000 * x + np.abs(x),
        lambda ct, x: ct * (1000 + np.sign(x)),
    ),
    "one entry of many": (
        lambda x: np.concatenate([np.abs(x[:1]), x[1:]]),
        lambda ct, x: ct * np.where(np.arange(x.size), 1, np.sign(x)),
    ),
}


@pytest.mark.parametrize("name", SILENT)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e8])
@pytest.mark.parametrize("fast", [False, True])
def test_what_drops_the_imaginary_part_of_a_plain_number_is_carried(name, scale, fast) -> None:
    fn, vjp = SILENT[name]
    report = gradcheck(fn, scale * normal(12, seed=4), vjp=vjp, fast=fast)
    assert report.passed, report
    assert report.method == "complex", report.why


@pytest.mark.parametrize("small", [1e-5, 1e-7, 1e-9])
def test_a_small_term_that_breaks_complex_steps_is_found(small) -> None:
    """A right gradient failed here, and one without the term passed as exact to 1e-14."""

    def fn(x):
        return x**2 + small * np.abs(x)

    right = gradcheck(fn, normal(2, 4), vjp=lambda ct, x: ct * (2 * x + small * np.sign(x)))
    assert right.passed, right
    without = gradcheck(fn, normal(2, 4), vjp=lambda ct, x: ct * 2 * x)
    assert without.verdict == "fail" or without.detectable > without.max_error > small / 10


def test_a_gradient_that_forgets_the_silent_part_does_not_pass() -> None:
    x = normal(4, seed=5)
    forgets = gradcheck(lambda x: 1000 * x + np.abs(x), x, vjp=lambda ct, x: 1000 * ct)
    assert forgets.verdict == "fail"
    far = gradcheck(lambda x: x + np.abs(x), 1e8 * x, vjp=lambda ct, x: ct)
    assert far.verdict == "fail"


def test_loud_breakers_fall_back_and_say_why() -> None:
    def cube_root(x):
        return np.cbrt(x)  # has no complex loop

    report = gradcheck(cube_root, numbers(3), vjp=lambda ct, x: ct / (3 * np.cbrt(x) ** 2))
    assert report.passed, report
    assert report.method == "complex", report.why

    def halved(x):
        return np.asarray(x, dtype=np.float64) / 2  # a ComplexWarning, which is no pass

    report = gradcheck(halved, numbers(3), vjp=lambda ct, x: ct / 2)
    assert report.passed, report
    assert report.why == "complex steps raised ComplexWarning"


def test_a_method_asked_for_is_used() -> None:
    for method in ("complex", "central"):
        report = gradcheck(np.abs, normal(3), vjp=lambda ct, x: ct * np.sign(x), method=method)
        assert report.passed
        assert (report.method, report.why) == (method, "it was asked for")


@pytest.mark.parametrize("near", [1e-3, 1e-5, -1e-6])
def test_a_kink_nearby_does_not_drive_complex_steps_away(near) -> None:
    report = gradcheck(F.relu, np.array([near, 1.0, 2.0, -1.0]))
    assert report.passed, report
    assert report.method == "complex", report.reason
    assert gradcheck(F.relu, np.array([near, 1.0, 2.0, -1.0]), method="central").passed


@pytest.mark.parametrize("small", [1e-3, 1e-7, 1e-12])
def test_steps_shrink_to_the_domain_of_the_function(small) -> None:
    x = np.array([small, 1.0, 1e3 * math.sqrt(small)])
    assert gradcheck(F.log, x, method="central").passed
    assert gradcheck(np.log, x, vjp=lambda ct, x: ct / x).passed


@pytest.mark.parametrize("scale", [1e-14, 1e-10, 1e-7])
def test_differences_lost_in_rounding_do_not_drive_complex_steps_away(scale) -> None:
    report = gradcheck(F.exp, scale * normal(3))
    assert report.passed, report
    assert report.method == "complex"
    assert gradcheck(F.exp, scale * normal(3), fast=True).passed


def test_small_float32_inputs_do_not_underflow() -> None:
    x = (1e-10 * numbers(4)).astype(np.float32)
    report = gradcheck(lambda x: x * x * x, x)
    assert report.passed, report
    assert report.method == "complex"


def test_float32_finds_errors_above_its_tolerance() -> None:
    x = normal(5).astype(np.float32)
    wrong = gradcheck(np.exp, x, vjp=lambda ct, x: ct * np.exp(x) * np.float32(1.001))
    assert wrong.verdict == "fail"
    assert 1e-6 < wrong.tolerance < 2e-4
    mixed = gradcheck(lambda a, b: a * b, x, normal(5))
    assert mixed.passed
    assert 1e-6 < mixed.tolerance < 2e-4


# What proves nothing ----------------------------------------------------------------


@pytest.mark.parametrize("fast", [False, True])
def test_zero_gradients_prove_nothing_and_are_named(fast) -> None:
    report = gradcheck(lambda x, y: F.exp(x) + 0 * y, normal(3), normal(3))
    assert report.verdict == "inconclusive"
    assert "y is zero, which proves nothing" in report.reason
    alone = gradcheck(lambda x: nx.tensor(1.0), normal(3), fast=fast)
    assert alone.verdict == "inconclusive"
    assert "x is zero" in alone.reason


@pytest.mark.parametrize("method", ["complex", "central"])
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("scale", SCALES)
def test_gradients_that_are_zero_but_for_rounding_prove_nothing(method, fast, scale) -> None:
    def constant(x):
        return F.softmax(x / scale).sum(axis=-1)

    report = gradcheck(constant, scale * normal(3, 5), method=method, fast=fast)
    assert report.verdict == "inconclusive", report
    assert "is zero, which proves nothing" in report.reason


def test_rounding_in_one_input_hides_no_mistake_in_another() -> None:
    def fn(x, y):
        return softmax(x).sum(-1) + y**2

    x, y = normal(3, 5), normal(3)
    right = gradcheck(fn, x, y, vjp=lambda ct, x, y: (1e-17 * x, 2 * y * ct))
    assert right.verdict == "inconclusive"
    assert "x is no larger than rounding" in right.reason
    wrong = gradcheck(fn, x, y, vjp=lambda ct, x, y: (1e-17 * x, 2.1 * y * ct))
    assert wrong.verdict == "fail"
    assert "y is wrong" in wrong.reason
    wrong = gradcheck(fn, x, y, vjp=lambda ct, x, y: (1e-9 * x, 2 * y * ct))
    assert wrong.verdict == "fail"
    assert "x is wrong" in wrong.reason


def test_the_bias_of_attention_keys_is_no_failure() -> None:
    attention = nx.nn.SelfAttention(8, 2, rng=0)
    state = attention.state_dict()

    def call(x, *parameters):
        return nx.nn.functional_call(attention, dict(zip(state, parameters, strict=True)), x)

    report = gradcheck(call, normal(2, 3, 8), *state.values())
    assert report.verdict == "inconclusive"
    assert f"parameters[{list(state).index('key.bias')}] is no larger" in report.reason


def test_a_piecewise_constant_function_of_integers_proves_nothing() -> None:
    report = gradcheck(lambda x: np.floor(x).astype(int), normal(3), vjp=lambda ct, x: 0 * x)
    assert report.verdict == "inconclusive"


def test_whole_gradients_are_numbers_too() -> None:
    assert gradcheck(lambda x: x.sum(), normal(3), vjp=lambda ct, x: x > np.inf).verdict == "fail"
    report = gradcheck(lambda x: 2 * x, 1.5, vjp=lambda ct, x: 2 * int(ct))
    assert report.verdict == "fail"


def test_random_functions_are_inconclusive_and_told_what_to_do() -> None:
    network = nx.nn.FeedForward(4, 8, dropout=0.5, rng=0)
    report = gradcheck(network, normal(2, 4))
    assert report.verdict == "inconclusive"
    assert "two calls differ by" in report.reason
    assert "call .eval() on the module" in report.reason
    assert gradcheck(network.eval(), normal(2, 4)).passed


@pytest.mark.parametrize("seldom", range(2, 60))
def test_a_function_that_is_seldom_random_is_not_called_wrong(seldom) -> None:
    calls = iter(range(10**6))

    def fn(x):
        return x * x * (2 if next(calls) % seldom == seldom - 1 else 1)

    report = gradcheck(fn, normal(4), method="complex")
    assert report.verdict != "fail"
    assert report.passed or ".eval()" in report.reason
    if seldom < 9:
        assert report.verdict == "inconclusive"


@pytest.mark.parametrize("tolerance", [1.0, 10.0, math.inf])
@pytest.mark.parametrize("fast", [False, True])
def test_a_tolerance_that_would_pass_anything_is_inconclusive(tolerance, fast) -> None:
    report = gradcheck(F.exp, normal(4), tolerance=tolerance, fast=fast)
    assert report.verdict == "inconclusive"
    name = "" if fast else " of x"
    assert f"gradient{name} would pass too" in report.reason
    assert report.tolerance == tolerance


def test_a_tolerance_of_ones_own() -> None:
    def vjp(ct, x):
        return ct * np.exp(x) * (1 + 1e-5)

    assert gradcheck(np.exp, normal(4), vjp=vjp, tolerance=1e-4).passed
    assert gradcheck(np.exp, normal(4), vjp=vjp, tolerance=1e-6).verdict == "fail"


def test_gradients_whose_entries_are_all_alike_need_no_rolling() -> None:
    assert gradcheck(lambda x: x.sum(), normal(4), vjp=lambda ct, x: ct + 0 * x).passed


# What is left alone -----------------------------------------------------------------


def test_inputs_are_never_changed_and_who_tries_is_named() -> None:
    def fn(x, n):
        x *= n
        n += 1
        return x.sum()

    def vjp(ct, x, n):
        gradient = np.full(x.shape, float(n[0]) * ct)
        ct *= 0
        x *= np.nan
        return gradient

    def innocent(ct, x, n):
        return np.full(x.shape, float(n[0]) * ct)

    x, n = normal(3), np.array([3])
    kept = x.copy()
    report = gradcheck(fn, x, n, vjp=innocent)
    assert report.verdict == "fail"
    assert "fn changed x and n" in report.reason
    report = gradcheck(lambda x, n: (x * n).sum(), x, n, vjp=vjp)
    assert report.verdict == "fail"
    assert "the vjp changed x and its cotangent" in report.reason
    assert np.array_equal(x, kept)
    assert n == 3
    assert gradcheck(lambda x, n: (x * n).sum(), x, n, vjp=innocent).passed


def test_tensors_given_are_never_changed() -> None:
    t = nx.tensor(normal(3), requires_grad=True)
    kept = t.numpy()

    def fn(x):
        y = x * 2
        x.data *= 0
        return y

    assert gradcheck(lambda x: x * x, t, order=2).passed
    report = gradcheck(fn, t)
    assert report.verdict == "fail"
    assert "fn changed x" in report.reason
    assert np.array_equal(t.numpy(), kept)
    assert t.grad is None


def test_a_function_that_returns_its_input_can_be_checked() -> None:
    assert gradcheck(lambda x: x, normal(3)).passed
    assert gradcheck(lambda x: x, normal(3), vjp=lambda ct, x: ct).passed


@pytest.mark.parametrize("make", [int, np.int64, np.random.default_rng])
def test_the_cotangent_is_not_the_input_that_the_same_seed_draws(make) -> None:
    x = np.random.default_rng(5).standard_normal(6)
    seen = []

    def vjp(ct, x):
        seen.append(ct)
        return 3 * x * x * ct

    assert gradcheck(lambda x: x**3, x, vjp=vjp, rng=make(5)).passed
    ct = seen[0]
    assert all(np.array_equal(one, ct) for one in seen[:3])
    assert abs(np.corrcoef(ct, x)[0, 1]) < 0.9
    assert not np.isin(ct, x).any()


def test_the_same_seed_gives_the_same_report() -> None:
    x = normal(4)
    assert gradcheck(F.gelu, x, rng=3) == gradcheck(F.gelu, x, rng=3)
    first = np.random.default_rng(3)
    again = np.random.default_rng(3)
    assert gradcheck(F.gelu, x, rng=first, fast=True) == gradcheck(F.gelu, x, rng=again, fast=True)
    other = gradcheck(F.gelu, x, rng=4)
    assert other.worst != gradcheck(F.gelu, x, rng=3).worst


def test_floating_point_warnings_stay_inside() -> None:
    with np.errstate(all="raise"):
        assert gradcheck(F.exp, np.array([-800.0, 1.0]), tolerance=1e-9).passed
        assert gradcheck(F.log, np.array([0.0, 1.0])).verdict == "inconclusive"


# Kinks ------------------------------------------------------------------------------


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("method", ["auto", "complex", "central"])
@pytest.mark.parametrize("name", ["relu", "absolute", "maximum", "clip"])
def test_at_a_kink_the_two_slopes_are_given(name, method, fast) -> None:
    x = np.array([[0.0, 1.0, -2.0], [0.5, 0.0, 3.0]])
    fn = {
        "relu": F.relu,
        "absolute": F.absolute,
        "maximum": lambda x: F.maximum(x, 0 * x),
        "clip": lambda x: F.clip(x, 0.0, 2.5),
    }[name]
    report = gradcheck(fn, x, method=method, fast=fast)
    assert report.passed, report
    assert report.method == ("central" if method == "central" else "complex")
    assert {kink[:2] for kink in report.kinks} == {(0, (0, 0)), (0, (1, 1))}
    assert "  x[0, 0] is at a kink: slope " in str(report)
    assert str(report).count("is at a kink") == 2
    for kink in report.kinks:
        low, high = sorted((kink.left, kink.right))
        assert low - 1e-6 <= kink.gradient <= high + 1e-6


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("method", ["auto", "central"])
@pytest.mark.parametrize(
    ("at_zero", "passes"), [(0.0, True), (0.5, True), (1.0, True), (1.01, False), (-0.01, False)]
)
def test_a_gradient_at_a_kink_lies_between_the_slopes(at_zero, passes, method, fast) -> None:
    def vjp(ct, x):
        return ct * np.where(x == 0, at_zero, x > 0)

    def relu(x):
        return np.where(x.real > 0, x, 0)

    report = gradcheck(relu, np.array([0.0, 1.0, 2.0, -1.0]), vjp=vjp, method=method, fast=fast)
    assert report.verdict == ("pass" if passes else "fail"), report
    assert [kink[:2] for kink in report.kinks] == [(0, (0,))]
    if not passes:
        assert "the gradient of x is wrong" in report.reason
        assert "is at a kink" in str(report)


@pytest.mark.parametrize(
    ("apart", "count"), [(1e-8, 0), (1e-9, 0), (1e-12, 1), (2e-15, 1), (0.0, 1)]
)
@pytest.mark.parametrize("method", ["auto", "central"])
def test_an_input_is_at_a_kink_if_hardly_a_step_leads_beyond(apart, count, method) -> None:
    report = gradcheck(lambda x: F.maximum(x, 1.0), np.array([1 + apart, 1.5]), method=method)
    assert report.passed and len(report.kinks) == count, report


def test_ties_of_two_inputs_are_kinks_of_both() -> None:
    x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 5.0, 2.0])
    report = gradcheck(F.maximum, x, y)
    assert report.passed, report
    assert [kink[:2] for kink in report.kinks] == [(0, (0,)), (1, (0,))]


def test_a_function_with_kinks_everywhere_passes_between_them() -> None:
    assert gradcheck(F.relu, np.zeros(3)).passed
    wrong = gradcheck(np.abs, np.zeros(3), vjp=lambda ct, x: 2 * ct)
    assert wrong.verdict == "fail"


def test_a_kink_hides_no_mistake_elsewhere() -> None:
    def vjp(ct, x):
        return ct * np.where(x == 0, 0.3, np.sign(x)) * np.array([1.0, 1 + 1e-4, 1.0])

    report = gradcheck(np.abs, np.array([0.0, 2.0, -1.0]), vjp=vjp)
    assert report.verdict == "fail"
    assert report.worst[:2] == (0, (1,))


@pytest.mark.parametrize("large", [1e7, 1e11])
def test_a_kink_too_small_for_a_random_line_is_found_where_it_is(large) -> None:
    def fn(x):
        return np.stack([large * x[0], np.where(x[1].real > 0, x[1], -x[1])])

    right = gradcheck(fn, np.array([1.0, 0.0]), vjp=lambda ct, x: ct * np.array([large, 0.3]))
    assert right.passed, right
    assert right.method == "complex", right.why
    assert [kink[:2] for kink in right.kinks] == [(0, (1,))]
    wrong = gradcheck(fn, np.array([1.0, 0.0]), vjp=lambda ct, x: ct * np.array([large, 1.3]))
    assert wrong.verdict == "fail"


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(
    ("height", "dtype"), [(1.0, "float64"), (-1e-3, "float64"), (1.0, "float32")]
)
def test_where_a_function_jumps_the_report_says_so(height, fast, dtype) -> None:
    def step(x, y):
        return x * y + F.where(x >= 1, height, 0.0) * y

    x, y = np.array([0.5, 1.0, 3.0], dtype), np.array([1.5, 0.7, 2.0], dtype)
    report = gradcheck(step, x, y, method="complex", fast=fast)
    assert report.passed
    assert "(fn jumps at x: this is the gradient of one side)" in report.reason
    assert "jumps" not in gradcheck(step, x + x.dtype.type(0.3), y, method="complex").reason


def test_what_is_steep_does_not_jump() -> None:
    for fn in (lambda x: F.exp(30 * x), lambda x: F.sqrt(F.absolute(x)), lambda x: x**9):
        assert "jumps" not in gradcheck(fn, np.array([1e-3, 1.0, 2.0])).reason


def test_steep_and_curved_is_no_kink() -> None:
    assert gradcheck(lambda x: F.softplus(1e4 * x), np.array([0.0, 1e-5])).kinks == ()
    assert gradcheck(lambda x: F.sqrt(x), np.array([1e-9, 1.0])).kinks == ()


def test_a_function_that_raises_nearby_has_complex_steps() -> None:
    def only_here(x):
        if x.dtype.kind != "c" and not np.all(np.abs(np.asarray(x) - 1) < 1e-12):
            raise ValueError("out of bounds")
        return x * x

    for method in ("auto", "complex"):
        assert gradcheck(only_here, np.ones(3), method=method).passed
    assert gradcheck(only_here, np.ones(3), method="central").verdict == "inconclusive"


# Layouts ----------------------------------------------------------------------------


def flat(x):
    """The numbers as they lie in memory, whatever the strides."""
    return x.ravel(order="K").reshape(x.shape)


LAYOUT_BUGS = {
    "Fortran-ordered cotangent": (lambda ct, x: flat(ct) * np.exp(x)),
    "strided cotangent": (lambda ct, x: (ct if ct.strides[-1] == 8 else 2 * ct) * np.exp(x)),
    "stride-0 cotangent": (lambda ct, x: (ct if ct.strides[0] else 2 * ct) * np.exp(x)),
    "read-only cotangent": (lambda ct, x: (ct if ct.flags.writeable else 2 * ct) * np.exp(x)),
    "Fortran-ordered inputs": (lambda ct, x: ct * np.exp(flat(x))),
    "strided inputs": (lambda ct, x: ct * np.exp(x if x.strides[-1] == 8 else 2 * x)),
    "stride-0 inputs": (lambda ct, x: ct * np.exp(x if x.strides[0] else 2 * x)),
    "read-only inputs": (lambda ct, x: ct * np.exp(x if x.flags.writeable else 2 * x)),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("layout", LAYOUT_BUGS)
def test_a_gradient_that_minds_the_layout_fails_and_the_layout_is_named(layout, fast) -> None:
    def vjp(ct, x):
        if layout.startswith(("strided", "stride-0")):  # as C order alone has these strides
            if not (ct.flags.f_contiguous or x.flags.f_contiguous):
                return LAYOUT_BUGS[layout](ct, x)
            return ct * np.exp(x)
        return LAYOUT_BUGS[layout](ct, x)

    report = gradcheck(np.exp, normal(3, 4), vjp=vjp, fast=fast)
    assert report.verdict == "fail", report
    assert layout in report.reason
    assert "the gradient of x is another for" in report.reason


def test_a_function_that_minds_the_layout_fails() -> None:
    report = gradcheck(lambda x: np.exp(flat(x)), normal(3, 4), vjp=lambda ct, x: ct * np.exp(x))
    assert report.verdict == "fail", report
    assert "the function is another for Fortran-ordered inputs" in report.reason


def test_a_vjp_that_raises_on_a_layout_fails() -> None:
    def vjp(ct, x):
        ct += 0  # changes nothing, and yet writes
        return ct * np.exp(x)

    report = gradcheck(np.exp, normal(3, 4), vjp=vjp)
    assert report.verdict == "fail"
    assert "a read-only cotangent raised ValueError" in report.reason


def test_a_layout_that_is_refused_aloud_is_said_and_no_failure() -> None:
    report = gradcheck(lambda x: x.view(2, 6) ** 2, normal(3, 4))
    assert report.passed, report
    assert "not run on" in report.reason


def test_rows_that_are_alike_may_be_refused() -> None:
    """Repeating a row changes the numbers: a matrix becomes singular, and inv is right to raise."""
    matrix = normal(3, 3)

    def vjp(ct, x):
        y = np.linalg.inv(x)
        return -y.T @ ct @ y.T

    report = gradcheck(np.linalg.inv, matrix, vjp=vjp)
    assert report.passed, report
    assert "not run on stride-0 inputs: LinAlgError" in report.reason

    def by_strides(ct, x):
        if 0 in ct.strides:
            raise ValueError("strides")
        return ct * np.exp(x)

    report = gradcheck(np.exp, matrix, vjp=by_strides)
    assert report.verdict == "fail"
    assert "stride-0 cotangent raised ValueError" in report.reason


def test_a_gradient_that_is_rounding_in_some_layout_is_no_failure() -> None:
    def fn(x):
        d = x - x.mean(axis=0, keepdims=True)  # nothing but rounding where all rows are alike
        return d / F.sqrt((d * d).mean(axis=0, keepdims=True))

    assert gradcheck(fn, normal(7, 3) + 0.1).passed


def test_gradients_of_another_shape_for_some_layout_fail() -> None:
    def vjp(ct, x):
        found = ct * np.exp(x)
        return found if ct.flags.writeable else found[:1]

    report = gradcheck(np.exp, normal(3, 4), vjp=vjp)
    assert report.verdict == "fail"
    assert "with a read-only cotangent the gradients have shapes [(1, 4)]" in report.reason


def test_infinities_in_some_layout_alone_fail() -> None:
    report = gradcheck(
        np.exp, normal(3), vjp=lambda ct, x: ct * np.exp(x) / (1 if ct.flags.writeable else 0.0)
    )
    assert report.verdict == "fail"
    assert "a read-only cotangent, by inf" in report.reason


# Both sides of the Jacobian, and repetition -----------------------------------------


@nx.primitive
def half_linear(x):
    return x * x


@half_linear.vjp("x")
def half_linear_dx(ct, y, x):
    """Right in numbers, but a constant to the tape: jvp sees no v in it."""
    return 2 * nx.tensor(np.asarray(ct)) * x if isinstance(ct, nx.Tensor) else 2 * ct * x


def test_jvp_and_vjp_are_compared() -> None:
    report = gradcheck(half_linear, normal(4))
    assert report.verdict == "fail"
    assert "jvp and vjp disagree" in report.reason


@nx.primitive
def arrays_only(x):
    return x * x


@arrays_only.vjp("x")
def arrays_only_dx(ct, y, x):
    return np.multiply.reduce([2 * ct, x]) if isinstance(ct, np.ndarray) else np.hypot(ct, x)


def test_a_rule_that_tensors_cannot_run_is_said() -> None:
    report = gradcheck(arrays_only, normal(4))
    assert report.passed, report
    assert "jvp not compared: " in report.reason


@pytest.mark.parametrize("fast", [False, True])
def test_a_gradient_that_is_clipped_fails(fast) -> None:
    """The random cotangent is small, and what is wrong for a large one alone would pass."""
    report = gradcheck(
        np.exp, normal(3), vjp=lambda ct, x: np.clip(ct, -50, 50) * np.exp(x), fast=fast
    )
    assert report.verdict == "fail", report
    assert "x is not linear in the cotangent: for 1024 times as much" in report.reason


def test_a_cotangent_too_large_for_the_dtype_is_not_held_against_a_gradient() -> None:
    assert gradcheck(lambda x: x * 1e307, normal(3), vjp=lambda ct, x: ct * 1e307).passed


def test_a_random_gradient_is_inconclusive() -> None:
    rng = np.random.default_rng(0)
    report = gradcheck(np.exp, normal(3), vjp=lambda ct, x: ct * np.exp(x) * rng.uniform(1, 2))
    assert report.verdict == "inconclusive"
    assert "two calls of the gradient differ by" in report.reason


def test_an_input_that_is_ignored_is_told_from_a_gradient_that_cancels() -> None:
    ignored = gradcheck(lambda x, y: F.exp(x), normal(3), normal(3))
    assert "y is zero, which proves nothing: the function ignores it" in ignored.reason
    cancels = gradcheck(lambda x: F.softmax(x).sum(axis=-1), normal(3, 5))
    assert "zero, which proves nothing: it is zero by construction" in cancels.reason
    linear = gradcheck(lambda x, y: F.exp(x) + y, normal(3), normal(3), order=2)
    assert "the first gradient does not depend on it; check a square of fn" in linear.reason


def test_a_function_that_is_not_finite_is_told_from_such_a_gradient() -> None:
    for vjp in (None, lambda ct, x: ct / x):
        log = F.log if vjp is None else np.log
        outside = gradcheck(log, np.array([-1.0, 1.0]), vjp=vjp)
        assert outside.verdict == "inconclusive"
        assert outside.reason == "fn is not finite here; try other inputs"
    infinite = gradcheck(np.exp, normal(2), vjp=lambda ct, x: ct * np.inf)
    assert infinite.verdict == "fail"
    assert "the gradient of x is not finite everywhere" in infinite.reason


# What would have been caught --------------------------------------------------------


@pytest.mark.parametrize("name", ["exp", "softmax", "standardized", "linear", "product"])
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("method", ["complex", "central"])
def test_an_error_of_the_size_that_a_pass_claims_to_catch_is_caught(name, fast, method) -> None:
    fn, vjp, inputs = RIGHT[name]
    right = gradcheck(fn, *inputs, vjp=vjp, fast=fast, method=method)
    found = vjp(np.ones(np.shape(fn(*inputs))), *inputs)
    count = len(found) if isinstance(found, list | tuple) else 1
    for factor in (10, 1.01):
        for which in range(count):

            def change(gradients, which=which, factor=factor):
                one = gradients[which]
                norm = math.sqrt(sum((g * g).sum() for g in gradients))
                scale = norm if fast else np.abs(one).max()
                # In fast mode errors are relative to the slopes, which may exceed the norm.
                one.flat[0] += factor * right.detectable * scale * (4 if fast else 1)
                return gradients

            report = gradcheck(fn, *inputs, vjp=planted(vjp, change), fast=fast, method=method)
            assert report.verdict == "fail", (factor, which, report)


def test_an_error_of_1e_13_is_caught_at_every_scale() -> None:
    for scale in (1e-100, 1e-10, 1.0, 1e10, 1e100):
        x = scale * normal(3, 4)
        assert gradcheck(np.square, x, vjp=lambda ct, x: 2 * x * ct).passed
        wrong = gradcheck(np.square, x, vjp=lambda ct, x: 2 * x * ct * (1 + 1e-13))
        assert wrong.verdict == "fail"
        assert wrong.tolerance < 3e-14


@pytest.mark.parametrize("scale", [1e-100, 1e-50, 1e-16, 1e-8])
def test_small_inputs_hide_no_small_mistake(scale) -> None:
    x = scale * normal(1, 12)
    assert gradcheck(F.logsumexp, x).passed
    wrong = gradcheck(np.exp, x, vjp=lambda ct, x: ct * np.exp(x) * (1 + 1e-12))
    assert wrong.verdict == "fail", wrong


def test_sums_of_many_terms_are_given_their_rounding() -> None:
    report = gradcheck(F.logsumexp, 1e-9 * normal(1, 500))
    assert report.passed, report


def test_where_rounding_decides_the_check_says_so() -> None:
    def canceling(x):
        return (x + 1e13) - 1e13 + (x * 1e13) - (x * 1e13 - np.sin(1e11 * x))

    def vjp(ct, x):
        return ct * (1 + 1e11 * np.cos(1e11 * x)) * (1 + 2e-6)

    report = gradcheck(canceling, normal(3), vjp=vjp, method="complex")
    assert report.verdict == "inconclusive", report
    assert "rounding alone moves the gradient by" in report.reason


def test_real_differences_that_have_not_settled_are_inconclusive() -> None:
    def rough(x):
        return np.exp(x) + 1e-6 * np.sin(1e9 * x)

    report = gradcheck(rough, normal(2), vjp=lambda ct, x: ct * np.exp(x), method="central")
    assert report.verdict == "inconclusive", report
    assert "real differences are only good to " in report.reason


# Spread over workers ----------------------------------------------------------------


@pytest.mark.parametrize("method", ["complex", "central"])
def test_threads_find_what_one_finds(method) -> None:
    x, w = normal(3, 5), normal(5)
    alone = gradcheck(lambda x, w: F.softmax(x) * w, x, w, method=method)
    with ThreadPoolExecutor(3) as executor:
        spread = gradcheck(lambda x, w: F.softmax(x) * w, x, w, method=method, executor=executor)
    assert spread == alone
    assert spread.passed


def test_processes_find_what_one_finds() -> None:
    x = normal(3, 5)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        assert gradcheck(F.softmax, x, executor=executor) == gradcheck(F.softmax, x)
        report = gradcheck(np.exp, x, vjp=lambda ct, x: ct * np.exp(x), executor=executor)
        assert report.passed, report
        with pytest.raises(ArgumentError, match="write it with def in a module, or use threads"):
            gradcheck(lambda x: F.exp(x), x, executor=executor)


def test_what_fn_raises_in_a_thread_is_raised_as_it_is() -> None:
    def fn(x):
        if threading.current_thread() is not threading.main_thread():
            raise OSError("the disk is full")
        return F.exp(x)

    with ThreadPoolExecutor(1) as executor, pytest.raises(OSError, match="the disk is full"):
        gradcheck(fn, normal(3), executor=executor)


# Progress ---------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("slow", [True, False])
def test_progress_is_shown_on_a_terminal_after_two_seconds(terminal, slow, monkeypatch) -> None:
    class Stream(io.StringIO):
        def isatty(self):
            return terminal

    stream = Stream()
    clock = itertools.count(0, 3.0 if slow else 1e-6)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(sys, "stderr", stream)
    assert gradcheck(F.exp, normal(64)).passed
    shown = stream.getvalue()
    assert ("gradcheck: 64 of 64 derivatives" in shown) is (terminal and slow)
    assert shown == "" or shown.endswith("\r\x1b[K")


# The report -------------------------------------------------------------------------


def test_a_report_is_true_if_it_passed_and_reads_well() -> None:
    report = nx.gradcheck(F.exp, np.array([0.5, 1.0]))
    assert isinstance(report, GradcheckReport)
    assert bool(report) is report.passed is True
    lines = str(report).replace("\n    derivative", " derivative").splitlines()
    assert [lines[0], *lines[3:]] == [
        "gradcheck: PASS: the gradient agrees, and wrong ones were rejected",
        "  checked: what numixology's tape returns, order 1, 2 derivatives by x",
        "  by complex steps, because fn runs on complex numbers and keeps their derivative",
    ]
    number = r"\d\.\de[-+]\d\d"
    assert re.fullmatch(rf"  an error of {number} would have been caught", lines[1])
    assert re.fullmatch(
        rf"  largest error {number} of the gradient's largest entry, limit {number}", lines[2]
    )
    wrong = nx.gradcheck(np.exp, np.ones(2), vjp=lambda ct, x: 3 * ct * np.exp(x))
    lines = str(wrong).splitlines()[2:]
    assert lines[0].startswith("  farthest apart at x[")
    assert [line.split()[0] for line in lines[1:5]] == ["gradient", "slope", "ratio", "error"]


def test_a_report_says_whose_gradient_it_was_and_which_inputs_stood_still() -> None:
    x, ids = normal(3, 2), np.array([0, 2])
    report = gradcheck(lambda x, i: x[i], x, ids, vjp=lambda ct, x, i: of_rows(ct, x, i))
    assert (report.passed, report.gradient, report.differentiated) == (True, "vjp", (0,))
    assert (
        "checked: what vjp returns, order 1, 6 derivatives by x; not differentiated: i"
    ) in " ".join(str(report).split())
    assert gradcheck(F.exp, x).gradient == "tape"
    many = gradcheck(lambda a, b, c, d: a * b * c * d, *(normal(2, seed=i) for i in range(4)))
    assert "8 derivatives by 4 inputs\n" in str(many)


def of_rows(ct, x, i):
    found = np.zeros_like(x)
    np.add.at(found, i, ct)
    return found


def test_only_a_pass_says_what_it_would_have_caught_and_only_a_failure_the_ratio() -> None:
    wrong = str(gradcheck(np.exp, normal(3), vjp=lambda ct, x: 2 * ct * np.exp(x)))
    assert "\n    ratio    2\n" in wrong
    assert "would have been caught" not in wrong
    lost = gradcheck(lambda x: 1 + 0 * x, normal(3), vjp=lambda ct, x: ct)  # the slope is 0
    assert (lost.verdict, "ratio" in str(lost)) == ("fail", False)


def test_no_line_of_a_report_is_wide() -> None:
    x = normal(3, 4)
    for report in (
        gradcheck(np.abs, x, vjp=lambda ct, x: ct * np.sign(x)),
        gradcheck(np.abs, np.zeros(3), vjp=lambda ct, x: 3 * ct),
        gradcheck(nx.nn.Dropout(0.5, rng=0), x),
        gradcheck(lambda x, w: x @ w, x, normal(4, 2), vjp=lambda ct, x, w: ct @ w.T),
    ):
        assert max(map(len, str(report).splitlines())) <= 80


def test_of_many_kinks_the_first_are_told_and_the_others_counted() -> None:
    report = str(gradcheck(F.relu, np.zeros(11)))
    assert report.count("is at a kink: ") == 8
    assert report.endswith("\n  and 3 more are at a kink")


def test_a_report_without_a_place_has_a_line_less() -> None:
    report = gradcheck(np.exp, numbers(2), vjp=lambda ct, x: ct[:1])
    assert str(report).startswith("gradcheck: FAIL: the gradients have shapes")
    assert str(report).endswith("by x\n  nothing was compared")


def test_raise_on_failure() -> None:
    assert gradcheck(F.exp, numbers(2), raise_on_failure=True).passed
    with refused(GradientError, "gradcheck: FAIL", "of x", "compare the two values"):
        gradcheck(np.exp, numbers(2), vjp=lambda ct, x: ct, raise_on_failure=True)
    with refused(RuntimeError, "INCONCLUSIVE", "proves nothing"):
        gradcheck(lambda x: 0 * x, numbers(2), raise_on_failure=True)


# What is refused --------------------------------------------------------------------


@pytest.mark.parametrize("method", ["forward", None, ""])
def test_unknown_methods_are_refused(method) -> None:
    with refused(ArgumentError, "method is 'auto', 'complex' or 'central'", repr(method)):
        gradcheck(F.exp, numbers(2), method=method)


def test_orders_are_one_and_two() -> None:
    for order in (0, 3):
        with refused(ArgumentError, "order is 1 or, without vjp=, 2", str(order)):
            gradcheck(F.exp, numbers(2), order=order)
    with refused(ArgumentError, "check a vjp of your own as order 1"):
        gradcheck(np.exp, numbers(2), vjp=lambda ct, x: ct * np.exp(x), order=2)


@pytest.mark.parametrize("tolerance", [0, -1.0, math.nan])
def test_tolerances_are_positive(tolerance) -> None:
    with refused(ArgumentError, "tolerance is positive", repr(tolerance)):
        gradcheck(F.exp, numbers(2), tolerance=tolerance)


def test_something_must_be_differentiable() -> None:
    with refused(DTypeError, "needs a floating-point input", "int64, bool"):
        gradcheck(F.exp, np.arange(3), True)
    with refused(DTypeError, "needs a floating-point input", "none"):
        gradcheck(F.exp)


def test_half_precision_is_refused() -> None:
    with refused(DTypeError, "float64 or float32", "float64, float16", "astype"):
        gradcheck(F.add, numbers(2), numbers(2).astype(np.float16))


def test_a_function_must_return_a_tensor_or_with_a_vjp_an_array() -> None:
    with refused(DTypeError, "must return tensors", "ndarray", "give vjp="):
        gradcheck(lambda x: np.asarray(x), numbers(2))
    with refused(DTypeError, "fn must return arrays of real numbers", "NoneType"):
        gradcheck(lambda x: None, numbers(2), vjp=lambda ct, x: x)
    for wrong, kind in (("one", "<U3"),):
        with refused(DTypeError, "fn must return arrays of real numbers", kind):
            gradcheck(lambda x, wrong=wrong: wrong, numbers(2), vjp=lambda ct, x: x)
        with refused(DTypeError, "vjp must return arrays", "one array per floating-point input"):
            gradcheck(np.exp, numbers(2), vjp=lambda ct, x, wrong=wrong: [wrong])
    with refused(DTypeError, "fn must be real", "complex128"):
        gradcheck(lambda x: x * 1j, numbers(2), vjp=lambda ct, x: x)
    with refused(DTypeError, "vjp must return arrays", "complex128"):
        gradcheck(np.exp, numbers(2), vjp=lambda ct, x: ct * np.exp(x) + 0j)


def test_errors_of_the_function_itself_are_handed_on() -> None:
    def fn(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        gradcheck(fn, numbers(2))


@pytest.mark.parametrize("seed", range(50))
def test_no_seed_lets_fast_mode_pass_errors_that_cancel(seed) -> None:
    def exchanged(ct, x):
        return (3 * x * x * ct)[[1, 0, 2]]

    x = np.array([0.5, 1.0, 2.0])
    assert gradcheck(lambda x: x**3, x, vjp=exchanged, fast=True, rng=seed).verdict == "fail"


# Modules


def test_the_parameters_of_a_module_are_checked_too() -> None:
    block = nx.nn.RankMixerBlock(3, 4, 2, ff_dim=5, rng=0).eval()
    report = nx.gradcheck(block, np.random.default_rng(1).standard_normal((2, 3, 4)))
    assert report.passed
    assert report.coordinates == 2 * 3 * 4 + block.parameter_table().total


def test_parameters_are_named_in_reports() -> None:
    layer = nx.nn.Linear(3, 2, rng=0)
    report = gradcheck(layer, normal(4, 3))
    assert report.names == ("x", "weight", "bias")

    class Forgetful(nx.nn.Linear):
        def forward(self, x):
            return x @ self.weight.T + self.bias.detach()

    report = gradcheck(Forgetful(3, 2, rng=0), normal(4, 3))
    assert "the gradient of bias is wrong" in report.reason
    assert "farthest apart at bias[" in str(report)


def test_an_input_that_mixes_large_numbers_and_small_ones_is_stepped_entry_by_entry() -> None:
    x = np.array([1e6, 1e-16, 3.0, 1e-30])
    report = gradcheck(F.log, x)
    assert report.passed and report.method == "complex", report

    def wrong(cotangent, x):
        return cotangent / np.where(x < 1, 2 * x, x)

    assert gradcheck(np.log, x[:3], vjp=wrong).verdict == "fail"


def test_fast_mode_looks_again_before_it_calls_a_gradient_wrong() -> None:
    small, large = normal(3), 1e9 * normal(3)

    def f(small, large):  # np.abs drops the imaginary part of what weighs next to nothing
        return F.absolute(small * 1e-12).sum() + (large * large).sum()

    assert gradcheck(f, small, large, fast=True).passed


def test_threads_do_not_take_each_others_parameters_for_their_own() -> None:
    module = nx.nn.Linear(8, 8, rng=0)
    x = np.random.default_rng(1).standard_normal((2, 8))
    alone = gradcheck(module, x)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # as if the threads ran truly side by side
    try:
        with ThreadPoolExecutor(4) as executor:
            assert all(gradcheck(module, x, executor=executor) == alone for _ in range(150))
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("method", ["auto", "central"])
def test_an_executor_spreads_the_directions_of_the_fast_mode_too(method) -> None:
    x = normal(3, 5)
    with ThreadPoolExecutor(2) as executor:
        spread = gradcheck(F.gelu, x, fast=True, method=method, executor=executor)
    assert spread == gradcheck(F.gelu, x, fast=True, method=method)


def test_a_failure_in_fast_mode_is_looked_up_in_every_coordinate() -> None:
    report = gradcheck(np.exp, normal(4), vjp=lambda ct, x: 2 * ct * np.exp(x), fast=True)
    assert (report.verdict, report.fast, report.coordinates) == ("fail", False, 4)
    assert "is 2 times as large as it should be" in report.reason
    assert gradcheck(np.exp, normal(4), vjp=lambda ct, x: ct * np.exp(x), fast=True).fast


def test_fast_mode_names_an_input_that_is_ignored() -> None:
    report = gradcheck(lambda x, y: F.exp(x) + 0 * y, normal(4), normal(4), fast=True)
    assert report.verdict == "inconclusive"
    assert "y is zero, which proves nothing" in report.reason


LOGARITHM = np.array([1e-8, 1.0])
R = np.random.default_rng(0)
PAIR = np.array([[8.76136451e49, 8.76182292e49]])
APART = 1 + 1e-8 * R.standard_normal((1, 2, 1)), 1 + 1e-8 * R.standard_normal(4)


def normed(x):
    """Steep, but no further than 0.003 around a row of equal numbers."""
    return x + np.tanh(standardized(x))


def normed_vjp(ct, x):
    return ct + standardized_vjp(ct * (1 - np.tanh(standardized(x)) ** 2), x)


PERIOD = 0.02 / 4**6


def waving(x):
    """A wave of which steps of 0.02, and seven quarters of each other, meet the same point."""
    return x + 0.001 * np.sin(2 * np.pi * (x - 1) / PERIOD)


def waving_vjp(ct, x):
    return ct * (1 + 0.002 * np.pi / PERIOD * np.cos(2 * np.pi * (x - 1) / PERIOD))


def far_apart(x):
    """Finite only where both numbers are nearly the same."""
    y = x[:1] - x[1:]
    return y + y * y * y


@pytest.mark.parametrize(
    ("fn", "inputs", "options"),
    [
        pytest.param(fn, inputs, options, id=name)
        for name, fn, inputs, options in (
            ("large numbers, small eps", F.layer_norm, [np.full((1, 4), 1e25)], {}),
            ("sizes apart", lambda x, w: x * F.exp(w), [np.array([1e30]), np.ones(1)], {}),
            ("power", F.power, [np.array([1e33]), np.array([0.1])], {}),
            ("zero beside small", lambda x, y: (x + y) ** 3, [np.array([1e-60]), np.zeros(1)], {}),
            ("small beside one", F.log, [LOGARITHM.astype(np.float32)], {}),
            ("unsettled reciprocal", lambda x: x**-1, [LOGARITHM], {}),
            (
                "unsettled rows",
                F.layer_norm,
                [1e21 * (1 + 1e-8 * np.random.default_rng(0).standard_normal((1, 6)))],
                {},
            ),
            ("unsettled silu", F.silu, [np.array([0, 1e20])], {"order": 2}),
            (
                "unsettled root",
                np.cbrt,
                [np.array([1e-10, 1.0])],
                {"vjp": lambda ct, x: ct / (3 * np.cbrt(x) ** 2)},
            ),
            ("log1p near 0", lambda x: F.log1p(x) ** 2, [np.array([1e-20])], {}),
            (
                "rounding alone",
                nx.nn.TokenMixer(1, 2, 1),
                [2.64e79 * (1 + np.array([[[0, 6e-9]]]))],
                {},
            ),
            ("zero but for the step", F.prod, [np.array([1.0, 0, 2, 0])], {}),
            ("kinks nearby", F.maximum, APART, {}),
            (
                "lost in float32",
                np.var,
                [np.float32(5.4826e-8) * np.float32([1, 1, 1.0000001, 1.0000001, 1])],
                {"vjp": lambda ct, x: ct * 2 * (x - x.mean()) / x.size},
            ),
            ("power of zero", F.power, [np.array([2.0]), np.zeros(1)], {"order": 2}),
            ("rows alike, 1e7", normed, [np.full(4, 3e7)], {}),
            ("rows alike, 1e12", normed, [np.full(4, 2e12)], {}),
            ("rows alike, 1e49", normed, [np.full(4, 2e49)], {}),
            ("rows alike, float32", normed, [np.full(4, 4e5, np.float32)], {}),
            ("even about 0", lambda x: x**-2, [np.array([3.3, 7.3e-5])], {}),
            ("steps lost in the inputs", far_apart, [np.full(2, 1e122)], {}),
            ("quarters of a step", waving, [np.ones(2)], {"vjp": waving_vjp}),
            ("means of two", standardized, [PAIR], {"vjp": standardized_vjp}),
        )
    ],
)
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("method", ["auto", "complex", "central"])
def test_a_right_gradient_never_fails(fn, inputs, options, fast, method) -> None:
    if (method, fn) == ("complex", np.cbrt):
        pytest.skip("cbrt takes no complex numbers")
    report = gradcheck(fn, *inputs, **options, fast=fast, method=method)
    assert report.verdict != "fail", report


def test_where_complex_numbers_overflow_and_real_ones_do_not_nothing_is_known() -> None:
    for order in (1, 2):
        report = gradcheck(F.sigmoid, np.array([-800.0, 1.0]), method="complex", order=order)
        assert (report.verdict, report.reason[:17]) == ("inconclusive", "fn is finite here")
        assert gradcheck(F.sigmoid, np.array([-800.0, 1.0]), order=order).verdict != "fail"


@pytest.mark.parametrize("size", [1.0, 3e7])
def test_steps_become_short_enough_for_what_is_small(size) -> None:
    x = np.full(4, size)
    report = gradcheck(normed, x)
    assert report.passed and report.method == "complex", report

    assert gradcheck(normed, x, vjp=normed_vjp).passed
    for error in (1e-12 if size == 1 else 1e-5, -1.0):

        def wrong(ct, x, error=error):
            return normed_vjp(ct, x) * (1 + error * (np.arange(4) == 2))

        assert gradcheck(normed, x, vjp=wrong).verdict == "fail"


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("method", ["auto", "central"])
@pytest.mark.parametrize("size", [2e12, 2e49])
def test_where_real_and_complex_steps_contradict_each_other_nothing_is_known(
    size, method, fast
) -> None:
    x = np.full(4, size)
    report = gradcheck(normed, x, method=method, fast=fast)
    if method == "auto":
        assert report.passed and report.method == "complex", report
    else:
        assert report.verdict == "inconclusive", report
        assert report.reason.startswith(("real steps call the gradient wrong", "real differences"))

    wrong = gradcheck(normed, x, vjp=lambda ct, x: 0.9 * normed_vjp(ct, x), method=method)
    assert not wrong.passed, wrong


def with_var(x):
    """LayerNorm whose variance loses the imaginary part."""
    return (x - x.mean()) / np.sqrt(np.var(x) + 1e-5)


def normed_with_var(x):
    return x + np.tanh(with_var(x))


def without_var(ct, x):
    """Its gradient, had the variance none."""
    d = ct * (1 - np.tanh(with_var(x)) ** 2)
    return ct + (d - d.mean()) / np.sqrt(np.var(x) + 1e-5)


def bump(center, width):
    return lambda x: x + width * np.exp(-(np.abs((x - center) / width) ** 2))


def valley(center, width):
    return lambda x: x + width * np.tanh(np.abs((x - center) / width))


AROUND = np.array([1.0, -0.7, 0.4])


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("method", ["auto", "central"])
@pytest.mark.parametrize(
    ("fn", "x", "vjp"),
    [
        pytest.param(*case, id=name)
        for name, *case in (
            ("bump, 1", bump(1, 1e-3), 1 + 1e-3 * AROUND, lambda ct, x: ct),
            ("bump, 1000", bump(1000, 1), 1000 + AROUND, lambda ct, x: ct),
            ("valley, 1", valley(1, 1e-3), 1 + 1e-3 * AROUND, lambda ct, x: ct),
            ("valley, 1e6", valley(1e6, 1), 1e6 + 0.3 * AROUND, lambda ct, x: ct),
            ("var, 1e10", normed_with_var, 1e10 + 0.003 * np.array([1, -0.7, 0.4, 0]), without_var),
            ("var, apart", normed_with_var, 1e10 + np.array([1, -0.7, 0.4, 0.1]), without_var),
        )
    ],
)
def test_what_is_small_and_loses_the_imaginary_part_supports_no_wrong_gradient(
    fn, x, vjp, method, fast
) -> None:
    report = gradcheck(fn, x, vjp=vjp, method=method, fast=fast)
    assert report.verdict == "fail" or (method == "central" and not report.passed), report


def test_what_raises_nearby_supports_no_wrong_gradient() -> None:
    here = 1 + 1e-3 * AROUND

    def fn(x):
        if np.iscomplexobj(x) and 1e-4 < np.abs(x - here).max() < 5e-3:
            raise TypeError("no complex numbers here")
        return valley(1, 1e-3)(x)

    report = gradcheck(fn, here, vjp=lambda ct, x: ct)
    assert report.verdict == "fail", report


@pytest.mark.parametrize("fast", [False, True])
def test_a_gradient_that_agrees_with_a_lost_imaginary_part_is_wrong(fast) -> None:
    def fn(x):
        return x + np.abs(x)

    report = gradcheck(fn, np.array([1e10, 2e10]), vjp=lambda ct, x: ct, fast=fast)
    assert report.verdict == "fail", report


def test_what_cannot_be_settled_nearby_supports_no_wrong_gradient() -> None:
    def fn(x):  # at 1 its wave has no height
        return x + np.abs(x) + 1e6 * (x - 1) ** 4 * np.sin(1e13 * x)

    report = gradcheck(fn, np.ones(1), vjp=lambda ct, x: ct)
    assert report.verdict == "fail", report
    wrong = gradcheck(np.cbrt, np.ones(1), vjp=lambda ct, x: ct)
    assert wrong.verdict == "fail"


def test_a_doubt_in_one_entry_hides_no_mistake_in_another() -> None:
    def fn(x):
        return np.exp(x) + np.array([1e-6, 0.0]) * np.sin(1e9 * x)

    def vjp(ct, x):
        return ct * np.exp(x) * np.array([1.0, 1 + 1e-4])

    report = gradcheck(fn, numbers(2), vjp=vjp, method="central")
    assert report.verdict == "fail", report


@pytest.mark.parametrize("method", ["auto", "complex", "central"])
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("scale", [1e-155, 1e-160, 1e-170, 1e-200, 1e-300])
def test_a_gradient_of_what_underflows_is_no_failure(scale, fast, method) -> None:
    x = scale * np.array([1.0, -2.3])
    report = gradcheck(F.square, x, method=method, fast=fast)
    assert report.verdict != "fail", report
    if scale <= 1e-170:
        reason = "fn underflows, and shows no gradient of x; try larger inputs"
        assert (report.verdict, report.reason) == ("inconclusive", reason)
    assert gradcheck(lambda x: 3 * x, x, method=method, fast=fast).passed
    wrong = gradcheck(np.square, x, vjp=lambda ct, x: 1e-100 * ct, method=method, fast=fast)
    if scale == 1e-155:
        assert wrong.verdict == "fail"


def test_a_gradient_of_rounding_alone_is_called_that() -> None:
    report = gradcheck(F.exp, np.array([1e-40]), method="central")
    assert report.verdict == "inconclusive"
    assert "is no larger than rounding" in report.reason


def test_a_wrong_parameter_gradient_of_a_module_is_found() -> None:
    @nx.primitive
    def scaled(x, weight):
        return x * weight

    @scaled.vjp("x")
    def scaled_dx(ct, y, x, weight):
        return ct * weight

    @scaled.vjp("weight")
    def scaled_dweight(ct, y, x, weight):
        return ct * x * 7.0

    class Scale(nx.nn.Module):
        def __init__(self):
            self.weight = nx.tensor([2.0, 3.0], requires_grad=True)

        def forward(self, x):
            return scaled(x, self.weight)

    report = nx.gradcheck(Scale(), np.array([1.0, 2.0]))
    assert report.verdict == "fail"
    assert report.worst is not None and report.worst[0] == 1


def test_a_module_of_ids_is_checked_by_its_parameters() -> None:
    report = nx.gradcheck(nx.nn.Embedding(4, 3, rng=0), np.array([[1, 2, 1]]), order=1)
    assert report.passed and report.coordinates == 12


def test_a_module_with_active_dropout_is_told_to_use_eval() -> None:
    report = nx.gradcheck(nx.nn.FeedForward(4, rng=0), np.ones((2, 4)) + np.eye(2, 4))
    assert report.verdict == "inconclusive"
    assert ".eval()" in report.reason
