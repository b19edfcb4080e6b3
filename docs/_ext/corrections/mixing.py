"""What the guide says of shapes, of the mixer's steps and of memory, checked by running them."""

import contextlib
import io

import numpy as np

from numixology import nn
from numixology.array import Array
from numixology.explain.figures.mixing import feature_names
from numixology.explain.trace import steps_of
from numixology.functional.mixing import Mixing, mixing_steps, token_mix
from numixology.observe import debug_shapes
from numixology.tensors import Tensor, tensor
from numixology.transforms import jacobian

from .claims import Claim, Evidence, Finding, refused

__all__ = ["CLOSING_CLAIMS", "MIXER_CLAIMS", "SHAPE_CLAIMS", "TIP_CLAIMS"]

# The sizes of the guide's walk through the mixer.
B, T, D, H = 2, 4, 8, 4


# Tensor shape basics


def _axes() -> Finding:
    shape = _sequences().shape
    truth = "{} sequences of {} tokens with {} features each.".format(*shape)
    return Finding(truth, (Evidence("shape of 4 embedded sequences", (4, 8, 768), shape),))


def _batch() -> Finding:
    x = _sequences()
    found = (
        Evidence("shape of one sequence", (8, 768), x[0].shape),
        Evidence("features of one token", 768, len(x[0, 0])),
    )
    return Finding(f"x[0] is {x[0].shape}, and x[0, 0] has {x[0, 0].size} features.", found)


def _sequences() -> Tensor:
    """Four sequences of eight ids, embedded in 768 features."""
    ids = np.arange(32).reshape(4, 8)
    embedded: Tensor = nn.Embedding(32, 768, rng=0)(ids)
    return embedded


# The mixer, step by step


def _stages(mixing: Mixing = "rankmixer") -> dict[str, Array]:
    """The stages of mixing, of features named a1, a2, …"""
    x = np.broadcast_to(feature_names(T, D), (B, T, D))
    return mixing_steps(x, H, mixing=mixing)


def _listed(chunks: Array) -> tuple[str, ...]:
    """Chunks (n, d) as the guide writes them."""
    return tuple(",".join(chunk) for chunk in chunks.reshape(-1, D // H))


def _sizes() -> Finding:
    d = _stages()["partition"].shape[-1]
    found = (Evidence("features per head, d", 2, d),)
    return Finding(f"d = D / H = {D} / {H} = {d}.", found)


def _equal_sizes() -> Finding:
    T, D, H = 3, 4, 2
    chunks = mixing_steps(np.zeros((1, T, D)), H)["permute"][0]  # (H, T, d)
    merged = chunks.reshape(len(chunks), -1).shape
    fits = not refused(nn.TokenMixer, 512, 768, 512)
    truth = (
        f"One token per head, as in the paper, makes {merged} of {(T, D)} when H = {H}: nothing to "
        f"add it to. So the paper has T = H, and the guide's source demands it, which the guide "
        f"never says. Its own example, T = 512 with D = 768, is {'allowed' if fits else 'refused'} "
        "then. numixology regroups the chunks instead, and T is free."
    )
    found = (
        Evidence("shape of 3 mixed tokens, 2 heads, one token per head", (T, D), merged),
        Evidence("512 heads for 512 tokens of 768 features", True, fits),
    )
    return Finding(truth, found)


# The guide's listings, chunk by chunk.
_BY_TOKEN = (
    *("a1,a2", "a3,a4", "a5,a6", "a7,a8"),
    *("b1,b2", "b3,b4", "b5,b6", "b7,b8"),
    *("c1,c2", "c3,c4", "c5,c6", "c7,c8"),
    *("d1,d2", "d3,d4", "d5,d6", "d7,d8"),
)
_BY_HEAD = (
    *("a1,a2", "b1,b2", "c1,c2", "d1,d2"),
    *("a3,a4", "b3,b4", "c3,c4", "d3,d4"),
    *("a5,a6", "b5,b6", "c5,c6", "d5,d6"),
    *("a7,a8", "b7,b8", "c7,c8", "d7,d8"),
)


def _partition() -> Finding:
    heads = _stages()["partition"]
    found = (
        Evidence("shape", (2, 4, 4, 2), heads.shape),
        Evidence("the chunks, token by token", _BY_TOKEN, _listed(heads[0])),
    )
    return Finding(f"Every entry checked; the shape is {heads.shape}.", found)


def _permute() -> Finding:
    heads = _stages()["permute"]
    same_memory = np.shares_memory(*_permuted())
    found = (
        Evidence("shape", (2, 4, 4, 2), heads.shape),
        Evidence("the chunks, head by head", _BY_HEAD, _listed(heads[0])),
    )
    moved = "strides change" if same_memory else "values move"
    return Finding(f"Every entry checked; only the {moved}.", found)


def _permuted() -> tuple[Array, Array]:
    """The heads before and after the permutation."""
    x = np.arange(float(B * T * D)).reshape(B, T, D)
    stages = mixing_steps(x, H)
    return stages["partition"], stages["permute"]


def _flatten() -> Finding:
    sequence = _stages()["flatten"]
    found = (
        Evidence("shape", (2, 16, 2), sequence.shape),
        Evidence("the sequence of chunks", _BY_HEAD, _listed(sequence[0])),
    )
    return Finding(f"Every entry checked; {sequence.shape[1]} chunks in a row.", found)


def _flatten_mixes() -> Finding:
    stages = _stages()
    moved = int(np.sum(stages["flatten"].ravel() != stages["permute"].ravel()))
    truth = (
        f"Of {stages['flatten'].size} values flatten moves {moved}: it lists the values of step 2 "
        "in their order. The tokens mix when the chunks are regrouped, in the step that is missing."
    )
    return Finding(truth, (Evidence("flatten moves values", True, moved > 0),))


def _unflatten() -> Finding:
    stages = _stages("guide")
    changed = not np.array_equal(stages["unflatten"], stages["permute"])
    truth = f"Step 4 {'differs from' if changed else 'equals'} step 2, bit for bit."
    return Finding(truth, (Evidence("step 4 differs from step 2", True, changed),))


def _together() -> Finding:
    x = np.random.default_rng(0).standard_normal((B, T, D))
    slopes = np.asarray(jacobian(_guide_mix, x[:1])).reshape(T * D, T * D)
    identity = np.array_equal(slopes, np.eye(T * D))
    mixer = nn.TokenMixer(T, D, H, mixing="guide")
    doubled = np.array_equal(np.asarray(mixer(tensor(x))), np.asarray(mixer.norm(tensor(2 * x))))
    seen = _seen("guide")
    truth = (
        f"The guide's source permutes back. Its 'mixing' then {_is(identity)} the identity, the "
        f"Jacobian {_is(identity)} exactly I, the output {_is(doubled)} LayerNorm(2x), and a token "
        f"sees {seen} of {T} tokens: itself."
    )
    return Finding(truth, (Evidence("tokens that a token sees afterwards", T, seen),))


def _is(holds: bool) -> str:
    return "is" if holds else "is not"


def _guide_mix(x: Tensor) -> Tensor:
    return token_mix(x, H, mixing="guide")


def _true_mix(x: Tensor) -> Tensor:
    return token_mix(x, H)


def _seen(mixing: Mixing) -> int:
    """The fewest tokens of the input that a token of the output depends on."""
    mix = _guide_mix if mixing == "guide" else _true_mix
    slopes = np.asarray(jacobian(mix, np.zeros((1, T, D))))  # (1, T, D, 1, T, D)
    return int((slopes != 0).any(axis=(0, 2, 3, 5)).sum(axis=1).min())


def _merge() -> Finding:
    merged, restored = _stages()["merge"], _stages("guide")["merge"]
    same = np.array_equal(merged, restored)
    truth = (
        f"Step 4 ends at {_stages('guide')['unflatten'].shape}; the step that leads to "
        f"{merged.shape} is missing. Regrouping the chunks as they lie is the paper's mixing, and "
        f"the first token becomes {', '.join(_listed(merged[0, 0]))}; permuting back first "
        f"{'mixes too' if not np.array_equal(restored, _stages()['input']) else 'undoes all'}."
    )
    return Finding(truth, (Evidence("both ways to (2, 4, 8) are one", True, same),))


def _residual() -> Finding:
    x = np.random.default_rng(0).standard_normal((B, T, D))
    mixer = nn.TokenMixer(T, D, H)
    steps = {step.name: step.value for step in steps_of(mixer, tensor(x))}
    normalized = np.asarray(mixer.norm(tensor(x + steps["merge"])))
    shapes = tuple(str(steps[name].shape) for name in ("merge", "residual", "norm"))
    found = (
        Evidence("shapes from mixed to final", ("(2, 4, 8)",) * 3, shapes),
        Evidence(
            "the output is LayerNorm(x + mixed)", True, np.array_equal(steps["norm"], normalized)
        ),
    )
    return Finding(f"LayerNorm(x + mix(x)), of shape {shapes[-1]} throughout.", found)


def _numbering() -> Finding:
    mixer = nn.TokenMixer(T, D, H, mixing="guide")
    names = [step.name for step in steps_of(mixer, tensor(np.zeros((B, T, D))))]
    numbered = [name for name in names if name != "restore"]  # permuting back belongs to the merge
    merge, residual = numbered.index("merge"), numbered.index("residual")
    truth = f"The merge is step {merge}; residual and normalization are step {residual}."
    return Finding(truth, (Evidence("the step that adds the input", 5, residual),))


# Tips


def _contiguous() -> Finding:
    before, after = _permuted()
    copied = tensor(after).contiguous()
    shared = np.shares_memory(np.asarray(copied), before)
    found = (
        Evidence("permuted heads are contiguous", False, bool(after.flags.c_contiguous)),
        Evidence("they are after contiguous()", True, copied.is_contiguous()),
    )
    truth = f"It makes {'a view' if shared else 'a copy'}: {copied.size} values are written again."
    return Finding(truth, found)


def _chained() -> Finding:
    before, after = _permuted()
    runs = not refused(tensor(after).view, B, H * T, D // H)
    reshaped = np.asarray(tensor(after).reshape(B, H * T, D // H))
    copies = not np.shares_memory(reshaped, before)
    truth = (
        f"The chained view {'runs' if runs else 'is an error, not a slow success'}: strides "
        f"{'can' if runs else 'cannot'} express it. reshape() {'copies' if copies else 'views'} "
        "without a word, as contiguous() does."
    )
    return Finding(truth, (Evidence("view after permute runs", True, runs),))


def _debug_shapes() -> Finding:
    heads = tensor(np.zeros((B, T, D))).view(B, T, H, D // H)
    said = f"after_head_split: {heads.shape}, contiguous: {heads.is_contiguous()}\n"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        same = debug_shapes(heads, "after_head_split") is heads
    found = (
        Evidence("what is printed", said, out.getvalue()),
        Evidence("x comes back", True, same),
    )
    return Finding(f"nx.debug_shapes prints '{out.getvalue().strip()}' and returns x.", found)


def _educational() -> Finding:
    quiet, loud = (nn.TokenMixer(8, 256, 8, educational=flag) for flag in (False, True))
    printed = _lines(quiet), _lines(loud), _lines(loud, production=True)
    truth = (
        f"A plain call prints {printed[0]} lines. With educational=True it prints {printed[1]}, "
        f"and forward_production then {printed[2]}. A library that prints unasked is hard to use."
    )
    found = (
        Evidence("a plain call prints", True, printed[0] > 0),
        Evidence("forward_production prints", False, printed[2] > 0),
    )
    return Finding(truth, found)


def _lines(mixer: nn.TokenMixer, *, production: bool = False) -> int:
    """How many lines a call prints."""
    x = tensor(np.zeros((1, mixer.num_tokens, mixer.hidden_dim)))
    with contextlib.redirect_stdout(io.StringIO()) as out:
        mixer.forward_production(x) if production else mixer(x)
    return len(out.getvalue().splitlines())


def _global_mixing() -> Finding:
    as_coded, true = _seen("guide"), _seen("rankmixer")
    truth = (
        f"As the source codes it, a token sees {as_coded} of {T} tokens, at any depth. With the "
        f"paper's merge it sees {true} of {T} in one layer, at a cost that is linear in T."
    )
    return Finding(truth, (Evidence("tokens that a token sees, as coded", T, as_coded),))


_AXES, _PICTURE = "Understanding 3D Tensors in Sequence Models", "Visual Representation"
_CONFIGURATION, _STEP_3 = "Input Configuration", "Step 3: Flatten for Mixing"
_STEP_4 = "Step 4: Unflatten (Information Mixed!)"
_STEP_5 = "Step 5: Residual + Normalization"

SHAPE_CLAIMS = (
    Claim("axes", _AXES, "(4, 8, 768) is 4 sequences, 8 tokens, 768 features",
          _axes, "shapes"),
    Claim("batch", _PICTURE, "a sequence is (8, 768), a token has 768 features",
          _batch, "shapes", ("batch",)),
)  # fmt: skip

MIXER_CLAIMS = (
    Claim("sizes", _CONFIGURATION, "B = 2, T = 4, D = 8, H = 4, d = 2", _sizes, "mixer"),
    Claim("equal-sizes", _CONFIGURATION, "nothing about how T and H hang together",
          _equal_sizes, "laws", fault="omission"),
    Claim("partition", "Step 1: Head Partitioning", "the listing of four heads per token",
          _partition, "mixer", ("partition",)),
    Claim("permute", "Step 2: Permutation", "the listing head by head",
          _permute, "mixer", ("permute",)),
    Claim("flatten", _STEP_3, "(2, 16, 2), and the listing of 16 chunks",
          _flatten, "mixer", ("flatten",)),
    Claim("flatten-mixes", _STEP_3, '"mixing happens here"',
          _flatten_mixes, "mixer", ("flatten",)),
    Claim("unflatten", _STEP_4, "information has been redistributed",
          _unflatten, "mixer", ("guide-mixer",)),
    Claim("together", _STEP_4, "tokens have been processed together",
          _together, "mixer", ("guide-mixer",)),
    Claim("merge", _STEP_5, "the result arrives at (2, 4, 8), from somewhere",
          _merge, "mixer", ("merge",), fault="ambiguous"),
    Claim("residual", _STEP_5, "add the input, then normalize; (2, 4, 8) throughout",
          _residual, "mixer", ("residual", "norm")),
    Claim("numbering", _STEP_5, 'step 5 takes the "output from step 5"',
          _numbering, "mixer", ("guide-mixer",)),
)  # fmt: skip

TIP_CLAIMS = (
    Claim("contiguous", "Memory Optimization", "good: contiguous() after a permutation",
          _contiguous, "tips", ("strides",)),
    Claim("chained-view", "Memory Optimization", "bad for memory: a view chained to permute",
          _chained, "tips", ("strides",), fault="misleading"),
    Claim("debug-shapes", "Debugging Tensor Shapes", "debug_shapes prints and hands x on",
          _debug_shapes, "tips"),
    Claim("educational", "Educational Mode", "calling TokenMixer(8, 256, 8) prints its steps",
          _educational, "tips", fault="differs"),
)  # fmt: skip

CLOSING_CLAIMS = (
    Claim("global-mixing", "Closing sentence", "reshaping mixes all tokens at linear cost",
          _global_mixing, "laws"),
)  # fmt: skip
