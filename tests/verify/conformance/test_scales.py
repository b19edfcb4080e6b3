"""A scale is the size of what was added up; a profile only ever widens it."""

import numpy as np
import pytest

from numixology.verify.conformance import FORMATS, KINDS, PROFILES, STAGES, make_case, truth_of
from numixology.verify.conformance.bounds import GUARD
from numixology.verify.conformance.cases import in_float64
from numixology.verify.conformance.scales import scales_of


def of(stage, kind="plain", seed=1, dtype="float64", profile=()):
    case = make_case(stage, kind, seed, dtype)
    truth = truth_of(case)
    return in_float64(case.inputs), np.abs(case.cotangent), truth, scales_of(case, truth, profile)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", STAGES)
def test_every_number_has_a_scale_that_profiles_only_widen(stage, kind, dtype) -> None:
    _, _, truth, scales = of(stage, kind, dtype=dtype)
    tensors = {"output": truth.output} | truth.gradients
    assert scales.keys() >= tensors.keys()
    wide = {name: of(stage, kind, dtype=dtype, profile=[name])[3] for name in PROFILES}
    for name, true in tensors.items():
        assert scales[name].shape == true.shape
        assert (scales[name] > 0).all()
        assert np.isfinite(scales[name]).all() or not np.isfinite(true).all()
        for widened in wide.values():
            assert (widened[name] >= scales[name] * (1 - 1e-15)).all()


def terms(x, weight):
    """Σ |x w|, by loops."""
    return np.array(
        [[sum(abs(a * b) for a, b in zip(row, w, strict=True)) for w in weight] for row in x]
    )


def test_linear_counts_every_term() -> None:
    p, ct, _, scales = of("linear")
    x, rows = p["x"].reshape(-1, 12), ct.reshape(-1, 7)
    close = {"rtol": 1e-14}
    total = terms(x, p["weight"]) + np.abs(p["bias"])
    np.testing.assert_allclose(scales["output"].reshape(-1, 7), total, **close)
    np.testing.assert_allclose(scales["x"].reshape(-1, 12), terms(rows, p["weight"].T), **close)
    np.testing.assert_allclose(scales["weight"], terms(rows.T, x.T), **close)
    np.testing.assert_allclose(scales["bias"], rows.sum(axis=0), **close)


def test_where_nothing_is_calculated_the_scale_is_the_number() -> None:
    _, ct, truth, scales = of("token_mix")
    np.testing.assert_allclose(scales["output"], np.abs(truth.output), rtol=1e-15)
    assert (scales["x"] == ct.max()).all()
    p, ct, truth, scales = of("embedding", "padded")
    np.testing.assert_allclose(scales["output"], np.abs(truth.output), rtol=1e-15)
    sizes = np.zeros(p["weight"].shape)
    for place in np.ndindex(p["ids"].shape):
        sizes[p["ids"][place]] += ct[place]
    np.testing.assert_allclose(scales["weight"], sizes, rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("stage", ["layer_norm", "softmax", "gelu", "gelu_tanh", "silu"])
def test_moving_the_input_by_a_rounding_moves_the_output_by_few_of_its_scale(stage) -> None:
    """So a backend that rounds its input once more, as all do within, stays within its bound."""
    kind = "plain" if stage == "layer_norm" else "saturated"
    case = make_case(stage, kind, 1)
    truth = truth_of(case)
    scales = scales_of(case, truth)
    unit = 2.0**-30
    signs = np.where(np.random.default_rng(0).random(case.inputs["x"].shape) < 0.5, -1, 1)
    x = case.inputs["x"]
    top = x.max(axis=-1, keepdims=True) if stage == "softmax" else 0.0  # it takes differences
    moved = {**case.inputs, "x": top + (x - top) * (1 + unit * signs)}
    output = truth_of(case._replace(inputs=moved)).output
    assert (np.abs(output - truth.output) <= 4 * unit * scales["output"]).all()
    assert (np.abs(output - truth.output) >= 0.01 * unit * scales["output"]).any()


def test_the_tail_of_an_activation_is_judged_by_itself_unless_declared() -> None:
    p, _, truth, scales = of("gelu", "saturated")
    deep = (p["x"] < -5) & (p["x"] > -10)
    assert deep.any()
    assert (scales["output"][deep] < 1e-4).all()
    assert (scales["output"][deep] >= np.abs(truth.output[deep])).all()
    declared = of("gelu", "saturated", profile=["tails"])[3]
    np.testing.assert_allclose(
        declared["output"], scales["output"] + np.abs(p["x"]), rtol=1e-14, atol=0
    )


def test_a_tail_loses_roundings_of_what_calculates_and_not_of_the_format() -> None:
    p, _, _, strict = of("gelu", "saturated", dtype="bfloat16")
    widened = of("gelu", "saturated", dtype="bfloat16", profile=["tails"])[3]["output"]
    np.testing.assert_allclose(widened, strict["output"] + 2.0**-16 * np.abs(p["x"]), rtol=1e-12)
    stepwise = of("gelu", "saturated", dtype="bfloat16", profile=["steps"])[3]["output"]
    np.testing.assert_allclose(stepwise, strict["output"] + np.abs(p["x"]), rtol=1e-12)


@pytest.mark.parametrize("stage", ["layer_norm", "block", "model", "swiglu_feed_forward"])
def test_an_offset_widens_by_as_many_deviations_as_it_is(stage) -> None:
    plain, wide = (of(stage, "offset", profile=profile)[3] for profile in ((), ["offsets"]))
    share = wide["output"] / plain["output"]
    assert (share > 1e3).all()
    assert (share < 1e5).all()
    near = of(stage, "plain", profile=["offsets"])[3]["output"] / of(stage, "plain")[3]["output"]
    assert (near < 10).all()


def test_numbers_below_the_smallest_normal_one_may_be_lost_if_declared() -> None:
    form = FORMATS["float16"]
    case = make_case("gelu", "plain", 1, "float16")
    case = case._replace(inputs={"x": np.zeros_like(case.inputs["x"])})
    truth = truth_of(case)
    plain = scales_of(case, truth)["output"].min()
    wide = scales_of(case, truth, ["subnormals"])["output"].min()
    assert plain >= 2.0**form.lowest
    assert wide == pytest.approx(plain / (GUARD * form.unit))  # all of it is within the bound


def test_a_network_is_measured_by_its_largest_entry() -> None:
    _, _, truth, scales = of("block")
    for name, true in ({"output": truth.output} | truth.gradients).items():
        np.testing.assert_allclose(scales[name], np.abs(true).max(), rtol=1e-15)
