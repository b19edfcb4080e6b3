"""Each promise, broken by a backend that is right in all else, is found and named."""

import numpy as np
import pytest

from numixology.verify.conformance import KINDS, STAGES, Textbook
from numixology.verify.conformance.bounds import prepared
from numixology.verify.conformance.contracts import (
    contracts_of,
    misshapen,
    most_rows,
    results_of,
)
from numixology.verify.conformance.kit import conform


class Cases(dict):
    """The cases of each stage, made when they are asked for."""

    def __missing__(self, stage):
        self[stage] = prepared("float32", "float32", [stage], seeds=2)
        return self[stage]


@pytest.fixture(scope="module")
def cases():
    return Cases()


def found(adapter, one, backward=True):
    return contracts_of(adapter, one, backward)


class Whole(Textbook):
    """Right in float32; what it does besides is up to `spoil`."""

    name = "whole"

    def __init__(self):
        super().__init__("float32")
        self.calls = 0

    def forward(self, stage, inputs):
        self.calls += 1
        return self.spoil(super().forward(stage, inputs), inputs)

    def spoil(self, output, inputs):
        return output


@pytest.mark.parametrize("stage", STAGES)
def test_a_right_backend_keeps_every_promise(stage, cases) -> None:
    assert found(Whole(), most_rows(cases[stage])) == ((), ())


class WritesInput(Whole):
    def spoil(self, output, inputs):
        inputs["x"][...] = 7  # the same whenever it is done
        return output


class WritesCotangent(Whole):
    def vjp(self, stage, inputs, cotangent):
        gradients = super().vjp(stage, inputs, cotangent)
        cotangent *= 2
        inputs["bias"] += 1
        return gradients


def test_writing_into_arguments(cases) -> None:
    one = cases["linear"][0]  # the next one is read-only
    assert found(WritesInput(), one, backward=False).broken[0] == "it writes into x"
    broken = found(WritesCotangent(), cases["linear"][0]).broken
    assert broken == ("it writes into bias and its cotangent",)


@pytest.mark.parametrize("seeds", [1, 3])
def test_writing_into_arguments_is_seen_whatever_it_writes(seeds) -> None:
    """Also if the second time changes nothing, and the first was seen by the comparisons."""
    (report,) = conform(WritesInput(), stages=["silu"], seeds=seeds).stages
    assert report.outcome == "fail"
    assert any("writes into x" in text or "read-only" in text for text in report.broken)


class MixesBatch(Whole):
    def spoil(self, output, inputs):
        if "ids" in inputs:
            return output + np.float32(inputs["ids"][-1, 0])
        return output + np.float32(1e-3) * inputs["x"][-1:]


@pytest.mark.parametrize("stage", ["gelu", "layer_norm", "token_mix", "embedding", "model"])
def test_rows_of_a_batch_that_depend_on_each_other(stage, cases) -> None:
    broken = found(MixesBatch(), most_rows(cases[stage])).broken
    assert "a row of the batch depends on the others" in broken


def test_one_row_depends_on_no_other(cases) -> None:
    (single,) = (
        one
        for one in prepared("float32", "float32", ["gelu"], 3)
        if one.case.name == "gelu/plain/2"
    )
    assert len(single.truth.output) == 1
    assert found(MixesBatch(), single).broken == ()


class HidesNaN(Whole):
    def spoil(self, output, inputs):
        return np.nan_to_num(output)


class SpreadsNaN(Whole):
    def spoil(self, output, inputs):
        return np.full_like(output, np.nan) if np.isnan(output).any() else output


@pytest.mark.parametrize("stage", ["gelu", "layer_norm", "softmax", "block"])
def test_nan_is_handed_on_and_no_farther(stage, cases) -> None:
    one = most_rows(cases[stage])
    assert "NaN in its input does not reach its output" in found(HidesNaN(), one).broken
    assert "NaN reaches more of its output than it should" in found(SpreadsNaN(), one).broken


def test_ids_are_never_nan(cases) -> None:
    assert found(HidesNaN(), most_rows(cases["model"])).broken == ()


class Unsteady(Whole):
    def spoil(self, output, inputs):
        output[0, 0, 0] += np.float32(1e-7) * self.calls
        return output


class UnsteadyBackward(Whole):
    def vjp(self, stage, inputs, cotangent):
        self.calls += 1
        gradients = super().vjp(stage, inputs, cotangent)
        gradients["weight"] *= np.float32(1 + 1e-6 * (self.calls % 3))
        return gradients


def test_two_calls_that_differ_are_remarked_upon(cases) -> None:
    one = most_rows(cases["linear"])
    (remark,) = found(Unsteady(), one).remarks
    assert remark == f"two calls differ in 1 of {one.truth.output.size} numbers of the output"
    (remark,) = found(UnsteadyBackward(), one).remarks
    assert remark.endswith(
        f"of {one.truth.gradients['weight'].size} numbers of the gradient of weight"
    )
    assert found(UnsteadyBackward(), one, backward=False).remarks == ()


# What is returned


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
def test_what_is_misshapen_is_named(cases, name, value, says) -> None:
    one = cases["layer_norm"][0]
    results = results_of(Whole(), one, True)
    assert misshapen(results, one, True) == ""
    results = {k: v for k, v in results.items() if k != name} | (
        {} if value is None else {name: value}
    )
    assert misshapen(results, one, True) == says
    assert misshapen(results, one, False) == ("" if name != "output" else says)


def test_a_gradient_called_output_is_not_the_output(cases) -> None:
    class Confused(Whole):
        def vjp(self, stage, inputs, cotangent):
            return super().vjp(stage, inputs, cotangent) | {"output": cotangent}

    one = cases["gelu"][0]
    right, confused = (results_of(adapter, one, True) for adapter in (Whole(), Confused()))
    assert (right["output"] == confused["output"]).all()


def test_a_backend_gets_arrays_of_its_own(cases) -> None:
    seen = []

    class Keeps(Whole):
        def spoil(self, output, inputs):
            seen.append(inputs["x"])
            return output

    one = cases["gelu"][0]
    results_of(Keeps(), one, False)
    assert np.array_equal(seen[0], one.case.inputs["x"])
    assert not np.shares_memory(seen[0], one.case.inputs["x"])
    assert one.case.kind in KINDS
