"""What a gradient check says: a verdict, figures, and where the gradient is farthest off."""

import math
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["GradcheckReport", "Kink", "Place", "Verdict"]

Verdict: TypeAlias = Literal["pass", "fail", "inconclusive"]
#: An input, an index into it, the gradient there and the difference there.
Place: TypeAlias = tuple[int, tuple[int, ...], float, float]


class Kink(NamedTuple):
    """A coordinate at which the function has two slopes, and the gradient that was given there.

    Attributes:
        input: which input.
        place: the index into it.
        left: the slope below.
        right: the slope above.
        gradient: what was given there.
        name: what the report calls the input.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> (kink,) = nx.gradcheck(np.abs, np.zeros(1), vjp=lambda ct, x: 0 * ct).kinks
        >>> kink.input, kink.place, kink.left == -kink.right, kink.gradient
        (0, (0,), True, 0.0)
    """

    input: int
    place: tuple[int, ...]
    left: float
    right: float
    gradient: float
    name: str = ""

    def __str__(self) -> str:
        name = self.name or f"inputs[{self.input}]"
        return (
            f"{name}{list(self.place)} is at a kink: slope {self.left:.6g} below, "
            f"{self.right:.6g} above, gradient {self.gradient:.6g}"
        )


class GradcheckReport(NamedTuple):
    """What :func:`.gradcheck` found; it is true if the check passed, and prints readably.

    Attributes:
        verdict: ``"pass"``, ``"fail"`` or ``"inconclusive"``.
        max_error: how far the gradient is from the difference at most, relative to the largest
            entry of that input's gradient.
        tolerance: the limit on it.
        method: ``"complex"`` or ``"central"``.
        order: 1, or 2 for the gradient of the gradient.
        coordinates: how many derivatives were compared.
        worst: input, index, gradient and difference where they are farthest apart.
        reason: why the verdict is what it is, in a sentence.
        detectable: the smallest error of one entry, relative as above, that this check was sure
            to catch: the limit, and what rounding may have hidden of it.
        why: why that method.
        kinks: where the function has two slopes: input, index, both slopes and the gradient.
        names: what the report calls each input; a parameter of a module goes by its own name too.
        fast: whether slopes along random directions were compared, not coordinates.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> report = nx.gradcheck(np.exp, np.ones(2), vjp=lambda ct, x: 2 * ct * np.exp(x))
        >>> bool(report), report.verdict, report.method, report.coordinates
        (False, 'fail', 'complex', 2)
        >>> report.reason
        'the gradient of inputs[0] is wrong'
    """

    verdict: Verdict
    max_error: float
    tolerance: float
    method: str
    order: int
    coordinates: int
    worst: Place | None
    reason: str
    detectable: float = math.inf
    why: str = ""
    kinks: tuple[Kink, ...] = ()
    names: tuple[str, ...] = ()
    fast: bool = False

    @property
    def passed(self) -> bool:
        """Whether the verdict is ``"pass"``."""
        return self.verdict == "pass"

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        lines = [
            f"gradcheck: {self.verdict.upper()}: {self.reason}",
            f"  order {self.order}, {self.method} step, {self.coordinates} derivatives",
            f"  {self.method}, because {self.why}",
            f"  largest error {self.max_error:.1e} of the gradient's largest entry, "
            f"limit {self.tolerance:.1e}; one of {self.detectable:.1e} would have been caught",
        ]
        if self.worst is not None:
            which, index, ours, theirs = self.worst
            where = f"direction {index[0]}" if self.fast else f"{self.names[which]}{list(index)}"
            lines.append(
                f"  farthest apart at {where}: gradient {ours:.17g}, difference {theirs:.17g}"
            )
        return "\n".join([*lines, *(f"  {kink}" for kink in self.kinks[:8])])
