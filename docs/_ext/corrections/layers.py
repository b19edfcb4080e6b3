"""What the guide says of the feed-forward networks, the block and the model, checked by running."""

from collections.abc import Sequence

import numpy as np

from numixology import nn
from numixology.array import Array
from numixology.explain.trace import Step, steps_of
from numixology.functional.mixing import token_mix
from numixology.functional.normalization import layer_norm
from numixology.tensors import tensor

from .claims import Claim, Evidence, Finding

__all__ = ["ARCHITECTURE_CLAIMS", "NETWORK_CLAIMS"]

#: D of the guide's networks.
D = 768


def _flow() -> Finding:
    steps = steps_of(nn.FeedForward(D, rng=0), tensor(np.zeros((4, 8, D))))
    names = tuple(step.name for step in steps)
    features = tuple(step.shape[-1] for step in steps)
    guide = ("norm", "linear1", "activation", "dropout", "linear2", "dropout", "residual")
    found = (
        Evidence("the steps", guide, names),
        Evidence("features after each", (768, 3072, 3072, 3072, 768, 768, 768), features),
    )
    return Finding(f"Every shape checked: {features[0]} to {features[1]} and back.", found)


# Parameters


def _total() -> Finding:
    total = nn.FeedForward(D, rng=0).parameter_table().total
    found = (
        Evidence("parameters at D = 768", 8 * D**2 + 7 * D, total),
        Evidence("in millions", 4.7, round(total / 1e6, 1)),
    )
    return Finding(f"{total:,} at D = {D}.", found)


#: The rows of the guide's table, the parameters that each stands for, and the percentage it names.
_SHARES = (
    ("Linear1 weights", ("linear1.weight",), 44.4),
    ("Linear1 bias", ("linear1.bias",), 2.8),
    ("Linear2 weights", ("linear2.weight",), 44.4),
    ("Linear2 bias", ("linear2.bias",), 0.7),
    ("LayerNorm", ("norm.weight", "norm.bias"), 1.4),
)


def _shares() -> Finding:
    share = {row.name: row.share for row in nn.FeedForward(D, rng=0).parameter_table()}
    rows = [(name, said, sum(share[part] for part in parts)) for name, parts, said in _SHARES]
    counted = " / ".join(f"{found:.3f}" for _, _, found in rows)
    column = round(sum(said for _, said, _ in rows), 1)
    truth = f"At D = {D}: {counted} %. The guide's own column sums to {column}."
    each = tuple(Evidence(f"{name}, %", said, round(found, 1)) for name, said, found in rows)
    whole = round(sum(found for _, _, found in rows), 1)
    return Finding(truth, (*each, Evidence("sum of the column, %", column, whole)))


def _swiglu() -> Finding:
    without, biased = (
        nn.SwiGLUFeedForward(D, bias=bias, rng=0).parameter_table().total for bias in (False, True)
    )
    times = without / nn.FeedForward(D, rng=0).parameter_table().total
    more = (biased - 12 * D**2) // D
    truth = (
        f"{without:,} without biases, as drawn; with them 12D² + {more}D = {biased:,}. At the same "
        f"width it is {times:.1f} times as large as the standard network, not matched to it."
    )
    return Finding(truth, (Evidence("parameters at D = 768", 12 * D**2 + 2 * D, without),))


def _third_linear() -> Finding:
    D, F = 3, 12
    network = nn.SwiGLUFeedForward(D, rng=0)
    x = np.random.default_rng(0).standard_normal((1, 2, D))
    steps = {step.name: step.value for step in steps_of(network, tensor(x))}
    from_norm = np.allclose(steps["w3"], steps["norm"] @ np.asarray(network.w3.weight).T)
    reads = network.w3.weight.shape[1]
    truth = (
        f"Linear3 reads {'the output of the norm' if from_norm else 'something else'}, beside "
        f"Linear1 and not behind it: it takes D = {reads} features, and Linear1 gives {F}."
    )
    return Finding(truth, (Evidence("features that Linear3 reads at D = 3", F, reads),))


# The block


def _block() -> Finding:
    steps = steps_of(nn.RankMixerBlock(4, 8, 4, rng=0), tensor(np.zeros((2, 4, 8))))
    names = tuple(
        step.name for step in steps if step.name not in ("input", "dropout", "mixer", "ffn")
    )
    guide = (
        *("partition", "permute", "flatten", "merge", "residual", "norm"),
        *("norm", "linear1", "activation", "linear2", "residual"),
    )
    found = (
        Evidence("the steps", guide, names),
        Evidence("shape of the output", (2, 4, 8), steps[-1].shape),
    )
    return Finding("Mixer, then network; every step in the guide's order.", found)


def _norms() -> Finding:
    block = nn.RankMixerBlock(4, 8, 4, rng=0).eval()
    x = np.random.default_rng(0).standard_normal((2, 4, 8))
    guide = _normalized(np.asarray(block(tensor(x))))
    paper = _normalized(_post_norm_block(block, x))
    truth = (
        "The mixer normalizes after its residual, the network before its own; in the paper both "
        f"normalize after. The tokens that leave {'are' if guide else 'are not'} normalized here, "
        f"and {'are' if paper else 'are not'} in the paper."
    )
    return Finding(truth, (Evidence("tokens leave the block normalized", guide, paper),))


def _post_norm_block(block: nn.RankMixerBlock, x: Array) -> Array:
    """The paper's order with the parts of a block: S = LN(mix(x) + x), then LN(network(S) + S)."""
    s = layer_norm(token_mix(x, block.mixer.num_heads) + x)
    y = np.asarray(block.ffn(tensor(s)))  # the network adds s itself
    return layer_norm(y)


def _normalized(x: Array) -> bool:
    """Whether every token has mean 0 and variance 1."""
    return bool(np.allclose(x.mean(-1), 0, atol=1e-6) and np.allclose(x.var(-1), 1, atol=1e-3))


# The model


def _positions() -> Finding:
    shape = _named(_model_steps(), "position_embedding").shape
    truth = f"The position embeddings are (T, D) = {shape}, broadcast over the batch."
    found = (Evidence("shape of the position embeddings", (2, 4, 8), shape),)
    return Finding(truth, found)


def _model() -> Finding:
    steps = _model_steps()
    parts = ("token_embedding", "position_embedding", "embedding", "blocks")
    names = tuple(step.name for step in steps if step.name.partition(".")[0] in parts)
    guide = (*parts[:3], "blocks.0", "blocks.1", "blocks.2")
    found = (
        Evidence("the parts", guide, names),
        Evidence("shape of the final hidden states", (2, 4, 8), steps[-1].shape),
    )
    return Finding(f"Ids, embeddings, layers; {steps[-1].shape} at the end.", found)


def _model_steps() -> list[Step]:
    """Of a model of three layers, for two sequences of four tokens."""
    return steps_of(nn.RankMixerModel(100, 4, 8, 4, 3, rng=0), np.arange(8).reshape(2, 4))


def _named(steps: Sequence[Step], name: str) -> Step:
    return next(step for step in steps if step.name == name)


_SWIGLU, _BLOCK = "SwiGLU Variant Comparison", "RankMixer Block Structure"

NETWORK_CLAIMS = (
    Claim("ffn", "Standard Feed Forward Architecture", "eight steps, from 768 to 3072 and back",
          _flow, "feed_forward", ("ffn",)),
    Claim("parameters", "Parameter Distribution", "8D² + 7D, about 4.7M at D = 768",
          _total, "feed_forward", ("ffn-parameters",)),
    Claim("shares", "Parameter Distribution", "44.4 / 2.8 / 44.4 / 0.7 / 1.4 %",
          _shares, "feed_forward", ("ffn-parameters",)),
    Claim("swiglu", _SWIGLU, "12D² + 2D parameters", _swiglu, "feed_forward", ("swiglu",)),
    Claim("linear3", _SWIGLU, "Linear3 hangs off Linear1",
          _third_linear, "feed_forward", ("swiglu",), fault="ambiguous"),
)  # fmt: skip

ARCHITECTURE_CLAIMS = (
    Claim("block", _BLOCK, "token mixer, then feed forward, (B, T, D) throughout",
          _block, "model", ("block",)),
    Claim("norms", _BLOCK, "the mixer normalizes last, the network first",
          _norms, "model", ("block",), fault="differs"),
    Claim("positions", "Multi-Layer Model", "position embeddings of (B, T, D)",
          _positions, "model", ("model",), fault="ambiguous"),
    Claim("model", "Multi-Layer Model", "embeddings, N layers, hidden states (B, T, D)",
          _model, "model", ("model",)),
)  # fmt: skip
