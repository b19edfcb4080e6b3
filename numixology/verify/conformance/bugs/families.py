"""Families: the same mistake in several formats, with several parameters or axes."""

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..formats import FORMATS, format_of
from .registry import Row
from .steps import constant, kept_part, whole_rows

__all__ = ["GRADIENTS", "MISREAD", "each", "in_formats"]


#: The formats of half precision.
_HALF = ("bfloat16", "float16")


def each(rows: Iterable[Row], *words: str) -> list[Row]:
    """Rows in whose names and descriptions words take the places of ``{0}``, ``{1}`` ..."""
    return [(n.format(*words), how, *(s.format(*words) for s in more)) for n, how, *more in rows]


def in_formats(name: str, how: Any, *more: str, kinds: Iterable[str] = _HALF) -> list[Row]:
    """A row for each of some formats, by which ``how`` makes overrides.

    It is a bug in the formats that have more digits.
    """
    rows = []
    for kind in kinds:
        digits = 11 if kind == "tf32" else format_of(kind).digits
        finer = [one.name for one in FORMATS.values() if one.digits > digits]
        rows += each([(name, how(kind), *more, *finer)], kind)
    return rows


#: How a parameter is misread; from the fourth row on, how anything is along its first axis.
MISREAD: list[Row] = [
    ("{0}-missing", lambda b: 0 * b),
    ("{0}-twice", lambda b: 2 * b),
    ("{0}-halved", lambda b: 0.5 * b),
    ("{0}-negated", operator.neg),
    ("{0}-read-backwards", lambda b: b[::-1]),
    ("{0}-read-one-early", lambda b: b[np.arange(len(b)) - 1]),
    ("{0}-read-one-late", lambda b: b[(np.arange(len(b)) + 1) % len(b)]),
    ("{0}-averaged", lambda b: 0 * b + b.mean(0, keepdims=True)),
    ("first-of-{0}-for-all", lambda b: 0 * b + b[:1]),
    ("last-of-{0}-for-all", lambda b: 0 * b + b[-1:]),
]
#: How a gradient goes wrong, by the part of the output that it is the gradient of.
GRADIENTS: list[Row] = [
    ("{0}-gradient-of-first-row-only", kept_part(np.s_[:1])),
    ("{0}-gradient-of-last-row-only", kept_part(np.s_[-1:])),
    ("{0}-gradient-of-last-token-of-rows", kept_part(np.s_[:], np.s_[-1:])),
    ("{0}-gradient-of-very-last-token", kept_part(np.s_[-1:], np.s_[-1:])),
    ("{0}-gradient-of-tokens-up-to-a-multiple-of-four", whole_rows),
    ("{0}-gradient-averaged-over-batch", lambda y: y / len(y)),
    ("{0}-gradient-averaged-over-row", lambda y: y / y.shape[-2]),
    ("{0}-gradient-averaged", lambda y: y / (y.size // y.shape[-1])),
    ("{0}-gradient-missing", constant),
    ("{0}-gradient-negated", operator.neg),
]
