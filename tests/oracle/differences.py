"""Derivatives of the oracle's forwards by central differences, without the chain rule.

With 120 digits and steps of 2^-120 of the largest input, what is left out is of the order of
1e-72, and what rounding adds 1e-83: so at least 60 digits can be compared.
"""

from collections.abc import Callable
from typing import Any

import mpmath as mp
from oracle.arithmetic import leaves, mapped

DIGITS = 120
STEP = mp.mpf(2) ** -120


def central_differences(
    forward: Callable[[dict[str, Any]], Any], inputs: dict[str, Any], cotangent: Any
) -> dict[str, list[mp.mpf]]:
    """The gradient of ⟨cotangent, forward(inputs)⟩ by each input, as flat lists."""
    with mp.workdps(DIGITS):
        weights = [mp.mpf(one) for one in leaves(cotangent)]
        found = {}
        for name in inputs:
            numbers = [mp.mpf(one) for one in leaves(inputs[name])]
            step = STEP * max(abs(one) for one in numbers)

            def slope(place: int, name: str = name, step: mp.mpf = step) -> mp.mpf:
                ends = [_moved(inputs, name, place, sign * step) for sign in (1, -1)]
                up, down = (leaves(forward(end)) for end in ends)
                return mp.fsum(w * (a - b) for w, a, b in zip(weights, up, down, strict=True)) / (
                    2 * step
                )

            found[name] = [slope(place) for place in range(len(numbers))]
        return found


def _moved(inputs: dict[str, Any], name: str, place: int, by: mp.mpf) -> dict[str, Any]:
    """The inputs as exact numbers, one of which is moved."""
    exact = {key: mapped(mp.mpf, value) for key, value in inputs.items()}
    numbers = list(leaves(exact[name]))
    numbers[place] += by
    rest = iter(numbers)
    exact[name] = mapped(lambda _: next(rest), exact[name])
    return exact
