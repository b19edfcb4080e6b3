"""Each promise, broken by a backend that is right in all else, is found and named."""

import re
from typing import NamedTuple

import numpy as np
import pytest

from numixology.verify.conformance import STAGES, Textbook, make_case
from numixology.verify.conformance.bounds import prepare
from numixology.verify.conformance.contracts import contracts_of, most_rows
from numixology.verify.conformance.formats import format_of
from numixology.verify.conformance.kit import conform
from numixology.verify.conformance.memory import LAYOUTS, held


class Cases(dict):
    """The cases of each stage and format, made when they are asked for."""

    def __missing__(self, key):
        stage, dtype = key
        accumulation = "float64" if dtype == "float64" else "float32"
        cases = [make_case(stage, "plain", seed, dtype) for seed in range(2)]
        self[key] = prepare(cases, accumulation)
        return self[key]


CASES = Cases()


class Found(NamedTuple):
    """What came of the promises; remarks on what was measured are apart from the others."""

    broken: tuple[str, ...]
    remarks: tuple[str, ...]
    properties: tuple[str, ...]


def found(adapter, stage, backward=True, repeat=1):
    broken, remarks = contracts_of(adapter, CASES[stage, adapter.dtype], backward, repeat)
    measured = [re.search("^sums in|^results below| more calls ", text) for text in remarks]
    apart = (
        tuple(t for t, m in zip(remarks, measured, strict=True) if bool(m) == k) for k in (0, 1)
    )
    return Found(broken, *apart)


class Right(Textbook):
    """Right; what it does besides is up to its subclasses."""

    name = "right"

    def __init__(self, dtype="float32"):
        super().__init__(dtype)
        self.kept = {}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_a_right_backend_keeps_every_promise(stage, dtype) -> None:
    broken, remarks, properties = found(Right(dtype), stage)
    assert (broken, remarks) == ((), ())
    assert "results below the smallest normal number are kept" in properties


class LargeAndRounded(Right):
    """Wrong by a million, and rounded in another way where its input is not contiguous."""

    def forward(self, stage, inputs):
        y = super().forward(stage, inputs) + np.float32(1e6)
        return y if inputs["x"].flags.c_contiguous else np.nextafter(y, np.float32(np.inf))


def test_a_wrong_backend_breaks_no_promise_by_the_rounding_of_its_own_numbers() -> None:
    assert found(LargeAndRounded(), "silu", backward=False).broken == ()


@pytest.mark.parametrize("stage", STAGES)
def test_a_right_backend_without_a_vjp_keeps_them(stage) -> None:
    assert found(Right(), stage, backward=False)[:2] == ((), ())


def test_one_row_and_one_token_alone() -> None:
    single = prepare([make_case("linear", "single", 0, "float32")], "float32")
    assert contracts_of(Right(), single, True).broken == ()


# Memory


def root(array):
    while array.base is not None:
        array = array.base
    return array


class ReadsOtherwise(Right):
    """Reads x otherwise than its strides say, in forward or in vjp too."""

    def __init__(self, read, names=("x",)):
        super().__init__()
        self.read, self.names = read, names

    def forward(self, stage, inputs):
        read = {name: self.read(inputs[name]) for name in self.names if name in inputs}
        return super().forward(stage, {**inputs, **read})


class ReadsCotangentOtherwise(Right):
    def __init__(self, read):
        super().__init__()
        self.read = read

    def vjp(self, stage, inputs, cotangent):
        return super().vjp(stage, inputs, self.read(cotangent))


def from_the_start(array):
    """Without the offset."""
    whole = root(array)
    if array.flags.c_contiguous and whole.ndim == 1:
        return whole[: array.size].reshape(array.shape)
    return array


def without_gaps(array):
    """As if the next row came at once; the strides are positive."""
    if array.ndim < 2 or min(array.strides) <= 0 or np.argsort(array.strides)[-1] != 0:
        return array
    steps = np.cumprod([array.itemsize, *array.shape[:0:-1]])[::-1]
    return np.lib.stride_tricks.as_strided(array, array.shape, tuple(steps))


def in_the_order_of_memory(array):
    return array.ravel(order="K").reshape(array.shape) if 0 not in array.strides else array


def one_element_only(array):
    """A stride of zero is taken for an array of one element."""
    if 0 not in array.strides:
        return array
    once = np.zeros_like(array)
    once.flat[0] = array.flat[0]
    return once


def refusing_gaps(array):
    if not array.flags.c_contiguous:
        raise ValueError("must be contiguous")
    return array


@pytest.mark.parametrize(
    ("read", "layouts"),
    [
        (from_the_start, ["storage offsets", "read-only arrays"]),
        (without_gaps, ["gaps between rows", "gaps between elements"]),
        (in_the_order_of_memory, ["rows in another order", "Fortran order"]),
        (lambda x: np.flip(x, -1) if x.strides[-1] < 0 else x, ["negative strides"]),
        (one_element_only, ["stride 0"]),
    ],
)
def test_strides_that_are_ignored(read, layouts) -> None:
    broken = found(ReadsOtherwise(read), "silu").broken
    assert [re.split(" it returns another output than without: ", text)[0] for text in broken] == [
        f"with {layout} in x" for layout in layouts
    ]


def test_strides_of_a_cotangent_that_are_ignored() -> None:
    broken = found(ReadsCotangentOtherwise(one_element_only), "linear").broken
    assert len(broken) == 2
    for text, layout in zip(broken, ["stride 0", "one number repeated"], strict=True):
        assert text.startswith(
            f"with {layout} in its cotangent it returns another gradient of x and another "
            "gradient of weight and another gradient of bias than without: x.grad["
        )


def test_only_together_do_two_arrays_go_wrong() -> None:
    class Together(Right):
        def forward(self, stage, inputs):
            y = super().forward(stage, inputs)
            both = all(min(inputs[name].strides) < 0 for name in ("x", "weight"))
            return y + np.float32(both)

    (text,) = found(Together(), "linear").broken
    assert text.startswith("with negative strides in x, weight, bias and its cotangent it returns")


def test_a_layout_that_is_refused() -> None:
    broken = found(ReadsOtherwise(refusing_gaps), "silu").broken
    assert broken[0] == (
        "with gaps between rows in x its forward raised ValueError: must be contiguous"
    )
    assert len(broken) == 6

    class Covers(Right):
        def forward(self, stage, inputs):
            if min(inputs["x"].strides) < 0:
                raise NotImplementedError("no negative strides")
            return super().forward(stage, inputs)

    broken, remarks, _ = found(Covers(), "silu")
    assert broken == ()
    assert remarks == (
        "not covered with negative strides in x and its cotangent: its forward raised "
        "NotImplementedError: no negative strides",
    )


def test_what_is_lost_on_the_way_is_said() -> None:
    backend = ReadsOtherwise(in_the_order_of_memory)
    backend.lost = ("negative strides", "Fortran order", "rows in another order")
    broken, remarks, _ = found(backend, "silu")
    assert broken == ()
    assert remarks == (
        "rows in another order, Fortran order and negative strides do not reach this backend",
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 6), (7,)])
def test_a_layout_has_the_same_numbers_elsewhere(shape, layout) -> None:
    value = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    array, memory, before = held(value, layout)
    repeated = {"stride 0": value[:1], "one number repeated": value.flat[0]}.get(layout, value)
    np.testing.assert_array_equal(array, np.broadcast_to(repeated, shape))
    np.testing.assert_array_equal(memory, before)
    assert np.isnan(memory[:5]).all()
    assert np.isnan(memory[-5:]).all()
    assert np.shares_memory(array, memory)


class WritesInput(Right):
    def forward(self, stage, inputs):
        inputs["x"][...] = 7  # the same whenever it is done
        return super().forward(stage, inputs)


class WritesCotangent(Right):
    def vjp(self, stage, inputs, cotangent):
        gradients = super().vjp(stage, inputs, cotangent)
        if cotangent.flags.writeable:
            cotangent *= 2
            inputs["bias"] += 1
        return gradients


class WritesBeside(Right):
    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        if root(inputs["x"]).size > y.size:
            root(inputs["x"])[-1] = 0
        return y


def test_writing_into_arguments() -> None:
    assert "it writes into x" in found(WritesInput(), "linear", backward=False).broken
    broken = found(WritesCotangent(), "linear").broken
    assert broken == ("it writes into bias", "it writes into its cotangent")
    assert found(WritesBeside(), "silu").broken == ("it writes outside of x",)


@pytest.mark.parametrize("seeds", [1, 3])
def test_writing_into_arguments_is_seen_whatever_it_writes(seeds) -> None:
    """Also if the second time changes nothing, and the first was seen by the comparisons."""
    (report,) = conform(WritesInput(), stages=["silu"], seeds=seeds, quick=True).stages
    assert report.outcome == "fail"
    assert any("writes into x" in text or "read-only" in text for text in report.broken)


class ReturnsInput(Right):
    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        inputs["x"][...] = y
        return inputs["x"]


class OneGradientForTwo(Right):
    def vjp(self, stage, inputs, cotangent):
        gradients = super().vjp(stage, inputs, cotangent)
        return {**gradients, "bias": gradients["weight"]}


class OneWorkspace(Right):
    """Everything of a shape is returned in one buffer."""

    def placed(self, y):
        kept = self.kept.setdefault(y.shape, np.empty_like(y))
        kept[...] = y
        return kept

    def forward(self, stage, inputs):
        return self.placed(super().forward(stage, inputs))


class OneWorkspaceForGradients(OneWorkspace):
    def forward(self, stage, inputs):
        return Right.forward(self, stage, inputs)

    def vjp(self, stage, inputs, cotangent):
        found = super().vjp(stage, inputs, cotangent)
        return {**found, "weight": self.placed(found["weight"])}


def test_results_that_share_memory() -> None:
    assert "its output shares memory with x" in found(ReturnsInput(), "silu").broken
    shared = "its gradient of bias shares memory with its gradient of weight"
    assert shared in found(OneGradientForTwo(), "layer_norm").broken


def test_a_workspace_that_is_used_again() -> None:
    assert found(OneWorkspace(), "silu").broken == ("a later call overwrites its output",)
    broken = found(OneWorkspaceForGradients(), "linear").broken
    assert broken == ("a later call overwrites its gradient of weight",)


# What cannot be tried


class Raising(Right):
    """It raises at some batches."""

    def __init__(self, error, rows):
        super().__init__()
        self.error, self.rows = error, rows

    def forward(self, stage, inputs):
        if len(inputs["x"]) in self.rows:
            raise self.error("no such batch")
        return super().forward(stage, inputs)


def test_a_backend_that_raises_at_once() -> None:
    says = "its forward raised ValueError: no such batch"
    assert found(Raising(ValueError, [2]), "silu") == ((says,), (), ())
    says = "not covered: its forward raised NotImplementedError: no such batch"
    assert found(Raising(NotImplementedError, [2]), "silu") == ((), (says,), ())


def test_a_backend_that_raises_at_another_case() -> None:
    broken, _, _ = found(Raising(ValueError, [1]), "silu")
    assert broken == ("asked for another case its forward raised ValueError: no such batch",)
    broken, remarks, _ = found(Raising(NotImplementedError, [1]), "silu")
    says = "not covered: its forward raised NotImplementedError: no such batch"
    assert (broken, remarks) == ((), (says,))
    broken, remarks, _ = found(Raising(NotImplementedError, [0]), "silu")
    says = "an empty batch is not covered: its forward raised NotImplementedError: no such batch"
    assert (broken, remarks) == ((), (says,))


# State


class Remembers(Right):
    """Its backward is of what its forward has kept."""

    def __init__(self, put, get):
        super().__init__()
        self.put, self.get, self.inputs = put, get, []

    def forward(self, stage, inputs):
        self.put(self.inputs, inputs)
        return super().forward(stage, inputs)

    def vjp(self, stage, inputs, cotangent):
        inputs = self.get(self.inputs) if self.inputs else inputs
        if stage != "linear" or inputs["x"].shape[:2] != cotangent.shape[:2]:
            inputs = {**inputs}
        return super().vjp(stage, inputs, cotangent)


def last(kept, inputs):
    kept[:] = [inputs]


@pytest.mark.parametrize(
    ("put", "get", "when"),
    [
        (last, lambda kept: kept[0], "with no forward before its backward"),
        (list.append, list.pop, "with two forwards before their backwards"),
        (list.append, lambda kept: kept.pop(0), "with two forwards before their backwards"),
    ],
)
def test_a_backward_of_what_another_forward_has_kept(put, get, when) -> None:
    broken = found(Remembers(put, get), "linear").broken
    assert any(text.startswith(when) for text in broken)


class Stale(Right):
    """What it has computed of one input it takes from the first call of the same key."""

    def __init__(self, key, stages=()):
        super().__init__()
        self.key, self.apart = key, stages

    def forward(self, stage, inputs):
        key = (stage, self.key(inputs))
        bias = self.kept.setdefault(key, inputs["bias"].copy())
        return super().forward(stage, {**inputs, "bias": bias})


def test_a_stale_cache() -> None:
    (text,) = found(Stale(lambda inputs: inputs["x"].shape), "linear").broken
    assert text.startswith(
        "with other numbers of the same shape it returns another output than is right: output["
    )
    by_address = Stale(lambda inputs: (inputs["bias"].ctypes.data, id(inputs["bias"])))
    keeps = []  # so that no address is used again by chance
    plain = by_address.forward
    by_address.forward = lambda stage, inputs: (keeps.append(inputs), plain(stage, inputs))[1]
    (text,) = found(by_address, "linear").broken
    assert text.startswith("with other numbers in the same arrays it returns another output than")


class OneEps(Right):
    def forward(self, stage, inputs):
        eps = self.kept.setdefault(inputs["x"].shape, inputs["eps"])
        return super().forward(stage, {**inputs, "eps": eps})


class OneHeadCount(Right):
    def vjp(self, stage, inputs, cotangent):
        heads = self.kept.setdefault(inputs["x"].shape, inputs["num_heads"])
        return super().vjp(stage, {**inputs, "num_heads": heads}, cotangent)


def test_settings_of_an_earlier_call() -> None:
    (text,) = found(OneEps(), "layer_norm").broken
    assert text.startswith("with other settings it returns another output than is right")
    (text,) = found(OneHeadCount(), "token_mix").broken
    assert text.startswith("with other settings it returns another gradient of x than is right")


class ScratchOfTwoShapes(Right):
    """The shape of the last forward decides what the backward does."""

    def forward(self, stage, inputs):
        self.kept["rows"] = inputs["x"].shape
        return super().forward(stage, inputs)

    def vjp(self, stage, inputs, cotangent):
        wrong = self.kept.get("rows") != inputs["x"].shape
        return super().vjp(stage, inputs, cotangent * np.float32(1 - wrong / 2))


class ScratchOfTwoStages(Right):
    def forward(self, stage, inputs):
        self.kept["stage"] = stage
        return super().forward(stage, inputs)

    def vjp(self, stage, inputs, cotangent):
        wrong = self.kept["stage"] != stage
        return super().vjp(stage, inputs, cotangent * np.float32(1 - wrong / 2))


def test_calls_of_two_shapes_and_of_two_stages() -> None:
    text, other = found(ScratchOfTwoShapes(), "silu").broken
    assert text.startswith("with calls of two shapes in turn it returns another gradient of x")
    assert other.startswith("with calls of two stages in turn it returns another gradient of x")
    (text,) = found(ScratchOfTwoStages(), "silu").broken
    assert text.startswith("with calls of two stages in turn it returns another gradient of x")


def test_a_backend_of_one_stage_has_no_other_to_confuse_it_with() -> None:
    class Alone(ScratchOfTwoStages):
        stages = ("silu",)

    assert found(Alone(), "silu").broken == ()


def test_a_wrong_backend_is_not_accused_of_remembering() -> None:
    class Wrong(Right):
        def silu(self, x):
            return x

    assert found(Wrong(), "silu").broken == ()


# Rows and tokens


class MixesBatch(Right):
    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        if "ids" in inputs:
            return y + np.float32(inputs["ids"][-1:, :1].sum())
        return y + np.float32(1e-3) * inputs["x"][-1:].sum(axis=2, keepdims=True)


class MixesTokens(Right):
    def vjp(self, stage, inputs, cotangent):
        gradients = super().vjp(stage, inputs, cotangent)
        x = gradients["x"] + np.float32(1e-3) * inputs["x"][:, -1:].sum(axis=2, keepdims=True)
        return {**gradients, "x": x.astype(np.float32)}


@pytest.mark.parametrize("stage", ["gelu", "layer_norm", "token_mix", "embedding", "model"])
def test_rows_of_a_batch_that_depend_on_each_other(stage) -> None:
    assert "a row of the batch depends on the others" in found(MixesBatch(), stage).broken


def test_tokens_that_depend_on_each_other() -> None:
    assert "a token depends on the others" in found(MixesTokens(), "linear").broken


class HidesNaN(Right):
    def forward(self, stage, inputs):
        return np.nan_to_num(super().forward(stage, inputs))


class SpreadsNaN(Right):
    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        return np.full_like(y, np.nan) if np.isnan(y).any() else y


@pytest.mark.parametrize("stage", ["gelu", "layer_norm", "softmax", "block"])
def test_nan_is_handed_on_and_no_farther(stage) -> None:
    assert "NaN in its input does not reach its output" in found(HidesNaN(), stage).broken
    assert "NaN reaches more of its output than it should" in found(SpreadsNaN(), stage).broken


class RefusesNaN(Right):
    def forward(self, stage, inputs):
        if np.isnan(inputs["x"]).any():
            raise ValueError("NaN")
        return super().forward(stage, inputs)


def test_nan_is_no_reason_to_raise() -> None:
    assert found(RefusesNaN(), "silu").broken == (
        "with NaN in x its forward raised ValueError: NaN",
    )


def test_ids_are_never_nan() -> None:
    assert found(HidesNaN(), "model").broken == ()


# An empty batch


class OnEmpty(Right):
    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil

    def vjp(self, stage, inputs, cotangent):
        gradients = super().vjp(stage, inputs, cotangent)
        return gradients if cotangent.size else self.spoil(gradients)


def refusing(gradients):
    raise ValueError("an empty grid")


def garbage(gradients):
    return {**gradients, "weight": gradients["weight"] + np.float32(np.nan)}


def another_shape(gradients):
    return {**gradients, "x": gradients["weight"]}


def test_an_empty_batch() -> None:
    broken, remarks, _ = found(OnEmpty(refusing), "linear")
    assert (broken, remarks) == (
        (),
        ("an empty batch is not covered: its vjp raised ValueError: an empty grid",),
    )
    (text,) = found(OnEmpty(garbage), "linear").broken
    assert text == "with an empty batch its gradient of weight is not zero"
    (text,) = found(OnEmpty(another_shape), "linear").broken
    assert text.startswith(
        "with an empty batch the gradient of x has shape (7, 12), not (0, 5, 12)"
    )


class EmptySticks(Right):
    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        empty = self.kept.get("empty")
        self.kept["empty"] = not y.size
        return 0 * y if empty else y


def test_a_call_after_an_empty_batch() -> None:
    (text,) = found(EmptySticks(), "silu", backward=False).broken
    assert text.startswith("after an empty batch it returns another output than before it: ")


# A gradient is linear


class SpoilsCotangent(Right):
    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil

    def vjp(self, stage, inputs, cotangent):
        return super().vjp(stage, inputs, self.spoil(cotangent).astype(np.float32))


@pytest.mark.parametrize(
    ("spoil", "factors"),
    [
        (lambda ct: np.clip(ct, -100, 100), ["1024", "1.04858e+06"]),
        (lambda ct: np.where(np.abs(ct) < 1e-3, 0, ct), ["0.000976562", "9.09495e-13"]),
        (lambda ct: ct / (np.abs(ct).max() or np.float32("nan")), ["0"]),
    ],
)
def test_cotangents_larger_and_smaller(spoil, factors) -> None:
    broken = found(SpoilsCotangent(spoil), "linear").broken
    said = [text for text in broken if "times as large" in text]
    for factor in factors:
        assert any(text.startswith(f"with a cotangent {factor} times as large") for text in said)


def test_the_parts_of_a_cotangent_add_up() -> None:
    largest = SpoilsCotangent(lambda ct: ct + np.abs(ct).max() * ct / 8)
    assert any("parts of a cotangent" in text for text in found(largest, "silu").broken)


# Softmax of masks


class NanOfMasks(Right):
    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        return np.where(np.isneginf(inputs["x"]).any(-1, keepdims=True), np.float32("nan"), y)


class ZeroOfMasks(Right):
    """Where a whole row is masked."""

    def __init__(self, value):
        super().__init__()
        self.value = np.float32(value)

    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        return np.where(np.isneginf(inputs["x"]).all(-1, keepdims=True), self.value, y)


def test_scores_of_minus_infinity() -> None:
    (text,) = found(NanOfMasks(), "softmax").broken
    assert text.startswith("with scores of -inf it returns another output")
    assert " is nan, not " in text
    assert found(ZeroOfMasks(0), "softmax").broken == ()
    assert found(ZeroOfMasks(1), "softmax").broken[0].startswith("with scores of -inf")


class MaximumFromZero(Right):
    """A running maximum that begins at 0."""

    def forward(self, stage, inputs):
        x = inputs["x"]
        e = np.exp(x - np.maximum(x.max(axis=-1, keepdims=True), 0))
        return e / e.sum(axis=-1, keepdims=True)


def test_a_row_far_below_zero() -> None:
    assert found(MaximumFromZero(), "softmax").broken[0].startswith("with scores of -6e4")


# The same again


class Unsteady(Right):
    def __init__(self, error, every=1):
        super().__init__()
        self.error, self.every, self.calls = error, every, 0

    def forward(self, stage, inputs):
        self.calls += 1
        y = super().forward(stage, inputs)
        y.flat[:1] += np.float32(self.error * (self.calls % self.every == 0) * (1 + self.calls % 5))
        return y


class UnsteadyBackward(Right):
    calls = 0

    def vjp(self, stage, inputs, cotangent):
        self.calls += 1
        gradients = super().vjp(stage, inputs, cotangent)
        gradients["weight"] *= np.float32(1 + 2e-7 * (self.calls % 3))
        return gradients


def test_two_calls_that_differ_within_the_bound_are_remarked_upon() -> None:
    size = most_rows(CASES["linear", "float32"]).truth.output.size
    broken, (remark,), _ = found(Unsteady(1e-7), "linear")
    assert (broken, remark) == ((), f"two calls differ in 1 of {size} numbers of the output")
    (remark,) = found(UnsteadyBackward(), "linear").remarks
    assert re.fullmatch(r"two calls differ in \d+ of 84 numbers of the gradient of weight", remark)


class LastOfTheShape(Right):
    """Rows past the first 32 are those of the last call of the shape."""

    def forward(self, stage, inputs):
        x = inputs["x"].copy()
        x[32:] = self.kept.setdefault(x.shape, x.copy())[32:]
        return super().forward(stage, {**inputs, "x": x})


def test_what_is_kept_beyond_the_first_rows_is_found() -> None:
    (text,) = found(LastOfTheShape(), "silu").broken
    assert text.startswith("with other numbers of the same shape in many rows it returns another")


class OneRow(Right):
    """Of one row the gradient of the bias is the cotangent itself."""

    def vjp(self, stage, inputs, cotangent):
        gradients = super().vjp(stage, inputs, cotangent)
        if cotangent.shape[:2] == (1, 1):
            gradients["bias"] = cotangent.reshape(-1)
        return gradients


def test_a_gradient_of_one_row_is_no_part_of_the_cotangent() -> None:
    said = "its gradient of bias shares memory with its cotangent"
    assert found(OneRow(), "linear").broken == (said,)
    assert found(UnsteadyBackward(), "linear", backward=False).remarks == ()


def test_two_calls_that_differ_by_more_are_a_failure_and_nothing_else_is_said() -> None:
    (text,) = found(Unsteady(1e-3), "linear").broken
    assert text.startswith("asked the same again it returns another output than before: output[0, ")


def test_what_only_seems_to_come_from_other_calls() -> None:
    """It differs at the fifth call, and then again."""
    text, _ = found(Unsteady(1.0, every=5), "silu", backward=False).broken
    assert text.startswith("asked the same again it returns another output")


def test_what_only_seems_to_come_from_a_layout() -> None:
    class Later(Right):
        def forward(self, stage, inputs):
            y = super().forward(stage, inputs)
            self.kept["late"] = self.kept.get("late") or inputs["x"].strides[-1] != 4
            return y + np.float32(bool(self.kept["late"]))

    (text,) = found(Later(), "silu", backward=False).broken
    assert text.startswith("asked the same again it returns another output")


@pytest.mark.parametrize("every", [23, 29])
def test_a_race_that_shows_once_is_not_taken_for_something_else(every) -> None:
    (text,) = found(Unsteady(1.0, every), "silu").broken
    assert text.startswith("it is not steady: once, and not again, with ")


def test_a_race_is_found_by_repeating() -> None:
    race = Unsteady(1.0, every=15)
    (text,) = found(race, "silu", backward=False, repeat=20).broken
    assert text.startswith("asked the same again it returns another output")
    assert found(Right(), "silu", backward=False, repeat=20).properties[0] == (
        "20 more calls on silu/plain/B=96,T=16,D=64 agree; of a race that shows once in a "
        "thousand calls so many see nothing with a chance of 98%"
    )


# Sums and subnormals


class NarrowSums(Right):
    """Sums of products are rounded at every step, one after the other or in pairs."""

    def __init__(self, dtype, sums, paired):
        super().__init__(dtype)
        self.sums, self.paired = format_of(sums), paired

    def linear(self, x, weight, bias=None):
        y = super().linear(x, weight, bias)
        terms = x.data[..., None, :] * weight.data
        while terms.shape[-1] > 1:
            if not self.paired:
                total = terms[..., 0]
                for i in range(1, terms.shape[-1]):
                    total = self.sums.stored(total + terms[..., i])
                terms = total[..., None]
                break
            terms = np.concatenate([terms, 0 * terms[..., : terms.shape[-1] % 2]], axis=-1)
            terms = self.sums.stored(terms[..., ::2] + terms[..., 1::2])
        total = terms[..., 0] + (0 if bias is None else bias.data)
        return y + (total - y.data)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(("dtype", "sums"), [("float32", "bfloat16"), ("bfloat16", "float16")])
def test_an_accumulator_that_is_narrower_than_declared(dtype, sums, paired) -> None:
    said = found(NarrowSums(dtype, sums, paired), "linear", backward=False)
    digits = format_of(sums).digits
    text = f"sums in the output keep {digits} digits, as in {sums}"
    assert any(one.startswith(text) for one in said.broken + said.properties)


def test_digits_of_sums_are_a_property() -> None:
    said = found(Right(), "linear").properties
    assert "sums in the output keep 24 digits, as in float32" in said
    said = found(Right("float64"), "linear").properties
    assert "sums in the output and the gradient of bias keep 53 digits, as in float64" in said


class Flushes(Right):
    def __init__(self, subnormals=None):
        super().__init__()
        self.subnormals = subnormals

    def flushed(self, y):
        return np.where(np.abs(y) < np.finfo(np.float32).tiny, np.float32(0), y)

    def forward(self, stage, inputs):
        return self.flushed(super().forward(stage, inputs))


def test_subnormals_are_a_property_unless_they_are_declared() -> None:
    zero = "results below the smallest normal number come out as zero at times"  # not in gradients
    assert found(Flushes(), "silu")[::2] == ((), (zero,))
    assert found(Flushes("flushed"), "silu")[::2] == ((), (zero,))
    text = f"{zero}; it declares that they are kept"
    assert found(Flushes("kept"), "silu")[::2] == ((text,), ())
    only = found(Flushes(), "silu", backward=False).properties
    assert only == ("results below the smallest normal number come out as zero",)
    right = Right()
    right.subnormals = "flushed"
    (text,) = found(right, "silu").properties
    assert text.endswith("number are kept; it declares that they are flushed")


# What is returned
