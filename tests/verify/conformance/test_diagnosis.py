"""A failing backend is told which known bug it has, or honestly that it has none of them."""

import numpy as np
import pytest

from numixology import functional as F
from numixology.verify.conformance import BUGS, Textbook, conform, diagnose, make_case
from numixology.verify.conformance.bounds import judged, prepare, prepared
from numixology.verify.conformance.calling import answered
from numixology.verify.conformance.cases import in_float64


class Written:
    """A backend written by hand for one stage."""

    name = "written"
    dtype = "float64"

    def __init__(self, stage, forward, vjp=None) -> None:
        self.stages = [stage]
        self.forward = lambda stage, inputs: forward(**inputs)
        if vjp:
            self.vjp = lambda stage, inputs, ct: vjp(ct, **inputs)


def diagnosed(backend, stage, seeds=1, quick=True):
    return conform(backend, stages=[stage], seeds=seeds, quick=True).first_failure.diagnosis


def unbiased(x, weight, bias, eps):
    h = x - x.mean(-1, keepdims=True)
    variance = (h * h).sum(-1, keepdims=True) / (x.shape[-1] - 1)
    return h / np.sqrt(variance + eps) * weight + bias


def unbiased_vjp(ct, x, weight, bias, eps):
    h = x - x.mean(-1, keepdims=True)
    n = x.shape[-1]
    rstd = 1 / np.sqrt((h * h).sum(-1, keepdims=True) / (n - 1) + eps)
    g = ct * weight
    inner = g - h * rstd**2 * (g * h).sum(-1, keepdims=True) / (n - 1)
    return {
        "x": rstd * (inner - inner.mean(-1, keepdims=True)),
        "weight": (ct * h * rstd).sum((0, 1)),
        "bias": ct.sum((0, 1)),
    }


def test_a_backend_written_by_hand_is_seen_through() -> None:
    found = diagnosed(Written("layer_norm", unbiased, unbiased_vjp), "layer_norm")
    assert (found.bug, found.by) == ("unbiased-variance", "value")
    assert found.distance < 1e-6  # the offset costs this one some digits
    assert str(found).startswith(
        "matches: the variance divides by D - 1 (unbiased-variance), explains all"
    )


def test_without_gradients_the_outputs_decide() -> None:
    found = diagnosed(Written("layer_norm", unbiased), "layer_norm")
    assert found.bug == "unbiased-variance"
    identity = Written("token_mix", lambda x, num_heads: x.copy())
    assert diagnosed(identity, "token_mix").bug == "mixer-identity"


def test_cases_of_every_shape_tell_bugs_apart() -> None:
    """A square weight that is reshaped is one that is not transposed; another is not."""

    def reshaped(weight):
        return weight.reshape(weight.shape[::-1])

    def forward(x, weight, bias):
        return x @ reshaped(weight) + bias

    def vjp(ct, x, weight, bias):
        into_weight = np.einsum("btd,btf->df", x, ct).reshape(weight.shape)
        return {"x": ct @ reshaped(weight).T, "weight": into_weight, "bias": ct.sum((0, 1))}

    found = diagnosed(Written("linear", forward, vjp), "linear", seeds=3)
    assert found.bug == "weight-reshaped-not-transposed"


def test_a_kernel_that_reads_from_a_pointer_without_strides_is_named() -> None:
    def forward(x, num_heads):
        memory = x if x.base is None else x.base
        first = x.ctypes.data - memory.ctypes.data
        return F.token_mix(np.ndarray(x.shape, x.dtype, memory, first), num_heads)

    assert diagnosed(Written("token_mix", forward), "token_mix").bug == "strides-ignored"


def test_what_nobody_knows_is_not_given_a_name() -> None:
    strange = Written("gelu", lambda x: np.sin(x) * 3 + 1)
    found = diagnosed(strange, "gelu")
    assert found.by == ""
    assert found.distance > 0.2
    assert str(found).startswith("no known bug comes near; the nearest leaves ")
    assert found.code.startswith("make_case('gelu', ")


def test_a_constant_mistyped_otherwise_is_not_called_by_a_neighbors_name() -> None:
    def gelu(x):
        with np.errstate(all="ignore"):
            return x / (1 + np.exp(-2.2 * x))

    assert diagnosed(Written("gelu", gelu), "gelu").by == ""


@pytest.mark.parametrize("name", ["one-pass-variance", "bfloat16-sums", "float16-sums"])
def test_rounding_is_known_by_its_size(name) -> None:
    bug = BUGS[name]

    class Reversed(bug.kind):
        """It adds in another order than the dictionary."""

        def total(self, x):
            return super().total(x[..., ::-1])

        def product(self, x, weight):
            return super().product(x[..., ::-1], weight[:, ::-1])

    found = diagnosed(Reversed("float32"), bug.stages[0], seeds=3, quick=True)
    assert found.bug == name
    assert found.by in ("value", "size")


@pytest.mark.parametrize("name", ["dropout-active", "gradients-pile-up", "tokens-race"])
def test_chance_is_known_by_asking_twice(name) -> None:
    bug = BUGS[name]
    found = diagnosed(bug.make(), bug.stages[0])
    assert (found.bug, found.by) == (name, "chance")
    assert str(found).startswith("matches in that no two calls agree: ")


def test_chance_where_no_bug_knows_it() -> None:
    rng = np.random.default_rng(0)
    noisy = Written("gelu", lambda x: x + rng.standard_normal(x.shape))
    found = diagnosed(noisy, "gelu")
    assert (found.bug, found.by) == ("unsteady", "chance")


def test_a_bug_of_a_part_is_found_where_the_part_is_not_offered() -> None:
    class Whole(BUGS["unbiased-variance"].kind):
        stages = ("block",)

    found = diagnosed(Whole("float64"), "block")
    assert (found.bug, found.by) == ("unbiased-variance", "value")


class ByTheRow(Textbook):
    """Right, but for what it hands on from the last row of the batch to the others."""

    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        return y + 0.1 * np.sin(7 * y[-1:]) if len(y) > 1 else y


class OnlyWhereItMay(Textbook):
    """It writes into what can be written into."""

    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        if inputs["x"].flags.writeable:
            inputs["x"][...] = 0
        return y


@pytest.mark.parametrize(
    ("make", "says"),
    [(ByTheRow, "a row of the batch depends on the others"), (OnlyWhereItMay, "it writes into x")],
)
def test_a_breach_that_no_bug_is_known_for_is_shown(make, says) -> None:
    (stage,) = conform(make(), stages=["silu"], seeds=1, quick=True).stages
    assert says in stage.broken
    assert stage.diagnosis.by == "contract"
    assert says in stage.diagnosis.description


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    cases = prepared("float64", "float64", ["gelu"], 1)
    assert diagnose(Textbook(), cases) is None
    assert conform(Textbook(), stages=["gelu"], seeds=1, quick=True).first_failure is None


def test_it_can_be_asked_by_itself() -> None:
    cases = prepared("float64", "float64", ["gelu"], 1)
    assert diagnose(BUGS["quick-gelu"].make(), cases).bug == "quick-gelu"
    assert diagnose(BUGS["result-in-other-dtype"].make(), cases).bug == "result-in-other-dtype"


@pytest.mark.parametrize("bug", ["unbiased-variance", "result-in-other-dtype"])
def test_the_case_that_shows_it_can_be_made_again(bug) -> None:
    adapter = BUGS[bug].make("float32")
    (stage,) = conform(adapter, stages=["layer_norm"], seeds=1, quick=True).stages
    case = eval(stage.diagnosis.code, {"make_case": make_case})
    (one,) = prepare([case], "float32")
    answer = answered(adapter, case, True)
    assert answer.fault or judged(one, answer.results).failing


def test_the_case_of_a_network_has_its_options() -> None:
    adapter = BUGS["unbiased-variance"].make("float32")
    adapter.options = {"activation": "relu"}
    (stage,) = conform(adapter, stages=["feed_forward"], seeds=1, quick=True).stages
    case = eval(stage.diagnosis.code, {"make_case": make_case})
    assert case.inputs["activation"] == "relu"


def test_the_report_ends_with_the_diagnosis() -> None:
    text = str(conform(BUGS["quick-gelu"].make(), stages=["gelu"], seeds=1, quick=True))
    assert "gelu fails" in text
    assert "matches: GELU is computed as x σ(1.702 x) (quick-gelu)" in text
    assert "a case that shows it: make_case('gelu', '" in text


def test_a_case_is_made_anew_for_every_call() -> None:
    """A backend that spoils its input spoils nobody else's."""
    cases = prepared("float64", "float64", ["softmax"], 1)
    before = [in_float64(one.case.inputs)["x"].copy() for one in cases]
    diagnose(BUGS["input-overwritten"].make(), cases)
    for one, kept in zip(cases, before, strict=True):
        np.testing.assert_array_equal(one.case.inputs["x"], kept)
    assert make_case("softmax").layout == ""


class Replaced(Textbook):
    """The textbook, but for some results of one stage."""

    def __init__(self, spoil, dtype="float64") -> None:
        super().__init__(dtype)
        self.spoil = spoil

    def forward(self, stage, inputs):
        results = self.spoil(stage, inputs, None)
        return results["output"] if "output" in results else super().forward(stage, inputs)

    def vjp(self, stage, inputs, cotangent):
        results = super().vjp(stage, inputs, cotangent)
        return results | {
            name: value
            for name, value in self.spoil(stage, inputs, cotangent).items()
            if name != "output"
        }


def of_bugs(forward="", gradients=()):
    """The output of one bug, and some gradients of others."""

    def spoil(stage, inputs, cotangent):
        if cotangent is None:
            return {"output": BUGS[forward].make().forward(stage, inputs)} if forward else {}
        return {
            name: BUGS[bug].make().vjp(stage, inputs, cotangent)[name] for name, bug in gradients
        }

    return Replaced(spoil)


@pytest.mark.parametrize(
    ("stage", "backend", "bug", "by", "rest"),
    [
        ("gelu", of_bugs("tanh-for-erf"), "tanh-for-erf", "the output", "the gradients are right"),
        (
            "gelu",
            of_bugs("quick-gelu", [("x", "tanh-for-erf")]),
            "quick-gelu",
            "the output",
            "the gradient of x: GELU is computed in the form with tanh (tanh-for-erf)",
        ),
        (
            "layer_norm",
            of_bugs("", [("x", "unbiased-variance"), ("weight", "unbiased-variance")]),
            "unbiased-variance",
            "the gradients",
            "the output is right",
        ),
        (
            "layer_norm",
            of_bugs("", [("weight", "unbiased-variance")]),
            "unbiased-variance",
            "the gradient of weight",
            "the output is right",
        ),
    ],
)
def test_the_output_and_the_gradients_may_have_bugs_of_their_own(
    stage, backend, bug, by, rest
) -> None:
    found = diagnosed(backend, stage)
    assert (found.bug, found.by) == (bug, by)
    assert found.distance < 1e-6
    assert rest in found.rest
    assert str(found).startswith(f"matches in {by}: ")
    assert str(found).endswith(found.rest)


def test_what_matches_nothing_is_said_beside_what_matches() -> None:
    def spoil(stage, inputs, cotangent):
        if cotangent is None:
            return {"output": BUGS["quick-gelu"].make().forward(stage, inputs)}
        return {"x": np.sin(3 * inputs["x"])}

    found = diagnosed(Replaced(spoil), "gelu")
    assert (found.bug, found.by) == ("quick-gelu", "the output")
    assert found.rest == "the gradient of x matches no known bug"


def test_what_a_profile_excuses_does_not_count_against_a_bug() -> None:
    class Coarse(BUGS["tanh-for-erf"].kind):
        profile = ("tails",)

        def forward(self, stage, inputs):
            x = inputs["x"]
            y = super().forward(stage, inputs)
            return np.where(x < -3, y + np.abs(x) * np.float32(2**-25), y)

    found = diagnosed(Coarse("float32"), "gelu")
    assert (found.bug, found.by) == ("tanh-for-erf", "value")
    assert found.distance < 0.02


def test_garbage_is_no_pile_of_gradients_and_an_average_no_nan() -> None:
    rng = np.random.default_rng(0)

    def garbage(stage, inputs, cotangent):
        if cotangent is None:
            return {}
        found = Textbook().vjp(stage, inputs, cotangent)["weight"]
        found[:, -1] = rng.standard_normal(len(found)) * 50
        return {"weight": found}

    found = diagnosed(Replaced(garbage), "linear")
    assert (found.bug, found.by) == ("unsteady", "chance")
    assert not found.named
    assert "the gradient of weight is wrong in" in found.where
    assert found.where.endswith(" of 13") or "column" in found.where

    def averaged(stage, inputs, cotangent):
        if cotangent is not None:
            return {}
        y = Textbook().forward(stage, inputs)
        return {"output": y + 0.5 * (y.mean(0, keepdims=True) - y)}

    found = diagnosed(Replaced(averaged), "gelu")
    assert found.bug != "nan-everywhere"
    assert "a row of the batch depends on the others" in str(found) or not found.by


class Online(Textbook):
    """A softmax over tiles of four, whose sum so far is not rescaled to a larger maximum."""

    def softmax(self, x):
        tops = [F.max(x[..., : i + 4], -1, keepdims=True) for i in range(0, x.shape[-1], 4)]
        total = sum(self.total(F.exp(x[..., 4 * i : 4 * i + 4] - t)) for i, t in enumerate(tops))
        return F.exp(x - tops[-1]) / total


def test_what_happens_to_tiles_is_named_though_it_depends_on_the_numbers() -> None:
    found = diagnosed(Online("float32"), "softmax")
    assert (found.bug, found.by) == ("not-rescaled-over-each-tile-of-4", "the output")
    assert found.description == "not rescaled over each tile of 4 columns"


def test_several_bugs_that_explain_all_come_before_one_that_explains_most() -> None:
    """The gradient of x of that bug is nearly that of the other, and no more."""

    def spoil(stage, inputs, cotangent):
        bug = BUGS["unbiased-variance"].make()
        if cotangent is None:
            return {"output": bug.forward(stage, inputs)}
        found = bug.vjp(stage, inputs, cotangent)
        return {**found, "bias": BUGS["norm-bias-gradient-negated"].make().vjp(
            stage, inputs, cotangent)["bias"]}  # fmt: skip

    found = diagnosed(Replaced(spoil), "layer_norm")
    assert found.bug == "unbiased-variance"
    assert "the gradient of bias: norm bias gradient negated" in found.rest


def test_a_bug_that_no_case_shows_is_named_by_the_promise_that_it_breaks() -> None:
    def from_zero(x):
        e = np.exp(x - np.maximum(x.max(-1, keepdims=True), 0))
        return e / e.sum(-1, keepdims=True)

    def vjp(ct, x):
        y = from_zero(x)
        return {"x": y * (ct - (ct * y).sum(-1, keepdims=True))}

    backend = Written("softmax", from_zero, vjp)
    backend.dtype = "float32"
    with np.errstate(all="ignore"):
        found = diagnosed(backend, "softmax")
    assert (found.bug, found.by) == ("softmax-shifted-by-maximum-from-zero", "contract")


def test_the_nearest_bug_is_said_beside_a_broken_promise() -> None:
    class Both(BUGS["quick-gelu"].kind):
        vjp = None

        def forward(self, stage, inputs):
            y = super().forward(stage, inputs)
            if inputs["x"].flags.writeable:
                inputs["x"][...] = 0
            return y * (1 + 0.5 * np.tanh(y))

    (stage,) = conform(Both("float32"), stages=["gelu"], seeds=1, quick=True).stages
    assert "it writes into x" in stage.broken
    assert stage.diagnosis.by == ""
    assert stage.diagnosis.bug == "quick-gelu"
    assert str(stage.diagnosis).startswith("no known bug comes near; the nearest leaves ")


def test_answers_alone_are_diagnosed_too() -> None:
    cases = prepared("float32", "float32", ["gelu"], 1)
    bug = BUGS["quick-gelu"].make("float32")
    answers = [{"output": bug.forward("gelu", one.case.inputs)} for one in cases]
    found = diagnose(None, cases, answers=answers)
    assert (found.bug, found.by) == ("quick-gelu", "value")
    strange = [{"output": np.sin(3 * one.case.inputs["x"])} for one in cases]
    assert diagnose(None, cases, answers=strange).by == ""


def test_what_the_truth_explains_as_well_is_not_given_a_name() -> None:
    sizes = {"B": 1, "T": 300, "D": 300}
    (one,) = prepare([make_case("gelu", "kernel", 0, "bfloat16", sizes)], "float32")
    answer = {name: true.copy() for name, true in one.truth.tensors.items()}
    answer["output"][0, 1, 2] += 0.5  # in the root mean square less than rounding
    assert diagnose(None, [one], answers=[answer]).by == ""


class Limited(Textbook):
    """It raises where there are more than 64 features, and above that says something else."""

    beyond = 1000

    def forward(self, stage, inputs):
        if 64 < inputs["x"].shape[-1] < self.beyond:
            raise ValueError("no such kernel")
        y = super().forward(stage, inputs)
        return y if y.shape[-1] < self.beyond else y + np.cos(7 * y)


def test_where_a_backend_begins_to_raise_is_found_out_too() -> None:
    sizes = {"B": 2, "T": 3, "D": 100}
    cases = prepared("float32", "float32", ["gelu"], 1)
    cases += prepare([make_case("gelu", "plain", 0, "float32", sizes)], "float32")
    found = diagnose(Limited("float32"), cases)
    assert "its forward raised ValueError: no such kernel" in found.description
    assert found.edge == "right up to D = 64, wrong from D = 65 on"
    assert found.shape == "B=1,T=1,D=65"


def test_what_raises_where_it_is_smallest_is_looked_at_where_it_is_wrong() -> None:
    sizes = {"B": 1, "T": 1, "D": 1200}
    cases = prepare([make_case("gelu", "plain", 0, "float32", sizes)], "float32")
    found = diagnose(Limited("float32"), cases)
    assert (found.by, found.shape) == ("", "B=1,T=1,D=65")


def test_no_profile_excuses_a_known_bug() -> None:
    (stage,) = conform(
        BUGS["tanh-for-erf"].make("bfloat16"), stages=["gelu"], seeds=1, quick=True
    ).stages
    assert stage.diagnosis.bug == "tanh-for-erf"
    assert not any("profile" in text for text in stage.remarks)


def test_a_bug_of_the_output_is_named_though_no_gradient_has_one() -> None:
    backend = BUGS["factors-in-bfloat16"].make("float32")
    right = backend.vjp
    backend.vjp = lambda *args: {name: np.cos(3 * g) + g for name, g in right(*args).items()}
    found = diagnosed(backend, "linear")
    assert (found.bug, found.by) == ("factors-in-bfloat16", "the output")
    assert "matches no known bug" in found.rest


def test_what_is_right_when_it_is_asked_again_has_no_smallest_shape() -> None:
    cases = prepared("float64", "float64", ["silu"], 1)
    answers = [{"output": 3 * one.truth.output} for one in cases]
    found = diagnose(Textbook(), cases, answers=answers)
    assert found is not None and not found.shape
