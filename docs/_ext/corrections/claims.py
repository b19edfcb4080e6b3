"""What the guide claims, and how a claim is judged: by what the code finds, never by a word.

A claim comes with a function that runs the code. It returns evidence: pairs of what the guide says
and what was found. Where all pairs agree, the claim is right; where one does not, the claim has the
fault that it would then have.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

from numixology.errors import ShapeError

__all__ = ["Claim", "Evidence", "Finding", "Value", "Verdict", "refused"]

#: What can be said of a claim.
Verdict: TypeAlias = Literal["right", "wrong", "omission", "ambiguous", "misleading", "differs"]

#: What can be found: values that are equal or not, without any tolerance.
Value: TypeAlias = (
    "bool | int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]"
)


class Evidence(NamedTuple):
    """One thing that the guide says, beside what the running code finds.

    Attributes:
        what: what was looked at.
        guide: what the guide says of it.
        found: what the code does, rounded as the guide rounds.
    """

    what: str
    guide: Value
    found: Value

    @property
    def agrees(self) -> bool:
        """Whether the two are equal."""
        return self.guide == self.found


class Finding(NamedTuple):
    """What a check found.

    Attributes:
        truth: what is true, in a sentence or two, with the numbers that were found.
        evidence: what the guide says beside what was found.
    """

    truth: str
    evidence: tuple[Evidence, ...]


class Claim(NamedTuple):
    """Something that the guide says.

    `figures` are drawn on `page`. `fault` is what the claim suffers from if the evidence does not
    agree with it.
    """

    name: str
    section: str
    says: str
    check: Callable[[], Finding]
    page: str
    figures: tuple[str, ...] = ()
    fault: Verdict = "wrong"

    def verdict(self, evidence: tuple[Evidence, ...]) -> Verdict:
        """``"right"`` where all evidence agrees."""
        return "right" if all(one.agrees for one in evidence) else self.fault


def refused(fn: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a call is an error of shapes."""
    try:
        fn(*arguments)
    except ShapeError:
        return True
    return False
