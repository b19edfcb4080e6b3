"""Each promise, broken by a backend that is right in all else, is found and named."""

import numpy as np
import pytest

from numixology.verify.conformance import STAGES, Textbook
from numixology.verify.conformance.bounds import prepared
from numixology.verify.conformance.contracts import contracts_of, most_rows
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
