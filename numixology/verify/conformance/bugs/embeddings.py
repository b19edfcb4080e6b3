"""Bugs of the embedding: the look-up, and the addition of gradients to its rows."""

import math
from collections.abc import Callable

import numpy as np

from .... import functional as F
from ....array import Array
from ....tensors import Tensor
from ..stages import Inputs
from ..textbook import Textbook
from .families import GRADIENTS, each, in_formats
from .overrides import arguments, part_of
from .registry import Override, table
from .steps import only

__all__ = ["BUGS"]


def _read(change: Callable[[Array, int], Array]) -> Override:
    """An override that reads other rows, by the ids and their number."""
    return lambda s, f, ids, w: f(change(ids, len(w)), w)


def _in_integers(dtype: str) -> Callable[[Array, int], Array]:
    return lambda ids, V: ids.astype(dtype).astype(ids.dtype)


def _narrow(ids: Array, V: int) -> Array:
    narrow = np.ascontiguousarray(ids, "<i8").view("<i4")
    return narrow.flat[: ids.size].reshape(ids.shape)


def _with_table(change: Callable[[Tensor], Tensor]) -> Override:
    return lambda s, f, ids, w: f(ids, change(w))


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


BUGS = table("embeddings", [
    ("embedding", "embedding", _read),
    ("ids-from-one", lambda ids, V: ids - 1, "the ids count from one: row id - 1"),
    ("ids-shifted", lambda ids, V: (ids + 1) % V, "row id + 1 is taken, the first after the last"),
    ("last-id-cut", lambda ids, V: np.minimum(ids, V - 2), "the last id is cut to the one before"),
    ("last-id-wraps", lambda ids, V: ids % (V - 1), "the table is taken for a shorter one"),
    ("rows-reversed", lambda ids, V: V - 1 - ids, "the table is read from its end"),
    *((f"ids-in-{kind}", _in_integers(kind), f"ids are read as {kind}, modulo its range")
      for kind in ("uint8", "int8", "uint16", "int16")),
    ("ids-of-64-bits-read-as-32", _narrow, "ids are read in 32 bits: every other one is zero"),
    ("ids-of-first-row-for-all", lambda ids, V: np.broadcast_to(ids[:1], ids.shape)),
    ("ids-reversed", lambda ids, V: ids[:, ::-1], "the tokens come in reverse order"),
    ("embedding", "embedding", _with_table),
    ("padding-row-not-trained", lambda w: F.concatenate([w[:1].detach(), w[1:]]),
     "the row of id 0 gets no gradient, as if it were padding"),
    ("last-row-not-trained", lambda w: F.concatenate([w[:-1], w[-1:].detach()])),
    ("rows-shortened-to-length-one",
     lambda w: w / F.maximum(F.sqrt((w * w).sum(-1, keepdims=True)), 1.0)),
    ("embedding", "embedding"),
    ("rows-times-root-of-width", lambda s, f, ids, w: s.store(math.sqrt(w.shape[-1]) * f(ids, w))),
    ("padding-row-zero", lambda s, f, ids, w: only(f(ids, w), (ids != 0)[..., None])),
    *in_formats("table-in-{}", arguments(1), "bfloat16 float16"),
    ("embedding", "embedding", part_of(1)),
    *each(GRADIENTS, "table"),
    ("embedding", "vjp", _scattered),
    ("repeated-ids-assigned", _assigned,
     "the gradients of a repeated id are assigned, not added: the last one remains"),
    ("repeated-ids-first-gradient-only", lambda ids, ct, g: _assigned(ids[::-1], ct[::-1], g)),
    ("repeated-ids-averaged", lambda ids, ct, g: g / _counts(ids, g)),
    ("repeated-ids-over-root-of-number", lambda ids, ct, g: g / np.sqrt(_counts(ids, g))),
    ("table-gradient-at-next-id", lambda ids, ct, g: np.roll(g, 1, axis=0)),
])  # fmt: skip
