"""Bugs of layers that only move numbers: the token mixer, its inverse, and an embedding."""

import math
from collections.abc import Callable

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor
from ..stages import Inputs
from ..textbook import Textbook
from .overrides import arguments, changed, gradient_by, of_output, output, part_of
from .registry import Override, each, in_formats, table
from .steps import GRADIENTS, MISREAD, kept_part, only

__all__ = ["BUGS"]


def _interleaved(x: Tensor, num_heads: int) -> Tensor:
    B, T, D = x.shape
    return x.reshape(B, T, D // num_heads, num_heads).permute(0, 1, 3, 2)


def _inverse(x: Tensor, num_heads: int) -> Tensor:
    B, T, D = x.shape
    return x.reshape(B, num_heads, T, D // num_heads).permute(0, 2, 1, 3).reshape(B, T, D)


def _rolled(heads: Tensor) -> Tensor:
    T, H = heads.shape[1:3]
    return heads[:, (np.arange(T)[:, None] - np.arange(H)) % T, np.arange(H)]


def _neighbors(x: Tensor, num_heads: int) -> Tensor:
    B, T, D = x.shape
    order = np.arange(T * num_heads) ^ 1
    order[-1] = min(order[-1], len(order) - 1)  # the last of an odd number stays
    return x.reshape(B, T * num_heads, D // num_heads)[:, order].reshape(B, T, D)


def _columns_reverted(x: Tensor, num_heads: int) -> Tensor:
    B, T, D = x.shape
    return x.reshape(B, num_heads, D // num_heads, T).permute(0, 3, 1, 2).reshape(B, T, D)


def _along(axis: int) -> Callable[[Callable[[Tensor], Tensor]], Override]:
    """Overrides that misread what comes out along an axis."""
    return lambda read: of_output(lambda y: read(y.transpose(0, axis)).transpose(0, axis))


def _rows(change: Callable[[Array, int], Array]) -> Override:
    """An override that reads other rows, by the ids and by how many there are."""
    return lambda s, f, ids, w: f(change(ids, len(w)), w)


def _narrow(ids: Array, V: int) -> Array:
    return np.ascontiguousarray(ids, "<i8").view("<i4").flat[: ids.size].reshape(ids.shape)


def _scattered(scatter: Callable[[Array, Array, Array], Array]) -> Override:
    """An override of the backward with another gradient of the table.

    It is made from the ids, the cotangent, and the right gradient.
    """

    def vjp(s: Textbook, f: Override, stage: str, inputs: Inputs, ct: Array) -> dict[str, Array]:
        found: dict[str, Array] = f(stage, inputs, ct)
        if stage == "embedding":
            ids, rows = inputs["ids"].ravel(), ct.reshape(-1, ct.shape[-1])
            found["weight"] = s.format.stored(scatter(ids, rows, found["weight"]))
        return found

    return vjp


def _assigned(ids: Array, ct: Array, gradient: Array) -> Array:
    found = np.zeros_like(gradient)
    for i, one in zip(ids, ct, strict=True):
        found[i] = one
    return found


def _counts(ids: Array, gradient: Array) -> Array:
    """How often each id occurs, in a column, and one if it does not."""
    return np.maximum(np.bincount(ids, minlength=len(gradient)), 1)[:, None]


BUGS = table("moving", [
    ("token_mix", "permute"),
    ("last-head-zero", lambda s, f, heads: (y := f(heads)) - kept_part(np.s_[:], np.s_[-1:])(y)),
    ("mixer-identity", lambda s, f, heads: heads, "the axes are not permuted: the input comes out"),
    ("merged-from-tokens-columns-heads", lambda s, f, heads: heads.permute(0, 1, 3, 2),
     "chunks are merged from (B, T, d, H)"),
    ("heads-lead-the-batch", lambda s, f, heads: heads.permute(2, 0, 1, 3)),
    ("tokens-lead-the-batch", lambda s, f, heads: heads.permute(1, 0, 2, 3)),
    ("heads-rolled-by-as-many-tokens", lambda s, f, heads: _rolled(heads)),
    ("token_mix", "permute", _along(1)),
    *each(MISREAD[4:], "heads"),
    ("token_mix", "permute", _along(2)),
    *each(MISREAD[4:], "tokens-of-a-head"),
    ("token_mix", "permute", _along(3)),
    *each(MISREAD[4:], "columns-of-a-chunk"),
    ("token_mix", "token_mix", _along(0)),
    *each(MISREAD[4:], "batch"),
    ("token_mix", "merge"),
    ("merged-from-columns-tokens", lambda s, f, y, shape: y.permute(0, 1, 3, 2).reshape(shape),
     "a head's chunks are merged with the column before the token"),
    ("token_mix", "token_mix"),
    ("heads-of-every-nth-column", {"partition": lambda s, f, x, H: _interleaved(x, H)},
     "a head has every H-th column, not d in a row"),
    ("mixer-inverse", lambda s, f, x, H: _inverse(x, H), "the inverse permutation"),
    ("neighbors-swapped", lambda s, f, x, H: _neighbors(x, H),
     "every two neighboring chunks change places, and nothing comes from farther away"),
    ("first-token-not-mixed", lambda s, f, x, H: F.concatenate([x[:, :1], f(x, H)[:, 1:]], axis=1)),
    ("mixed-tokens-reversed", lambda s, f, x, H: f(x, H)[:, ::-1]),
    ("mixed-twice", lambda s, f, x, H: f(f(x, H), H)),
    *in_formats("mixed-in-{}", output),
    ("token_mix", "token_mix", gradient_by(0)),
    ("mixer-gradient-not-permuted", lambda s, f, x, H: x),
    ("mixer-gradient-permuted-as-the-input", lambda s, f, x, H: _inverse(x, H)),
    ("token_mix", "token_mix", part_of(0)),
    *each(GRADIENTS, "mixer"),
    ("token_revert mixer_large", "token_revert"),
    ("reverted-by-mixing", lambda s, f, x, H: s.token_mix(x, H),
     "tokens are mixed again, which puts them back where T = H only"),
    ("not-reverted", lambda s, f, x, H: x),
    ("reverted-with-columns-for-tokens", lambda s, f, x, H: _columns_reverted(x, H)),
    ("reverted-twice", lambda s, f, x, H: f(f(x, H), H)),
    ("token_revert mixer_large", "token_revert", gradient_by(0)),
    ("gradient-of-revert-not-moved", lambda s, f, x, H: x),
    ("gradient-of-revert-by-revert", lambda s, f, x, H: s.token_mix(x, H)),
    ("embedding", "embedding", _rows),
    ("ids-from-one", lambda ids, V: ids - 1, "the ids count from one: row id - 1"),
    ("ids-shifted", lambda ids, V: (ids + 1) % V, "row id + 1 is taken, the first after the last"),
    ("last-id-cut", lambda ids, V: np.minimum(ids, V - 2), "the last id is cut to the one before"),
    ("last-id-wraps", lambda ids, V: ids % (V - 1), "the table is taken for a shorter one"),
    ("table-read-backwards", lambda ids, V: V - 1 - ids),
    ("ids-of-64-bits-read-as-32", _narrow, "ids are read in 32 bits: every other one is zero"),
    ("ids-of-first-row-for-all", lambda ids, V: np.broadcast_to(ids[:1], ids.shape)),
    ("ids-read-backwards", lambda ids, V: ids[:, ::-1]),
    *((f"ids-in-{kind}", lambda ids, V, kind=kind: ids.astype(kind).astype(ids.dtype))
      for kind in ("uint8", "int8", "uint16", "int16")),
    ("embedding", "embedding", changed(1)),
    ("padding-row-not-trained", lambda w: F.concatenate([w[:1].detach(), w[1:]])),
    ("last-row-not-trained", lambda w: F.concatenate([w[:-1], w[-1:].detach()])),
    ("rows-cut-to-length-one", lambda w: w / F.sqrt(F.maximum((w * w).sum(-1, keepdims=True), 1))),
    ("embedding", "embedding"),
    ("rows-times-root-of-width", lambda s, f, ids, w: s.store(math.sqrt(w.shape[-1]) * f(ids, w))),
    ("padding-row-zero", lambda s, f, ids, w: only(f(ids, w), (ids != 0)[..., None])),
    *in_formats("table-in-{}", arguments(1)),
    ("embedding", "embedding", part_of(1)),
    *each(GRADIENTS, "table"),
    ("embedding", "vjp", _scattered),
    ("repeated-ids-assigned", _assigned, "of the gradients of a repeated id the last remains"),
    ("repeated-ids-first-gradient-only", lambda ids, ct, g: _assigned(ids[::-1], ct[::-1], g)),
    ("repeated-ids-averaged", lambda ids, ct, g: g / _counts(ids, g)),
    ("repeated-ids-over-root-of-number", lambda ids, ct, g: g / np.sqrt(_counts(ids, g))),
    ("table-gradient-at-next-id", lambda ids, ct, g: np.roll(g, 1, axis=0)),
])  # fmt: skip
