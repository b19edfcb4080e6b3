"""What the rows of the guide's cost tables are counted at, for one sequence of T tokens.

What is small is counted as it runs. What is large is taken from the closed forms, which the tests
hold to the same count.
"""

import numpy as np

from numixology.explain.cost.closed_forms import closed_form, value
from numixology.explain.cost.counting import complexity
from numixology.nn import LayerNorm, SelfAttention, TokenMixer

__all__ = [
    "attention_activations",
    "attention_rows",
    "attention_scores",
    "guide_ratio",
    "mixer_flops",
    "norm_flops",
    "ratio",
    "softmax_flops",
]


def norm_flops(features: int) -> int:
    """LayerNorm of one token, counted: 7D + 2."""
    return complexity(LayerNorm(features), np.zeros((1, features))).flops


def mixer_flops(num_tokens: int, features: int) -> int:
    """The guide's mixer, residual add and LayerNorm, counted: 8TD + 2T."""
    mixer = TokenMixer(num_tokens, features, 1)
    return complexity(mixer, np.zeros((1, num_tokens, features))).flops


def attention_rows(layer: SelfAttention, num_tokens: int) -> dict[str, int]:
    """The rows of the guide's self-attention, in multiply-adds: 3TD², T²D, T²D and TD²."""
    form = closed_form(layer, 1, num_tokens)
    counted = {row.name: value(row.multiply_adds, form.sizes) for row in form.rows}
    return {name: number for name, number in counted.items() if number}


def softmax_flops(layer: SelfAttention, num_tokens: int) -> int:
    """Softmax of every row of scores: 5HT² - 2HT."""
    form = closed_form(layer, 1, num_tokens)
    return next(value(row.flops, form.sizes) for row in form.rows if row.name == "softmax")


def attention_scores(layer: SelfAttention, num_tokens: int) -> int:
    """One score for every pair of tokens, in every head: HT²."""
    return layer.num_heads * num_tokens**2


def attention_activations(layer: SelfAttention, num_tokens: int) -> int:
    """Queries, keys, values, the scores, and their weighted values: 4TD + HT² numbers."""
    return 4 * num_tokens * len(layer.query.weight) + layer.num_heads * num_tokens**2


def guide_ratio(layer: SelfAttention, num_tokens: int) -> float:
    """Attention's multiply-adds over the mixer's FLOPs, 8TD, as the guide's tables mix them."""
    attention = sum(attention_rows(layer, num_tokens).values())
    return attention / (8 * num_tokens * len(layer.query.weight))


def ratio(layer: SelfAttention, num_tokens: int) -> float:
    """Attention's FLOPs over the mixer's: a multiply-add is 2 FLOPs."""
    return 2 * guide_ratio(layer, num_tokens)
