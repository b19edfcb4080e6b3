"""What gradcheck takes and gives back: trees of arrays, names, primitives of one's own."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support import numbers, refused

import numixology as nx
from numixology import functional as F
from numixology import nn
from numixology.errors import ArgumentError, DTypeError, ShapeError
from numixology.verify import gradcheck
from numixology.verify.gradients.problems import Problem, second_order
from numixology.verify.suite import CASES

X = np.array([[0.1, 0.5, 0.2], [1.0, -2.0, 0.3]])


def test_several_outputs_have_a_cotangent_of_their_structure() -> None:
    def fn(x):
        return {"squares": x * x, "rest": [x.sum(), (x.argmax(-1), np.exp(x[0]))]}

    def vjp(ct, x):
        assert ct["rest"][1][0] is None  # of integers
        found = 2 * x * ct["squares"] + ct["rest"][0]
        found[0] += np.exp(x[0]) * ct["rest"][1][1]
        return found

    assert gradcheck(fn, X, vjp=vjp).passed
    wrong = gradcheck(fn, X, vjp=lambda ct, x: 2 * x * ct["squares"] + ct["rest"][0])
    assert wrong.verdict == "fail"
    assert wrong.worst[1][0] == 0


def test_a_function_of_tensors_may_return_several() -> None:
    report = gradcheck(lambda x: (x**2, [F.exp(x).sum()]), numbers(3))
    assert report.passed, report
    assert gradcheck(lambda x: (x**3, F.exp(x)), numbers(3), order=2).passed


def test_inputs_may_be_trees_and_are_named() -> None:
    def fn(params, x):
        return params["layers"][0] * x + params["bias"]

    def vjp(ct, params, x):
        grads = {"layers": (ct * x,), "bias": ct.sum()}
        return grads, ct * params["layers"][0]

    report = gradcheck(fn, {"layers": (numbers(3),), "bias": np.array(0.3)}, numbers(3), vjp=vjp)
    assert report.passed, report
    assert report.names == ("params['bias']", "params['layers'][0]", "x")


def test_a_named_tuple_comes_as_one() -> None:
    from collections import namedtuple

    Pair = namedtuple("Pair", "a b")
    report = gradcheck(
        lambda pair: pair.a * pair.b,
        Pair(numbers(3), 2 * numbers(3)),
        vjp=lambda ct, pair: Pair(ct * pair.b, ct * pair.a),
    )
    assert report.passed, report


def test_lists_of_numbers_are_arrays() -> None:
    assert gradcheck(np.sin, [0.5, 2.0], vjp=lambda ct, x: list(ct * np.cos(x))).passed
    with refused(ShapeError, "nested lists of equal lengths"):
        gradcheck(lambda x: [1.0, [2.0]], numbers(2), vjp=lambda ct, x: x)


@pytest.mark.parametrize("none", [None, np.zeros(2, np.dtype([("float0", "V")]))])
def test_integers_have_no_gradient(none) -> None:
    def vjp(ct, table, ids):
        found = np.zeros_like(table)
        np.add.at(found, ids, ct)
        return found, none

    assert gradcheck(lambda table, ids: table[ids], numbers(4), np.array([1, 1]), vjp=vjp).passed


def test_a_float_without_a_gradient_stands_still() -> None:
    def fn(x, eps):
        return x / np.sqrt(x * x + eps)

    def vjp(ct, x, eps):
        return ct * eps / np.sqrt(x * x + eps) ** 3, None

    report = gradcheck(fn, numbers(3), 0.1, vjp=vjp)
    assert report.passed, report
    assert report.differentiated == (0,)
    assert "not differentiated: eps" in " ".join(str(report).split())
    nothing = gradcheck(np.exp, numbers(3), vjp=lambda ct, x: None)
    assert (nothing.verdict, nothing.reason[:23]) == ("inconclusive", "vjp returns no gradient")


def test_inputs_are_given_one_by_one() -> None:
    with refused(ArgumentError, "gradcheck calls fn(*inputs)", "'w'", "not in a tuple"):
        gradcheck(lambda x, w: x @ w, (X, X.T), vjp=lambda ct, x, w: (ct @ w.T, x.T @ ct))
    with refused(ArgumentError, "gradcheck calls vjp(cotangent, *inputs)", "too many"):
        gradcheck(np.exp, X, vjp=lambda x: np.exp(x))


def test_a_module_of_another_library_is_told_what_to_do() -> None:
    class Linear:
        __module__ = "torch.nn.modules.linear"

        def __call__(self, x):
            return x

    with refused(ArgumentError, "Linear of torch", "wrap it and its gradient"):
        gradcheck(Linear(), X)


def test_names_come_from_the_signature() -> None:
    def fn(a, *others):
        return a + others[0] * others[1]

    assert gradcheck(fn, *[numbers(2)] * 3).names == ("a", "others[0]", "others[1]")
    vjp = lambda ct, a, b: (ct * b, ct * a)  # noqa: E731
    assert gradcheck(np.multiply, numbers(2), numbers(2), vjp=vjp).names == ("x1", "x2")
    builtin = gradcheck(lambda *a: max(*a, key=sum), numbers(2), numbers(3)[:2])
    assert builtin.names == ("a[0]", "a[1]")


def test_a_gradient_that_reuses_its_buffer_is_right() -> None:
    buffer = np.zeros(5)

    def vjp(ct, x):
        buffer[:] = 2 * x * ct
        return buffer

    assert gradcheck(np.square, numbers(5), vjp=vjp).passed


def test_a_gradient_computed_by_complex_numbers_is_refused() -> None:
    with refused(DTypeError, "vjp must return arrays", "complex128", "call fn itself first"):
        gradcheck(np.exp, numbers(2), vjp=lambda ct, x: ct * np.exp(x) + 0j)


def test_what_is_no_number_may_stand_beside_outputs() -> None:
    def fn(x):
        return {"loss": (x * x).sum(), "name": "squares", "cache": None}

    assert gradcheck(fn, numbers(3), vjp=lambda ct, x: 2 * x * ct["loss"]).passed


def test_masked_gradients_are_refused() -> None:
    with refused(DTypeError, "vjp must return arrays of real numbers", "MaskedArray"):
        gradcheck(np.square, numbers(2), vjp=lambda ct, x: np.ma.array(2 * x * ct))


def test_gradients_may_come_by_the_names_of_the_arguments() -> None:
    def vjp(ct, x, w):
        return {"x": ct * w, "w": ct * x}

    assert gradcheck(lambda x, w: x * w, numbers(3), 2 + numbers(3), vjp=vjp).passed


def test_inputs_that_are_not_finite_prove_nothing() -> None:
    report = gradcheck(np.exp, np.array([1.0, -np.inf]), vjp=lambda ct, x: ct * np.exp(x))
    assert report.reason == "an input that is moved is not finite here; try other inputs"


# Primitives of one's own, which may do what NumPy's complex numbers lose


def same(x):
    return np.asanyarray(x)


SAME = nx.primitive(same)
SAME.vjp("x")(lambda ct, y, x: ct)


def cubed(factor=1.0):
    """|x|³ as a primitive, and its rule times a factor."""
    made = nx.primitive(lambda x: np.abs(x) ** 3)
    made.vjp("x")(lambda ct, y, x: ct * 3 * factor * x * F.absolute(x))
    return made


@nx.primitive
def folded(x):
    return np.sort(np.maximum(np.abs(x), 0.3 * x + 0.2))


@folded.vjp("x")
def folded_dx(ct, y, x):
    bent = np.abs(x) > 0.3 * x + 0.2
    slope = np.empty_like(ct)
    slope[np.argsort(np.maximum(np.abs(x), 0.3 * x + 0.2))] = ct
    return slope * np.where(bent, np.sign(x), 0.3)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_primitives_of_ones_own_are_checked_to_the_last_digits(dtype) -> None:
    x = np.array([0.7, -1.9, 0.15, -0.4], dtype)
    allowed = 1e-12 if dtype == np.float64 else 2e-3
    for fn, order in ((folded, 1), (cubed(), 1), (cubed(), 2)):
        for fast in (False, True):
            report = gradcheck(lambda x, fn=fn: F.exp(fn(x)), x, order=order, fast=fast)
            assert report.passed and report.method == "complex", report
            assert report.detectable < allowed, report
    if dtype == np.float64:
        wrong = gradcheck(cubed(1 + 1e-9), x)
        assert wrong.verdict == "fail", wrong


def test_kinks_of_ones_own_primitives_are_found_by_complex_steps() -> None:
    report = gradcheck(lambda x: 2 * folded(x), np.array([0.0, -2.0, 1.0, 2 / 13 * -1]))
    assert report.passed and report.detectable < 1e-10, report


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_function_of_the_house_hands_a_complex_step_on(case) -> None:
    """Beside a primitive of one's own, on whose tape nothing is taken for granted."""

    def beside(*inputs):
        return SAME(case.fn(*inputs) ** 2)

    for one in (np.float64, np.float32):
        inputs = [x.astype(one) for x in case.inputs]
        mine = Problem(beside, None, inputs, np.random.default_rng(0))
        house = Problem(lambda *x: case.fn(*x) ** 2, None, inputs, np.random.default_rng(0))
        w = np.linspace(-1, 1, mine.y.size)
        for ours, theirs in ((mine, house), (second_order(mine, w), second_order(house, w))):
            found, expected = (of.run(of.x * (1 + 2.0**-40 * 1j)) for of in (ours, theirs))
            assert found.carried
            apart = np.abs(found.values.imag - expected.values.imag).max() * 2.0**40
            assert apart <= 1000 * np.finfo(one).eps * np.abs(found.values).max()


def test_modules_hand_a_complex_step_on_to_primitives_of_ones_own() -> None:
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.PerTokenLinear(2, 3, 4, rng=0)
            self.block = nn.RankMixerBlock(2, 4, 2, ff_dim=2, ffn="per_token", dropout=0.0, rng=0)

        def forward(self, x):
            return self.cubed(self.block(self.first(x)))

        cubed = staticmethod(cubed())

    with ThreadPoolExecutor(2) as threads:
        report = gradcheck(Own(), X.reshape(1, 2, 3), executor=threads)
    assert report.passed and report.detectable < 1e-11, report


def test_a_primitive_that_drops_the_step_is_checked_by_real_differences() -> None:
    made = nx.primitive(lambda x: np.sin(np.asarray(x).real))
    made.vjp("x")(lambda ct, y, x: ct * np.cos(x))
    report = gradcheck(made, numbers(3))
    assert report.passed and report.method == "central", report
