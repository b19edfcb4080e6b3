"""What the guide says of FLOPs and memory, checked by counting."""

from collections.abc import Sequence

import numpy as np

from numixology import nn
from numixology.explain.cost.comparison import compare
from numixology.explain.trace import steps_of
from numixology.functional.mixing import mixing_steps
from numixology.tensors import tensor

from .claims import Claim, Evidence, Finding, refused
from .formulas import (
    attention_activations,
    attention_rows,
    attention_scores,
    guide_ratio,
    mixer_flops,
    norm_flops,
    ratio,
    softmax_flops,
)

__all__ = ["COST_CLAIMS"]

#: T and D of the guide's example, and heads that divide D.
T, D, H = 512, 768, 12

#: The sequence lengths of the guide's two figures.
_MEMORY = (128, 256, 512, 1024)
_CHART = (128, 256, 512, 1024, 2048, 4096, 8192)

#: How many blocks the guide draws in the bars of each; attention has no fourth bar.
_MIXER_BARS, _ATTENTION_BARS = (4, 8, 16, 28), (4, 16, 32)


def _attention() -> nn.SelfAttention:
    return nn.SelfAttention(D, H, bias=False, rng=0)


# FLOPs


def _reshapes() -> Finding:
    x = np.random.default_rng(0).standard_normal((2, 4, 8))
    stages = mixing_steps(x, 4)
    new = int(np.sum(np.sort(stages["merge"].ravel()) != np.sort(x.ravel())))
    copied = 0 if np.shares_memory(stages["merge"], x) else stages["merge"].size
    truth = (
        f"{new} values of {x.size} are calculated, so no FLOPs; but {copied} of {x.size} are "
        "copied, BTD for each permutation that is made contiguous."
    )
    return Finding(truth, (Evidence("values that regrouping calculates", 0, new),))


def _norm_rows() -> Finding:
    each = norm_flops(D)
    total = mixer_flops(T, D)
    truth = (
        f"LayerNorm takes 7D + {each - 7 * D} per token: mean, subtract, square, variance, scale, "
        "weight and bias, then eps and a root."
    )
    found = (
        Evidence("LayerNorm, per feature", 7, round(each / D)),
        Evidence("both rows together, per feature", 8, round(total / (T * D))),
    )
    return Finding(truth, found)


def _mixer_total() -> Finding:
    growth = mixer_flops(2 * T, D) / mixer_flops(T, D)
    beyond = not refused(nn.TokenMixer, 2 * D, D, 2 * D)
    truth = (
        f"At a fixed D, twice the tokens cost {growth:g} times as much. But with T = H, and H a "
        f"divisor of D, T {'can' if beyond else 'can never'} exceed D: the line ends there."
    )
    found = (
        Evidence("cost of twice the tokens", 2.0, growth),
        Evidence("T = H = 2D is possible", True, beyond),
    )
    return Finding(truth, found)


def _attention_units() -> Finding:
    layer = _attention()
    projections = attention_rows(layer, T)["QKV projections"]
    truth = (
        "These rows count multiply-adds, those of the mixer FLOPs; at 2 FLOPs each, they are "
        "8BTD² + 4BT²D in all. Softmax is left out: at T = "
        f"{T} with {H} heads another {softmax_flops(layer, T):,} FLOPs."
    )
    found = (Evidence(f"FLOPs of the QKV projections, T = {T}", 3 * T * D**2, 2 * projections),)
    return Finding(truth, found)


def _attention_total() -> Finding:
    layer = _attention()
    rows = attention_rows(layer, T)
    total = sum(rows.values())
    projections = rows["QKV projections"] + rows["output projection"]
    double = attention_rows(layer, 2 * D)
    linear = double["QKV projections"] + double["output projection"]
    equal = 2 * linear == sum(double.values())
    truth = (
        f"The rows sum to 4BTD² + 2BT²D: {total:,} at T = {T} and D = {D}, not {T * T * D:,}. The "
        f"projections are {100 * projections / total:.0f} % of it, and half of it "
        f"{'exactly' if equal else 'not'} at T = 2D."
    )
    return Finding(truth, (Evidence(f"sum of the rows, T = {T}", T * T * D, total),))


def _quadratic() -> Finding:
    layer = _attention()
    here, far = (
        sum(attention_rows(layer, 2 * n).values()) / sum(attention_rows(layer, n).values())
        for n in (T, 64 * D)
    )
    truth = (
        f"Twice the tokens cost {here:.1f} times as much at T = {T}, and {far:.1f} times at "
        f"T = {64 * D:,}: quadratic only where T is much larger than 2D."
    )
    return Finding(truth, (Evidence(f"cost of twice the tokens, T = {T}", 4.0, round(here, 1)),))


# Memory


def _times(values: Sequence[int]) -> tuple[float, ...]:
    """Each as a multiple of the first."""
    return tuple(round(value / values[0], 1) for value in values)


def _list(numbers: Sequence[float]) -> str:
    return ", ".join(f"{n:,g}" for n in numbers)


def _mixer_sizes() -> list[int]:
    """The bytes of the mixed tokens, for each length."""
    return [
        steps_of(nn.TokenMixer(n, D, H), tensor(np.zeros((1, n, D))))[-1].value.nbytes
        for n in _MEMORY
    ]


def _mixer_memory() -> Finding:
    found = _times(_mixer_sizes())
    return Finding(f"{_list(found)} times.", (Evidence("factors", (1.0, 2.0, 4.0, 8.0), found),))


def _mixer_bars() -> Finding:
    needed = tuple(round(_MIXER_BARS[0] * factor) for factor in _times(_mixer_sizes()))
    truth = f"The last bar has {_MIXER_BARS[-1]} blocks and needs {needed[-1]}."
    return Finding(truth, (Evidence("blocks", _MIXER_BARS, needed),))


def _attention_memory() -> Finding:
    layer = _attention()
    found = _times([attention_activations(layer, n) for n in _MEMORY])
    scores = _times([attention_scores(layer, n) for n in _MEMORY])
    truth = (
        f"The scores alone: {_list(scores)}. With queries, keys, values and the weighted values, "
        f"4TD + HT² at H = {H}: {_list(found)}."
    )
    return Finding(truth, (Evidence("factors", (1.0, 4.0, 16.0, 64.0), found),))


def _attention_bars() -> Finding:
    layer = _attention()
    factors = _times([attention_scores(layer, n) for n in _MEMORY])
    needed = tuple(round(_ATTENTION_BARS[0] * f) for f in factors[: len(_ATTENTION_BARS)])
    truth = (
        f"The scores grow by these factors; then the third bar, of {_ATTENTION_BARS[-1]} blocks, "
        f"needs {needed[-1]}."
    )
    return Finding(truth, (Evidence("blocks", _ATTENTION_BARS, needed),))


# The chart


def _chart() -> Finding:
    layer = _attention()
    mixed = [guide_ratio(layer, n) for n in _CHART]
    flops = [ratio(layer, n) for n in _CHART]
    truth = (
        f"Never 1: at D = {D} it is {_list(mixed)} in the units that the guide mixes, and in FLOPs "
        f"from {flops[0]:,g} to {flops[-1]:,g}."
    )
    ends = (
        Evidence("ratio at T = 128", 1.0, mixed[0]),
        Evidence("ratio at T = 8192", 1000.0, mixed[-1]),
    )
    return Finding(truth, ends)


def _linear() -> Finding:
    layer = _attention()
    first, last = (guide_ratio(layer, n) for n in (_CHART[0], _CHART[-1]))
    slope = (ratio(layer, _CHART[-1]) - ratio(layer, _CHART[0])) / (_CHART[-1] - _CHART[0])
    start = ratio(layer, _CHART[0]) - slope * _CHART[0]
    longer = _CHART[-1] // _CHART[0]
    truth = (
        f"Affine, not proportional: in FLOPs {start:g} + {slope:g} T. From T = {_CHART[0]} to "
        f"{_CHART[-1]:,}, {longer} times the tokens, the ratio grows {last / first:.1f} times."
    )
    return Finding(truth, (Evidence("growth of the ratio", float(longer), round(last / first, 1)),))


def _factor_448() -> Finding:
    layer = _attention()
    own, flops = guide_ratio(layer, T), ratio(layer, T)
    rows = attention_rows(layer, T)
    all_rows = sum(rows.values())
    one_left_out = own * (all_rows - rows["weighted values"]) / all_rows
    homes = [n for n in _CHART if guide_ratio(layer, n) == 448]
    shape = "allows" if not refused(nn.TokenMixer, T, D, T) else "refuses"
    truth = (
        f"Its own rows give {own:,g}, and {one_left_out:g} if one of the two in T² is left out; "
        f"448 belongs to T = {_list(homes)}. In FLOPs it is {flops:,g}; its '~' totals give "
        f"{own * T * T * D / all_rows:g}. Whole blocks with their networks differ by "
        f"{compare(T, D, H).block_ratio:.2f} times. "
        f"And T = H = {T} at D = {D} is a shape that its source {shape}."
    )
    return Finding(truth, (Evidence(f"ratio at T = {T}, D = {D}", 448.0, own),))


_FLOPS, _BYTES, _RATIO = (
    "Computational Complexity",
    "Memory Usage Scaling",
    "Performance Scaling Chart",
)

COST_CLAIMS = (
    Claim("reshapes", _FLOPS, "reshaping costs 0 FLOPs", _reshapes, "cost", ("mixer-flops",)),
    Claim("norm-rows", _FLOPS, "residual BTD, LayerNorm about 7 BTD",
          _norm_rows, "cost", ("mixer-flops",)),
    Claim("mixer-total", _FLOPS, "mixer: about 8 BTD, O(T)",
          _mixer_total, "cost", ("mixer-flops",), fault="misleading"),
    Claim("attention-rows", _FLOPS, "attention: 3BTD², BHT²d twice, BTD² FLOPs",
          _attention_units, "cost", ("attention-flops",), fault="misleading"),
    Claim("attention-total", _FLOPS, "attention: about BT²D in all",
          _attention_total, "cost", ("attention-flops",)),
    Claim("quadratic", _FLOPS, "attention: O(T²)",
          _quadratic, "cost", ("attention-flops",), fault="ambiguous"),
    Claim("mixer-memory", _BYTES, "mixer: 1, 2, 4, 8 times", _mixer_memory, "cost", ("memory",)),
    Claim("mixer-bars", _BYTES, "the mixer's bars: 4, 8, 16, 28 blocks",
          _mixer_bars, "cost", ("memory",)),
    Claim("attention-memory", _BYTES, "attention: 1, 4, 16, 64 times",
          _attention_memory, "cost", ("memory",), fault="ambiguous"),
    Claim("attention-bars", _BYTES, "attention's bars: 4, 16, 32 blocks",
          _attention_bars, "cost", ("memory",)),
    Claim("chart", _RATIO, "the curve runs from 1x to 1000x", _chart, "cost", ("ratio",)),
    Claim("grows-linearly", _RATIO, "the advantage grows linearly with T",
          _linear, "cost", ("ratio",)),
    Claim("448x", _RATIO, "448x at T = 512, D = 768", _factor_448, "cost", ("ratio",)),
)  # fmt: skip
