"""What a backend returns, and what cannot be compared."""

import numpy as np
import pytest

from numixology.verify.conformance import Textbook, make_case
from numixology.verify.conformance.calling import answered, misshapen


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("output", None, "the output is missing"),
        ("output", [1.0], "the output is list, not a NumPy array"),
        ("output", np.zeros((1, 2), np.float32), "the output has shape (1, 2), not (2, 3, 10)"),
        ("output", np.zeros((2, 3, 10)), "the output has dtype float64, not float32"),
        ("x", None, "the gradient of x is missing"),
        ("weight", np.float32(1), "the gradient of weight has shape (), not (10,)"),
        ("bias", np.zeros(10, np.float16), "the gradient of bias has dtype float16, not float32"),
    ],
)
def test_what_is_misshapen_is_named(name, value, says) -> None:
    one = make_case("layer_norm", dtype="float32")
    results = answered(Textbook("float32"), one, True).results
    assert misshapen(results, one, True) == ""
    results = {k: v for k, v in results.items() if k != name} | (
        {} if value is None else {name: value}
    )
    assert misshapen(results, one, True) == says
    assert misshapen(results, one, False) == ("" if name != "output" else says)


def test_a_gradient_called_output_is_not_the_output() -> None:
    class Confused(Textbook):
        def vjp(self, stage, inputs, cotangent):
            return super().vjp(stage, inputs, cotangent) | {"output": cotangent}

    one = make_case("gelu", dtype="float32")
    right, confused = (
        answered(adapter("float32"), one, True).results for adapter in (Textbook, Confused)
    )
    assert (right["output"] == confused["output"]).all()


def test_a_backend_gets_arrays_of_its_own() -> None:
    seen = []

    class Keeps(Textbook):
        def forward(self, stage, inputs):
            seen.append(inputs["x"])
            return super().forward(stage, inputs)

    one = make_case("gelu", dtype="float32")
    answered(Keeps("float32"), one, False)
    assert np.array_equal(seen[0], one.inputs["x"])
    assert not np.shares_memory(seen[0], one.inputs["x"])
