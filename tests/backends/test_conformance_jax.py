"""JAX through the conformance kit: it passes as declared, and planted bugs are found."""

import doctest
import importlib
import pickle
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import refused

import numixology as nx
from numixology.errors import ArgumentError, DTypeError, StateDictError
from numixology.verify.conformance import STAGES, conform, make_case
from numixology.verify.conformance.adapter import Declaration
from numixology.verify.conformance.adapters import load, template
from numixology.verify.conformance.adapters.jax import PROFILE, Jax, jax_function
from numixology.verify.conformance.memory import LAYOUTS
from numixology.verify.conformance.stages import NETWORKS

DOCS = Path(__file__).parents[2] / "docs"
adapters = importlib.import_module("numixology.verify.conformance.adapters.jax")


#: The quick set, one case of every kind.
QUICK = {"seeds": 1, "quick": True}


def declaring(adapter, profile):
    adapter.profile = profile
    return adapter


#: Networks take long to compile, and are those of every adapter: one is enough.
LAYERS = [stage for stage in STAGES if stage not in NETWORKS]


@pytest.mark.parametrize(
    ("dtype", "stages"),
    [
        ("float32", [*LAYERS, "block"]),
        ("float64", LAYERS),
        ("bfloat16", LAYERS),
    ],
)
def test_jax_passes_as_declared(dtype, stages) -> None:
    report = conform(load(f"jax:dtype={dtype}"), stages=stages, **QUICK)
    assert report.verdict == "pass", str(report)
    assert [one.stage for one in report.stages] == stages
    said = {text for one in report.stages for text in (*one.broken, *one.remarks)}
    (said,) = {text for text in said if not text.startswith(("sums in ", "results below "))}
    assert said.endswith("do not reach this backend")


def test_it_passes_one_operation_at_a_time() -> None:
    report = conform(load("jax:jit=off"), stages=["layer_norm", "silu", "token_mix"], **QUICK)
    assert report.verdict == "pass", str(report)
    assert "not compiled" in report.backend


@pytest.mark.parametrize(
    ("dtype", "profile"),
    [(dtype, one) for dtype in ("float64", "float32", "bfloat16") for one in PROFILE[dtype]],
)
def test_every_profile_that_is_declared_is_needed(dtype, profile) -> None:
    rest = tuple(one for one in PROFILE[dtype] if one != profile)
    stages = {"tails": "gelu_tanh", "steps": "gelu_tanh", "offsets": "layer_norm", "sums": "linear"}
    report = conform(declaring(Jax(dtype), rest), stages=[stages[profile]], **QUICK)
    assert report.verdict == "fail"


def test_in_float16_the_gradient_of_the_tanh_gelu_is_nan() -> None:
    # x³ is infinite, and its derivative is multiplied by 0: a defect, which nothing excuses
    x = jnp.asarray(np.float16(1e4))
    assert np.isnan(jax.grad(jax.nn.gelu)(x))
    report = conform(load("jax:dtype=float16"), stages=["gelu", "gelu_tanh", "layer_norm"], **QUICK)
    assert {one.stage: one.outcome for one in report.stages}["gelu_tanh"] == "fail"
    assert report.first_failure.stage == "gelu_tanh"
    failed = [one for one in report.first_failure.comparisons if one.outcome == "fail"]
    assert {(one.tensor, one.kind) for one in failed} == {("x", "offset")}
    assert all(np.isnan(one.got) for one in failed)


def test_64_bits_stay_in_the_adapter() -> None:
    before = jax.config.jax_enable_x64
    case = make_case("silu")
    assert Jax("float64").forward("silu", case.inputs).dtype == np.float64
    assert jax.config.jax_enable_x64 == before
    assert jnp.zeros(1).dtype == (np.float64 if before else np.float32)


def test_an_adapter_survives_a_process_boundary() -> None:
    adapter = Jax("float32")
    case = make_case("silu", dtype="float32")
    before = adapter.forward("silu", case.inputs)
    again = pickle.loads(pickle.dumps(adapter))
    np.testing.assert_array_equal(again.forward("silu", case.inputs), before)


def test_what_is_not_known_is_refused() -> None:
    with refused(DTypeError, "'int8'"):
        load("jax:dtype=int8")
    with refused(ArgumentError, "device", "accumulation, stages"):
        load("jax:device=tpu")


# Functions of others


def norm(params, x, sizes, correction=0):
    h = x - x.mean(-1, keepdims=True)
    variance = jnp.var(x, axis=-1, keepdims=True, ddof=correction)
    return h / jnp.sqrt(variance + sizes.eps) * params["scale"] + params["shift"]


def block(params, x, sizes):
    b, t, d = x.shape
    mixed = x.reshape(b, t, sizes.num_heads, -1).swapaxes(1, 2).reshape(b, t, d)
    y = norm(params["ln1"], x + mixed, sizes)
    h = norm(params["ln2"], y, sizes)
    h = jax.nn.gelu(h @ params["up"]["kernel"].T + params["up"]["bias"], approximate=False)
    return y + h @ params["down"]["kernel"].T + params["down"]["bias"]


def model(params, ids, sizes):
    x = params["words"][ids] + params["places"]
    for i in range(sizes.num_layers):
        x = block(params["layers"][str(i)], x, sizes)
    return x


BLOCK = {
    "mixer.norm.weight": "ln1.scale",
    "mixer.norm.bias": "ln1.shift",
    "ffn.norm.weight": "ln2.scale",
    "ffn.norm.bias": "ln2.shift",
    "ffn.linear1.weight": "up.kernel",
    "ffn.linear1.bias": "up.bias",
    "ffn.linear2.weight": "down.kernel",
    "ffn.linear2.bias": "down.bias",
}
MODEL = {"token_embedding.weight": "words", "position_embedding.weight": "places"}
MODEL |= {f"blocks.i.{ours}": f"layers.i.{theirs}" for ours, theirs in BLOCK.items()}


def test_a_right_function_passes() -> None:
    """A model, and so the block that it is made of."""
    adapter = jax_function(model, MODEL, "model", dtype="float64")
    report = conform(adapter, **QUICK)
    assert report.verdict == "pass", str(report)
    assert [one.stage for one in report.stages if one.outcome != "not covered"] == ["model"]
    assert report.backend.startswith("model, JAX")


def unbiased(params, x, sizes):
    return norm(params, x, sizes, correction=1)


def detached(params, x, sizes):
    h = x - x.mean(-1, keepdims=True)
    variance = jax.lax.stop_gradient((h * h).mean(-1, keepdims=True))
    return h / jnp.sqrt(variance + sizes.eps) * params["scale"] + params["shift"]


def averaged(params, x, sizes):
    return norm(params, x, sizes).mean(0)


@pytest.mark.parametrize(
    ("fn", "tensors"), [(unbiased, {"output", "x", "weight"}), (detached, {"x"})]
)
def test_a_wrong_function_fails(fn, tensors) -> None:
    names = {"weight": "scale", "bias": "shift"}
    report = conform(jax_function(fn, names, "layer_norm"), stages=["layer_norm"], **QUICK)
    assert report.verdict == "fail"
    found = {one.tensor for one in report.first_failure.comparisons if one.outcome == "fail"}
    assert found == tensors


def test_an_output_of_another_shape_is_found() -> None:
    names = {"weight": "scale", "bias": "shift"}
    report = conform(jax_function(averaged, names, "layer_norm"), stages=["layer_norm"], **QUICK)
    assert "the output has shape (3, 10), not" in report.first_failure.broken[0]


@pytest.mark.parametrize(
    ("fn", "names", "stage"),
    [
        (jax.nn.silu, {}, "silu"),
        (lambda x, weight, bias: x @ weight.T + bias, {}, "linear"),
        (lambda p, t, s: t @ p["kernel"].T + p["bias"], {"weight": "kernel"}, "linear"),
        (lambda params, ids: params["weight"][ids], {}, "embedding"),
    ],
)
def test_a_function_takes_what_it_names(fn, names, stage) -> None:
    report = conform(jax_function(fn, names, stage), stages=[stage], **QUICK)
    assert report.verdict == "pass", str(report)


def test_names_that_do_not_fit_are_no_failure_of_the_function() -> None:
    with refused(StateDictError, "no 'shift'; params has bias, scale"):
        conform(
            jax_function(norm, {"weight": "scale"}, "layer_norm"), stages=["layer_norm"], quick=True
        )
    with refused(StateDictError, "got wieght; use x, weight, bias"):
        jax_function(norm, {"wieght": "scale"}, "layer_norm")


def test_what_a_function_is_declared_to_be() -> None:
    about = Declaration(jax_function(jax.nn.silu, stage="silu", profile=(), requires={"D": 4}))
    assert (about.profile, about.requires, about.stages) == ([], {"D": 4}, ["silu"])
    assert about.lost == tuple(LAYOUTS)


def test_the_examples() -> None:
    found = doctest.testmod(adapters, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 5
    assert not found.failed


def test_the_file_to_start_from_passes(tmp_path) -> None:
    path = tmp_path / "my_block.py"
    path.write_text(template("jax"), "utf-8")
    report = conform(load(str(path)), seeds=1, quick=True)
    assert [one.stage for one in report.stages if one.outcome != "not covered"] == ["block"]
    assert report.verdict == "pass"


@pytest.fixture
def page_example():
    """The page's gradient in JAX, which turns on float64 for the whole process."""
    before = jax.config.jax_enable_x64
    yield runpy.run_path(str(DOCS / "examples" / "jax_gradient.py"))
    jax.config.update("jax_enable_x64", before)


def test_the_pages_gradient_passes_gradcheck_and_one_with_a_forgotten_term_fails(page_example):
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape) for shape in [(2, 3), (3, 4), (3, 4)]]
    forward, backward = page_example["forward"], page_example["backward"]
    report = nx.gradcheck(forward, *inputs, vjp=backward)
    assert report.passed, report
    assert report.names == ("x", "gate", "value")
    assert report.tolerance < 1e-12  # in float64

    def forgetful(cotangent, x, gate, value):
        *others, _ = backward(cotangent, x, gate, value)
        gated = x @ gate
        return [*others, x.T @ (cotangent / (1 + np.exp(-gated)))]

    report = nx.gradcheck(forward, *inputs, vjp=forgetful)
    assert (report.verdict, report.worst[0]) == ("fail", 2)
