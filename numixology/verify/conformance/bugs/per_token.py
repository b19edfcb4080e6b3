"""Bugs of layers with weights of their own for every token."""

import numpy as np

from .families import GRADIENTS, MISREAD, each
from .overrides import changed, part_of
from .registry import table

__all__ = ["BUGS"]


BUGS = table("per_token", [
    ("per_token_linear", "per_token_linear", changed(1, 2)),
    *each(MISREAD[4:], "token-layers"),
    ("per_token_linear", "per_token_linear"),
    ("layers-by-sequence", lambda s, f, x, w, b: f(x.permute(1, 0, 2), *(
        p if p is None else p[np.arange(len(x)) % len(w)] for p in (w, b))).permute(1, 0, 2),
     "the layer is that of the sequence in the batch, not of the token"),
    ("token-weights-reshaped",
     lambda s, f, x, w, b: f(x, w.reshape(len(w), *w.shape[:0:-1]).transpose(1, 2), b),
     "the weights are read as (T, in, out)"),
    ("per_token_linear", "per_token_linear", changed(1)),
    *each(MISREAD, "token-weights"),
    ("per_token_linear", "per_token_linear", changed(2)),
    *each(MISREAD, "token-biases"),
    ("per_token_linear", "per_token_linear", part_of(1)),
    *each(GRADIENTS, "token-weights"),
])  # fmt: skip
