"""The formulas equal what is counted, to the last operation, and are those of the literature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

import numixology as nx
from numixology import nn
from numixology.errors import ArgumentError, DTypeError, ShapeError
from numixology.explain import Complexity, closed_form, complexity
from numixology.explain.cost.closed_forms import ClosedForm, formula

NUMBERS = (
    "parameters", "parameter_bytes", "flops", "multiply_adds", "bytes_read", "bytes_written",
)  # fmt: skip

sizes = st.fixed_dictionaries(
    {
        "B": st.integers(1, 3),
        "T": st.integers(1, 6),
        "H": st.integers(1, 4),
        "d": st.integers(1, 3),
        "F": st.integers(1, 7),
    }
)
dtypes = st.sampled_from(["float64", "float32"])


def assert_equal(layer: nn.Module, B: int, T: int, x: np.ndarray) -> None:
    """Totals and rows of the formulas are those of the running layer."""
    counted, form = complexity(layer, x), closed_form(layer, B, T)
    for number in NUMBERS:
        assert getattr(counted, number) == getattr(form, number), number
    for row, part in zip(form.rows, form.split(counted), strict=True):
        assert part.flops == row.flops.at(form.sizes), row.name
        assert part.multiply_adds == row.multiply_adds.at(form.sizes), row.name
        assert part.bytes_read == row.read.at(form.sizes) * form.itemsize, row.name
        assert part.bytes_written == row.written.at(form.sizes) * form.itemsize, row.name


# Counted = formula ------------------------------------------------------------------


@given(
    n=sizes,
    dtype=dtypes,
    mixing=st.sampled_from(["rankmixer", "guide"]),
    norm=st.sampled_from(["post", "pre", "bare"]),
)
def test_the_token_mixer(n, dtype, mixing, norm) -> None:
    D = n["H"] * n["d"]
    mixer = nn.TokenMixer(n["T"], D, n["H"], mixing=mixing, norm=norm, dtype=dtype)
    assert_equal(mixer, n["B"], n["T"], np.ones((n["B"], n["T"], D), dtype))


@given(n=sizes, dtype=dtypes, bias=st.booleans())
def test_self_attention(n, dtype, bias) -> None:
    D = n["H"] * n["d"]
    layer = nn.SelfAttention(D, n["H"], bias=bias, rng=0, dtype=dtype)
    assert_equal(layer, n["B"], n["T"], np.ones((n["B"], n["T"], D), dtype))


@given(
    n=sizes,
    dtype=dtypes,
    bias=st.booleans(),
    training=st.booleans(),
    dropout=st.sampled_from([0.0, 0.5]),
    kind=st.sampled_from(["gelu", "gelu_tanh", "relu", "silu", "swiglu"]),
    per_token=st.booleans(),
    norm=st.sampled_from(["pre", "post"]),
)
def test_every_feed_forward_network(
    n, dtype, bias, training, dropout, kind, per_token, norm
) -> None:
    D = n["H"] * n["d"]
    how = {"bias": bias, "dropout": dropout, "norm": norm, "rng": 0, "dtype": dtype}
    tokens = (n["T"],) if per_token else ()
    if kind == "swiglu":
        made = nn.PerTokenSwiGLU if per_token else nn.SwiGLUFeedForward
        network = made(*tokens, D, n["F"], **how)
    else:
        made = nn.PerTokenFeedForward if per_token else nn.FeedForward
        network = made(*tokens, D, n["F"], activation=kind, **how)
    network.train(training)
    assert_equal(network, n["B"], n["T"], np.ones((n["B"], n["T"], D), dtype))


networks = st.sampled_from(["standard", "swiglu", "per_token", "per_token_swiglu"])


@given(
    n=sizes,
    dtype=dtypes,
    ffn=networks,
    norm=st.sampled_from(["guide", "post", "pre", "bare_mix"]),
    training=st.booleans(),
)
def test_the_block(n, dtype, ffn, norm, training) -> None:
    D = n["H"] * n["d"]
    how = {"ff_dim": n["F"], "ffn": ffn, "norm": norm, "rng": 0, "dtype": dtype}
    block = nn.RankMixerBlock(n["T"], D, n["H"], **how)
    block.train(training)
    assert_equal(block, n["B"], n["T"], np.ones((n["B"], n["T"], D), dtype))


@given(
    n=sizes,
    dtype=dtypes,
    ffn=networks,
    layers=st.integers(1, 3),
    vocabulary=st.integers(1, 9),
)
def test_the_model(n, dtype, ffn, layers, vocabulary) -> None:
    D = n["H"] * n["d"]
    how = {"ff_dim": n["F"], "ffn": ffn, "rng": 0, "dtype": dtype}
    model = nn.RankMixerModel(vocabulary, n["T"], D, n["H"], layers, **how).eval()
    ids = np.random.default_rng(0).integers(0, vocabulary, (n["B"], n["T"]))
    assert_equal(model, n["B"], n["T"], ids)


# The formulas, as the literature and the guide have them -----------------------------------


def flops_of(layer: nn.Module, T: int) -> str:
    return str(closed_form(layer, 1, T).total("flops"))


def test_the_formulas_in_writing() -> None:
    assert flops_of(nn.TokenMixer(3, 8, 4), 3) == "8BTD + 2BT"
    assert flops_of(nn.SelfAttention(8, 2, bias=False, rng=0), 3) == (
        "8BTD² + 4BT²D + 6BHT² - 2BHT"
    )
    assert flops_of(nn.SelfAttention(8, 2, rng=0), 3) == ("8BTD² + 4BT²D + 6BHT² + 4BTD - 2BHT")
    network = nn.FeedForward(8, rng=0).eval()
    assert flops_of(network, 3) == "4BTDF + 9BTD + 6BTF + 2BT"
    assert flops_of(nn.SwiGLUFeedForward(8, rng=0).eval(), 3) == "6BTDF + 8BTD + 6BTF + 2BT"


@pytest.mark.parametrize(
    ("layer", "with_f", "with_4d", "at_768"),
    [
        (nn.FeedForward(8, rng=0), "2DF + 3D + F", "8D² + 7D", 4_723_968),
        (nn.SwiGLUFeedForward(8, rng=0), "3DF + 2D", "12D² + 2D", 7_079_424),
        (nn.SwiGLUFeedForward(8, bias=True, rng=0), "3DF + 3D + 2F", "12D² + 11D", 7_086_336),
    ],
)
def test_the_parameters_of_the_networks(layer, with_f, with_4d, at_768) -> None:
    found = closed_form(layer, 1, 1).total("parameters")
    assert str(found) == with_f
    assert str(found.put("F", 4, "D")) == with_4d
    assert found.put("F", 4, "D").at({"D": 768}) == at_768


def test_the_tables_of_the_guide_in_flops() -> None:
    form = closed_form(nn.SelfAttention(8, 2, bias=False, rng=0), 1, 3)
    found = {row.name: str(row.flops) for row in form.rows}
    assert found == {
        "QKV projections": "6BTD²",
        "scores": "2BT²D",
        "scaling": "BHT²",
        "softmax": "5BHT² - 2BHT",
        "weighted values": "2BT²D",
        "heads joined": "0",
        "output projection": "2BTD²",
    }
    products = {row.name: str(row.multiply_adds) for row in form.rows}
    assert [products[name] for name in ("QKV projections", "scores", "output projection")] == [
        "3BTD²", "BT²D", "BTD²",
    ]  # fmt: skip


def test_a_table() -> None:
    lines = str(closed_form(nn.TokenMixer(512, 768, 12), 2, 512)).splitlines()
    assert lines[0].split("  ")[0] == "operation"
    assert lines[-1].split() == [
        "total", "8BTD", "+", "2BT", f"{2 * 512 * (8 * 768 + 2):,}", "0", "1,536",
    ]  # fmt: skip


# Formulas ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("8BTD + 2BT", "8BTD + 2BT"),
        ("2BT + 8BTD", "8BTD + 2BT"),
        ("DTB", "BTD"),
        ("BTDD - BTD + 4", "BTD² - BTD + 4"),
        ("-BT + BTD", "BTD - BT"),
        ("- BT", "-BT"),
        ("BT - BT", "0"),
        ("0", "0"),
        ("1", "1"),
        ("T²D²", "T²D²"),
        ("2BT^2D - D^2", "2BT²D - D²"),
    ],
)
def test_a_formula_is_read_and_written(text, written) -> None:
    assert str(formula(text)) == written
    assert str(formula(written)) == written


@pytest.mark.parametrize("text", ["", "8xy", "B + ", "B*T", "B-T", "8 B", "-"])
def test_other_writings_are_refused(text) -> None:
    with refused(ArgumentError, "a sum of terms like 8BTD²", repr(text)):
        formula(text)


@given(
    a=st.integers(-9, 9),
    b=st.integers(-9, 9),
    n=st.fixed_dictionaries({letter: st.integers(0, 9) for letter in "BTDF"}),
)
def test_formulas_calculate(a, b, n) -> None:
    B, T, D, F = (n[letter] for letter in "BTDF")
    first, second = formula(f"{a}BT²D - {abs(b)}F"), formula(f"{b}DF + 3")
    one, other = a * B * T * T * D - abs(b) * F, b * D * F + 3
    assert first.at(n) == one
    assert (first + second).at(n) == one + other
    assert second.times(5, "TD").at(n) == 5 * T * D * other
    assert second.put("F", 4, "D").at({"D": D}) == 4 * b * D * D + 3
    assert formula(str(first)).at(n) == one


def test_formulas_are_equal_in_whatever_order_their_terms_are_written() -> None:
    one, other = formula("BT + BD"), formula("BD + BT")
    assert one == other
    assert len({one, other}) == 1
    assert one != formula("BT + 2BD")
    assert one != "BT + BD"


def test_sizes_and_letters_that_are_not_there() -> None:
    with refused(ArgumentError, "the sizes of BTD are all given", "no D, T"):
        formula("BTD").at({"B": 2})
    for wrong in (
        lambda: formula("BT").put("T", 2, "Z"),
        lambda: formula("BT").times(2, "Z"),
    ):
        with refused(ArgumentError, "a sum of terms like 8BTD²", "Z"):
            wrong()


def test_no_number_is_too_large() -> None:
    """Not even where the sizes are NumPy's, which overflow."""
    T, D = 10**9, 10**6
    for number in (int, np.int64):
        form = closed_form(nn.FeedForward(4, rng=0).eval(), number(2), number(T))
        D, F = form.sizes["D"], form.sizes["F"]
        assert form.flops == 4 * 2 * T * D * F + 9 * 2 * T * D + 6 * 2 * T * F + 2 * 2 * T
    T, D = 10**9, 10**6
    assert formula("8BTD² + 4BT²D").at({"B": np.int64(1), "T": np.int64(T), "D": np.int64(D)}) == (
        8 * T * D**2 + 4 * T**2 * D
    )


# What has no closed form --------------------------------------------------------------------


def test_other_modules_and_sizes_are_refused() -> None:
    with refused(DTypeError, "closed_form knows", "Linear", "complexity"):
        closed_form(nn.Linear(2, 2, rng=0), 1, 1)
    for layer in (
        nn.TokenMixer(3, 4, 2),
        nn.RankMixerBlock(3, 4, 2, rng=0),
        nn.RankMixerModel(9, 3, 4, 2, 1, rng=0),
    ):
        with refused(ShapeError, "made for 3 tokens", "4"):
            closed_form(layer, 1, 4)
    for layer in (nn.TokenMixer(3, 8, 2), nn.SelfAttention(8, 2, rng=0)):
        layer.num_heads = 3  # it could no longer be called
        with refused(ShapeError, "divisible", "8 and 3"):
            closed_form(layer, 1, 3)
    for B, T in ((0, 1), (1, 0)):
        with refused(ArgumentError, "is a positive integer", "0"):
            closed_form(nn.FeedForward(4, rng=0), B, T)


def test_a_model_whose_blocks_differ_is_refused() -> None:
    model = nn.RankMixerModel(9, 3, 4, 2, 2, rng=0)
    assert_equal(model, 2, 3, np.zeros((2, 3), int))
    model.blocks[1].eval()
    with refused(ArgumentError, "blocks that are alike", "complexity"):
        closed_form(model, 2, 3)
    model.blocks[1] = nn.RankMixerBlock(3, 4, 2, ff_dim=5, rng=0)
    with refused(ArgumentError, "blocks that are alike"):
        closed_form(model, 2, 3)


def test_the_rows_of_another_layer_do_not_fit() -> None:
    form: ClosedForm = closed_form(nn.TokenMixer(3, 4, 2), 1, 3)
    with refused(ArgumentError, "the layer runs token_mix, add, layer_norm", "nothing"):
        form.split(Complexity(0, 0, ()))
    with refused(ArgumentError, "the layer runs", "exp"):
        form.split(complexity(np.exp, np.ones(2)))


# Layers put together in other ways ------------------------------------------------------------


def replaced(layer: nn.Module, name: str, part: object) -> nn.Module:
    setattr(layer, name, part)
    return layer


def block() -> nn.RankMixerBlock:
    return nn.RankMixerBlock(3, 8, 4, ff_dim=8, rng=0).eval()


def model() -> nn.RankMixerModel:
    return nn.RankMixerModel(9, 3, 8, 4, 2, ff_dim=8, rng=0).eval()


def test_known_layers_may_stand_where_others_did() -> None:
    """A transformer's block, and a model of such or of networks alone."""
    attentive = replaced(block(), "mixer", nn.SelfAttention(8, 2, rng=0))
    assert_equal(attentive, 2, 5, np.ones((2, 5, 8)))
    processing = model()
    processing.blocks = [nn.FeedForward(8, rng=0).eval()]
    assert_equal(processing, 2, 3, np.zeros((2, 3), int))
    with refused(ShapeError, "made for 3 tokens", "4"):
        closed_form(processing, 2, 4)


def test_each_linear_layer_has_its_own_bias() -> None:
    for layer, name in (
        (nn.FeedForward(8, rng=0).eval(), "linear1"),
        (nn.SwiGLUFeedForward(8, bias=True, rng=0).eval(), "w3"),
        (nn.SelfAttention(8, 2, rng=0), "output"),
    ):
        getattr(layer, name).bias = None
        assert_equal(layer, 2, 3, np.ones((2, 3, 8)))


UNLIKE = {
    "a shared block": (
        replaced(model(), "blocks", [block()] * 2),
        "as many parameters as its formulas",
        "of",
    ),
    "some biases": (
        replaced(nn.SelfAttention(8, 2, rng=0), "key", nn.Linear(8, 8, False, rng=0)),
        "as many parameters",
        "280 of 288",
    ),
    "a longer table": (
        replaced(model(), "position_embedding", nn.Embedding(5, 8, rng=0)),
        "as many parameters",
        "of",
    ),
    "two dtypes": (
        replaced(nn.TokenMixer(3, 8, 4), "shift", nx.tensor(np.zeros(8, np.float32))),
        "parameters of one dtype",
        "float32, float64",
    ),
    "two sizes": (
        replaced(block(), "mixer", nn.FeedForward(8, 5, rng=0).eval()),
        "each letter stands for one size",
        "F = 5 and F = 8",
    ),
    "no blocks": (replaced(model(), "blocks", []), "at least one block", "none"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_what_the_formulas_do_not_fit_is_refused(name) -> None:
    layer, rule, got = UNLIKE[name]
    with refused(ArgumentError, rule, got, "complexity"):
        closed_form(layer, 1, 3)
