"""The guide's claims: every section has one, every verdict follows from what the code does."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import numixology as nx
from numixology.explain.cost.formulas import _FORMULAS, _each
from numixology.functional import normalization
from numixology.nn import token_mixer

DOCS = Path(__file__).resolve().parents[1] / "docs"
claims, verdicts, mixing_claims, layer_claims, cost_claims, guide_costs = (
    importlib.import_module(f"corrections.{name}")
    for name in ("claims", "verdicts", "mixing", "layers", "costs", "formulas")
)
Claim, Evidence, refused = claims.Claim, claims.Evidence, claims.refused
CHAPTERS = verdicts.CHAPTERS
CLAIMS = {claim.name: claim for _, group in CHAPTERS for claim in group}

# A review of the guide, done by hand before any of this was written, row by row.
REVIEW = [
    # the shapes, d = 2, the listings of steps 1 to 3: right
    *[(name, "right") for name in ("axes", "batch", "sizes", "partition", "permute", "flatten")],
    ("equal-sizes", "omission"),  # T = H, and H divides D: not stated
    ("flatten-mixes", "wrong"),
    ("unflatten", "wrong"),
    ("merge", "ambiguous"),  # the text
    ("together", "wrong"),  # its source: the identity
    ("numbering", "wrong"),
    ("residual", "right"),
    ("ffn", "right"),
    ("block", "right"),
    ("norms", "differs"),
    ("parameters", "right"),
    ("shares", "wrong"),
    ("swiglu", "right"),
    ("linear3", "ambiguous"),  # the drawing
    ("reshapes", "right"),
    ("norm-rows", "right"),
    ("mixer-total", "misleading"),
    ("attention-rows", "misleading"),  # mixed units
    ("attention-total", "wrong"),
    ("quadratic", "ambiguous"),
    ("448x", "wrong"),
    ("grows-linearly", "wrong"),
    ("chart", "wrong"),
    ("mixer-memory", "right"),
    ("mixer-bars", "wrong"),  # the drawing
    ("attention-memory", "ambiguous"),
    ("attention-bars", "wrong"),  # the drawing
    ("contiguous", "right"),
    ("chained-view", "misleading"),  # mislabeled: an error, not slowness
    ("debug-shapes", "right"),
    ("educational", "differs"),  # by choice
    ("positions", "ambiguous"),
    ("model", "right"),
    ("global-mixing", "wrong"),  # as coded
    ("contents", "omission"),
]

# The guide's headings in its order, and where each lives: a page, and a label on it.
HEADINGS = [
    ("## Table of Contents", "corrections", None),
    ("## Tensor Shape Basics", "shapes", None),
    ("### Understanding 3D Tensors in Sequence Models", "shapes", None),
    ("### Visual Representation", "shapes", "figure-batch"),
    ("## Token Mixer Step-by-Step", "mixer", None),
    ("### Input Configuration", "mixer", None),
    ("### Step 1: Head Partitioning", "mixer", "figure-partition"),
    ("### Step 2: Permutation", "mixer", "figure-permute"),
    ("### Step 3: Flatten for Mixing", "mixer", "figure-flatten"),
    ("### Step 4: Unflatten (Information Mixed!)", "mixer", "figure-guide-mixer"),
    ("### Step 5: Residual + Normalization", "mixer", "figure-merge"),
    ("### Step 5: Residual + Normalization", "mixer", "figure-residual"),
    ("### Step 5: Residual + Normalization", "mixer", "figure-norm"),
    ("## Feed Forward Network Flow", "feed_forward", None),
    ("### Standard Feed Forward Architecture", "feed_forward", "figure-ffn"),
    ("### Parameter Distribution", "feed_forward", "figure-ffn-parameters"),
    ("### SwiGLU Variant Comparison", "feed_forward", "figure-swiglu"),
    ("## Complete Architecture Overview", "model", None),
    ("### RankMixer Block Structure", "model", "figure-block"),
    ("### Multi-Layer Model", "model", "figure-model"),
    ("## Complexity Comparison", "cost", None),
    ("### Computational Complexity", "cost", "figure-mixer-flops"),
    ("### Computational Complexity", "cost", "figure-attention-flops"),
    ("### Memory Usage Scaling", "cost", "figure-memory"),
    ("### Performance Scaling Chart", "cost", "figure-ratio"),
    ("## Implementation Tips", "tips", None),
    ("### Memory Optimization", "tips", "figure-strides"),
    ("### Debugging Tensor Shapes", "tips", None),
    ("### Educational Mode", "tips", None),
]


@pytest.fixture(scope="module")
def judged() -> dict:
    return {one.name: one for one in verdicts.corrections()}


def test_the_verdicts_are_those_of_the_review(judged) -> None:
    assert {name: one.verdict for name, one in judged.items()} == dict(REVIEW)
    assert len(REVIEW) == len(dict(REVIEW)) == len(verdicts.corrections())


def test_they_are_numbered_and_have_words_that_are_explained(judged) -> None:
    assert [one.number for one in judged.values()] == list(range(1, len(judged) + 1))
    assert {one.verdict for one in judged.values()} == set(verdicts.VERDICTS)
    for one in judged.values():
        assert re.fullmatch("[a-z0-9-]+", one.name)
        assert one.evidence
        assert one.truth.endswith(".")


# Every section of the guide


def test_every_heading_of_the_guide_has_a_claim(judged) -> None:
    places = [(one.chapter, one.section) for one in judged.values()]
    found = list(dict.fromkeys(part for place in places for part in place))
    assert found == [*dict.fromkeys(text.lstrip("# ") for text, *_ in HEADINGS), "Closing sentence"]


@pytest.mark.parametrize(("heading", "page", "label"), HEADINGS)
def test_every_heading_lives_on_a_page(heading, page, label, judged) -> None:
    """A claim below the heading leads to the page and the figure, and both are there."""
    title = heading.lstrip("# ")
    below = [one for one in judged.values() if title in (one.chapter, one.section)]
    text = (DOCS / f"{page}.rst").read_text("utf-8")
    leading = [one for one in below if one.page == page]
    assert leading
    if label is not None:
        assert label.removeprefix("figure-") in {name for one in leading for name in one.figures}
        assert label in labels(text)


def test_every_link_leads_to_one_of_those_places(judged) -> None:
    figures = {(page, label) for _, page, label in HEADINGS}
    for one in judged.values():
        assert one.page in {page for _, page, _ in HEADINGS} | {"laws"}
        assert {(one.page, f"figure-{name}") for name in one.figures} <= figures


def labels(text: str) -> set[str]:
    """What a page can be linked to: its figures and its own labels."""
    found = set(re.findall(r"^\.\. _([\w-]+):", text, re.MULTILINE))
    for name, options in re.findall(
        r"^\.\. numixology-draw:: ([\w-]+).*((?:\n   :.*)*)", text, re.MULTILINE
    ):
        named = re.search(r":name: ([\w-]+)", options)
        found.add(named[1] if named else f"figure-{name}")
    return found


def test_labels_are_read_from_a_page() -> None:
    text = (
        ".. _here:\n\n.. numixology-draw:: merge --tokens 3\n   :caption: A\n\n"
        ".. numixology-draw:: ffn\n   :caption: B\n   :name: figure-b\n"
    )
    assert labels(text) == {"here", "figure-merge", "figure-b"}


# Every verdict follows from the code: planted changes turn it around


def stage(name, change):
    """mixing_steps whose stage of that name is another."""

    def plant(patch) -> None:
        real = mixing_claims.mixing_steps

        def steps(x, num_heads, **how):
            return {
                key: change(value) if key == name else value
                for key, value in real(x, num_heads, **how).items()
            }

        patch.setattr(mixing_claims, "mixing_steps", steps)
        patch.setattr(cost_claims, "mixing_steps", steps)

    return plant


def with_cost(primitive, operations):
    return lambda patch: patch.setitem(_FORMULAS, primitive, _each(operations))


def instead(room, name, value):
    return lambda patch: patch.setattr(room, name, value)


def traced(room, name, change):
    """steps_of in which the values of one step are others."""

    def plant(patch) -> None:
        real = room.steps_of

        def steps_of(fn, *inputs):
            return [
                one._replace(value=change(one.value)) if one.name == name else one
                for one in real(fn, *inputs)
            ]

        patch.setattr(room, "steps_of", steps_of)

    return plant


def backwards(values):
    return values.ravel()[::-1].reshape(values.shape)


def one_step_fewer(patch) -> None:
    real = mixing_claims.steps_of
    patch.setattr(
        mixing_claims,
        "steps_of",
        lambda fn, *inputs: [one for one in real(fn, *inputs) if one.name != "unflatten"],
    )


def no_rules(patch) -> None:
    """Any T, D and H will do, and the chunks of the paper have as many rows as there are tokens."""
    stage("permute", lambda x: x.swapaxes(1, 2))(patch)
    patch.setattr(nx.nn, "TokenMixer", lambda *sizes: None)


def true_mixing(x, num_heads, *, mixing="rankmixer"):
    return nx.functional.token_mix(x, num_heads)


def no_residual(self, x):
    mixed = nx.observe.step("merge", nx.functional.token_mix(x, self.num_heads))
    return self.norm(nx.observe.step("residual", mixed))


def post_norm(self, x):
    return self.mixer.norm(self.ffn(self.mixer(x)))


class Behind(nx.nn.Module):
    """A network whose third linear layer reads what the first gives, as drawn."""

    def __init__(self, D, *, rng) -> None:
        self.w1 = nx.nn.Linear(D, 4 * D, rng=rng)
        self.w3 = nx.nn.Linear(4 * D, 4 * D, rng=rng)

    def forward(self, x):
        first = nx.observe.step("norm", self.w1(x))
        return nx.observe.step("w3", self.w3(first))


class GuideShares:
    """A network with the guide's percentages."""

    def __init__(self, D, *, rng) -> None:
        said = [
            (part, said / len(parts)) for _, parts, said in layer_claims._SHARES for part in parts
        ]
        self.rows = [nx.nn.ParameterRow(part, (1,), 1, share) for part, share in said]

    def parameter_table(self):
        return self.rows


def whispering(x, name):
    print(name)
    return x


def loud(*sizes, educational):
    return TokenMixer(*sizes, educational=True)


def wide(D, *, rng):
    return FeedForward(D, 2 * D, rng=rng)


def two_layers(*sizes, rng):
    return RankMixerModel(*sizes[:-1], 2, rng=rng)


def quadratic_rows(layer, n):
    return {name: n**2 * 192 for name in guide_costs.attention_rows(layer, n)}


# As they are before anything is planted.
TokenMixer, FeedForward, RankMixerModel = nx.nn.TokenMixer, nx.nn.FeedForward, nx.nn.RankMixerModel
SwiGLU, Block, Embedding = nx.nn.SwiGLUFeedForward, nx.nn.RankMixerBlock, nx.nn.Embedding

#: For each claim a change to the code after which the verdict is another.
PLANTED = {
    "axes": instead(nx.nn, "Embedding", lambda V, D, rng: Embedding(V, D - 1, rng=rng)),
    "batch": instead(nx.nn, "Embedding", lambda V, D, rng: Embedding(V, D - 1, rng=rng)),
    "sizes": stage("partition", lambda x: x.reshape(2, 4, 2, 4)),
    "equal-sizes": no_rules,
    "partition": stage("partition", backwards),
    "permute": stage("permute", lambda x: x.swapaxes(1, 2)),
    "flatten": stage("flatten", backwards),
    "flatten-mixes": stage("flatten", backwards),
    "unflatten": stage("unflatten", backwards),
    "together": instead(mixing_claims, "token_mix", true_mixing),
    "merge": stage("merge", lambda x: np.full_like(x, "a1")),
    "numbering": one_step_fewer,
    "residual": instead(TokenMixer, "forward", no_residual),
    "ffn": instead(nx.nn, "FeedForward", wide),
    "parameters": instead(nx.nn, "FeedForward", wide),
    "shares": instead(nx.nn, "FeedForward", GuideShares),
    "swiglu": instead(nx.nn, "SwiGLUFeedForward", lambda D, bias, rng: SwiGLU(D, bias=True)),
    "linear3": instead(nx.nn, "SwiGLUFeedForward", Behind),
    "block": instead(nx.nn, "RankMixerBlock", lambda *n, rng: Block(*n, ffn="swiglu", rng=rng)),
    "norms": instead(Block, "forward", post_norm),
    "positions": traced(layer_claims, "position_embedding", lambda x: np.stack([x, x])),
    "model": instead(nx.nn, "RankMixerModel", two_layers),
    "reshapes": stage("merge", lambda x: x + 1),
    "norm-rows": with_cost(normalization._layer_norm, 5),
    "mixer-total": instead(token_mixer, "divided", lambda *sizes: 1),
    "attention-rows": instead(
        cost_claims, "attention_rows", lambda layer, n: {"QKV projections": n * 3 * 768**2 / 2}
    ),
    "attention-total": instead(cost_claims, "attention_rows", quadratic_rows),
    "quadratic": instead(cost_claims, "attention_rows", quadratic_rows),
    "mixer-memory": traced(cost_claims, "norm", lambda x: np.zeros(x.shape[1] ** 2)),
    "mixer-bars": traced(
        cost_claims, "norm", lambda x: np.zeros({1024: 7}.get(x.shape[1], x.shape[1] // 128))
    ),
    "attention-memory": instead(cost_claims, "attention_activations", lambda layer, n: n**2),
    "attention-bars": instead(
        cost_claims, "attention_scores", lambda layer, n: {128: 4, 256: 16, 512: 32}.get(n, 64)
    ),
    "chart": instead(
        cost_claims, "guide_ratio", lambda layer, n: {128: 1.0, 8192: 1000.0}.get(n, 10.0)
    ),
    "grows-linearly": instead(cost_claims, "guide_ratio", lambda layer, n: n / 128),
    "448x": instead(cost_claims, "guide_ratio", lambda layer, n: 448.0),
    "contiguous": instead(nx.Tensor, "contiguous", lambda x: x),
    "chained-view": instead(nx.Tensor, "view", nx.Tensor.reshape),
    "debug-shapes": instead(mixing_claims, "debug_shapes", whispering),
    "educational": instead(nx.nn, "TokenMixer", loud),
    "global-mixing": instead(mixing_claims, "token_mix", true_mixing),
    "contents": instead(verdicts, "BODY", CHAPTERS[:5]),
}


def test_something_is_planted_for_every_claim() -> None:
    assert set(PLANTED) == set(CLAIMS)


@pytest.mark.parametrize("name", PLANTED)
def test_a_change_of_the_code_changes_the_verdict(name, judged, monkeypatch) -> None:
    before = judged[name]
    PLANTED[name](monkeypatch)
    evidence = before.check().evidence
    assert evidence != before.evidence
    after = CLAIMS[name].verdict(evidence)
    assert (before.verdict == "right") is (after != "right")
    assert after == ("right" if before.verdict != "right" else "wrong")


@pytest.mark.parametrize("name", CLAIMS)
def test_the_guides_own_values_would_make_it_right(name, judged) -> None:
    one, claim = judged[name], CLAIMS[name]
    assert claim.verdict(one.evidence) == one.verdict
    kept = tuple(each._replace(found=each.guide) for each in one.evidence)
    assert claim.verdict(kept) == "right"
    if one.verdict == "right":
        assert all(each.agrees for each in one.evidence)
    else:
        assert any(not each.agrees for each in one.evidence)


def test_one_disagreement_is_enough() -> None:
    claim = Claim("n", "s", "says", lambda: None, "mixer", fault="ambiguous")
    yes, no = Evidence("a", 1, 1), Evidence("b", 1, 2)
    assert (claim.verdict((yes, yes)), claim.verdict((yes, no))) == ("right", "ambiguous")


def test_only_errors_of_shapes_are_refusals() -> None:
    assert refused(nx.nn.TokenMixer, 4, 8, 3)
    assert not refused(nx.nn.TokenMixer, 4, 8, 2)
    with pytest.raises(nx.errors.ArgumentError):
        refused(nx.nn.TokenMixer, 0, 8, 2)


# What is said


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("equal-sizes", ["(2, 6) of (3, 4)", "refused"]),
        ("flatten-mixes", ["Of 64 values flatten moves 0"]),
        ("together", ["is the identity", "is exactly I", "is LayerNorm(2x)", "1 of 4"]),
        ("merge", ["(2, 4, 4, 2)", "(2, 4, 8)", "a1,a2, b1,b2, c1,c2, d1,d2", "undoes all"]),
        ("numbering", ["merge is step 5", "are step 6"]),
        ("parameters", ["4,723,968"]),
        ("shares", ["49.943 / 0.065 / 49.943 / 0.016 / 0.033 %", "93.7"]),
        ("swiglu", ["7,079,424", "12D² + 11D", "1.5 times"]),
        ("linear3", ["the output of the norm", "D = 3", "gives 12"]),
        ("norms", ["are not normalized here, and are in the paper"]),
        ("positions", ["(4, 8)"]),
        ("reshapes", ["0 values of 64", "64 of 64 are copied"]),
        ("norm-rows", ["7D + 2 "]),
        ("mixer-total", ["2 times as much", "can never exceed D"]),
        ("attention-rows", ["15,716,352"]),
        ("attention-total", ["1,610,612,736", "201,326,592", "75 %", "exactly at T = 2D"]),
        ("quadratic", ["2.5 times", "3.9 times"]),
        ("448x", ["give 512", "448 if one", "T = 256", "is 1,024", "give 64", "1.67", "refuses"]),
        ("grows-linearly", ["768 + 0.5 T", "64 times", "5.8 times"]),
        ("chart", ["416, 448, 512, 640, 896, 1,408, 2,432", "832 to 4,864"]),
        ("mixer-bars", ["28 blocks and needs 32"]),
        ("attention-memory", ["1, 4, 16, 64", "1, 2.7, 8, 26.7"]),
        ("attention-bars", ["32 blocks, needs 64"]),
        ("chained-view", ["is an error", "cannot", "copies"]),
        ("contiguous", ["a copy"]),
        ("educational", ["0 lines", "prints 7", "then 0"]),
        ("global-mixing", ["1 of 4", "4 of 4"]),
    ],
)
def test_the_numbers_of_the_review_are_said(name, says, judged) -> None:
    for words in says:
        assert words in judged[name].truth


# The formulas of the costs, held to what runs


class Counted:
    """A number that counts what is done with it."""

    done = 0

    def __init__(self, value=1.0) -> None:
        self.value = value

    def _count(self, other=None):
        Counted.done += 1
        return Counted()

    __add__ = __sub__ = __mul__ = __truediv__ = sqrt = _count


@pytest.mark.parametrize("D", [1, 2, 7, 768])
def test_layer_norm_takes_what_a_plain_calculation_takes(D, monkeypatch) -> None:
    def mean(numbers):
        total = numbers[0]
        for number in numbers[1:]:
            total = total + number
        return total / Counted()

    monkeypatch.setattr(Counted, "done", 0)
    x, weight, bias = ([Counted() for _ in range(D)] for _ in range(3))
    middle = mean(x)
    away = [number - middle for number in x]
    deviation = (mean([number * number for number in away]) + Counted()).sqrt()
    for number, w, b in zip(away, weight, bias, strict=True):
        (number / deviation) * w + b
    assert Counted.done == guide_costs.norm_flops(D)


@pytest.mark.parametrize(("T", "D", "H"), [(3, 8, 2), (5, 6, 3), (2, 4, 4)])
def test_attention_is_counted_as_it_runs(T, D, H) -> None:
    layer = nx.nn.SelfAttention(D, H, rng=0)
    steps = nx.explain.steps_of(layer, nx.tensor(np.zeros((1, T, D))))
    shapes = {step.name: step.shape for step in steps}
    for name in ("query", "key", "value"):
        shapes[name] = (1, H, T, D // H)  # cut into heads
    scores = np.zeros(shapes["query"]) @ np.zeros(shapes["key"]).swapaxes(2, 3)
    products = scores.size * shapes["query"][-1]  # one multiply-add per feature of a score
    assert guide_costs.attention_rows(layer, T) == {
        "QKV projections": 3 * T * D * D,
        "scores": products,
        "weighted values": products,
        "output projection": T * D * D,
    }
    assert guide_costs.attention_scores(layer, T) == scores.size
    counted = nx.explain.complexity(nx.functional.softmax, scores).flops
    assert guide_costs.softmax_flops(layer, T) == counted
    kept = sum(np.prod(shapes[name]) for name in ("query", "key", "value", "attention"))
    assert guide_costs.attention_activations(layer, T) == kept + scores.size
    mixed = (4 * D + 2 * T) / 8
    assert guide_costs.guide_ratio(layer, T) == mixed
    assert guide_costs.ratio(layer, T) == 2 * mixed == D + T / 2


def test_the_mixer_is_counted_as_it_runs(monkeypatch) -> None:
    assert guide_costs.mixer_flops(5, 12) == 5 * (8 * 12 + 2)
    monkeypatch.setitem(_FORMULAS, nx.functional.add, _each(3))
    assert guide_costs.mixer_flops(5, 12) == 5 * (10 * 12 + 2)


@pytest.mark.parametrize("T", [128, 512, 8192])
def test_the_ratios_are_those_of_the_comparison(T) -> None:
    layer = nx.nn.SelfAttention(12, 3, bias=False, rng=0)
    found = nx.explain.compare(T, 12, 3)
    assert guide_costs.guide_ratio(layer, T) == found.mixed_units
    assert guide_costs.ratio(layer, T) == found.leading_ratio
