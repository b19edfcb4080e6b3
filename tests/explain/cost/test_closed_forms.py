"""The formulas equal what is counted, to the last operation, and are those of the literature."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology import nn
from numixology.errors import ArgumentError, ShapeError
from numixology.explain import closed_form, complexity
from numixology.explain.cost.closed_forms import added, value

#: The primitives that each row stands for, in the order in which they run.
RUN = {
    "mixing": ("token_mix",),
    "residual add": ("add",),
    "LayerNorm": ("layer_norm",),
    "QKV projections": ("linear", "reshape", "transpose") * 3,
    "scores": ("transpose", "matmul"),
    "scaling": ("divide",),
    "softmax": ("softmax",),
    "weighted values": ("matmul",),
    "heads joined": ("transpose", "reshape"),
    "output projection": ("linear",),
    **dict.fromkeys(("linear 1", "linear 2"), ("linear",)),
    **dict.fromkeys(("gate projection", "up projection", "down projection"), ("linear",)),
    **{name: (name,) for name in ("gelu", "gelu_tanh", "relu", "silu")},
    **dict.fromkeys(("dropout", "gate times up"), ("multiply",)),
    **dict.fromkeys(("token embedding", "position embedding"), ("embedding",)),
    "their sum": ("add",),
}

sizes = st.fixed_dictionaries(
    {
        "B": st.integers(1, 3),
        "T": st.integers(1, 6),
        "H": st.integers(1, 4),
        "d": st.integers(1, 3),
        "F": st.integers(1, 7),
    }
)


def assert_equal(layer: nn.Module, B: int, T: int, x: np.ndarray, repeated=()) -> None:
    """Totals and rows of the formulas are those of the running layer.

    The row "N blocks" stands for the rows ``repeated``, N times.
    """
    counted, form = complexity(layer, x), closed_form(layer, B, T)
    for number in ("parameters", "flops", "multiply_adds"):
        assert getattr(counted, number) == getattr(form, number), number
    calls = iter(counted.rows)
    for row in form.rows:
        stands_for = [*repeated] * form.sizes["N"] if row.name == "N blocks" else [row]
        run = [name for one in stands_for for name in RUN[one.name.split(": ")[-1]]]
        own = [next(calls) for _ in run]
        assert [call.name.removeprefix("per_token_") for call in own] == run
        assert sum(call.flops for call in own) == value(row.flops, form.sizes), row.name
        products = sum(call.multiply_adds for call in own)
        assert products == value(row.multiply_adds, form.sizes), row.name
    assert not [*calls]


# Counted = formula ------------------------------------------------------------------


@given(
    n=sizes,
    mixing=st.sampled_from(["rankmixer", "guide"]),
    norm=st.sampled_from(["post", "pre", "bare"]),
)
def test_the_token_mixer(n, mixing, norm) -> None:
    D = n["H"] * n["d"]
    mixer = nn.TokenMixer(n["T"], D, n["H"], mixing=mixing, norm=norm)
    assert_equal(mixer, n["B"], n["T"], np.ones((n["B"], n["T"], D)))


@given(n=sizes, bias=st.booleans())
def test_self_attention(n, bias) -> None:
    D = n["H"] * n["d"]
    layer = nn.SelfAttention(D, n["H"], bias=bias, rng=0)
    assert_equal(layer, n["B"], n["T"], np.ones((n["B"], n["T"], D)))


@given(
    n=sizes,
    bias=st.booleans(),
    training=st.booleans(),
    dropout=st.sampled_from([0.0, 0.5]),
    kind=st.sampled_from(["gelu", "gelu_tanh", "relu", "silu", "swiglu"]),
    per_token=st.booleans(),
    norm=st.sampled_from(["pre", "post"]),
)
def test_every_feed_forward_network(n, bias, training, dropout, kind, per_token, norm) -> None:
    D = n["H"] * n["d"]
    how = {"bias": bias, "dropout": dropout, "norm": norm, "rng": 0}
    tokens = (n["T"],) if per_token else ()
    if kind == "swiglu":
        made = nn.PerTokenSwiGLU if per_token else nn.SwiGLUFeedForward
        network = made(*tokens, D, n["F"], **how)
    else:
        made = nn.PerTokenFeedForward if per_token else nn.FeedForward
        network = made(*tokens, D, n["F"], activation=kind, **how)
    network.train(training)
    assert_equal(network, n["B"], n["T"], np.ones((n["B"], n["T"], D)))


networks = st.sampled_from(["standard", "swiglu", "per_token", "per_token_swiglu"])


@given(
    n=sizes,
    ffn=networks,
    norm=st.sampled_from(["guide", "post", "pre", "bare_mix"]),
    training=st.booleans(),
)
def test_the_block(n, ffn, norm, training) -> None:
    D = n["H"] * n["d"]
    how = {"ff_dim": n["F"], "ffn": ffn, "norm": norm, "rng": 0}
    block = nn.RankMixerBlock(n["T"], D, n["H"], **how)
    block.train(training)
    assert_equal(block, n["B"], n["T"], np.ones((n["B"], n["T"], D)))


@given(
    n=sizes,
    ffn=networks,
    layers=st.integers(1, 3),
    vocabulary=st.integers(1, 9),
)
def test_the_model(n, ffn, layers, vocabulary) -> None:
    D = n["H"] * n["d"]
    how = {"ff_dim": n["F"], "ffn": ffn, "rng": 0}
    model = nn.RankMixerModel(vocabulary, n["T"], D, n["H"], layers, **how).eval()
    ids = np.random.default_rng(0).integers(0, vocabulary, (n["B"], n["T"]))
    blocks = closed_form(model.blocks[0], n["B"], n["T"]).rows
    assert_equal(model, n["B"], n["T"], ids, blocks)


# The formulas, as the literature and the guide have them -----------------------------------


def flops_of(layer: nn.Module, T: int) -> str:
    return closed_form(layer, 1, T).total.flops


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
    ("layer", "with_f", "at_768"),
    [
        (nn.FeedForward(8, rng=0), "2DF + 3D + F", 4_723_968),
        (nn.SwiGLUFeedForward(8, rng=0), "3DF + 2D", 7_079_424),
        (nn.SwiGLUFeedForward(8, bias=True, rng=0), "3DF + 3D + 2F", 7_086_336),
    ],
)
def test_the_parameters_of_the_networks(layer, with_f, at_768) -> None:
    found = closed_form(layer, 1, 1).total.parameters
    assert found == with_f
    assert value(found, {"D": 768, "F": 4 * 768}) == at_768


def test_the_tables_of_the_guide_in_flops() -> None:
    form = closed_form(nn.SelfAttention(8, 2, bias=False, rng=0), 1, 3)
    found = {row.name: row.flops for row in form.rows}
    assert found == {
        "QKV projections": "6BTD²",
        "scores": "2BT²D",
        "scaling": "BHT²",
        "softmax": "5BHT² - 2BHT",
        "weighted values": "2BT²D",
        "heads joined": "0",
        "output projection": "2BTD²",
    }
    products = {row.name: row.multiply_adds for row in form.rows}
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
        ("BT - BT", "0"),
        ("0", "0"),
        ("1", "1"),
        ("T²D²", "T²D²"),
    ],
)
def test_like_terms_are_added(text, written) -> None:
    assert added(text) == added(written) == written


@given(
    a=st.integers(1, 9),
    b=st.integers(0, 9),
    n=st.fixed_dictionaries({letter: st.integers(0, 9) for letter in "BTDF"}),
)
def test_formulas_calculate(a, b, n) -> None:
    B, T, D, F = (n[letter] for letter in "BTDF")
    first, second = f"{a}BT²D - {b}F", f"{b}DF + 3"
    one, other = a * B * T * T * D - b * F, b * D * F + 3
    assert value(first, n) == one
    assert value(added(first, second), n) == one + other
    assert value(added(first, second, times="TD"), n) == T * D * (one + other)


def test_no_number_is_too_large() -> None:
    """Not even where the sizes are NumPy's, which overflow."""
    T, D = 10**9, 10**6
    for number in (int, np.int64):
        form = closed_form(nn.FeedForward(4, rng=0).eval(), number(2), number(T))
        D, F = form.sizes["D"], form.sizes["F"]
        assert form.flops == 4 * 2 * T * D * F + 9 * 2 * T * D + 6 * 2 * T * F + 2 * 2 * T


# What has no closed form --------------------------------------------------------------------


def test_other_modules_and_sizes_are_refused() -> None:
    with refused(ArgumentError, "closed_form knows", "Linear", "complexity"):
        closed_form(nn.Linear(2, 2, rng=0), 1, 1)
    for layer in (
        nn.TokenMixer(3, 4, 2),
        nn.RankMixerBlock(3, 4, 2, rng=0),
        nn.RankMixerModel(9, 3, 4, 2, 1, rng=0),
    ):
        with refused(ShapeError, "made for 3 tokens", "4"):
            closed_form(layer, 1, 4)
    for B, T in ((0, 1), (1, 0)):
        with refused(ArgumentError, "is a positive integer", "0"):
            closed_form(nn.FeedForward(4, rng=0), B, T)


def test_a_model_whose_blocks_differ_is_refused() -> None:
    model = nn.RankMixerModel(9, 3, 4, 2, 2, rng=0)
    rows = closed_form(model.blocks[0], 2, 3).rows
    assert_equal(model, 2, 3, np.zeros((2, 3), int), rows)
    model.blocks[1].eval()
    with refused(ArgumentError, "blocks that are alike", "complexity"):
        closed_form(model, 2, 3)
    model.blocks[1] = nn.RankMixerBlock(3, 4, 2, ff_dim=5, rng=0)
    with refused(ArgumentError, "blocks that are alike"):
        closed_form(model, 2, 3)


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
    rows = closed_form(processing.blocks[0], 2, 3).rows
    assert_equal(processing, 2, 3, np.zeros((2, 3), int), rows)
    with refused(ShapeError, "made for 3 tokens", "4"):
        closed_form(processing, 2, 4)


def test_each_linear_layer_has_its_own_bias() -> None:
    for layer, name in (
        (nn.FeedForward(8, rng=0).eval(), "linear1"),
        (nn.SwiGLUFeedForward(8, bias=True, rng=0).eval(), "w3"),
        (nn.SelfAttention(8, 2, rng=0), "output"),
        (nn.SelfAttention(8, 2, rng=0), "key"),
    ):
        getattr(layer, name).bias = None
        assert_equal(layer, 2, 3, np.ones((2, 3, 8)))


UNLIKE = {
    "a shared block": (
        replaced(model(), "blocks", [block()] * 2),
        "parts of the usual sizes",
        "parameters, not",
    ),
    "a longer table": (
        replaced(model(), "position_embedding", nn.Embedding(5, 8, rng=0)),
        "parts of the usual sizes",
        "parameters, not",
    ),
    "another norm": (
        replaced(block().mixer, "norm", nn.RMSNorm(8)),
        "parts of the usual sizes",
        "8 parameters, not 16",
    ),
    "two sizes": (
        replaced(block(), "mixer", nn.FeedForward(8, 5, rng=0).eval()),
        "parts of the usual sizes",
        "parameters, not",
    ),
    "no blocks": (replaced(model(), "blocks", []), "blocks that are alike", "0, not alike"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_what_the_formulas_do_not_fit_is_refused(name) -> None:
    layer, rule, got = UNLIKE[name]
    with refused(ArgumentError, rule, got, "complexity"):
        closed_form(layer, 1, 3)


# Layers that run something else -----------------------------------------------------------------


class Louder(nn.TokenMixer):
    """The same parameters, another forward."""

    def forward(self, x):
        return super().forward(x) * 2


class Squared(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x) ** 2


OTHERS = {
    "a subclass": (Louder(3, 8, 4), "the layers of numixology", "a Louder"),
    "a subclass in a block": (replaced(block(), "mixer", Louder(3, 8, 4)), "layers", "a Louder"),
    "a norm in a block": (
        replaced(block(), "mixer", replaced(nn.TokenMixer(3, 8, 4), "norm", Squared(8))),
        "the layers of numixology",
        "a Squared",
    ),
    "a block": (replaced(model(), "blocks", [nn.Linear(8, 8, rng=0)]), "knows the", "a Linear"),
    "another mixing": (
        nn.RankMixerBlock(3, 8, 4, mixing="neighbors", rng=0),
        "token_mix as a mixing",
        "a FixedMixing",
    ),
    "no block": (replaced(block(), "ffn", None), "knows the", "a NoneType"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_runs_something_else_is_refused(name) -> None:
    layer, knows, got = OTHERS[name]
    with refused(ArgumentError, "closed_form knows", knows, got, "complexity"):
        closed_form(layer, 1, 3)
