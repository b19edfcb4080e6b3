"""What an entry of the dictionary is, and how its tables are read."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from ..formats import FORMATS
from ..textbook import Textbook

__all__ = ["Bug", "Override", "Row", "but", "table", "variation"]

#: What takes the place of a step: a function of the textbook, the step as it should be, and the
#: step's arguments; or several, by the names of their steps.
Override: TypeAlias = Callable[..., Any] | dict[str, Callable[..., Any]]
#: A name, a description, an override, and the formats in which it is a bug, if not in all.
Row: TypeAlias = tuple[Any, ...]


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
    dtypes: tuple[str, ...] = tuple(FORMATS)
    noisy: bool = False
    unsteady: bool = False

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


def but(*without: str) -> tuple[str, ...]:
    """Every format but these."""
    return tuple(name for name in FORMATS if name not in without)


def table(
    family: str,
    stages: str,
    step: str,
    rows: Sequence[Row],
    *,
    wrap: Callable[..., Override] | None = None,
    base: type[Textbook] = Textbook,
    noisy: bool = False,
    unsteady: bool = False,
) -> list[Bug]:
    """The bugs of a table.

    Args:
        family: the module that it is in.
        stages: where they show first, with spaces between.
        step: the step of the textbook that they get wrong.
        rows: a name, a description, an override, and formats if it is no bug in every one.
        wrap: what makes the override of what stands in its place in a row.
        base: what they are variations of.
        noisy: see :class:`Bug`.
        unsteady: see :class:`Bug`.
    """
    bugs = []
    for name, description, override, *dtypes in rows:
        wrapped = wrap(override) if wrap else override
        steps = wrapped if isinstance(wrapped, dict) else {step: wrapped}
        kind = variation(name, steps, base)
        formats = tuple(dtypes) or tuple(FORMATS)
        bugs.append(
            Bug(name, description, family, tuple(stages.split()), kind, formats, noisy, unsteady)
        )
    return bugs


def variation(
    name: str, steps: dict[str, Callable[..., Any]], base: type[Textbook] = Textbook
) -> type[Textbook]:
    """A textbook of that name, some steps of which are overridden."""
    methods = {step: _method(getattr(base, step), override) for step, override in steps.items()}
    return type(name, (base,), {"name": name, **methods})


def _method(right: Callable[..., Any], override: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Textbook, *args: Any, **named: Any) -> Any:
        return override(self, partial(right, self), *args, **named)

    return method
