"""Bugs of the embedding: the look-up, and the addition of gradients to its rows."""

import math
from collections.abc import Callable

import numpy as np

from .... import functional as F
from ....array import Array
from ..stages import Inputs
from ..textbook import Textbook
from .registry import Override, but, table
from .steps import first_row, in_format, only, part_of

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
    ("table-in-bfloat16", lambda s, f, ids, w: f(ids, in_format(w, "bfloat16")),
     "the table is kept in bfloat16", *but("bfloat16")),
    ("embedding", "embedding", part_of(1)),
    ("table-gradient-of-first-row", first_row,
     "only the first row of the batch adds to the table's gradient"),
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
