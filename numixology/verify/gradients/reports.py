"""What a gradient check says: a verdict, figures, and where the gradient is farthest off.

How all reports become JSON is here too.
"""

import math
import textwrap
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

from ...errors import EXIT_CODES
from ...notebook import report_html
from ...text import for_json

__all__ = ["GradcheckReport", "Kink", "Place", "Verdict"]


_WIDTH = 80
#: How many kinks are printed one by one, and how many inputs by name.
_KINKS, _NAMES = 8, 3
_GIVERS = {"tape": "numixology's tape", "vjp": "vjp"}

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
        max_error: how far the gradient is from the slopes at most, relative to the largest entry of
            that input's gradient; where it is wrong, how far there. In fast mode relative to the
            Euclidean norm of all.
        tolerance: the limit on it.
        method: ``"complex"`` or ``"central"``.
        order: 1, or 2 for the gradient of the gradient.
        coordinates: how many derivatives were compared.
        worst: input, index, gradient and slope where their distance is the largest multiple of its
            limit. Both are of the outputs' sum with random weights, not of one output.
        reason: why the verdict is what it is, in a sentence.
        detectable: the smallest error of one entry, relative as above, that this check was sure
            to catch in every input. It means something only where the check passed.
        why: why that method.
        kinks: where the function has two slopes: input, index, both slopes and the gradient.
        names: what the report calls each input: the name of the argument or parameter.
        fast: whether slopes along random directions were compared, not coordinates.
        gradient: whose gradient it was: ``"tape"``, or ``"vjp"`` where one was given.
        differentiated: which inputs were moved; those that are not floating-point, or for which the
            vjp returns None, stay fixed.
        by_input: ``detectable`` of each input that was moved.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> report = nx.gradcheck(np.exp, np.ones(2), vjp=lambda ct, x: 2 * ct * np.exp(x))
        >>> bool(report), report.verdict, report.method, report.coordinates
        (False, 'fail', 'complex', 2)
        >>> report.reason
        'the gradient of x is wrong; it is 2 times as large as it should be'
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
    gradient: Literal["tape", "vjp"] = "tape"
    differentiated: tuple[int, ...] = ()
    by_input: tuple[float, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the verdict is ``"pass"``."""
        return self.verdict == "pass"

    @property
    def exit_code(self) -> int:
        """0 for a pass, 1 for a failure, 3 if nothing was proved."""
        return EXIT_CODES[self.verdict]

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return report_html(self)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, for JSON, which has no NaN and no infinity: they are words."""
        return {"passed": self.passed, **for_json(self)}

    def __str__(self) -> str:
        return "\n".join(
            textwrap.fill(line, _WIDTH, subsequent_indent="    ", break_on_hyphens=False)
            for line in self._lines()
        )

    def _lines(self) -> Iterator[str]:
        """The verdict, where it was decided, how exact it is, and what was done."""
        yield f"gradcheck: {self.verdict.upper()}: {self.reason}"
        if self.worst is not None:
            yield from self._figures(*self.worst)
        yield f"  checked: what {_GIVERS[self.gradient]} returns, {self._what()}"
        if self.worst is None:
            yield "  nothing was compared"
            return
        yield f"  by {self.method} steps, because {self.why}"
        yield from (f"  {kink}" for kink in self.kinks[:_KINKS])
        if len(self.kinks) > _KINKS:
            yield f"  and {len(self.kinks) - _KINKS} more are at a kink"

    def _figures(
        self, which: int, index: tuple[int, ...], ours: float, theirs: float
    ) -> Iterator[str]:
        if self.passed:
            caught = f"  an error of {self.detectable:.1e} would have been caught"
            inputs = [self.names[i] for i in self.differentiated]
            if 1 < len(self.by_input) <= _NAMES and len(set(self.by_input)) > 1:
                each = zip(inputs, self.by_input, strict=True)
                caught += f" ({', '.join(f'{name}: {one:.1e}' for name, one in each)})"
            yield caught
        else:
            place = f"{list(index)}" if index else ""
            where = f"direction {index[0]}" if self.fast else f"{self.names[which]}{place}"
            yield f"  farthest apart at {where}, outputs weighted at random:"
            yield f"    gradient {ours:.17g}"
            yield f"    slope    {theirs:.17g}"
            ratio = f"{ours / theirs:.6g}" if theirs else "nan"
            if self.verdict == "fail" and ratio not in ("1", "nan", "inf", "-inf"):
                yield f"    ratio    {ratio}"
        scale = "gradient's norm" if self.fast else "gradient's largest entry"
        which_error = "error there" if self.verdict == "fail" else "largest error"
        yield f"  {which_error} {self.max_error:.1e} of the {scale}, limit {self.tolerance:.1e}"

    def _what(self) -> str:
        """How many derivatives of what order, by which inputs, and which ones stood still."""
        named = [self.names[which] for which in self.differentiated]
        by = ", ".join(named) if len(named) <= _NAMES else f"{len(named)} inputs"
        count = f"{self.coordinates} {'directions' if self.fast else 'derivatives'}"
        still = [name for which, name in enumerate(self.names) if which not in self.differentiated]
        fixed = f"; not differentiated: {', '.join(still)}" if still else ""
        return f"order {self.order}, {count} by {by}{fixed}"
