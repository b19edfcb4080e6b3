"""What a gradient promises besides its values.

It leaves its arguments alone, does not mind how they lie in memory, says the same when it is asked
again, grows with the cotangent, and is one linear map seen from both sides: ⟨v, J u⟩ by jvp is
⟨v J, u⟩ by vjp.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..array import Array
from ..errors import NumixologyError
from ..tensors import leaf
from ..transforms import jvp
from .differences import Problem

__all__ = ["LAYOUTS", "both_sides", "changed", "layouts", "linear", "repeated"]


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


def repeated(problem: Problem) -> tuple[str, list[Array]]:
    """By how much two calls differ, empty if by nothing, and the gradient.

    Called are the function and its gradient.
    """
    gradient = problem.gradient()
    pairs = [
        ("calls", problem.run(problem.points), problem.run(problem.points)),
        ("calls of the gradient", gradient, problem.gradient()),
    ]
    for what, first, second in pairs:
        for one, other in zip(first, second, strict=True):
            if one.shape == other.shape and not np.array_equal(one, other, equal_nan=True):
                difference = np.abs(one - other).max() / (np.abs(one).max() or 1)
                return f"two {what} differ by {difference:.1e}", gradient
    return "", gradient


def changed(problem: Problem) -> str:
    """Which argument the function or its vjp wrote into; empty if none."""
    arguments, cotangent = problem.arguments(), problem.first.copy()
    names = [f"inputs[{i}]" for i in range(len(arguments))]

    def differing() -> str:
        pairs = [
            *zip(names, arguments, problem.values, strict=True),
            ("its cotangent", cotangent, problem.first),
        ]
        return " and ".join(
            name
            for name, one, kept in pairs
            if not np.array_equal(one, kept, equal_nan=kept.dtype.kind == "f")
        )

    problem.output(arguments)
    if found := differing():
        return f"fn changed {found}"
    problem.gradient(arguments, cotangent)
    found = differing()
    return f"the vjp changed {found}" if found else ""


# Layouts ------------------------------------------------------------------------------


class _Trial(NamedTuple):
    """Arguments and cotangent in some layout, and the same numbers contiguous."""

    what: str
    arguments: list[Array]
    cotangent: Array
    plain: list[Array]
    plain_cotangent: Array


def _trials(problem: Problem, together: bool) -> list[_Trial]:
    """The cotangent in every layout, and then the inputs, or both together."""
    found = []
    plain, ct = problem.arguments(), problem.first
    for name, lay in LAYOUTS.items():
        laid_ct = lay(ct) if _matters(name, ct, 1) else ct
        # A vector of one number repeated is a place where functions degenerate.
        laid = [lay(x) if _matters(name, x, 2) else x for x in plain]
        inputs = any(one is not x for one, x in zip(laid, plain, strict=True))
        trials = [
            (f"a {name} cotangent", plain, laid_ct, laid_ct is not ct),
            (f"{name} inputs", laid, ct, inputs),
        ]
        if together and inputs:
            trials = [(f"{name} inputs and a cotangent alike", laid, laid_ct, True)]
        for what, arguments, cotangent, matters in trials:
            if matters:
                same, same_ct = [_plain(one) for one in arguments], _plain(cotangent)
                found.append(_Trial(what, arguments, cotangent, same, same_ct))
    return found


def _matters(name: str, x: Array, ndim: int) -> bool:
    """Whether the array can lie so at all."""
    least = {"Fortran-ordered": 2, "strided": 1, "stride-0": ndim, "read-only": 0}
    return x.ndim >= least[name] and x.size > 1


def _plain(x: Array) -> Array:
    return np.array(x, order="C")


def layouts(problem: Problem, limit: float, together: bool = False) -> tuple[str, str]:
    """Which layout changes the function or its gradient, and which one they refuse."""
    refused = ""
    usual = problem.both(problem.arguments(), problem.first.copy())
    for trial in _trials(problem, together):
        try:
            ours = problem.both(trial.arguments, trial.cotangent)
        except NumixologyError as error:  # as view refuses what is not contiguous
            refused = f"not run on {trial.what}: {type(error).__name__}"
            continue
        except Exception as error:
            if "stride-0" in trial.what and _raises(problem, trial):
                refused = f"not run on {trial.what}: {type(error).__name__}"
                continue
            return f"{trial.what} raised {type(error).__name__}: {error}", refused
        plain = usual
        if "stride-0" in trial.what:
            plain = problem.both(trial.plain, trial.plain_cotangent)
        names = ["the function", *(f"the gradient of inputs[{i}]" for i in problem.places)]
        for i, name in enumerate(names):
            difference = _apart(ours[i], plain[i])
            # Rounding may differ, and where that alone moves the result it says nothing.
            allowed = max(_APART[problem.precision], 10 * limit)
            if difference > allowed and difference > 100 * _moved(problem, trial, i, plain[i]):
                return f"{name} is another for {trial.what}, by {difference:.1e}", refused
    return "", refused


def _raises(problem: Problem, trial: _Trial) -> bool:
    """Whether the very numbers are refused, as inv refuses rows that are alike."""
    try:
        problem.both(trial.plain, trial.plain_cotangent)
    except Exception:
        return True
    return False


def _moved(problem: Problem, trial: _Trial, which: int, plain: Array) -> float:
    """By how much one rounding of the floating-point arguments moves a result."""
    eps = np.finfo(problem.precision).eps
    found = 0.0
    for sign in (-1, 1):
        ulps = [
            1 + sign * eps * problem.rng.choice([-1, 1], x.shape) if x.dtype.kind == "f" else None
            for x in trial.plain
        ]
        nearby = [
            x if ulp is None else np.asarray(x * ulp, x.dtype)
            for x, ulp in zip(trial.plain, ulps, strict=True)
        ]
        found = max(found, _apart(problem.both(nearby, trial.plain_cotangent)[which], plain))
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


def linear(problem: Problem, gradient: Sequence[Array], limit: float) -> str:
    """Which input's gradient does not grow with the cotangent, as one that is clipped does not."""
    larger = problem.gradient(cotangent=np.asarray(problem.first * _LARGER, problem.first.dtype))
    for place, one, usual in zip(problem.places, larger, gradient, strict=True):
        difference = _apart(one / _LARGER, usual)
        if np.isfinite(one).all() and difference > max(_APART[problem.precision], 10 * limit):
            return (
                f"the gradient of inputs[{place}] is not linear in the cotangent: "
                f"for {_LARGER:.0f} times as much it is off by {difference:.1e}"
            )
    return ""


# Both sides of the Jacobian --------------------------------------------------------------


def both_sides(problem: Problem, gradient: Sequence[Array], limit: float) -> tuple[str, str]:
    """Whether ⟨v, J u⟩ is ⟨v J, u⟩ for a random u, and why that was not compared."""
    if not problem.on_tape or problem.order == 2:
        return "", ""
    tangents = [problem.direction(i).astype(point.dtype) for i, point in enumerate(problem.points)]

    def of_floats(*floats: Any) -> Any:
        everything: list[Any] = [leaf(one.copy()) for one in problem.values]
        for place, one in zip(problem.places, floats, strict=True):
            everything[place] = one
        return problem.fn(*everything)

    try:
        _, pushed = jvp(of_floats, problem.points, tangents)
    except NumixologyError as error:
        return "", f"jvp not compared: {type(error).__name__}"
    products = [
        problem.first * pushed.data,
        *(g * u for g, u in zip(gradient, tangents, strict=True)),
    ]
    left, right = float(products[0].sum()), float(sum(p.sum() for p in products[1:]))
    scale = max(float(np.abs(products[0]).sum()), float(sum(np.abs(p).sum() for p in products[1:])))
    allowed = max(_APART[problem.precision], 10 * limit) * scale
    if abs(left - right) > allowed:
        return f"jvp and vjp disagree: <v, J u> is {left:.17g} by jvp, {right:.17g} by vjp", ""
    return "", ""
