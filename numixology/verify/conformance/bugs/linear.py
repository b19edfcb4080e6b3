"""Bugs of linear layers, forward and backward."""

from functools import partial

import numpy as np

from .... import functional as F
from ....tensors import Tensor, leaf
from ..textbook import Textbook, straight_through
from .overrides import arguments, changed, gradient_by, of_output, part_of
from .registry import Override, each, in_formats, table
from .steps import GRADIENTS, MISREAD, in_format, kept_part, only, whole, whole_rows

__all__ = ["BUGS"]


def _transposed(weight: Tensor) -> Tensor:
    """A square weight transposed; another as it is, since its shape would not fit."""
    return weight.T if weight.shape[0] == weight.shape[1] else weight


def _sums_in(parts: int, kind: str) -> Override:
    """An override that keeps the sums over parts of the terms, and theirs, in a format."""

    def product(s: Textbook, f: Override, x: Tensor, w: Tensor) -> Tensor:
        features = x.shape[-1]
        split = np.array_split(np.arange(features), min(parts, features))
        total, *rest = [in_format(f(x[..., some], w[:, some]), kind) for some in split]
        for one in rest:
            total = in_format(total + one, kind)
        return total

    return product


def _in_8_bits(weight: Tensor, axis: int | None) -> Tensor:
    """Integers from -127 to 127 times a scale, with the gradient of the weight itself."""
    scale = np.maximum(np.abs(weight.data).max(axis=axis, keepdims=True), 1e-300) / 127
    return straight_through(leaf(np.round(weight.data / scale) * scale), weight)


BUGS = table("linear", [
    ("linear", "product"),
    ("square-weight-not-transposed", lambda s, f, x, w: f(x, _transposed(w))),
    ("weight-reshaped-not-transposed", lambda s, f, x, w: f(x, w.reshape(w.shape[::-1]).T)),
    ("tail-of-depth-dropped", lambda s, f, x, w: f(x[..., : (n := whole(x.shape[-1]))], w[:, :n])),
    ("tail-of-columns-zero", lambda s, f, x, w: only(f(x, w), np.arange(len(w)) < whole(len(w)))),
    *in_formats("factors-in-{}", arguments(0, 1), kinds=("tf32", "bfloat16", "float16", "float32")),
    *in_formats("weight-in-{}", arguments(1)),
    *in_formats("{}-sums", partial(_sums_in, 2), "noisy", kinds=("bfloat16", "float16", "float32")),
    *in_formats("{}-accumulator", partial(_sums_in, 64), "noisy"),
    ("linear", "linear", of_output),
    ("tail-of-tokens-zero", whole_rows, "the tokens beyond a multiple of four stay zero"),
    ("last-token-stays-zero", lambda y: y - kept_part(np.s_[-1:], np.s_[-1:])(y)),
    ("last-row-stays-zero", lambda y: y - kept_part(np.s_[-1:])(y)),
    ("relu-in-the-epilogue", F.relu),
    ("gelu-in-the-epilogue", F.gelu),
    ("silu-in-the-epilogue", F.silu),
    ("linear", "product", changed(1)),
    ("weight-in-8-bits-by-its-largest-entry", lambda w: _in_8_bits(w, None)),
    ("weight-in-8-bits-by-that-of-a-row", lambda w: _in_8_bits(w, -1)),
    ("linear", "linear", changed(2)),
    *each(MISREAD, "bias"),
    ("linear", "linear"),
    ("bias-added-to-first-row-only", lambda s, f, x, w, b: f(
        x, w, None if b is None else kept_part(np.s_[:1])(b + 0 * x[..., :1].detach()))),
    ("linear", "linear", gradient_by(0)),
    ("input-gradient-with-magnitudes-of-weight", lambda s, f, x, w, b: f(x, F.abs(w))),
    ("linear", "linear", gradient_by(1)),
    ("weight-gradient-transposed", lambda s, f, x, w, b: f(x, _transposed(w))),
    ("linear", "linear", part_of(1)),
    *each(GRADIENTS, "weight"),
    ("linear", "linear", part_of(2)),
    *each(GRADIENTS, "bias"),
    ("per_token_linear", "per_token_linear", changed(1, 2)),
    *each(MISREAD[4:], "token-layers"),
    ("per_token_linear", "per_token_linear", changed(1)),
    *each(MISREAD, "token-weights"),
    ("token-weights-reshaped", lambda w: w.reshape(len(w), *w.shape[:0:-1]).transpose(1, 2),
     "the weights are read as (T, in, out)"),
    ("per_token_linear", "per_token_linear", changed(2)),
    *each(MISREAD, "token-biases"),
    ("per_token_linear", "per_token_linear", part_of(1)),
    *each(GRADIENTS, "token-weights"),
    ("per_token_linear", "per_token_linear", gradient_by(1)),
    ("weight-gradient-over-all-tokens", lambda s, f, x, w, b: f(
        x, w.sum(0, keepdims=True) + 0 * w, b)),
    ("per_token_linear", "per_token_linear"),
    ("layers-by-sequence", lambda s, f, x, w, b: f(x.permute(1, 0, 2), *(
        p if p is None else p[np.arange(len(x)) % len(w)] for p in (w, b))).permute(1, 0, 2),
     "the layer is that of the sequence in the batch, not of the token"),
])  # fmt: skip
