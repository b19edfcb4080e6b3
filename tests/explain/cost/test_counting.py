"""What is counted is what runs, and watching it changes nothing."""

import numpy as np
import pytest
from support import numbers, refused

import numixology as nx
from numixology import nn
from numixology.errors import DTypeError, ShapeError, UnsupportedError
from numixology.explain import Complexity, Cost, complexity, register_cost
from numixology.explain.cost.counting import CountedCall

TABLE = """\
primitive  result         FLOPs  multiply-adds  bytes read  bytes written
---------  ---------  ---------  -------------  ----------  -------------
linear     1000 x 50  4,050,000      2,000,000     336,400        400,000
sum        a number      49,999              0     400,000              8
total                 4,099,999      2,000,000     736,400        400,008
parameters: 0, in 0 bytes"""


def test_the_table_has_every_call_and_its_totals() -> None:
    x, weight, bias = np.ones((1000, 40)), np.ones((50, 40)), np.ones(50)
    found = complexity(lambda x: nx.functional.linear(x, weight, bias).sum(), x)
    assert str(found) == TABLE
    assert found.rows == (
        CountedCall("linear", (1000, 50), 4_050_000, 2_000_000, 336_400, 400_000),
        CountedCall("sum", (), 49_999, 0, 400_000, 8),
    )
    assert (found.flops, found.multiply_adds) == (4_099_999, 2_000_000)
    assert (found.bytes_read, found.bytes_written) == (736_400, 400_008)


def test_nothing_costs_nothing() -> None:
    found = complexity(lambda x: x, np.ones(3))
    assert found == Complexity(0, 0, ())
    assert found.flops == found.multiply_adds == found.bytes_read == found.bytes_written == 0
    assert "total" in str(found)


@pytest.mark.parametrize(("dtype", "size"), [("float64", 8), ("float32", 4)])
def test_parameters_are_those_of_a_module(dtype, size) -> None:
    layer = nn.Linear(3, 2, rng=0, dtype=dtype)
    found = complexity(layer, np.ones((5, 3), dtype))
    assert (found.parameters, found.parameter_bytes) == (8, 8 * size)
    assert complexity(lambda x: layer(x), np.ones((5, 3), dtype)).parameters == 0


def test_a_parameter_that_is_used_twice_counts_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            self.first = nn.Linear(3, 3, rng=0)
            self.second = nn.Linear(3, 3, rng=0)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.second(self.first(x))

    found = complexity(Twice(), np.ones((1, 3)))
    assert found.parameters == 9 + 3 + 3
    assert found.multiply_adds == 18


def test_operators_on_arrays_are_seen() -> None:
    found = complexity(lambda a, b: np.exp(a * b) / 2, np.ones((2, 3)), np.ones(3))
    assert [call.name for call in found.rows] == ["multiply", "exp", "divide"]
    found = complexity(nx.functional.attention, *(numbers(2, 3, 4, seed=i) for i in range(3)))
    assert [call.name for call in found.rows] == [
        "transpose", "matmul", "divide", "softmax", "matmul",
    ]  # fmt: skip


def test_what_is_no_array_is_handed_on() -> None:
    found = complexity(nx.functional.embedding, [[1, 0]], np.ones((2, 3)))
    assert [call.shape for call in found.rows] == [(1, 2, 3)]
    words = np.array([["a", "b"]])
    assert complexity(lambda x: x.dtype.kind, words) == Complexity(0, 0, ())


def test_arrays_that_no_tensor_holds_are_refused_rather_than_not_seen() -> None:
    for x in (np.ones(3, np.float16), np.ones(3, complex), np.ones(3, np.longdouble)):
        with refused(DTypeError, "tensors hold float64", str(x.dtype)):
            complexity(lambda x: x * x, x)
    with refused(DTypeError, "a tensor has a value everywhere", "filled"):
        complexity(np.exp, np.ma.array([1.0, 2.0], mask=[False, True]))
    assert complexity(lambda x: x * x, np.ones(3, ">f8")).flops == 3
    ids = np.array([1, 0], np.uint8)
    assert complexity(lambda ids: nx.functional.embedding(ids, np.ones((2, 3))), ids).rows


def test_a_slice_keeps_its_memory_order() -> None:
    x = np.ones((4, 6))[:, :3]
    assert complexity(lambda x: x.reshape(12), x).bytes_written == 96


def test_nothing_is_recorded_and_no_gradient_flows() -> None:
    x = nx.tensor([1.0, 2.0], requires_grad=True)
    kept = []
    complexity(lambda x: kept.append(x * x), x)
    assert not kept[0].requires_grad
    assert x.grad is None


def test_dropout_counts_in_training_only() -> None:
    network, x = nn.FeedForward(4, 6, rng=0), np.ones((2, 4))
    training = complexity(network, x).flops
    assert training - complexity(network.eval(), x).flops == 2 * 6 + 2 * 4


def test_a_primitive_of_ones_own() -> None:
    @nx.primitive
    def scale(x, *, by=2):
        return x * by

    @register_cost(scale)
    def scale_cost(y, x, *, by):
        return Cost(by * y.size)

    assert complexity(scale, np.ones((2, 3))).flops == 12
    assert complexity(lambda x: scale(x, by=5), np.ones((2, 3))).flops == 30

    @nx.primitive
    def silent(x):
        return x

    with refused(UnsupportedError, "has a formula", "silent", "register_cost(silent)"):
        complexity(silent, np.ones(2))


def test_an_error_of_the_function_is_its_own() -> None:
    with refused(ShapeError, "broadcast"):
        complexity(nx.functional.add, np.ones(2), np.ones(3))
    assert complexity(nx.functional.exp, np.ones(2)).flops == 2
