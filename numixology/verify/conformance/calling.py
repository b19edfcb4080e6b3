"""A backend is called, and what it returns is made sense of."""

from typing import Any, NamedTuple

import numpy as np

from ...array import Array
from .cases import Case, fresh
from .formats import format_of

__all__ = ["Answer", "answered", "gradients_of", "in_a_line", "misshapen", "output_of"]


class Answer(NamedTuple):
    """What a backend says of a case.

    Attributes:
        results: what can be compared, by tensor, in arrays that nobody else holds.
        fault: why something cannot be compared; empty if all can.
        refused: why the backend does not cover this case; empty if it does.
        error: what it raised, if it did.
    """

    results: dict[str, Array]
    fault: str = ""
    refused: str = ""
    error: Exception | None = None


def output_of(adapter: Any, case: Case) -> Any:
    """What the backend's forward returns, as it is."""
    case = fresh(case)
    return adapter.forward(case.stage, case.inputs)


def gradients_of(adapter: Any, case: Case) -> Any:
    """What the backend's vjp returns, as it is."""
    case = fresh(case)  # what forward has written is its own affair, and is found out apart
    return adapter.vjp(case.stage, case.inputs, case.cotangent)


def answered(adapter: Any, case: Case, backward: bool) -> Answer:
    """The output and, if asked for, the gradients of a case."""
    gradients, calling = {}, "forward"
    try:
        output = output_of(adapter, case)
        if backward:
            calling = "vjp"
            gradients = dict(gradients_of(adapter, case))
    except Exception as error:  # whatever a backend raises
        return Answer({}, f"its {calling} raised {in_a_line(error)}", error=error)
    results = {**gradients, "output": output}
    if wrong := misshapen(results, case, backward):
        return Answer({}, wrong)
    return Answer({name: np.array(value) for name, value in results.items()})


def in_a_line(error: Exception) -> str:
    """What a backend raised, for reports."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def misshapen(results: dict[str, Any], case: Case, backward: bool) -> str:
    """What has another shape or dtype than it should have, or is missing."""
    dtype = np.dtype(format_of(case.dtype).container)
    shapes = {"output": case.cotangent.shape}
    if backward:
        shapes |= {name: case.inputs[name].shape for name in case.differentiable}
    for name, shape in shapes.items():
        called = "the output" if name == "output" else f"the gradient of {name}"
        if name not in results:
            return f"{called} is missing"
        got = results[name]
        if not isinstance(got, np.ndarray | np.generic):
            return f"{called} is {type(got).__name__}, not a NumPy array"
        if got.shape != shape:
            return f"{called} has shape {got.shape}, not {shape}"
        if got.dtype != dtype:
            return f"{called} has dtype {got.dtype}, not {dtype}"
    return ""
