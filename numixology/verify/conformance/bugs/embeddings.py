"""Bugs of the embedding: the look-up, and the addition of gradients to its rows."""

import math
from collections.abc import Callable

import numpy as np

from .... import functional as F
from ....array import Array
from ..stages import Inputs
from ..textbook import Textbook
from .registry import Override, but, table
from .steps import averaged, first_row, in_format, last_row, only, part_of

__all__ = ["BUGS"]


def _scattered(scatter: Callable[[Array, Array, Array], Array]) -> Override:
    """An override of the backward with another gradient of the table.

    It is made from the ids, the cotangent, and the right gradient.
    """

    def vjp(s: Textbook, f: Override, stage: str, inputs: Inputs, ct: Array) -> dict[str, Array]:
        found: dict[str, Array] = f(stage, inputs, ct)
        if stage == "embedding":
            found["weight"] = s.format.stored(scatter(inputs["ids"], ct, found["weight"]))
        return found

    return vjp


def _assigned(ids: Array, ct: Array, gradient: Array) -> Array:
    found = np.zeros_like(gradient)
    for i, one in zip(ids.ravel(), ct.reshape(-1, ct.shape[-1]), strict=True):
        found[i] = one
    return found


def _first_only(ids: Array, ct: Array, gradient: Array) -> Array:
    found = np.zeros_like(gradient)
    _, places = np.unique(ids.ravel(), return_index=True)
    found[ids.ravel()[places]] = ct.reshape(-1, ct.shape[-1])[places]
    return found


def _counts(ids: Array, gradient: Array) -> Array:
    """How often each id occurs, in a column, and one if it does not."""
    return np.maximum(np.bincount(ids.ravel(), minlength=len(gradient)), 1)[:, None]


BUGS = table("embeddings", [
    ("embedding", "embedding"),
    ("embedding-scaled", lambda s, f, ids, w: s.store(math.sqrt(w.shape[-1]) * f(ids, w)),
     "the rows are multiplied by √D"),
    ("padding-row-zero", lambda s, f, ids, w: only(f(ids, w), (ids != 0)[..., None]),
     "id 0 gives zeros, as if it were padding"),
    ("padding-row-not-trained", lambda s, f, ids, w: f(ids, F.concatenate([w[:1].detach(), w[1:]])),
     "the row of id 0 gets no gradient, as if it were padding"),
    ("last-row-not-trained", lambda s, f, ids, w: f(ids, F.concatenate([w[:-1], w[-1:].detach()])),
     "the last row gets no gradient"),
    ("ids-from-one", lambda s, f, ids, w: f(ids - 1, w), "the ids count from one: row id - 1"),
    ("ids-shifted", lambda s, f, ids, w: f((ids + 1) % len(w), w),
     "row id + 1 is taken, and the first after the last"),
    ("last-id-cut", lambda s, f, ids, w: f(np.minimum(ids, len(w) - 2), w),
     "the last id is cut to the one before it"),
    ("last-id-wraps", lambda s, f, ids, w: f(ids % (len(w) - 1), w),
     "the last id is taken modulo the size of a table that is one too short"),
    ("rows-reversed", lambda s, f, ids, w: f(len(w) - 1 - ids, w),
     "the table is read from its end"),
    ("ids-in-8-bits", lambda s, f, ids, w: f(ids % 256, w),
     "ids are read in 8 bits: id modulo 256"),
    ("ids-in-signed-8-bits", lambda s, f, ids, w: f(ids.astype(np.int8).astype(ids.dtype), w),
     "ids are read in 8 bits with a sign: from 128 on they count from the end"),
    ("ids-in-16-bits", lambda s, f, ids, w: f(ids % 65536, w),
     "ids are read in 16 bits: id modulo 65,536"),
    ("ids-in-signed-16-bits", lambda s, f, ids, w: f(ids.astype(np.int16).astype(ids.dtype), w),
     "ids are read in 16 bits with a sign: from 32,768 on they count from the end"),
    ("ids-read-narrow",
     lambda s, f, ids, w: f(np.ascontiguousarray(ids, "<i8").view("<i4").flat[: ids.size].reshape(
         ids.shape), w), "ids of 64 bits are read as ids of 32, of which every other one is zero"),
    ("ids-of-first-row", lambda s, f, ids, w: f(np.broadcast_to(ids[:1], ids.shape), w),
     "every row of the batch gets the first row's ids"),
    ("ids-reversed", lambda s, f, ids, w: f(ids[:, ::-1], w), "the tokens come in reverse order"),
    ("table-in-float16", lambda s, f, ids, w: f(ids, in_format(w, "float16")),
     "the table is kept in float16", "float64", "float32"),
    ("table-in-bfloat16", lambda s, f, ids, w: f(ids, in_format(w, "bfloat16")),
     "the table is kept in bfloat16", *but("bfloat16")),
    ("embedding", "embedding", part_of(1)),
    ("table-gradient-of-first-row", first_row,
     "only the first row of the batch adds to the table's gradient"),
    ("table-gradient-of-last-row", last_row,
     "only the last row of the batch adds to the table's gradient"),
    ("table-gradient-of-tokens-averaged", averaged,
     "the table's gradient is divided by the number of tokens"),
    ("embedding", "vjp", _scattered),
    ("repeated-ids-assigned", _assigned,
     "the gradients of a repeated id are assigned, not added: the last one remains"),
    ("repeated-ids-first-only", _first_only,
     "the gradients of a repeated id after its first are dropped"),
    ("repeated-ids-averaged", lambda ids, ct, g: g / _counts(ids, g),
     "the gradients of a repeated id are averaged"),
    ("repeated-ids-normalized-by-root", lambda ids, ct, g: g / np.sqrt(_counts(ids, g)),
     "the gradients of a repeated id are divided by the root of their number"),
    ("table-gradient-of-batch-averaged", lambda ids, ct, g: g / len(ids),
     "the table's gradient is divided by the size of the batch"),
    ("table-gradient-at-shifted-ids", lambda ids, ct, g: np.roll(g, 1, axis=0),
     "the gradients are added to row id + 1"),
])  # fmt: skip
