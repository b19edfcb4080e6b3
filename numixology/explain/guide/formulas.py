"""What the rows of the guide's cost tables count, for one sequence of T tokens.

The formulas stand here alone, so that they can be replaced by counting.
"""

from ...nn import FeedForward, SelfAttention

__all__ = [
    "attention_activations",
    "attention_rows",
    "attention_scores",
    "guide_ratio",
    "mixer_flops",
    "network_flops",
    "norm_flops",
    "ratio",
    "softmax_flops",
]


def norm_flops(features: int) -> int:
    """LayerNorm of one token: 7D + 2.

    Mean, subtraction, square, variance, scale, weight and bias take D each; adding eps and the
    root take one each.
    """
    passes = ("mean", "subtract", "square", "variance", "scale", "weight", "bias")
    return len(passes) * features + 2


def mixer_flops(num_tokens: int, features: int) -> int:
    """The rows of the guide's mixer: residual add and LayerNorm, 8TD."""
    return num_tokens * (features + norm_flops(features) // features * features)


def attention_rows(layer: SelfAttention, num_tokens: int) -> dict[str, int]:
    """The rows of the guide's self-attention, in multiply-adds.

    Every weight meets every token once, and every token meets every token twice, in D features.
    """
    D = layer.query.weight.shape[1]
    maps = [layer.query, layer.key, layer.value]
    products = num_tokens**2 * D
    return {
        "QKV projections": num_tokens * sum(part.weight.size for part in maps),
        "Attention scores": products,
        "Attention weights": products,
        "Output projection": num_tokens * layer.output.weight.size,
    }


def softmax_flops(layer: SelfAttention, num_tokens: int) -> int:
    """Maximum, subtraction, exponential, sum and division of every score: 5HT²."""
    passes = ("maximum", "subtract", "exponential", "sum", "divide")
    return len(passes) * attention_scores(layer, num_tokens)


def network_flops(network: FeedForward, num_tokens: int) -> int:
    """The two matrix products of a feed-forward network, at 2 FLOPs per multiply-add."""
    return 2 * num_tokens * (network.linear1.weight.size + network.linear2.weight.size)


def attention_scores(layer: SelfAttention, num_tokens: int) -> int:
    """One score for every pair of tokens, in every head: HT²."""
    return layer.num_heads * num_tokens**2


def attention_activations(layer: SelfAttention, num_tokens: int) -> int:
    """Queries, keys, values, the scores, and their weighted values: 4TD + HT² numbers."""
    D = layer.query.weight.shape[1]
    return 4 * num_tokens * D + attention_scores(layer, num_tokens)


def guide_ratio(layer: SelfAttention, num_tokens: int) -> float:
    """Attention's multiply-adds over the mixer's FLOPs, as the guide's tables mix them."""
    attention = sum(attention_rows(layer, num_tokens).values())
    return attention / mixer_flops(num_tokens, layer.query.weight.shape[1])


def ratio(layer: SelfAttention, num_tokens: int) -> float:
    """Attention's FLOPs over the mixer's: a multiply-add is 2 FLOPs."""
    return 2 * guide_ratio(layer, num_tokens)
