"""What a wrong result has to do with the truth, where no known bug is near."""

import numpy as np
import pytest

from numixology.verify.conformance import Textbook, conform, make_case
from numixology.verify.conformance.bounds import Judged, prepare
from numixology.verify.conformance.relations import related


class Changed(Textbook):
    """The textbook, whose output, or one gradient, is made into something else."""

    def __init__(self, tensor, change) -> None:
        super().__init__("float32")
        self.tensor, self.change = tensor, change

    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        return self.change(y, inputs).astype(y.dtype) if self.tensor == "output" else y

    def vjp(self, stage, inputs, cotangent):
        found = super().vjp(stage, inputs, cotangent)
        if self.tensor == "output":
            return found
        return {**found, self.tensor: self.change(found, inputs).astype(np.float32)}


def right(stage, inputs, **changed):
    return Textbook("float32").forward(stage, {**inputs, **changed})


@pytest.mark.parametrize(
    ("stage", "tensor", "change", "said"),
    [
        ("gelu", "output", lambda y, i: 0.7 * y, "the output is 0.7 times the truth"),
        ("softmax", "output", lambda y, i: y / y.shape[1], "the output is the truth divided by T"),
        ("softmax", "x", lambda g, i: 0 * g["x"], "the gradient of x is zero"),
        ("gelu", "output", lambda y, i: y + 0.25, "the output is the truth plus 0.25"),
        (
            "linear",
            "output",
            lambda y, i: y - 0.3 * i["bias"],
            "the output is the truth plus -0.3 times bias",
        ),
        (
            "layer_norm",
            "output",
            lambda y, i: np.roll(y, 1, -1),
            "the output is the truth moved up by one along the columns",
        ),
        (
            "layer_norm",
            "output",
            lambda y, i: y.mean(-1, keepdims=True) + 0 * y,
            "the output is the truth averaged along the columns",
        ),
        (
            "linear",
            "output",
            lambda y, i: right("linear", i, weight=np.roll(i["weight"], 1, -1)),
            "the output is right for x moved down by one along the columns",
        ),
        (
            "gelu",
            "output",
            lambda y, i: y * (1 + 0.002 * (-1.0) ** np.arange(y.shape[-1])),
            "the output is off by as much as rounding to 8 digits does, as in bfloat16",
        ),
        (
            "swiglu_feed_forward",
            "norm.bias",
            lambda g, i: g["norm.weight"],
            "the gradient of norm.bias is the gradient of norm.weight",
        ),
    ],
)
def test_a_relation_is_said(stage, tensor, change, said) -> None:
    found = conform(
        Changed(tensor, change), stages=[stage], seeds=1, quick=True
    ).first_failure.diagnosis
    assert (found.by, found.description) == ("relation", said)
    assert str(found) == f"no known bug comes near, but {said}"
    assert not found.named


def test_an_error_of_one_sign_is_not_one_of_rounding() -> None:
    backend = Changed("output", lambda y, i: y * (1 + 0.002 * np.abs(np.cos(1e3 * y))))
    assert conform(backend, stages=["gelu"], seeds=1, quick=True).first_failure.diagnosis.by == ""


def test_a_few_numbers_show_no_relation() -> None:
    sizes = {"B": 1, "T": 1, "D": 2}
    (one,) = prepare([make_case("gelu", "plain", 0, "float32", sizes)], "float32")
    assert related([Judged(one, "output", 0.7 * one.truth.output)]) == ""


def test_what_is_no_relation_is_not_called_one() -> None:
    backend = Changed("output", lambda y, i: np.sin(3 * y))
    assert conform(backend, stages=["gelu"], seeds=1, quick=True).first_failure.diagnosis.by == ""
