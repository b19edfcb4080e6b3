"""How far rounding may take a gradient, or the slopes that it is compared with.

With ε = 2⁻⁵², a slope is Σ_k v_k ∂f_k/∂x_j, and T the sum of its absolute terms. The limit on the
distance of the two is

    4 ((8 + √n) ε T + s) + 8 t,

where n is the size of the largest array, since a sum of n terms is rounded √n times over, s is how
far the gradient moves when every number in x and v is moved by one rounding, the largest of some
tries, and t is what underflow may have taken. For most functions of small arrays it is 1e-14 of the
gradient. Where the two are farther apart, both are computed more often, with some numbers moved and
others not, and with steps of other lengths. A formula may also lose digits that the function keeps,
as 1 - y² does for tanh. To see that, the result of every operation in it is moved by a rounding.
"""

import math

import numpy as np

from ...array import Array
from ..arrays.shaken import roundings
from .lines import Lines
from .problems import Problem, vector
from .slopes import Measured, complex_slopes

__all__ = ["TOLERANCES", "WIDENED", "formula", "inside", "limits", "moved", "wavering"]

#: What is allowed beside the limit above, relative to the slope: real steps and float32 are coarse.
TOLERANCES = {
    ("complex", "float64"): 0.0,
    ("complex", "float32"): 1e-4,
    ("central", "float64"): 1e-6,
    ("central", "float32"): 2e-2,
}
_TRIES = 4
#: How many times wider a limit may become by more tries; what a check claims to catch counts that.
WIDENED = 5


def _nearby(problem: Problem, v: Array, some: bool = False) -> tuple[Array, Array]:
    """x and v with every number, or some, moved by one rounding."""
    x = problem.x
    near = moved(problem, x, some)
    near[problem.still] = x[problem.still]
    return near, moved(problem, v, some)


def moved(problem: Problem, numbers: Array, some: bool = False) -> Array:
    """Numbers of which every one, or some, are moved by one rounding."""
    moves = [-1.0, 0.0, 1.0] if some else [-1.0, 1.0]
    eps = float(np.finfo(problem.precision).eps)
    return np.asarray(numbers * (1 + eps * problem.rng.choice(moves, numbers.shape)))


def limits(
    problem: Problem,
    cotangents: Array,
    gradients: Array,
    lines: Lines,
    found: Measured,
    method: str,
) -> Array:
    """The largest distance that is still right, for every cotangent and line."""
    eps = float(np.finfo(problem.precision).eps)
    moves = [
        _moves(problem, v, g, lines, _TRIES) for v, g in zip(cotangents, gradients, strict=True)
    ]
    longest = max(one.size for one in (*problem.points, *problem.outputs))
    claimed = np.array([_claimed(g, lines) for g in gradients])
    terms = np.maximum(found.terms, claimed if lines.places.ndim == 2 else 0)
    rounding = (8 + math.sqrt(longest)) * eps * terms + np.array(moves)
    coarse = TOLERANCES[method, problem.precision] * np.abs(found.slopes)
    return np.asarray(4 * rounding + coarse + (8 if method == "complex" else 10) * found.errors)


def _claimed(gradient: Array, lines: Lines) -> Array:
    """Σ_j |u_j g_j| along every line."""
    return Lines(np.abs(lines.places), lines.steps).along(np.abs(gradient))


def _moves(
    problem: Problem, v: Array, gradient: Array, lines: Lines, tries: int, some: bool = False
) -> Array:
    """How far the gradient moves where x and v are moved by one rounding, along every line."""
    worst = np.zeros(len(lines))
    for _ in range(tries):
        x, ct = _nearby(problem, v, some)
        moved = np.abs(lines.along(problem.gradient(ct, x) - gradient))
        worst = np.fmax(worst, moved)
    return worst


def wavering(
    problem: Problem,
    v: Array,
    gradient: Array,
    lines: Lines,
    slopes: Array,
    method: str,
    tries: int = _TRIES,
) -> Array:
    """How far some tries move the gradient and its slopes: what to add to a limit."""
    moves = _moves(problem, v, gradient, lines, 2 * tries, some=True)
    wavers = np.zeros(len(lines))
    for k in range(tries if method == "complex" else 0):
        x = _nearby(problem, v, some=k % 2 == 0)[0]
        other = Lines(lines.places, lines.steps * problem.rng.uniform(0.5, 1, len(lines)))
        again = complex_slopes(problem, v[None], other, x=x).slopes[0]
        wavers = np.fmax(wavers, np.abs(again - slopes))
    return np.asarray(4 * (2 * moves + wavers))


def inside(problem: Problem, cotangents: Array, lines: Lines) -> Array:
    """How far the roundings inside f take its slopes by complex steps, for every v and line."""
    found = np.zeros((len(cotangents), len(lines)))
    for k, h in enumerate(lines.steps) if not problem.on_tape else ():
        arguments = problem.arguments(problem.x + 1j * h * lines.direction(k, problem.x.size))

        def slopes(*numbers: Array, h: float = h) -> list[Array]:
            return [one.imag / h for one in problem.called(numbers)]

        try:
            moves = vector(roundings(slopes, arguments, problem.rng))
        except Exception:  # whatever f raises on plain complex numbers
            continue
        found[:, k] = np.abs(cotangents) @ moves
    return found


def formula(problem: Problem, v: Array, lines: Lines) -> Array:
    """How far the roundings inside a hand-written gradient take it, along every line."""
    arguments = problem.arguments()
    floating = [i for i, one in enumerate(arguments) if one.dtype.kind == "f"]

    def shaken(*numbers: Array) -> list[Array]:
        given = list(arguments)
        for i, one in zip(floating, numbers, strict=False):
            given[i] = one
        return problem.gradients(given, numbers[len(floating) :])

    numbers = [*(arguments[i] for i in floating), *problem.cotangents(v)]
    moves = roundings(shaken, numbers, problem.rng, tries=16)
    return _claimed(vector(moves), lines)
