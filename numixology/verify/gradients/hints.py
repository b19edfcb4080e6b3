"""Which common mistake a wrong gradient looks like, for the first line of a report."""

import itertools
import math

import numpy as np

from ...array import Array
from .problems import Problem, vector

__all__ = ["hint"]

_CLOSE = {"float64": 1e-6, "float32": 1e-2}


def hint(problem: Problem, v: Array, gradient: Array, slopes: Array, wrong: Array) -> str:
    """What was probably done instead, as the end of a sentence; empty if nothing comes near.

    An input with a wrong number is not right, however near it comes: ``wrong`` says which are.
    """
    close = _CLOSE[problem.precision]

    def alike(one: Array, other: Array) -> bool:
        scale = float(np.abs(other).max(initial=0))
        return bool(scale and np.abs(one - other).max() <= close * scale)

    if problem.vjp is not None and alike(problem.gradient(2 * v), gradient):
        return "vjp ignores its cotangent: multiply by it"
    if problem.vjp is not None and alike(_exchanged(problem, v), slopes):
        return "vjp takes its cotangent first: vjp(cotangent, *inputs)"
    if order := _other_order(problem, gradient, slopes, close):
        return f"the gradients are right in another order: {order}"
    parts = []
    agreeing = []
    for place, stretch in zip(problem.places, problem.stretches, strict=True):
        ours, theirs = gradient[stretch], slopes[stretch]
        if alike(ours, theirs):
            if not wrong[stretch].any():
                agreeing.append(problem.names[place])
        elif (ratio := _ratio(ours, theirs, close)) is not None:
            one = f"that of {problem.names[place]}" if len(problem.places) > 1 else "it"
            parts.append(f"{one} is {ratio:.6g} times as large as it should be")
    if 0 < len(agreeing) < len(problem.places):
        few = len(agreeing) < 4
        right = ", ".join(agreeing) if few else f"{len(agreeing)} of {len(problem.places)}"
        parts.append(f"only {right} {'is' if len(agreeing) == 1 else 'are'} right")
    return "; ".join(parts)


def _exchanged(problem: Problem, v: Array) -> Array:
    """The gradient if the cotangent and the only input change places."""
    points, cotangents = problem.values, problem.cotangents(v)
    if len(points) != 1 or len(cotangents) != 1 or points[0].shape != cotangents[0].shape:
        return np.full(problem.x.size, math.nan)
    try:
        return vector(problem.gradients(cotangents, problem.arguments()))
    except Exception:  # whatever it raises when called so
        return np.full(problem.x.size, math.nan)


def _other_order(problem: Problem, gradient: Array, slopes: Array, close: float) -> str:
    """The order in which the gradients would be right, if there is one."""
    parts = problem.stretches
    shapes = [one.shape for one in problem.points]
    if not 1 < len(parts) <= 4:
        return ""
    for order in itertools.permutations(range(len(parts))):
        if order == tuple(range(len(parts))) or any(
            shapes[i] != shapes[k] for i, k in enumerate(order)
        ):
            continue
        if all(
            np.abs(gradient[parts[k]] - slopes[parts[i]]).max(initial=0)
            <= close * np.abs(slopes[parts[i]]).max(initial=0)
            for i, k in enumerate(order)
        ):
            return ", ".join(problem.names[problem.places[k]] for k in order)
    return ""


def _ratio(ours: Array, theirs: Array, close: float) -> float | None:
    """The one factor between two gradients, if there is one."""
    if ours.size < 2 or not theirs.any() or not ours.any():
        return None
    ratio = float(ours @ theirs) / float(theirs @ theirs)
    if np.abs(ours - ratio * theirs).max() <= close * abs(ratio) * np.abs(theirs).max():
        return ratio
    return None
