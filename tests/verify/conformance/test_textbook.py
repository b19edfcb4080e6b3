"""The textbook is the reference written another way: the same numbers, but for rounding."""

import numpy as np
import pytest
from sweeps.rewrites import ShuffledSums

import numixology as nx
from numixology.verify.conformance import FORMATS, STAGES, Textbook, make_case, truth_of
from numixology.verify.conformance.networks import Networks
from numixology.verify.conformance.textbook import straight_through


def agrees(got, true, room):
    """Within `room` of the largest entry."""
    assert got.shape == true.shape
    np.testing.assert_allclose(got, true, rtol=0, atol=room * np.abs(true).max())


@pytest.mark.parametrize("kind", ["plain", "padded", "offset", "saturated"])
@pytest.mark.parametrize("stage", STAGES)
def test_it_agrees_with_the_reference(stage, kind) -> None:
    case = make_case(stage, kind, 1)
    truth = truth_of(case)
    for textbook in (Textbook(), ShuffledSums()):
        agrees(textbook.forward(stage, case.inputs), truth.output, 1e-14)
        gradients = textbook.vjp(stage, case.inputs, case.cotangent)
        assert gradients.keys() == truth.gradients.keys()
        for name, gradient in gradients.items():
            agrees(gradient, truth.gradients[name], 1e-11 if kind == "offset" else 1e-13)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("stage", STAGES)
def test_results_are_numbers_of_the_format(stage, dtype) -> None:
    form, case = FORMATS[dtype], make_case(stage, "plain", 1, dtype)
    textbook = Textbook(dtype)
    output = textbook.forward(stage, case.inputs)
    gradients = textbook.vjp(stage, case.inputs, case.cotangent)
    for x in (output, *gradients.values()):
        assert x.dtype == form.container
        assert (form.stored(x) == x).all()
    agrees(output, truth_of(case).output, 30 * form.unit)


def test_what_is_stored_in_between_is_rounded_to_the_format() -> None:
    """A feed-forward network of bfloat16 is off by more than one rounding of its output."""
    case = make_case("feed_forward", "plain", 1, "bfloat16")
    form = FORMATS["bfloat16"]
    rounded = Textbook("bfloat16").forward("feed_forward", case.inputs)
    once = form.stored(truth_of(case).output)
    assert not (rounded == once).all()
    assert Textbook("bfloat16").coarser
    assert not Textbook("float32").coarser
    assert Textbook("float32", "float64").coarser  # sums in float64, stored as float32


def test_the_gradient_of_storing_is_stored() -> None:
    textbook = Textbook("bfloat16")
    x = nx.tensor(np.float32([1.001, 2.0]), requires_grad=True)
    (slope,) = nx.grad(textbook.store(x), [x], np.float32([1.001, 3.0]))
    assert slope.tolist() == [1.0, 3.0]
    assert textbook.store(x).tolist() == [1.0, 2.0]
    assert Textbook("float64").store(x) is x


def test_other_orders_add_up_otherwise() -> None:
    x = make_case("softmax", "plain", 1, "float32").inputs["x"]
    found = [kind("float32").forward("softmax", {"x": x}) for kind in (Textbook, ShuffledSums)]
    assert not (found[0] == found[1]).all()
    p = make_case("linear", "plain", 1, "float32").inputs
    found = [kind("float32").forward("linear", p) for kind in (Textbook, ShuffledSums)]
    assert not (found[0] == found[1]).all()


def test_an_offset_costs_nothing() -> None:
    case = make_case("layer_norm", "offset", 1, "float32")
    agrees(Textbook("float32").forward("layer_norm", case.inputs), truth_of(case).output, 1e-6)


def test_a_wrong_backward_is_written_straight_through() -> None:
    x = nx.tensor([1.0, 2.0], requires_grad=True)
    y = straight_through(x * x, 5 * x)
    assert y.tolist() == [1.0, 4.0]
    (slope,) = nx.grad(y.sum(), [x])
    assert slope.tolist() == [5.0, 5.0]


def test_inputs_are_left_alone_and_settings_are_numbers() -> None:
    case = make_case("block", "plain", 1)  # read-only
    Textbook().forward("block", case.inputs)
    p = make_case("model").inputs
    wrapped = Textbook().wrapped(p)
    assert isinstance(wrapped["ids"], np.ndarray)
    assert (wrapped["eps"], wrapped["num_heads"]) == (p["eps"], p["num_heads"])
    assert wrapped["token_embedding.weight"].requires_grad


@pytest.mark.parametrize(
    "options", [{"activation": "relu"}, {"activation": "gelu_tanh", "norm": "post"}]
)
def test_other_forms_of_the_networks_are_written_too(options) -> None:
    case = make_case("feed_forward", options=options)
    truth, textbook = truth_of(case), Textbook()
    np.testing.assert_allclose(textbook.forward(case.stage, case.inputs), truth.output, rtol=1e-12)
    found = textbook.vjp(case.stage, case.inputs, case.cotangent)
    for name, gradient in truth.gradients.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-10, atol=1e-12)


def test_networks_mix_and_revert_whatever_has_axes_to_swap() -> None:
    case = make_case("token_mix")
    x, H = case.inputs["x"], case.inputs["num_heads"]
    networks = Networks()
    mixed = networks.token_mix(x, H)
    assert np.array_equal(mixed, Textbook().forward("token_mix", case.inputs))
    assert np.array_equal(networks.token_revert(mixed, H), x)
