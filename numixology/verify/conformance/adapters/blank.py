"""The file from which somebody starts who writes an adapter."""

__all__ = ["template"]

_TEMPLATE = '''\
"""An adapter: it lets numixology check your implementation, stage by stage.

    numixology conform THIS_FILE.py

Your code is called with NumPy arrays and answers with NumPy arrays; what it does in between is its
own affair: another library, a GPU, a subprocess. As it stands, this file does one stage, silu, and
it passes. Put your code in its place, then add the other stages, and run the command after each:
its last lines say which stage to look at first. "numixology conform --list" has the formulas.
"""

import numpy as np


class MyBackend:
    # For reports.
    name = "my backend"

    # In what it calculates: "float64", "float32", "bfloat16" or "float16". Arrays come in this
    # dtype and go back in it; those of bfloat16 are float32 arrays of bfloat16 numbers.
    dtype = "float32"

    # In what it adds up long sums: "float64" or "float32". Bounds depend on it.
    accumulation = "float32"

    # What it does so far. Stages that are not listed are reported as not covered.
    #
    #   stage                 inputs                                            output
    #   embedding             ids (B, T), weight (V, D)                         (B, T, D)
    #   token_mix             x (B, T, D), num_heads                            (B, T, D)
    #   layer_norm            x (B, T, D), weight (D,), bias (D,), eps          (B, T, D)
    #   linear                x (B, T, D), weight (F, D), bias (F,)             (B, T, F)
    #   gelu, gelu_tanh,
    #   silu, softmax         x (B, T, D)                                       (B, T, D)
    #   feed_forward          x, eps, norm.weight, norm.bias, linear1.weight,
    #                         linear1.bias, linear2.weight, linear2.bias        (B, T, D)
    #   swiglu_feed_forward   x, eps, norm.weight, norm.bias, w1.weight (F, D),
    #                         w2.weight (D, F), w3.weight (F, D)                (B, T, D)
    #   block                 x, eps, num_heads, mixer.norm.weight,
    #                         mixer.norm.bias, and those of feed_forward
    #                         as ffn.norm.weight, ffn.linear1.weight, ...       (B, T, D)
    #   model                 ids, eps, num_heads, token_embedding.weight,
    #                         position_embedding.weight (T, D), and those
    #                         of two blocks as blocks.0.mixer.norm.weight, ...  (B, T, D)
    #
    # What token_mix moves where, with H = num_heads and d = D / H (// rounds down):
    #   output[b, s, k*d + j] = x[b, (s*H + k) % T, (s*H + k) // T * d + j]
    stages = ["silu"]

    # What it does otherwise on purpose. Where it is out of bounds but within those of a profile
    # that is listed here, this is reported as known and is no failure. For instance "offsets": its
    # LayerNorm is not accurate far from zero, as few in float32 are. Leave it empty: the report
    # says when one would help.
    profile = []

    def forward(self, stage, inputs):
        """What a stage computes.

        inputs is a dict: arrays, some of them read-only or with gaps in memory, and eps and
        num_heads as numbers. Leave the arrays as they are.
        """
        if stage == "silu":
            x = inputs["x"]
            return x * sigmoid(x)
        # if stage == "embedding":
        #     return inputs["weight"][inputs["ids"]]
        raise NotImplementedError(stage)

    # Leave vjp out altogether if there are no gradients to check.
    def vjp(self, stage, inputs, cotangent):
        """The gradients of sum(cotangent * output): one for every array of floating-point numbers.

        The cotangent has the shape of the output. Gradients go into a dict under the names that
        the inputs have, each of its input's shape.
        """
        if stage == "silu":
            x = inputs["x"]
            s = sigmoid(x)
            return {"x": cotangent * s * (1 + x * sigmoid(-x))}
        # if stage == "linear":
        #     return {"x": ..., "weight": ..., "bias": ...}
        raise NotImplementedError(stage)


def sigmoid(x):
    """1 / (1 + exp(-x)), where exp(x) does not overflow on either side."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


# This name is looked up: an adapter, or a class or a function that makes one. What such a function
# takes can be given with the path: THIS_FILE.py:device=cuda
adapter = MyBackend()
'''


def template() -> str:
    """The text of an adapter that works for one stage, to be filled in.

    Returns:
        A Python file.

    Example:
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters import template
        >>> names = {}
        >>> exec(template(), names)
        >>> conform(names["adapter"], stages=["silu"]).verdict
        'pass'
    """
    return _TEMPLATE
