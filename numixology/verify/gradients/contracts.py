"""What a gradient promises besides its values.

It does not write into its arguments or depend on how they lie in memory, it returns the same when
it is called again, and it is linear in the cotangent. ⟨v, J u⟩ by jvp is ⟨v J, u⟩ by vjp, since
both have the same Jacobian J.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...array import Array
from ...errors import NumixologyError
from .problems import Problem, Unfit, vector

__all__ = ["LAYOUTS", "broken", "changed", "repeated"]


def _strided(x: Array) -> Array:
    wide = np.repeat(x, 2, axis=-1)
    return wide[..., ::2]


def _read_only(x: Array) -> Array:
    x = x.copy()
    x.flags.writeable = False
    return x


#: The same numbers otherwise in memory; stride-0 repeats the first row, so it changes them.
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "read-only": _read_only,
    "Fortran-ordered": np.asfortranarray,
    "strided": _strided,
    "stride-0": lambda x: np.broadcast_to(x[:1], x.shape),
}

#: What rounding may do in another order of summation, at least, and to jvp beside vjp.
_APART = {"float64": 1e-10, "float32": 1e-3}
#: By how much a cotangent is scaled: a power of two, so that nothing is rounded.
_LARGER = 2.0**10


def broken(
    problem: Problem, v: Array, gradient: Array, limit: float, jvp_of: Callable[..., Any] | None
) -> tuple[str, list[str]]:
    """Which promise is broken, if any, and what could not be compared."""
    remarks: list[str] = []
    for wrong, remark in (
        _layouts(problem, v, limit),
        (_linear(problem, v, gradient, limit), ""),
        _both_sides(problem, v, gradient, limit, jvp_of),
    ):
        if wrong:
            return wrong, remarks
        remarks += [remark] * bool(remark)
    return "", remarks


# Calls --------------------------------------------------------------------------------


def repeated(problem: Problem, v: Array, allowed: float = 0.0) -> tuple[str, str]:
    """By how much two calls differ, and what the gradient kept of an earlier call; else empty."""
    for _ in range(2):
        if reason := _differs("calls", problem.y, problem.run(problem.x).values, allowed):
            return reason, ""
    one, two = problem.gradient(v), problem.gradient(v)
    if not (reason := _differs("calls of the gradient", one, two, allowed)):
        return "", ""
    three = problem.gradient(v)
    if np.allclose(two - one, three - two, rtol=1e-6, atol=0) and (one != two).any():
        return reason, "the gradient adds to what an earlier call left; start from zero"
    calls = [[problem.gradient(k * v) for k in (2.0, 1.0, 1.0)] for _ in range(2)]
    late = bool((calls[0][1] != calls[0][2]).any())
    if late and all((one == other).all() for one, other in zip(*calls, strict=True)):
        return reason, "the gradient is that of an earlier call; use the cotangent that is given"
    return reason, ""


def _differs(what: str, one: Array, other: Array, allowed: float) -> str:
    if np.array_equal(one, other, equal_nan=True):
        return ""
    difference = float(np.abs(one - other).max()) / (float(np.abs(one).max()) or 1.0)
    return "" if difference <= allowed else f"two {what} differ by {difference:.1e}"


def changed(problem: Problem, v: Array) -> str:
    """Which argument the function or its vjp wrote into; empty if none."""
    arguments, cotangents = problem.arguments(), problem.cotangents(v)
    kept = problem.cotangents(v)

    def differing() -> str:
        pairs = [
            *zip(problem.names, arguments, problem.values, strict=True),
            *(("its cotangent", *pair) for pair in zip(cotangents, kept, strict=True)),
        ]
        return " and ".join(
            name
            for name, one, before in pairs
            if not np.array_equal(one, before, equal_nan=before.dtype.kind == "f")
        )

    problem.called(arguments)
    if found := differing():
        return f"fn changed {found}"
    problem.gradients(arguments, cotangents)
    found = differing()
    return f"the vjp changed {found}" if found else ""


# Layouts ------------------------------------------------------------------------------


class _Trial(NamedTuple):
    """Arguments and cotangents in some layout, and the same numbers contiguous."""

    what: str
    arguments: list[Array]
    cotangents: list[Array]


def _trials(problem: Problem, v: Array) -> Iterator[_Trial]:
    """The cotangents in every layout, and then the inputs."""
    plain, cts = problem.arguments(), problem.cotangents(v)
    for name, lay in LAYOUTS.items():
        laid_cts = [lay(one) if _matters(name, one, 1) else one for one in cts]
        # A vector of one number repeated is a place where functions degenerate.
        laid = [lay(one) if _matters(name, one, 2) else one for one in plain]
        if any(one is not ct for one, ct in zip(laid_cts, cts, strict=True)):
            yield _Trial(f"a {name} cotangent", plain, laid_cts)
        if any(one is not x for one, x in zip(laid, plain, strict=True)):
            yield _Trial(f"{name} inputs", laid, cts)


def _matters(name: str, x: Array, ndim: int) -> bool:
    """Whether the layout is another one for an array of this shape."""
    least = {"Fortran-ordered": 2, "strided": 1, "stride-0": ndim, "read-only": 0}
    return x.ndim >= least[name] and x.size > 1


def _layouts(problem: Problem, v: Array, limit: float) -> tuple[str, str]:
    """Which layout changes the function or its gradient, and which one they refuse."""
    refused = ""
    usual = problem.both(problem.arguments(), problem.cotangents(v))
    for trial in _trials(problem, v):
        plain = _plain(trial.arguments), _plain(trial.cotangents)
        try:
            ours = problem.both(trial.arguments, trial.cotangents)
        except Unfit as unfit:
            return f"with {trial.what} {unfit}", refused
        except NumixologyError as error:  # as view refuses what is not contiguous
            refused = f"not run on {trial.what}: {type(error).__name__}"
            continue
        except Exception as error:
            if "stride-0" in trial.what and _raises(problem, *plain):
                refused = f"not run on {trial.what}: {type(error).__name__}"
                continue
            return f"{trial.what} raised {type(error).__name__}: {error}", refused
        theirs = problem.both(*plain) if "stride-0" in trial.what else usual
        names = ["the function", *(f"the gradient of {problem.names[i]}" for i in problem.places)]
        pairs = [(vector(ours[0]), vector(theirs[0])), *zip(ours[1], theirs[1], strict=True)]
        for i, (name, (one, other)) in enumerate(zip(names, pairs, strict=True)):
            difference = _apart(one, other)
            # Rounding may differ, and where that alone moves the result it says nothing.
            allowed = max(_APART[problem.precision], 10 * limit)
            if difference > allowed and difference > 100 * _moved(problem, plain, i, other):
                return f"{name} is another for {trial.what}, by {difference:.1e}", refused
    return "", refused


def _plain(arrays: Sequence[Array]) -> list[Array]:
    return [np.array(one, order="C") for one in arrays]


def _raises(problem: Problem, arguments: list[Array], cotangents: list[Array]) -> bool:
    """Whether the same numbers raise in the usual layout too, as equal rows do in inv."""
    try:
        problem.both(arguments, cotangents)
    except Exception:
        return True
    return False


def _moved(
    problem: Problem, plain: tuple[list[Array], list[Array]], which: int, other: Array
) -> float:
    """By how much one rounding of the floating-point arguments moves a result."""
    eps, found = np.finfo(problem.precision).eps, 0.0
    for sign in (-1, 1):
        nearby = [
            np.asarray(x * (1 + sign * eps * problem.rng.choice([-1, 1], x.shape)), x.dtype)
            if x.dtype.kind == "f"
            else x
            for x in plain[0]
        ]
        outputs, gradients = problem.both(nearby, plain[1])
        found = max(found, _apart([vector(outputs), *gradients][which], other))
    return found


def _apart(one: Array, other: Array) -> float:
    """The largest difference, relative to the largest entry; what is not finite must agree."""
    if one.shape != other.shape:
        return np.inf
    finite = np.isfinite(other)
    if not np.array_equal(finite, np.isfinite(one)):
        return np.inf
    difference = float(np.abs(one - other)[finite].max(initial=0))
    return difference / (float(np.abs(other)[finite].max(initial=0)) or 1.0)


# Twice as much in, twice as much out -------------------------------------------------------


def _linear(problem: Problem, v: Array, gradient: Array, limit: float) -> str:
    """Which input's gradient does not grow with the cotangent, as one that is clipped does not."""
    larger = problem.gradient(_LARGER * v)
    for place, stretch in zip(problem.places, problem.stretches, strict=True):
        one = larger[stretch]
        difference = _apart(one / _LARGER, gradient[stretch])
        if np.isfinite(one).all() and difference > max(_APART[problem.precision], 10 * limit):
            return (
                f"the gradient of {problem.names[place]} is not linear in the cotangent: "
                f"for {_LARGER:.0f} times as much it is off by {difference:.1e}"
            )
    return ""


# Both sides of the Jacobian --------------------------------------------------------------


def _both_sides(
    problem: Problem, v: Array, gradient: Array, limit: float, given: Callable[..., Any] | None
) -> tuple[str, str]:
    """Whether ⟨v, J u⟩ is ⟨v J, u⟩ for a random u, and why that was not compared."""
    if not problem.on_tape and given is None:
        return "", ""
    u = problem.rng.choice([-1.0, 1.0], gradient.size) * problem.rng.uniform(
        0.5, 1.5, gradient.size
    )
    tangents = [
        u[stretch].reshape(one.shape).astype(one.dtype)
        for stretch, one in zip(problem.stretches, problem.points, strict=True)
    ]
    try:
        pushed = problem.pushed(tangents, given)
    except NumixologyError as error:
        return "", f"jvp not compared: {type(error).__name__}"
    left, right = v * pushed, gradient * vector(tangents)
    scale = max(float(np.abs(left).sum()), float(np.abs(right).sum()))
    allowed = max(_APART[problem.precision], 10 * limit) * scale
    if abs(left.sum() - right.sum()) > allowed:
        numbers = f"{left.sum():.17g} by jvp, {right.sum():.17g} by vjp"
        return f"jvp and vjp disagree: <v, J u> is {numbers}", ""
    return "", ""
