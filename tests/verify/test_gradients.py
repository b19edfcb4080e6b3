"""The gradient check passes what is right, fails what is wrong, and says when it cannot tell."""

import math

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


# Functions of NumPy arrays with hand-written gradients ----------------------------


def softmax(x):
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


def softmax_vjp(ct, x):
    y = softmax(x)
    return y * (ct - (ct * y).sum(-1, keepdims=True))


def standardised(x):
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)


def deviation(x):
    return np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def standardised_vjp(ct, x):
    y = standardised(x)
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
    "standardised": (standardised, standardised_vjp, [normal(3, 5)]),
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
    assert report.max_error <= report.tolerance == (1e-6 if method == "central" else 1e-12)


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
    name=st.sampled_from(["exp", "softmax", "standardised", "linear", "product"]),
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
    assert f"inputs[{which}]" in report.reason
    assert f"farthest apart at inputs[{which}]{list(index)}: gradient {ours:.17g}" in str(report)


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
        standardised,
        lambda ct, x: (
            (ct - standardised(x) * (ct * standardised(x)).mean(-1, keepdims=True)) / deviation(x)
        ),
        [normal(3, 5)],
    ),
    "projection of LayerNorm left out": (
        standardised,
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
    assert "inputs[0] is not finite everywhere" in report.reason
    assert report.worst[1] == (1,)


def test_a_function_that_is_not_finite_fails() -> None:
    report = gradcheck(lambda x: x / 0, numbers(3))
    assert report.verdict == "fail"
    assert "not finite" in report.reason


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
        assert report.tolerance == 1e-4


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
    assert "inputs[0] is zero, which proves nothing" in report.reason


def test_mixed_second_derivatives() -> None:
    assert gradcheck(lambda x, y: x * y * y + F.exp(x), normal(3), normal(3), order=2).passed


def test_modules_with_their_parameters() -> None:
    block = nx.nn.RankMixerBlock(3, 4, 2, rng=0).eval()
    state = block.state_dict()

    def call(x, *parameters):
        return nx.nn.functional_call(block, dict(zip(state, parameters, strict=True)), x)

    assert gradcheck(call, normal(2, 3, 4), *state.values(), fast=True).passed


# What breaks complex steps without a sound --------------------------------------------

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
def test_silent_breakers_of_complex_steps_fall_back_and_say_why(name, scale, fast) -> None:
    fn, vjp = SILENT[name]
    report = gradcheck(fn, scale * normal(12, seed=4), vjp=vjp, fast=fast)
    assert report.passed, report
    assert report.method == "central"
    assert "inputs[0] passes through an operation that drops the imaginary part" in report.reason


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
    assert (report.method, report.tolerance) == ("central", 1e-6)
    assert "central differences: complex steps raised TypeError" in report.reason

    def halved(x):
        return np.asarray(x, dtype=np.float64) / 2  # a ComplexWarning, which is no pass

    report = gradcheck(halved, numbers(3), vjp=lambda ct, x: ct / 2)
    assert report.passed, report
    assert "complex steps raised ComplexWarning" in report.reason


def test_a_method_asked_for_is_used() -> None:
    report = gradcheck(np.abs, normal(3), vjp=lambda ct, x: ct * np.sign(x), method="complex")
    assert report.verdict == "fail"
    assert report.method == "complex"


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
    assert wrong.tolerance == 1e-4
    mixed = gradcheck(lambda a, b: a * b, x, normal(5))
    assert mixed.passed
    assert mixed.tolerance == 1e-4


# What proves nothing --------------------------------------------------------------------


@pytest.mark.parametrize("fast", [False, True])
def test_zero_gradients_prove_nothing_and_are_named(fast) -> None:
    report = gradcheck(lambda x, y: F.exp(x) + 0 * y, normal(3), normal(3))
    assert report.verdict == "inconclusive"
    assert "inputs[1] is zero, which proves nothing" in report.reason
    alone = gradcheck(lambda x: nx.tensor(1.0), normal(3), fast=fast)
    assert alone.verdict == "inconclusive"
    assert "inputs[0] is zero" in alone.reason


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
    assert "inputs[0] is zero" in right.reason
    wrong = gradcheck(fn, x, y, vjp=lambda ct, x, y: (1e-17 * x, 2.1 * y * ct))
    assert wrong.verdict == "fail"
    assert "inputs[1] is wrong" in wrong.reason
    wrong = gradcheck(fn, x, y, vjp=lambda ct, x, y: (1e-9 * x, 2 * y * ct))
    assert wrong.verdict == "fail"
    assert "inputs[0] is wrong" in wrong.reason


def test_the_bias_of_attention_keys_is_no_failure() -> None:
    attention = nx.nn.SelfAttention(8, 2, rng=0)
    state = attention.state_dict()

    def call(x, *parameters):
        return nx.nn.functional_call(attention, dict(zip(state, parameters, strict=True)), x)

    report = gradcheck(call, normal(2, 3, 8), *state.values())
    assert report.verdict == "inconclusive"
    assert f"inputs[{1 + list(state).index('key.bias')}] is zero" in report.reason


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
    assert "call .eval() on the module, or fix its seed" in report.reason
    assert gradcheck(network.eval(), normal(2, 4)).passed


def test_a_function_that_is_seldom_random_is_not_called_wrong() -> None:
    calls = iter(range(10**6))

    def fn(x):
        return x * x * (2 if next(calls) % 12 == 5 else 1)

    report = gradcheck(fn, normal(4), method="complex")
    assert report.verdict == "inconclusive"
    assert ".eval()" in report.reason


@pytest.mark.parametrize("tolerance", [1.0, 10.0, math.inf])
@pytest.mark.parametrize("fast", [False, True])
def test_a_tolerance_that_would_pass_anything_is_inconclusive(tolerance, fast) -> None:
    report = gradcheck(F.exp, normal(4), tolerance=tolerance, fast=fast)
    assert report.verdict == "inconclusive"
    assert "gradient of inputs[0] would pass too" in report.reason
    assert report.tolerance == tolerance


def test_a_tolerance_of_ones_own() -> None:
    def vjp(ct, x):
        return ct * np.exp(x) * (1 + 1e-5)

    assert gradcheck(np.exp, normal(4), vjp=vjp, tolerance=1e-4).passed
    assert gradcheck(np.exp, normal(4), vjp=vjp, tolerance=1e-6).verdict == "fail"


def test_gradients_whose_entries_are_all_alike_need_no_rolling() -> None:
    assert gradcheck(lambda x: x.sum(), normal(4), vjp=lambda ct, x: ct + 0 * x).passed


# What is left alone -----------------------------------------------------------------------


def test_inputs_are_never_changed() -> None:
    def fn(x, n):
        x *= n
        n += 1
        return x.sum()

    def vjp(ct, x, n):
        gradient = np.full(x.shape, float(n[0]) * ct)
        ct *= 0
        x *= np.nan
        n *= 0
        return gradient

    x, n = normal(3), np.array([3])
    kept = x.copy()
    report = gradcheck(fn, x, n, vjp=vjp)
    assert report.passed, report
    assert np.array_equal(x, kept)
    assert n == 3
    wrong = gradcheck(fn, x, n, vjp=lambda *given: vjp(*given) * (1 + 1e-11))
    assert wrong.verdict == "fail"


def test_tensors_given_are_never_changed() -> None:
    t = nx.tensor(normal(3), requires_grad=True)
    kept = t.numpy()

    def fn(x):
        y = x * x
        x.data *= 0
        return y

    assert gradcheck(lambda x: x * x, t, order=2).passed
    with pytest.raises(nx.errors.TapeError):  # the tape notices; the caller's tensor is untouched
        gradcheck(fn, t)
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
    (ct,) = seen
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
        assert gradcheck(F.log, np.array([0.0, 1.0])).verdict == "fail"


# The report ---------------------------------------------------------------------------------


def test_a_report_is_true_if_it_passed_and_reads_well() -> None:
    report = nx.gradcheck(F.exp, np.array([0.5, 1.0]))
    assert isinstance(report, GradcheckReport)
    assert bool(report) is report.passed is True
    lines = str(report).splitlines()
    assert lines[0] == "gradcheck: PASS: the gradient agrees, and wrong ones were rejected"
    assert lines[1] == "  order 1, complex step, 2 derivatives"
    assert lines[2].endswith("of the gradient's largest entry, limit 1.0e-12")
    assert lines[3].startswith("  farthest apart at inputs[0][")
    assert len(lines) == 4


def test_a_report_without_a_place_has_a_line_less() -> None:
    report = gradcheck(np.exp, numbers(2), vjp=lambda ct, x: ct[:1])
    assert len(str(report).splitlines()) == 3
    assert str(report).startswith("gradcheck: FAIL: the gradients have shapes")


def test_raise_on_failure() -> None:
    assert gradcheck(F.exp, numbers(2), raise_on_failure=True).passed
    with refused(GradientError, "gradcheck: FAIL", "inputs[0]", "compare the two values"):
        gradcheck(np.exp, numbers(2), vjp=lambda ct, x: ct, raise_on_failure=True)
    with refused(RuntimeError, "INCONCLUSIVE", "proves nothing"):
        gradcheck(lambda x: 0 * x, numbers(2), raise_on_failure=True)


# What is refused ------------------------------------------------------------------------------


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
    with refused(DTypeError, "must return a tensor", "ndarray", "give vjp="):
        gradcheck(lambda x: np.asarray(x), numbers(2))
    for wrong, kind in ((None, "NoneType"), ("one", "<U3"), ((1.0, [2.0]), "tuple")):
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
