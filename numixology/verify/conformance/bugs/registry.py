"""The dictionary of known bugs: what each is called, what it does, and where it shows first."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeVar

from ....errors import ArgumentError
from ..formats import FORMATS
from ..stages import stage_of
from ..textbook import Textbook

__all__ = ["BUGS", "Bug", "bugs_of", "known", "named"]

K = TypeVar("K", bound=type[Textbook])


class Bug(NamedTuple):
    """A mistake that kernels have been seen to make.

    Attributes:
        name: in kebab-case.
        description: one sentence, as the author of a kernel would say it.
        family: the module that it is in.
        stages: where it shows first.
        kind: the textbook with that mistake.
        dtypes: the formats in which it is one; keeping a sum in float32 is a mistake for a
            float64 backend only.
        noisy: what it does to a result is rounding, which depends on the order of summation.
        unsteady: it says something else every time.

    Example:
        >>> from numixology.verify.conformance import BUGS, conform
        >>> bug = BUGS["tanh-for-erf"]
        >>> bug.stages, bug.description
        (('gelu',), 'GELU is computed in the form with tanh')
        >>> conform(bug.make("float32"), stages=["gelu"], seeds=1).verdict
        'fail'
    """

    name: str
    description: str
    family: str
    stages: tuple[str, ...]
    kind: type[Textbook]
    dtypes: tuple[str, ...]
    noisy: bool
    unsteady: bool

    def make(
        self, dtype: str = "float64", accumulation: str | None = None, order: int | None = None
    ) -> Textbook:
        """A backend that has this bug, and no other.

        Args:
            dtype: a key of :data:`.FORMATS`.
            accumulation: the dtype in which sums are formed; by default the format's wide one.
            order: a seed for the order of summation, or None for the natural one.

        Returns:
            An adapter.
        """
        return self.kind(dtype, accumulation, order)


#: Every known bug by its name.
BUGS: dict[str, Bug] = {}


def known(
    *stages: str,
    dtypes: Sequence[str] = tuple(FORMATS),
    noisy: bool = False,
    unsteady: bool = False,
) -> Callable[[K], K]:
    """Enter a variation of the textbook: its name and its docstring say what the bug is.

    Args:
        *stages: where it shows first.
        dtypes: see :class:`Bug`.
        noisy: see :class:`Bug`.
        unsteady: see :class:`Bug`.

    Returns:
        A decorator, which returns the class.

    Raises:
        ArgumentError: two bugs of one name, or no such stage.
    """

    def enter(kind: K) -> K:
        name, description = named(kind, BUGS)
        BUGS[name] = Bug(
            name,
            description,
            kind.__module__.rpartition(".")[2],
            tuple(stage_of(stage).name for stage in stages),
            kind,
            tuple(dtypes),
            noisy,
            unsteady,
        )
        return kind

    return enter


def named(kind: type[Textbook], others: Collection[str]) -> tuple[str, str]:
    """A name and a description for a variation, from the name and the docstring of its class.

    Raises:
        ArgumentError: there is one of that name.
    """
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", kind.__name__).lower()
    if name in others:
        raise ArgumentError(
            "each variation has a name of its own", name, "call one of the two otherwise"
        )
    kind.name = name
    text = " ".join((kind.__doc__ or name.replace("-", " ")).split()).rstrip(".")
    capital = text.split()[0][1:].islower()  # of a sentence, not of a name like SiLU
    return name, text[0].lower() + text[1:] if capital else text


def bugs_of(stage: str, dtype: str = "float64") -> list[Bug]:
    """The bugs that show first at a stage, in that format."""
    return [bug for bug in BUGS.values() if stage in bug.stages and dtype in bug.dtypes]
