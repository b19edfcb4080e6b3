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
    ct = np.abs(case.cotangent.astype(np.float64))
    return in_float64(case.inputs), ct, truth, scales_of(case, truth, profile)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("stage", STAGES)
def test_every_number_has_a_scale_that_profiles_only_widen(stage, dtype) -> None:
    for kind in KINDS:
        _, _, truth, scales = of(stage, kind, dtype=dtype)
        tensors = {"output": truth.output} | truth.gradients
        assert scales.keys() >= tensors.keys(), kind
        wide = {name: of(stage, kind, dtype=dtype, profile=[name])[3] for name in PROFILES}
        for name, true in tensors.items():
            assert scales[name].shape == true.shape, kind
            assert (scales[name] > 0).all(), kind
            assert np.isfinite(scales[name]).all() or not np.isfinite(true).all(), kind
            for widened in wide.values():
                assert (widened[name] >= scales[name] * (1 - 1e-15)).all(), kind


def terms(x, weight):
    """Σ |x w|, by loops."""
    return np.array(
        [[sum(abs(a * b) for a, b in zip(row, w, strict=True)) for w in weight] for row in x]
    )


def larger(stored, terms, n, finer=1.0):
    """The larger of what is stored and what is calculated."""
    return np.maximum(stored, finer * (terms + np.sqrt(n) / 5 * stored))


@pytest.mark.parametrize(("dtype", "finer"), [("float32", 1.0), ("bfloat16", 2.0**-16)])
def test_linear_counts_every_term(dtype, finer) -> None:
    p, ct, truth, scales = of("linear", dtype=dtype)
    x, rows, bias = p["x"].reshape(-1, 12), ct.reshape(-1, 7), np.abs(p["bias"])
    dx, dw, db = (np.abs(truth.gradients[name]) for name in ("x", "weight", "bias"))
    y, total = np.abs(truth.output).reshape(-1, 7), terms(x, p["weight"]) + bias
    close, n = {"rtol": 1e-12}, len(rows)
    expected = larger(np.maximum(y, bias), total, 12, finer)
    np.testing.assert_allclose(scales["output"].reshape(-1, 7), expected, **close)
    expected = larger(dx.reshape(-1, 12), terms(rows, p["weight"].T), 7, finer)
    np.testing.assert_allclose(scales["x"].reshape(-1, 12), expected, **close)
    expected = larger(dw, terms(rows.T, x.T), n, finer)
    np.testing.assert_allclose(scales["weight"], expected, **close)
    np.testing.assert_allclose(scales["bias"], larger(db, rows.sum(axis=0), n, finer), **close)


def test_where_nothing_is_calculated_the_scale_is_the_number() -> None:
    _, ct, truth, scales = of("token_mix")
    np.testing.assert_allclose(scales["output"], np.abs(truth.output), rtol=1e-15)
    np.testing.assert_allclose(scales["x"], np.abs(truth.gradients["x"]), rtol=1e-15)
    p, ct, truth, scales = of("embedding", "padded")
    np.testing.assert_allclose(scales["output"], np.abs(truth.output), rtol=1e-15)
    sizes, count = np.zeros(p["weight"].shape), np.zeros(len(p["weight"]))
    for place in np.ndindex(p["ids"].shape):
        sizes[p["ids"][place]] += ct[place]
        count[p["ids"][place]] += 1
    expected = larger(np.abs(truth.gradients["weight"]), sizes, count.max())
    np.testing.assert_allclose(scales["weight"], expected, rtol=1e-14, atol=1e-300)


def test_one_rounding_leaves_the_share_of_the_sums() -> None:
    case = make_case("linear", "plain", 1, "bfloat16")
    truth = truth_of(case)
    once, usual = scales_of(case, truth, once=True), scales_of(case, truth)
    y = np.abs(truth.output)
    assert (once["output"] >= y / GUARD).all()
    assert (once["output"] <= y / GUARD + 2.0**-10).all()
    assert (once["output"] < usual["output"]).all()


@pytest.mark.parametrize("accumulation", ["float32", "float64"])
def test_a_wider_accumulation_narrows_the_scale_where_a_result_cancels(accumulation) -> None:
    case = make_case("linear", "plain", 1, "float32")
    truth = truth_of(case)
    found = scales_of(case, truth, accumulation=accumulation)["x"]
    assert (found / np.abs(truth.gradients["x"]) < 1.001).all() == (accumulation == "float64")


def test_rows_without_a_finite_score_have_scales() -> None:
    case = make_case("softmax", "plain", 1, "float32")
    x = case.inputs["x"].copy()
    x[0, 0, ::2] = x[0, 1] = -np.inf
    case = case._replace(inputs={"x": x})
    truth = truth_of(case)
    assert np.isnan(truth.output[0, 1]).all()
    assert np.isfinite(truth.output[0, 0]).all()
    for scale in scales_of(case, truth).values():
        assert np.isfinite(scale).all()
        assert (scale > 0).all()


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
    assert (declared["output"] >= np.abs(p["x"])).all()
    assert (declared["output"] <= scales["output"] + np.abs(p["x"])).all()


def test_a_tail_loses_roundings_of_what_calculates_and_not_of_the_format() -> None:
    p, _, _, strict = of("gelu", "saturated", dtype="bfloat16")
    widened = of("gelu", "saturated", dtype="bfloat16", profile=["tails"])[3]["output"]
    stepwise = of("gelu", "saturated", dtype="bfloat16", profile=["steps"])[3]["output"]
    tail = (p["x"] < -8) & (p["x"] > -40)
    size = np.abs(p["x"][tail])
    assert (strict["output"][tail] < 1e-10).all()
    np.testing.assert_allclose(widened[tail], 2.0**-16 * size, rtol=1e-3)
    np.testing.assert_allclose(stepwise[tail], size, rtol=1e-3)


@pytest.mark.parametrize("stage", ["layer_norm", "block", "model", "swiglu_feed_forward"])
def test_an_offset_widens_by_as_many_deviations_as_it_is(stage) -> None:
    plain, wide = (of(stage, "offset", profile=profile)[3] for profile in ((), ["offsets"]))
    share = wide["output"] / plain["output"]
    assert (share > 1e3).all()
    assert (share < 1e5).all()
    near = of(stage, "plain", profile=["offsets"])[3]["output"] / of(stage, "plain")[3]["output"]
    assert (near < 10).all()


def test_a_slope_by_one_minus_the_square_of_a_tanh_is_right_if_tails_are_declared() -> None:
    case = make_case("gelu_tanh", "wide", 1, "float64")
    x, ct, truth = case.inputs["x"], case.cotangent, truth_of(case)
    t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)) * (1 - 2.0**-52)  # off by two roundings
    t[np.abs(x) > 9] = np.sign(x[np.abs(x) > 9])
    steep = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
    dx = ct * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * steep)
    error = np.abs(dx - truth.gradients["x"]) / 2.0**-53
    assert (error <= GUARD * scales_of(case, truth, ["tails"])["x"]).all()
    assert not (error <= GUARD * scales_of(case, truth)["x"]).all()


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
    _, _, truth, scales = of("block", dtype="bfloat16")
    for name, true in ({"output": truth.output} | truth.gradients).items():
        np.testing.assert_allclose(scales[name], np.abs(true).max(), rtol=1e-3)


@pytest.mark.parametrize(("profile", "least"), [("tails", 1.01), ("steps", 2.0), ("sums", 1.5)])
def test_what_its_activations_and_sums_lose_a_network_loses_too(profile, least) -> None:
    dtype = "bfloat16" if profile != "tails" else "float32"
    for stage in ("feed_forward", "model"):
        strict, wide = of(stage, dtype=dtype)[3], of(stage, dtype=dtype, profile=[profile])[3]
        assert (wide["output"] >= least * strict["output"]).all()


def test_what_vanishes_in_a_network_of_one_feature_has_the_scale_of_what_cancels() -> None:
    case = make_case("mixer", "plain", 0, "float32", {"B": 7, "T": 5, "D": 1, "H": 1})
    truth = truth_of(case)
    assert not truth.gradients["x"].any()
    assert (scales_of(case, truth)["x"] > 1).all()


def test_a_sum_in_16_bits_may_leave_the_range_on_its_way() -> None:
    case = make_case("linear", "plain", 1, "float16")
    case = case._replace(cotangent=np.float16(30000) * np.sign(case.cotangent))
    truth = truth_of(case)
    assert np.isfinite(scales_of(case, truth)["bias"]).all()
    assert np.isinf(scales_of(case, truth, ["sums"])["bias"]).all()


def test_what_is_stored_below_the_normal_numbers_counts_times_the_cotangent() -> None:
    case = make_case("softmax", "saturated", 1, "float16")
    scale = scales_of(case, truth_of(case))["x"]
    most = np.abs(case.cotangent.astype(np.float64)).max(axis=-1, keepdims=True)
    assert (scale >= 2.0**-14 * most).all()
