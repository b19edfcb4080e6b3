"""A block's form is named from its outputs, or it is said that it cannot be told; never wrongly."""

import numpy as np
import pytest
from support import refused

import numixology as nx
from numixology import functional as F
from numixology.errors import ArgumentError, ShapeError
from numixology.verify import identify
from numixology.verify.conformance import Textbook, make_case
from numixology.verify.forms.mixings import permutations

NORMS = ("guide", "post", "pre", "bare_mix")
NETWORKS = ("standard", "per_token", "swiglu", "per_token_swiglu")
T, D = 4, 16


def block(seed=0, spread=0.0, T=T, D=D, H=4, **options):
    """In evaluation, with parameters that are not those of the start."""
    made = nx.nn.RankMixerBlock(T, D, H, rng=seed, **options).eval()
    rng = np.random.default_rng([seed, 1])
    state = made.state_dict()
    made.load_state_dict(
        {k: (v + spread * rng.standard_normal(v.shape)).astype(v.dtype) for k, v in state.items()}
    )
    return made


def said(found, question):
    """The answer, and what showed it."""
    (answer,) = [one for one in found.answers if one.question == question]
    return answer.answer, answer.because


def norm(x):
    return F.layer_norm(x)


def rms(x):
    return F.rms_norm(x)


def mix(x):
    return F.token_mix(x, T)


_rng = np.random.default_rng(7)
_W1, _W2 = _rng.standard_normal((32, D)) / 4, _rng.standard_normal((D, 32)) / 4


def network(x):
    return F.silu(x @ _W1.T) @ _W2.T


# What can be told ---------------------------------------------------------------------------


@pytest.mark.parametrize("ffn", NETWORKS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("seed", "spread"), [(0, 0.0), (2, 1.0)])
def test_every_form_is_named(norm, ffn, seed, spread):
    made = block(seed, spread, norm=norm, ffn=ffn)
    found = identify(made, T, D, rng=seed)
    assert found.norm == norm
    assert found.normalization == "LayerNorm"
    assert found.network == ("per token" if ffn.startswith("per_token") else "shared")
    assert ("rankmixer", 4) in found.mixings
    assert len(found.mixings) == (3 if norm == "bare_mix" else 1)
    residual = "after the network only" if norm == "bare_mix" else "around the mixing"
    assert said(found, "residual")[0] == residual


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("sizes", [(2, 6, 3), (3, 8, 2), (2, 8, 2), (5, 12, 4), (3, 18, 9)])
def test_with_any_number_of_heads(norm, sizes):
    T, D, H = sizes
    found = identify(block(0, 0.3, T, D, H, norm=norm, ffn="per_token"), T, D)
    assert found.norm == norm
    assert ("rankmixer", H) in found.mixings
    assert found.network in ("per token", None)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("mixing", ["identity", "channels", "neighbors", "twice"])
def test_the_wrong_mixings_are_told_from_the_right_one(norm, mixing):
    made = block(0, 0.3, T=6, D=12, H=4, norm=norm, mixing=mixing)
    found = identify(made, 6, 12)
    name = {"identity": ("identity", 1), "channels": ("rankmixer", 12)}.get(mixing, (mixing, 4))
    assert found.norm == norm
    assert name in found.mixings
    assert ("rankmixer", 4) not in found.mixings


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("ffn", ["standard", "per_token_swiglu"])
def test_in_float32_too(norm, ffn):
    made = block(0, 0.2, norm=norm, ffn=ffn, dtype="float32")
    found = identify(made, T, D, dtype="float32")
    assert found.norm == norm
    assert ("rankmixer", 4) in found.mixings
    assert found.network == ("per token" if ffn.startswith("per_token") else "shared")


def test_of_many_features_those_of_three_tokens_are_followed():
    found = identify(block(T=6, D=360, H=6, ff_dim=8, norm="post"), 6, 360)
    assert found.mixings == (("rankmixer", 6),)
    found = identify(block(T=6, D=360, H=6, ff_dim=8, norm="pre"), 6, 360)
    assert found.mixings == (("rankmixer", 6),)


def test_it_prints_within_80_columns():
    text = str(identify(block(norm="bare_mix", ffn="per_token"), T, D))
    lines = text.splitlines()
    assert lines[0] == "form: bare_mix, per token network"
    assert "mixing:       rankmixer, H = 4 (d = 4) or H = 8 (d = 2) or H = 16 (d = 1)" in lines
    assert max(map(len, lines)) <= 80
    assert identify(FOREIGN["no norm"], T, D).name == "no form known here, shared network"
    found = identify(block(norm="pre", mixing="matrix"), T, D)
    assert found.name == "pre, some network"


# What is none of the forms, or cannot be told ----------------------------------------------------


def unlike(x):
    """Nearly equal outputs for equal tokens, between equal and unlike."""
    h = norm(x + mix(x))
    return h + network(norm(h)) + 5e-12 * np.arange(T)[:, None] * norm(h)[..., ::-1]


FOREIGN = {
    "no norm": lambda x: x + mix(x),
    "no norm, bent": lambda x: np.sign(x) * np.sqrt(np.abs(x + mix(x))),
    "norm of the network alone": lambda x: x + mix(x) + network(norm(x)),
    "attention without a norm": lambda x: F.softmax(x @ x.transpose(0, 2, 1)) @ x,
    "post, no residual around the mixing": lambda x: norm(norm(mix(x)) + network(norm(mix(x)))),
    "guide, twice the mixing": lambda x: network(norm(x + 2 * mix(x))),
    "pre, with a last norm": lambda x: norm(
        x + mix(norm(x)) + network(norm(x + mix(norm(x)))),
    ),
    "pre, side by side": lambda x: x + mix(norm(x)) + network(norm(x)),
    "post, added to x": lambda x: norm(x + network(norm(x + mix(x)))),
    "bounded": lambda x: np.tanh(x + mix(x)),
    "dead feature": lambda x: norm(x + mix(x)) * (np.arange(D) > 0),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_forms_are_not_given_a_name(name):
    found = identify(FOREIGN[name], T, D)
    if name == "dead feature":
        assert found.norm == "guide"  # without its last norm's plane, and with another network
    else:
        assert found.norm is None
        assert said(found, "norms")[0] == "cannot tell"


def test_a_missing_residual_around_the_mixing_is_said():
    found = identify(FOREIGN["post, no residual around the mixing"], T, D)
    assert said(found, "residual")[0] == "none around the mixing"
    assert "as in 'post', but what is moved away leaves nothing" in said(found, "norms")[1]
    assert ("rankmixer", 4) in found.mixings
    found = identify(FOREIGN["guide, twice the mixing"], T, D)
    assert said(found, "residual")[0] == "cannot tell"


RMS = {
    "post": lambda x: rms(rms(x + mix(x)) + network(rms(x + mix(x)))),
    "guide": lambda x: rms(x + mix(x)) + network(rms(rms(x + mix(x)))),
    "pre": lambda x: x + mix(rms(x)) + network(rms(x + mix(rms(x)))),
    "bare_mix": lambda x: rms(x + network(rms(mix(x)))),
}


@pytest.mark.parametrize("name", RMS)
def test_another_norm_is_told(name):
    found = identify(RMS[name], T, D)
    assert (found.norm, found.normalization, found.network) == (name, "RMSNorm", "shared")
    assert ("rankmixer", 4) in found.mixings


def test_what_is_too_near_to_tell_is_not_told():
    found = identify(unlike, T, D)
    assert (found.norm, found.network) == ("guide", None)
    assert said(found, "network") == ("cannot tell", "equal tokens become nearly equal")


def test_tokens_that_cannot_be_made_equal_are_not_compared():
    found = identify(block(T=3, D=8, H=8, norm="guide"), 3, 8)  # single features, and three tokens
    assert said(found, "network") == (
        "cannot tell",
        "no tokens are known to be equal after the mixing",
    )
    found = identify(block(T=2, D=8, H=2, norm="pre"), 2, 8)
    assert said(found, "network")[1] == "every token has features of its own in another place"


def test_of_a_learned_mixing_the_norms_are_told_and_no_more():
    found = identify(block(norm="pre", mixing="matrix"), T, D)
    assert (found.norm, found.mixings, found.network) == ("pre", (), None)
    assert said(found, "network") == ("cannot tell", "the mixing is not known")


def test_an_adapter_of_the_conformance_kit_is_asked_too():
    case = make_case("block", sizes={"T": 3, "D": 12, "H": 3})
    inputs, adapter = dict(case.inputs), Textbook()

    def outputs(x):
        return adapter.forward("block", inputs | {"x": x})

    found = identify(outputs, 3, 12)
    assert (found.norm, found.network) == ("guide", "shared")


# What is no block -----------------------------------------------------------------------------


def test_what_is_no_block_is_refused():
    with refused(ArgumentError, "one output for an input", "the same input", "eval()"):
        identify(nx.nn.RankMixerBlock(T, D, 4, rng=0), T, D)  # dropout is active
    with refused(ArgumentError, "the same sequence alone"):
        identify(lambda x: x - x.mean(axis=0), T, D)
    with refused(ShapeError, "(B, T, D) to (B, T, D)", "to (2, 16)"):
        identify(lambda x: x.mean(axis=1), T, D)
    with refused(ArgumentError, "finite", "NaN or infinity"):
        identify(lambda x: x * np.inf, T, D)
    for sizes in ((1, 16), (4, 3)):
        with refused(ArgumentError, "two tokens and four features"):
            identify(norm, *sizes)


def test_the_known_mixings_are_there_once_each():
    known = permutations(4, 8)
    assert {(name, H) for name, H in known if name != "twice"} == {
        *(("identity", 1), ("rankmixer", 2), ("rankmixer", 4), ("rankmixer", 8)),
        *(("neighbors", 2), ("neighbors", 4), ("neighbors", 8)),
    }
    assert len({to.tobytes() for to in known.values()}) == len(known)
