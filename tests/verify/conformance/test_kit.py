"""Verdicts of the kit: on right backends, wrong ones, partial ones and those that raise."""

import re

import numpy as np
import pytest
from support import refused
from sweeps.rewrites import ShuffledSums

from numixology.errors import ArgumentError, DTypeError
from numixology.verify.conformance import FORMATS, STAGES, Textbook, conform
from numixology.verify.conformance.bounds import Judged, prepared
from numixology.verify.conformance.calling import answered
from numixology.verify.conformance.contracts import most_rows
from numixology.verify.conformance.kit import (
    compared,
    comparisons_of,
    examined,
)

FEW = ["token_mix", "gelu", "layer_norm"]


class Wrong(Textbook):
    """Right in float32 but for what `output` and `gradients` make of it."""

    name = "wrong"

    def __init__(self, output=lambda y: y, gradients=lambda g: g):
        super().__init__("float32")
        self._output, self._gradients = output, gradients

    def forward(self, stage, inputs):
        return self._output(super().forward(stage, inputs))

    def vjp(self, stage, inputs, cotangent):
        return self._gradients(super().vjp(stage, inputs, cotangent))


@pytest.fixture(scope="module")
def gelu():
    return prepared("float32", "float32", ["gelu"], seeds=2)


@pytest.fixture(scope="module")
def norm():
    return prepared("float32", "float32", ["layer_norm"], seeds=2)


# Passing


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_textbook_passes_in_every_format(dtype) -> None:
    report = conform(ShuffledSums(dtype), seeds=1, quick=True)
    assert report.verdict == "pass", str(report)
    assert [one.stage for one in report.stages] == list(STAGES)
    assert {one.outcome for one in report.stages} == {"pass"}
    assert report.exit_code == 0
    for one in report.stages:
        assert one.detectable < 100 * FORMATS[dtype].unit
        assert (one.broken, [text for text in one.remarks if not re.search("keep|kept", text)]) == (
            (),
            [],
        )


def test_stages_come_in_their_order_and_once() -> None:
    done = {}
    report = conform(
        Textbook("float32"), stages=[*FEW, "gelu"], seeds=1, progress=done.__setitem__, quick=True
    )
    assert [one.stage for one in report.stages] == [*done] == ["token_mix", "layer_norm", "gelu"]
    assert [round(3 * share, 6) for share in done.values()] == [0, 1, 2]


# Partial backends


def test_what_is_not_supported_is_not_covered() -> None:
    class Part(Textbook):
        stages = ("gelu",)

    report = conform(Part("float32"), stages=FEW, seeds=1, quick=True)
    assert {one.stage: one.outcome for one in report.stages} == {
        "token_mix": "not covered",
        "layer_norm": "not covered",
        "gelu": "pass",
    }
    assert (report.verdict, len(report.not_covered)) == ("pass", len(STAGES) - 1)


def test_no_stage_at_all_is_unsupported() -> None:
    class Nothing(Textbook):
        stages = ()

    report = conform(Nothing("float32"), stages=FEW, seeds=1, quick=True)
    assert (report.verdict, report.exit_code, bool(report)) == ("unsupported", 4, False)


def test_without_a_vjp_the_gradients_are_not_covered() -> None:
    class Forward(Textbook):
        vjp = None

    (stage,) = conform(Forward("float32"), stages=["layer_norm"], seeds=1, quick=True).stages
    assert stage.outcome == "pass"
    assert {one.tensor for one in stage.comparisons} == {"output"}
    assert stage.remarks[0] == "its gradients are not covered: the adapter has no vjp"


# Wrong numbers


def test_a_wrong_output_fails_and_says_where(gelu) -> None:
    def off(y):
        y = y.copy()
        y[-1, -1, -1] *= np.float32(1 + 2e-6)
        return y

    report = examined(Wrong(output=off), gelu)
    assert report.outcome == "fail"
    worst = report.worst
    assert (worst.tensor, worst.outcome) == ("output", "fail")
    (case,) = (one.case for one in gelu if one.case.name == worst.case)
    assert worst.place == tuple(n - 1 for n in case.inputs["x"].shape)
    assert worst.ratio > 1
    assert worst.got == pytest.approx(worst.true * (1 + 2e-6), rel=3e-7)
    assert {one.tensor for one in report.comparisons if one.outcome == "fail"} == {"output"}


def test_a_wrong_gradient_fails_and_is_named(norm) -> None:
    def without_mean(found):
        return found | {"weight": found["weight"] / 2}

    report = examined(Wrong(gradients=without_mean), norm)
    assert report.outcome == "fail"
    assert {one.tensor for one in report.comparisons if one.outcome == "fail"} == {"weight"}


def test_where_nothing_is_calculated_nothing_is_allowed() -> None:
    cases = prepared("float32", "float32", ["token_mix"], seeds=1)
    nudged = Wrong(output=lambda y: np.nextafter(y, np.float32(np.inf)))
    report = examined(nudged, cases)
    assert report.outcome == "fail"
    assert report.worst.ratio == np.inf


# Profiles


class Flat(Wrong):
    """GELU that is accurate relative to its input only."""

    def gelu(self, x):
        return self.store(super().gelu(x) + 2**-26 * x)


def test_a_declared_difference_is_known_and_an_undeclared_one_fails(gelu) -> None:
    flat = Flat()
    flat.profile = ("tails", "subnormals")
    report = examined(flat, gelu)
    assert report.outcome == "known"
    assert {one.profile for one in report.comparisons} == {"", "tails"}
    assert {one.outcome for one in report.comparisons} == {"pass", "known"}
    assert examined(Flat(), gelu).outcome == "fail"
    full = conform(flat, stages=["gelu"], seeds=1, quick=True)
    assert (full.verdict, full.profile) == ("pass", ["tails", "subnormals"])
    wrong = Wrong(output=lambda y: y * np.float32(1.01))
    wrong.profile = ("tails",)
    assert examined(wrong, gelu).outcome == "fail"


# Answers that are none


def test_what_is_misshapen_fails_and_says_on_which_case(gelu) -> None:
    for output, says in (
        (lambda y: y[..., :-1], "the output has shape (2, 3, 9), not (2, 3, 10)"),
        (lambda y: y.astype(np.float64), "the output has dtype float64, not float32"),
        (lambda y: None, "the output is None: return an array of NumPy"),
    ):
        report = examined(Wrong(output=output), gelu)
        assert report.outcome == "fail"
        assert report.broken == (f"{says} (on gelu/plain/0)",)
    report = examined(Wrong(gradients=lambda g: {}), gelu)
    assert report.broken == ("the gradient of x is missing (on gelu/plain/0)",)
    assert [one.tensor for one in report.comparisons[:2]] == ["output", "output"]


def test_a_backend_that_raises_fails_with_what_it_says_in_one_line(gelu) -> None:
    def raising(y):
        raise RuntimeError("no kernel\n  for this")

    report = examined(Wrong(output=raising), gelu)
    says = "its forward raised RuntimeError: no kernel for this"
    assert (report.outcome, report.broken) == ("fail", (f"{says} (on gelu/plain/0)",))
    assert report.comparisons == []
    assert np.isnan(report.detectable)
    assert report.worst is None


def test_a_backend_that_raises_on_nan_breaks_a_promise(gelu) -> None:
    def strict(y):
        if np.isnan(y).any():
            raise FloatingPointError("NaN")
        return y

    report = examined(Wrong(output=strict), gelu)
    says = "with NaN in x its forward raised FloatingPointError: NaN"
    assert (report.outcome, report.broken) == ("fail", (says,))
    assert {one.outcome for one in report.comparisons} == {"pass"}


def test_a_broken_promise_fails(gelu) -> None:
    report = examined(Wrong(output=np.nan_to_num), gelu)
    assert report.outcome == "fail"
    assert report.broken == ("NaN in its input does not reach its output",)


# Nothing proved


def test_bounds_that_let_anything_pass_are_inconclusive(gelu) -> None:
    lax = [one._replace(bounds={**one.bounds, "x": 1e300}) for one in gelu]
    report = examined(Wrong(), lax)
    assert report.outcome == "inconclusive"
    assert "a zero gradient of x would have passed too" in report.remarks
    assert examined(Wrong(), gelu).outcome == "pass"
    # One telling case of several is enough.
    assert examined(Wrong(), [*lax[1:], gelu[0]]).outcome == "pass"


def test_what_is_never_finite_proves_nothing(gelu) -> None:
    broken = [
        one._replace(truth=one.truth._replace(output=np.full_like(one.truth.output, np.inf)))
        for one in gelu
    ]
    adapter = Wrong(output=lambda y: np.full_like(y, np.inf))
    assert "a zero output would have passed too" in examined(adapter, broken).remarks


def test_what_is_detectable_is_detected(norm) -> None:
    """Twice the error that is said to be, at the largest entry, is seen, and a tenth of it not."""
    for one in norm[:4]:
        for found in comparisons_of(one, answered(Wrong(), one.case, True).results, ()):
            true = (
                one.truth.output if found.tensor == "output" else one.truth.gradients[found.tensor]
            )
            j = np.unravel_index(int(np.argmax(np.abs(true))), true.shape)
            for factor, outcome in ((2.0, "fail"), (0.1, "pass")):
                got = true.copy()
                got[j] *= 1 + factor * found.detectable
                assert compared(Judged(one, found.tensor, got)).outcome == outcome


def test_zeros_detect_nothing(gelu) -> None:
    one = gelu[0]
    zero = np.zeros_like(one.truth.output)
    nothing = one._replace(truth=one.truth._replace(output=zero))
    found = compared(Judged(nothing, "output", zero))
    assert (found.outcome, found.detectable) == ("pass", np.inf)


def test_contracts_are_tried_on_several_rows_of_odd_length(gelu) -> None:
    assert most_rows(gelu).case.name == "gelu/plain/0"


# Arguments


@pytest.mark.parametrize("stage", ["token_mix", "mixer"])
def test_a_backend_that_refuses_other_heads_than_tokens_is_judged_where_they_are_equal(
    stage,
) -> None:
    class Square(Textbook):
        def forward(self, stage, inputs):
            if inputs["num_heads"] != inputs["x"].shape[1]:
                raise ValueError("as many heads as tokens")
            return super().forward(stage, inputs)

    (report,) = conform(Square("float32"), stages=[stage], seeds=1, quick=True).stages
    assert report.outcome == "pass", str(report)
    assert report.broken == ()
    assert report.remarks[:2] == (
        "T other than H is not covered: its forward raised ValueError: as many heads as tokens",
        "only sizes with H: T are covered",
    )


def test_what_raises_everywhere_is_not_taken_for_one_that_refuses_other_heads() -> None:
    class Never(Textbook):
        def forward(self, stage, inputs):
            raise ValueError("no such kernel")

    (report,) = conform(Never("float32"), stages=["token_mix"], seeds=1, quick=True).stages
    assert report.outcome == "fail" and report.remarks == []
    assert "no such kernel" in report.broken[0]


def test_what_makes_no_sense_is_refused() -> None:
    with refused(ArgumentError, "'conv'", "use embedding"):
        conform(Textbook(), stages=["gelu", "conv"], quick=True)
    with refused(ArgumentError, "seeds is a positive integer", "got 0"):
        conform(Textbook(), stages=["gelu"], seeds=0, quick=True)
    with refused(DTypeError, "object without name"):
        conform(object())


# Profiles that nobody has declared


class OffsetsLost(Textbook):
    """x / deviation - mean / deviation."""

    def __init__(self, declares=()) -> None:
        super().__init__("float32")
        self.profile = declares

    def layer_norm(self, x, weight, bias, eps):
        rstd = self.rstd(self.variance(x, self.center(x)), eps)
        return self.store(self.affine(x * rstd - self.mean(x) * rstd, weight, bias))


def test_a_profile_that_would_excuse_every_failure_is_named() -> None:
    report = conform(OffsetsLost(), stages=["layer_norm"], seeds=1, quick=True)
    assert report.stages[0].outcome == "fail"
    assert report.stages[0].excuse == "offsets"
    assert report.summary.endswith("excused by the profile offsets if declared")
    assert "the profile offsets would excuse all of it" in str(report)
    report = conform(OffsetsLost(["offsets"]), stages=["layer_norm"], seeds=1, quick=True)
    assert report.stages[0].outcome == "known"
    assert "excused" not in report.summary


def test_no_profile_is_named_where_it_would_not_be_enough() -> None:
    wrong = Wrong(lambda y: y + np.float32(0.5))
    (stage,) = conform(wrong, stages=["silu"], seeds=1, quick=True).stages
    assert stage.outcome == "fail"
    assert stage.excuse == ""


def test_no_profile_is_named_where_only_a_promise_is_broken() -> None:
    class Writes(Textbook):
        def forward(self, stage, inputs):
            y = super().forward(stage, inputs)
            if inputs["x"].flags.writeable:
                inputs["x"][...] = 0
            return y

    (stage,) = conform(Writes("float32"), stages=["silu"], seeds=1, quick=True).stages
    assert stage.outcome == "fail"
    assert stage.excuse == ""


def test_a_backend_that_takes_as_many_heads_as_tokens_without_a_word_is_told_how_to_say_so() -> (
    None
):
    class Deaf(Textbook):
        def forward(self, stage, inputs):
            T, D = inputs["x"].shape[1:]
            return super().forward(stage, {**inputs, "num_heads": T if D % T == 0 else 1})

    (report,) = conform(Deaf("float32"), stages=["token_mix"], seeds=1).stages
    assert report.outcome == "fail"
    assert any('say heads = "tokens"' in text for text in report.remarks)
    Deaf.heads = "tokens"
    (report,) = conform(Deaf("float32"), stages=["token_mix"], seeds=1).stages
    assert report.outcome == "pass"
