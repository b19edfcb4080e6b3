"""What primitives cost: each has a formula, and takes by hand what the formula says."""

import importlib
import pkgutil
import threading
from collections.abc import Callable
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import numbers, refused

import numixology as nx
from numixology import functional as F
from numixology import primitives, reductions, shapes
from numixology.array import Setting
from numixology.autograd import Primitive
from numixology.errors import DTypeError, UnsupportedError
from numixology.explain import Cost, complexity, register_cost
from numixology.explain.cost import formulas
from numixology.explain.cost.counting import CountedCall
from numixology.observe import Call, observing
from numixology.verify import suite


def calls_of(fn: Callable[..., object], *inputs: object) -> list[Call]:
    """What an observer is told while ``fn`` runs."""
    calls: list[Call] = []
    with observing(call=calls.append):
        fn(*inputs)
    return calls


def cost_of(fn: Callable[..., object], *inputs: object) -> Cost:
    """The cost of the one call that ``fn`` makes."""
    (call,) = calls_of(fn, *inputs)
    return formulas.cost_of(call)


def counted(fn: Callable[..., object], *inputs: object) -> tuple[CountedCall, ...]:
    return complexity(fn, *inputs).rows


# What has a formula -----------------------------------------------------------------------


def package_primitives() -> set[Primitive]:
    """Every primitive in any module of the package, with rules or without."""
    found = set()
    for module in pkgutil.walk_packages(nx.__path__, "numixology."):
        name = module.name
        if not name.endswith("__main__") and "pytest" not in name and ".conformance" not in name:
            things = vars(importlib.import_module(name)).values()
            found |= {thing for thing in things if isinstance(thing, Primitive)}
    return found


def test_every_primitive_has_a_formula() -> None:
    found = package_primitives()
    assert found > suite.every_primitive()
    assert [one.__name__ for one in found if one not in formulas._FORMULAS] == []


def test_every_case_of_the_suite_can_be_counted() -> None:
    """So every cost is met by arguments such as its primitive is really given."""
    met = set()
    for case in suite.CASES:
        for call in calls_of(case.fn, *[nx.tensor(x) for x in case.inputs]):
            met.add(call.primitive.__name__)
            cost = formulas.cost_of(call)
            assert 0 <= 2 * cost.multiply_adds <= cost.flops
            assert isinstance(cost.flops, int)
    inner = {"getitem", "scatter"}  # met inside rules alone would not do
    assert inner <= met
    assert met >= {one.__name__ for one in suite.every_primitive()}


def test_a_missing_formula_is_refused_and_the_error_tells_what_to_write() -> None:
    @nx.primitive
    def cube(x):
        return x * x * x

    assert cube(2.0) == 8.0
    with refused(UnsupportedError, "has a formula", "cube", "register_cost(cube)"):
        nx.explain.complexity(cube, nx.tensor([1.0]))
    assert names(lambda: F.exp(nx.tensor(1.0))) == ["exp"]  # and observing goes on


def test_a_cost_that_is_a_bare_number_is_refused_and_the_error_tells_what_to_write() -> None:
    @nx.primitive
    def cube(x):
        return x * x * x

    register_cost(cube)(lambda y, x: 2 * y.size)
    with refused(DTypeError, "the formula of cube returns", "int", "Cost(flops)"):
        nx.explain.complexity(cube, nx.tensor([1.0]))


# What they declare, against the equations by hand --------------------------------------


class Number:
    """A number that notes every operation on any."""

    taken = 0

    def _note(self, *_: object) -> "Number":
        Number.taken += 1
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _note
    __truediv__ = __rtruediv__ = __neg__ = _note


def exp(x: Number) -> Number:
    return x._note()


root = log = erf = tanh = exp


def larger(a: Number, b: Number) -> Number:
    return a._note(b)


def total(row: list[Number]) -> Number:
    return reduce(lambda a, b: a + b, row)


def mean(row: list[Number]) -> Number:
    return total(row) / len(row)


def gelu_tanh(x: Number) -> Number:
    return 0.5 * x * (1 + tanh(0.8 * (x + 0.044715 * (x * x * x))))


ELEMENTWISE = {
    "relu": (F.relu, lambda x: larger(x, x)),
    "sigmoid": (F.sigmoid, lambda x: 1 / (1 + exp(-x))),
    "tanh": (F.tanh, tanh),
    "silu": (F.silu, lambda x: x * (1 / (1 + exp(-x)))),
    "gelu": (F.gelu, lambda x: x * (0.5 * (1 + erf(x / 1.4)))),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), gelu_tanh),
    "softplus": (F.softplus, lambda x: log(1 + exp(x))),
    "erf": (F.erf, erf),
    "normal_cdf": (F.normal_cdf, lambda x: 0.5 * (1 + erf(x / 1.4))),
    "normal_pdf": (F.normal_pdf, lambda x: exp(-0.5 * (x * x)) / 2.5),
    "exp": (F.exp, exp),
    "expm1": (F.expm1, exp),
    "log": (F.log, log),
    "log1p": (F.log1p, log),
    "sqrt": (F.sqrt, root),
    "square": (F.square, lambda x: x * x),
    "negative": (F.negative, lambda x: -x),
    "absolute": (F.absolute, lambda x: larger(x, x)),
    "sign": (F.sign, lambda x: larger(x, x)),
    "clip": (lambda x: F.clip(x, 0.0, 1.0), lambda x: larger(larger(x, x), x)),
    "clip below": (lambda x: F.clip(x, 0.0), lambda x: larger(x, x)),
}


def softmax(row: list[Number]) -> None:
    top = reduce(larger, row)
    shares = [exp(x - top) for x in row]
    whole = total(shares)
    for share in shares:
        _ = share / whole


def log_softmax(row: list[Number]) -> None:
    top = reduce(larger, row)
    less = [x - top for x in row]
    whole = log(total([exp(x) for x in less]))
    for x in less:
        _ = x - whole


def logsumexp(row: list[Number]) -> None:
    top = reduce(larger, row)
    _ = top + log(total([exp(x - top) for x in row]))


def centered(row: list[Number]) -> list[Number]:
    middle = mean(row)
    return [x - middle for x in row]


def deviation(row: list[Number]) -> Number:
    return root(mean([x * x for x in row]) + 1e-5)


def normed(weight: bool, bias: bool) -> Callable[[list[Number]], None]:
    def norm(row: list[Number]) -> None:
        row = centered(row)
        size = deviation(row)
        for x in row:
            y = x / size
            y = y * 2 if weight else y
            _ = y + 1 if bias else y

    return norm


def root_mean_square(row: list[Number], weight: bool) -> None:
    size = deviation(row)
    for x in row:
        y = x / size
        _ = y * 2 if weight else y


def ours_normed(weight: bool, bias: bool) -> Callable[[nx.Tensor], nx.Tensor]:
    def norm(x: nx.Tensor) -> nx.Tensor:
        ones = np.ones(x.shape[-1])
        return F.layer_norm(x, ones if weight else None, ones if bias else None)

    return norm


ROWS = {
    "softmax": (F.softmax, softmax),
    "log_softmax": (F.log_softmax, log_softmax),
    "logsumexp": (F.logsumexp, logsumexp),
    "sum": (lambda x: F.sum(x, -1), total),
    "max": (lambda x: F.max(x, -1), lambda row: reduce(larger, row)),
    "min": (lambda x: F.min(x, -1), lambda row: reduce(larger, row)),
    "cumsum": (lambda x: F.cumsum(x, -1), total),  # each sum so far is a step of the last
    **{
        f"layer_norm, weight {weight}, bias {bias}": (
            ours_normed(weight, bias),
            normed(weight, bias),
        )
        for weight in (True, False)
        for bias in (True, False)
    },
    "rms_norm": (F.rms_norm, lambda row: root_mean_square(row, False)),
    "rms_norm, weight": (
        lambda x: F.rms_norm(x, np.ones(x.shape[-1])),
        lambda row: root_mean_square(row, True),
    ),
}


def taken_by(fn: Callable[..., object], argument: object) -> int:
    Number.taken = 0
    fn(argument)
    return Number.taken


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_function_costs_what_its_equation_takes(name) -> None:
    ours, by_hand = ELEMENTWISE[name]
    assert cost_of(ours, nx.tensor(numbers(2, 3))) == Cost(6 * taken_by(by_hand, Number()))


@pytest.mark.parametrize("name", ROWS)
@given(rows=st.integers(1, 4), n=st.integers(1, 6))
def test_a_function_of_rows_costs_what_its_equation_takes(name, rows, n) -> None:
    ours, by_hand = ROWS[name]
    one = taken_by(by_hand, [Number() for _ in range(n)])
    assert cost_of(ours, nx.tensor(numbers(rows, n))) == Cost(rows * one)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_texts_formulas(dtype) -> None:
    x = nx.tensor(numbers(2, 3, 8), dtype=dtype)
    ones = np.ones(8, dtype)
    assert cost_of(F.layer_norm, x, ones, ones).flops == 6 * (7 * 8 + 2)
    assert cost_of(F.softmax, x).flops == 6 * (5 * 8 - 2)


BROADCASTING = [
    F.add, F.subtract, F.multiply, F.divide, F.power, F.maximum, F.minimum,
    *(lambda a, b: a // b, lambda a, b: a % b),
    *(lambda a, b: a == b, lambda a, b: a != b, lambda a, b: a < b, lambda a, b: a <= b),
    *(lambda a, b: a > b, lambda a, b: a >= b),
]  # fmt: skip


@pytest.mark.parametrize("fn", BROADCASTING)
def test_arithmetic_and_comparisons_cost_one_for_each_result(fn) -> None:
    assert cost_of(fn, nx.tensor(numbers(4, 1)), nx.tensor(numbers(3))) == Cost(12)


def test_logic_costs_one_and_choosing_nothing() -> None:
    x, y = nx.tensor([True, False, True]), nx.tensor([False, False, True])
    for fn in (lambda a, b: a & b, lambda a, b: a | b, lambda a, b: a ^ b, lambda a, _: ~a):
        assert cost_of(fn, x, y) == Cost(3)
    assert cost_of(F.where, x, 1.0, 2.0) == Cost(0)


@given(n=st.integers(1, 4), k=st.integers(1, 5), m=st.integers(1, 6), batch=st.integers(1, 3))
def test_a_matrix_product_costs_2nmk(n, k, m, batch) -> None:
    product = n * m * k
    a, b = nx.tensor(numbers(batch, n, k)), nx.tensor(numbers(k, m))
    assert cost_of(F.matmul, a, b) == Cost(2 * batch * product, batch * product)
    assert cost_of(F.matmul, b.T, a[0, 0]) == Cost(2 * k * m, k * m)
    assert cost_of(F.matmul, a[0, 0], a[0, 0]) == Cost(2 * k, k)
    weight, bias = nx.tensor(numbers(m, k)), nx.tensor(numbers(m))
    assert cost_of(F.linear, a, weight) == Cost(2 * batch * product, batch * product)
    rows = batch * n * m
    assert cost_of(F.linear, a, weight, bias) == Cost(2 * batch * product + rows, batch * product)
    weight, bias = nx.tensor(numbers(n, m, k)), nx.tensor(numbers(n, m))
    own = cost_of(F.per_token_linear, a, weight)
    assert own == Cost(2 * batch * product, batch * product)
    own = cost_of(F.per_token_linear, a, weight, bias)
    assert own == Cost(2 * batch * product + rows, batch * product)


def test_einsum_counts_its_terms() -> None:
    a, b, c = numbers(2, 3), numbers(3, 4), numbers(4)
    assert cost_of(lambda: F.einsum("ij,jk->ik", a, b)) == Cost(2 * 24, 24)
    assert cost_of(lambda: F.einsum("ij,jk,k->i", a, b, c)) == Cost(2 * 24 + 24, 24)
    assert cost_of(lambda: F.einsum("ij,jk->ijk", a, b)) == Cost(24)
    assert cost_of(lambda: F.einsum("ij->j", a)) == Cost(6 - 3)
    assert cost_of(lambda: F.einsum("ij->ji", a)) == Cost(0)


def test_numbers_and_lists_among_the_arguments_are_arrays_to_a_cost() -> None:
    assert cost_of(lambda: F.einsum(",i->i", 2.0, [1.0, 2.0, 3.0])) == Cost(3)

    @nx.primitive
    def scale(x, by, shift=None):
        return x * by

    @register_cost(scale)
    def scale_cost(y, x, by, shift):
        return Cost(x.size + by.size, bytes_read=shift is None)

    assert cost_of(scale, nx.tensor([1.0, 2.0]), 3.0) == Cost(3, bytes_read=True)


@given(n=st.integers(1, 40), rows=st.integers(1, 3))
def test_a_product_of_n_numbers_costs_n_minus_1(n, rows) -> None:
    calls = calls_of(lambda x: F.prod(x, 1), nx.tensor(numbers(rows, n)))
    assert sum(formulas.cost_of(call).flops for call in calls) == rows * (n - 1)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("wrap", [nx.tensor, np.asarray])
def test_losses_cost_the_same_whatever_the_target_is(wrap, reduction) -> None:
    x, target = nx.tensor(numbers(6)), wrap(numbers(6))
    last = {"none": 0, "sum": 5, "mean": 6}[reduction]
    for loss, each in ((F.mse_loss, 2), (F.binary_cross_entropy_with_logits, 11)):
        calls = calls_of(lambda loss=loss: loss(x, target, reduction))
        assert sum(formulas.cost_of(call).flops for call in calls) == 6 * each + last


def test_sums_of_nothing_cost_nothing() -> None:
    nothing = nx.tensor(np.zeros((0, 3)))
    assert cost_of(lambda x: F.sum(x, 0), nothing) == Cost(0)
    assert cost_of(lambda x: F.cumsum(x, 0), nothing) == Cost(0)
    assert cost_of(lambda x: F.einsum("ij->j", x), nothing) == Cost(0)


def test_dropout_costs_a_product_in_training_and_nothing_else() -> None:
    layer, x = nx.nn.Dropout(0.5, rng=0), nx.tensor(np.ones((2, 3)))
    assert [formulas.cost_of(call) for call in calls_of(layer, x)] == [Cost(6)]
    assert calls_of(layer.eval(), x) == []


# Bytes ----------------------------------------------------------------------------------


def moved(fn: Callable[..., object], *inputs: object) -> tuple[int, int]:
    (call,) = counted(fn, *inputs)
    assert call.flops == call.multiply_adds == 0
    return call.bytes_read, call.bytes_written


@pytest.mark.parametrize(("dtype", "size"), [("float64", 8), ("float32", 4), ("int32", 4)])
def test_what_moves_costs_bytes_alone(dtype, size) -> None:
    x = nx.tensor(np.arange(24).reshape(2, 3, 4), dtype=dtype)
    swapped = x.permute(0, 2, 1)
    copied = (24 * size, 24 * size)
    for view in (
        lambda: x.reshape(6, 4),
        lambda: x.permute(2, 0, 1),
        lambda: x[0, 1:],
        lambda: F.broadcast_to(x, (5, 2, 3, 4)),
    ):
        assert moved(view) == (0, 0)
    for copy in (
        lambda: swapped.reshape(24),
        swapped.contiguous,
        lambda: primitives.copy_of(x),
        lambda: F.concatenate([x[0], x[1]]),
        lambda: F.token_mix(x, 2),
    ):
        *_, call = counted(copy)
        assert (call.bytes_read, call.bytes_written) == copied
    one = x[:1]
    assert moved(lambda: F.broadcast_to(one, (0, 3, 4))) == (0, 0)
    assert moved(lambda: x.astype("float64")) == (24 * size, 24 * 8)
    assert moved(lambda: shapes.scatter(x, index=slice(0, 2), shape=(5, 3, 4))) == (
        24 * size,
        60 * size,
    )


def test_of_a_table_only_the_rows_that_are_looked_up_are_read() -> None:
    table = nx.tensor(numbers(100, 4))
    assert moved(F.embedding, [[5, 7, 5]], table) == (96, 96)
    assert moved(lambda: table[np.array([5, 7])]) == (64, 64)


def test_what_computes_reads_every_array_and_writes_its_result() -> None:
    (call,) = counted(F.linear, numbers(2, 3), numbers(5, 3), numbers(5))
    assert (call.bytes_read, call.bytes_written) == (8 * (6 + 15 + 5), 8 * 10)
    (call,) = counted(F.divide, nx.tensor(numbers(6), dtype="float32"), 2.0)
    assert (call.bytes_read, call.bytes_written) == (24, 24)
    (call,) = counted(reductions.sum, numbers(2, 3))
    assert (call.bytes_read, call.bytes_written) == (48, 8)


# Watching -----------------------------------------------------------------------------------


def names(fn: Callable[..., object], *inputs: object) -> list[str]:
    return [call.primitive.__name__ for call in calls_of(fn, *inputs)]


def test_only_the_outermost_primitive_is_told_of() -> None:
    x = nx.tensor(numbers(1, 3, 4))
    assert names(F.token_mix, x, 2) == ["token_mix"]
    assert names(F.mixing_steps, x, 2) == ["reshape", "transpose", "reshape", "reshape"]
    assert names(F.layer_norm, x) == ["layer_norm"]
    assert names(F.mean, x) == ["sum", "divide"]


def test_a_backward_is_not_told_of() -> None:
    def step() -> nx.Tensor:
        x = nx.tensor(numbers(3), requires_grad=True)
        y = F.relu(x) * x
        (slope,) = nx.grad(y.sum(), [x], create_graph=True)
        slope.sum().backward()
        return x + 1

    assert names(step) == ["relu", "multiply", "sum", "sum", "add"]


def test_of_a_derivative_only_the_function_itself_is_told_of() -> None:
    """Whether its inputs lie on a tape or not, and however the derivative is put together."""

    def twice() -> None:
        x = nx.tensor(numbers(3), requires_grad=True)
        for _ in range(2):
            nx.functional.exp(x).backward(np.ones(3))

    assert names(twice) == ["exp", "exp"]
    for x in (numbers(3), nx.tensor(numbers(3), requires_grad=True)):
        assert names(nx.jacobian, F.exp, x) == ["exp"]
        assert names(lambda x=x: nx.vjp(F.exp, x)[1](np.ones(3))) == ["exp"]
        assert names(lambda x=x: nx.jvp(F.exp, (x,), (np.ones(3),))) == ["exp"]
    assert names(lambda: nx.grad(F.exp(x), [x, x], np.ones(3))) == ["exp"]


def test_a_call_has_what_ran() -> None:
    a, b = numbers(2, 3), nx.tensor(numbers(3))
    (call,) = calls_of(F.add, a, b)
    assert call.arguments[0] is a
    assert call.arguments[1] is b.data
    assert (call.result == a + numbers(3)).all()
    (call,) = calls_of(F.multiply, [1.0, 2.0, 3.0], b)
    assert call.arguments[0].tolist() == [1.0, 2.0, 3.0]
    assert cost_of(F.clip, a, 0.0) == Cost(6)


def test_watching_changes_no_value_and_no_gradient() -> None:
    def run() -> tuple[np.ndarray, np.ndarray]:
        x = nx.tensor(numbers(1, 3, 4), requires_grad=True)
        block = nx.nn.RankMixerBlock(3, 4, 2, rng=0).eval()
        y = block(x)
        y.backward(numbers(1, 3, 4, seed=1))
        return y.numpy(), x.grad.numpy()

    found: list[Call] = []
    with observing(call=found.append):
        watched = run()
    assert found
    for one, other in zip(run(), watched, strict=True):
        assert (one == other).all()


def test_watchers_nest_and_leave_after_an_error() -> None:
    outer: list[str] = []
    inner: list[str] = []

    def into(names: list[str]) -> Setting:
        return observing(call=lambda call: names.append(call.primitive.__name__))

    with into(outer):
        with pytest.raises(KeyError, match="mine"), into(inner):
            F.exp(1.0)
            raise KeyError("mine")
        F.sqrt(1.0)
        with pytest.raises(nx.errors.ShapeError):
            F.add(np.ones(2), np.ones(3))
        F.log(1.0)
    F.exp(1.0)
    assert (outer, inner) == (["exp", "sqrt", "log"], ["exp"])


def test_a_watcher_may_calculate_itself() -> None:
    seen: list[float] = []

    def watch(call: Call) -> None:
        seen.append(float(F.sum(call.result)))

    with observing(call=watch):
        F.exp(np.zeros(3))
    assert seen == [3.0]


def test_another_thread_is_not_watched() -> None:
    found: list[Call] = []
    with observing(call=found.append):
        thread = threading.Thread(target=F.exp, args=(1.0,))
        thread.start()
        thread.join()
    assert found == []
