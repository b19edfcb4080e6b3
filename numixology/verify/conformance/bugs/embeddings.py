"""Bugs of the embedding: the look-up, and the addition of gradients to its rows."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from .... import functional as F
from ....array import Array
from ..stages import Inputs
from ..textbook import Textbook
from .registry import Override, but, table
from .steps import first_row, in_format, only

__all__ = ["BUGS"]


def _scattered(scatter: Callable[[Array, Array, Array], Array]) -> Override:
    """An override of the backward with another gradient of the table.

    It is made from the ids, the cotangent, and the right gradient.
    """

    def vjp(
        s: Textbook, right: Callable[..., dict[str, Array]], stage: str, inputs: Inputs, ct: Array
    ) -> dict[str, Array]:
        found = right(stage, inputs, ct)
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


_bugs = partial(table, "embeddings", "embedding")

BUGS = [
    *_bugs("embedding", [
        ("embedding-scaled", "the rows are multiplied by √D",
         lambda s, right, ids, weight: s.store(math.sqrt(weight.shape[-1]) * right(ids, weight))),
        ("padding-row-zero", "id 0 gives zeros, as if it were padding",
         lambda s, right, ids, weight: only(right(ids, weight), (ids != 0)[..., None])),
        ("padding-row-not-trained", "the row of id 0 gets no gradient, as if it were padding",
         lambda s, right, ids, weight: right(
             ids, F.concatenate([weight[:1].detach(), weight[1:]]))),
        ("last-row-not-trained", "the last row gets no gradient",
         lambda s, right, ids, weight: right(
             ids, F.concatenate([weight[:-1], weight[-1:].detach()]))),
        ("ids-from-one", "the ids count from one: row id - 1",
         lambda s, right, ids, weight: right(ids - 1, weight)),
        ("ids-shifted", "row id + 1 is taken, and the first after the last",
         lambda s, right, ids, weight: right((ids + 1) % len(weight), weight)),
        ("last-id-cut", "the last id is cut to the one before it",
         lambda s, right, ids, weight: right(np.minimum(ids, len(weight) - 2), weight)),
        ("last-id-wraps", "the last id is taken modulo the size of a table that is one too short",
         lambda s, right, ids, weight: right(ids % (len(weight) - 1), weight)),
        ("rows-reversed", "the table is read from its end",
         lambda s, right, ids, weight: right(len(weight) - 1 - ids, weight)),
        ("table-in-bfloat16", "the table is kept in bfloat16",
         lambda s, right, ids, weight: right(ids, in_format(weight, "bfloat16")),
         *but("bfloat16")),
        ("table-gradient-of-first-row",
         "only the first row of the batch adds to the table's gradient",
         lambda s, right, ids, weight: (
             (y := right(ids, weight)).detach() + first_row(y) - first_row(y).detach())),
    ]),
    *_bugs("vjp", [
        ("repeated-ids-assigned",
         "the gradients of a repeated id are assigned, not added: the last one remains", _assigned),
        ("repeated-ids-first-only", "the gradients of a repeated id after its first are dropped",
         _first_only),
        ("repeated-ids-averaged", "the gradients of a repeated id are averaged",
         lambda ids, ct, gradient: gradient / _counts(ids, gradient)),
        ("repeated-ids-normalized-by-root",
         "the gradients of a repeated id are divided by the root of their number",
         lambda ids, ct, gradient: gradient / np.sqrt(_counts(ids, gradient))),
        ("table-gradient-of-batch-averaged",
         "the table's gradient is divided by the size of the batch",
         lambda ids, ct, gradient: gradient / len(ids)),
        ("table-gradient-at-shifted-ids", "the gradients are added to row id + 1",
         lambda ids, ct, gradient: np.roll(gradient, 1, axis=0)),
    ], wrap=_scattered),
]  # fmt: skip
