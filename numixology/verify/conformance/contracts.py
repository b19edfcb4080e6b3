"""What a backend promises besides its numbers.

It leaves its inputs and cotangents alone, and earlier results too, keeps the rows of a batch apart,
hands NaN on, says the same when it is asked again, and returns results of the right shape and
dtype.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...array import Array, ignoring_fp_errors
from .bounds import Prepared, measured
from .calling import answered
from .cases import truth_of

__all__ = [
    "Contracts",
    "contracts_of",
    "most_rows",
]


class Contracts(NamedTuple):
    """Which promises were broken, and what else there is to say."""

    broken: tuple[str, ...]
    remarks: tuple[str, ...]


def most_rows(cases: Sequence[Prepared]) -> Prepared:
    """The case for the contracts, with several rows in its batch."""
    return max(cases[:7], key=lambda one: len(one.truth.output) if one.case.kind == "plain" else 0)


def contracts_of(adapter: Any, one: Prepared, backward: bool) -> Contracts:
    """Try every promise on one case."""
    broken = [
        found
        for found in (
            _changed(adapter, one, backward),
            _mixed_batch(adapter, one),
            _lost_nan(adapter, one),
            _overwritten(adapter, one),
        )
        if found
    ]
    return Contracts(tuple(broken), _unsteady(adapter, one, backward))


def _copies(one: Prepared) -> tuple[dict[str, Any], Array]:
    inputs = {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in one.case.inputs.items()
    }
    return inputs, one.case.cotangent.copy()


def _changed(adapter: Any, one: Prepared, backward: bool) -> str:
    inputs, cotangent = _copies(one)
    adapter.forward(one.case.stage, inputs)
    if backward:
        adapter.vjp(one.case.stage, inputs, cotangent)
    names = [
        name
        for name, kept in one.case.inputs.items()
        if isinstance(kept, np.ndarray) and not np.array_equal(inputs[name], kept)
    ]
    if not np.array_equal(cotangent, one.case.cotangent):
        names.append("its cotangent")
    return f"it writes into {' and '.join(names)}" if names else ""


def _mixed_batch(adapter: Any, one: Prepared) -> str:
    """Change the last row of the batch, and look at the others."""
    inputs, _ = _copies(one)
    name = "ids" if "ids" in inputs else "x"
    if len(inputs[name]) < 2:
        return ""
    before = np.array(adapter.forward(one.case.stage, inputs), np.float64)
    inputs[name][-1] = inputs[name][-1][::-1] if name == "ids" else -inputs[name][-1] / 2
    after = np.asarray(adapter.forward(one.case.stage, inputs), np.float64)
    scale = one.scales["output"][:-1]
    error = measured(after[:-1], before[:-1], scale, one.case.dtype).error
    return "a row of the batch depends on the others" if error > one.bounds["output"] else ""


def _lost_nan(adapter: Any, one: Prepared) -> str:
    inputs, _ = _copies(one)
    if "x" not in inputs:
        return ""
    inputs["x"][0, 0, 0] = np.nan
    true = np.isnan(truth_of(one.case._replace(inputs=inputs)).output)
    with ignoring_fp_errors():
        found = np.isnan(np.asarray(adapter.forward(one.case.stage, inputs), np.float64))
    if (true & ~found).any():
        return "NaN in its input does not reach its output"
    if (found & ~true).any():
        return "NaN reaches more of its output than it should"
    return ""


def _overwritten(adapter: Any, one: Prepared) -> str:
    """Call it again with other numbers, and look at the first result."""
    inputs, _ = _copies(one)
    first = np.asarray(adapter.forward(one.case.stage, inputs))
    kept = first.copy()
    name = "ids" if "ids" in inputs else "x"
    adapter.forward(one.case.stage, {**inputs, name: inputs[name][:, ::-1] // 2})
    same = np.array_equal(first, kept, equal_nan=True)
    return "" if same else "a call overwrites earlier results"


def _unsteady(adapter: Any, one: Prepared, backward: bool) -> tuple[str, ...]:
    first = answered(adapter, one.case, backward).results
    second = answered(adapter, one.case, backward).results
    remarks = []
    for name, a in first.items():
        b = second[name]
        differing = ~((a == b) | (np.isnan(a) & np.isnan(b)))
        if differing.any():
            called = "output" if name == "output" else f"gradient of {name}"
            remarks.append(
                f"two calls differ in {int(differing.sum())} of {a.size} numbers of the {called}"
            )
    return tuple(remarks)
