"""Bugs of what the papers have beside the guide: layers by token, TokenMixer-Large."""

import numpy as np

from ....tensors import Tensor
from ..stages import Inputs
from ..textbook import Textbook
from .overrides import changed, gradient_by, part_of
from .registry import Override, each, table
from .steps import GRADIENTS, MISREAD

__all__ = ["BUGS"]


def _columns_reverted(x: Tensor, num_heads: int) -> Tensor:
    B, T, D = x.shape
    return x.reshape(B, num_heads, D // num_heads, T).permute(0, 3, 1, 2).reshape(B, T, D)


def _exchanged(forms: str) -> Override:
    """A block in the form beside that which is asked for, of two pairs."""
    a, b, c, d = forms.split()
    other = {a: b, b: a, c: d, d: c}
    return lambda s, f, p: f({**p, "norm": other[p.get("norm", "guide")]})


def _without_residual(s: Textbook, f: Override, p: Inputs, branch: Override) -> Tensor:
    if p.get("norm") == "post":
        return s.first_norm({**p, "x": branch(p, p["x"])})
    y: Tensor = branch(p, s.first_norm(p))
    return y


def _neighbors(x: Tensor, num_heads: int) -> Tensor:
    B, T, D = x.shape
    order = np.arange(T * num_heads) ^ 1
    order[-1] = min(order[-1], len(order) - 1)  # the last of an odd number stays
    return x.reshape(B, T * num_heads, D // num_heads)[:, order].reshape(B, T, D)


BUGS = table("papers", [
    ("token_mix", "token_mix"),
    ("neighbors-swapped", lambda s, f, x, H: _neighbors(x, H),
     "every two neighboring chunks change places, and nothing comes from farther away"),
    ("block", "block"),
    ("norms-of-guide-and-paper-exchanged", _exchanged("guide post pre bare_mix"),
     "the norms stand as in the other of two forms: guide and post, or pre and bare_mix"),
    ("norms-of-guide-and-pre-exchanged", _exchanged("guide pre post bare_mix"),
     "the norms stand as in the other of two forms: guide and pre, or post and bare_mix"),
    ("norms-of-paper-and-pre-exchanged", _exchanged("post pre guide bare_mix"),
     "the norms stand as in the other of two forms: post and pre, or guide and bare_mix"),
    ("block", "around"),
    ("network-residual-missing", _without_residual,
     "nothing is added to what the network computes"),
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
    ("token_revert mixer_large", "token_revert"),
    ("reverted-by-mixing", lambda s, f, x, H: s.token_mix(x, H),
     "tokens are mixed again, which puts them back where T = H only"),
    ("not-reverted", lambda s, f, x, H: x),
    ("reverted-with-columns-for-tokens", lambda s, f, x, H: _columns_reverted(x, H),
     "T and d are exchanged: (B, H, d, T) is put back"),
    ("reverted-twice", lambda s, f, x, H: f(f(x, H), H)),
    ("token_revert mixer_large", "token_revert", gradient_by(0)),
    ("gradient-of-revert-not-moved", lambda s, f, x, H: x),
    ("gradient-of-revert-by-revert", lambda s, f, x, H: s.token_mix(x, H),
     "its gradient is put back again, and not mixed"),
    ("mixer_large", "large_network"),
    ("second-residual-to-reverted", lambda s, f, p, h, to: f(p, h, h),
     "the second network is added to what was put back, and not to the block's input"),
    ("large-norms-outside", lambda s, f, p, h, to: f({**p, "large_norm": "outside"}, h, to),
     "the norms stand around the sums, and not before the networks"),
    ("large-residuals-missing", lambda s, f, p, h, to: f(p, h, 0 * to)),
    ("residuals-of-the-normed", lambda s, f, p, h, to: f(p, h, s.large_norm(to, p))),
    ("mixer_large", "mixer_large"),
    ("first-network-missing", lambda s, f, p: s.large_network(
        {"eps": p["eps"]} | {k[9:]: x for k, x in p.items() if k.startswith("reverted.")},
        p["x"], p["x"])),
])  # fmt: skip
