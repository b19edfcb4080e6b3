"""What an entry of the dictionary is, and how its tables are read."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from inspect import signature
from typing import Any, NamedTuple, TypeAlias

from ....array import ignoring_fp_errors
from ..formats import FORMATS, format_of
from ..textbook import Textbook

__all__ = ["Bug", "Override", "Row", "each", "in_formats", "table"]

#: What takes the place of a step: a function of the textbook, the step as it should be, and the
#: step's arguments.
Override: TypeAlias = Callable[..., Any]
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
        >>> conform(bug.make("float32"), stages=["gelu"], seeds=1, quick=True).verdict
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

    def make(self, dtype: str = "float64", accumulation: str | None = None) -> Textbook:
        """A backend that has this bug, and no other.

        Args:
            dtype: a key of :data:`.FORMATS`.
            accumulation: the dtype in which sums are formed; by default the format's wide one.

        Returns:
            An adapter.
        """
        return self.kind(dtype, accumulation)


def table(family: str, rows: Sequence[Row]) -> list[Bug]:
    """The bugs of a table.

    A heading is the stages where the bugs below it show first, with spaces between, and the step of
    the textbook that they get wrong; and perhaps what makes an override of what stands in a row. A
    bug is its name, an override, or several in a dict by their steps, and its description, where
    the name does not say all; and perhaps the formats in which it is one, and that it is "noisy" or
    "unsteady".

    Args:
        family: the module that it is in.
        rows: headings, each with its bugs below it.
    """
    bugs = []
    for first, second, *more in rows:
        if isinstance(second, str):
            stages, step, wrap = tuple(first.split()), second, more[0] if more else lambda x: x
            continue
        steps = second if isinstance(second, dict) else {step: wrap(second)}
        methods = {name: _method(getattr(Textbook, name), how) for name, how in steps.items()}
        kind = type(first, (Textbook,), {"name": first, **methods})
        formats = tuple(word for word in more if word in FORMATS) or tuple(FORMATS)
        noisy, unsteady = "noisy" in more, "unsteady" in more
        said = [text for text in more if text not in (*FORMATS, "noisy", "unsteady")]
        description = said[0] if said else first.replace("-", " ")
        bugs.append(Bug(first, description, family, stages, kind, formats, noisy, unsteady))
    return bugs


def _method(right: Callable[..., Any], override: Override) -> Callable[..., Any]:
    arguments = signature(right)

    def method(self: Textbook, *args: Any, **named: Any) -> Any:
        bound = arguments.bind(self, *args, **named)
        bound.apply_defaults()
        with ignoring_fp_errors():
            return override(self, partial(right, self), *bound.args[1:])

    return method


def each(rows: Iterable[Row], *words: str) -> list[Row]:
    """Rows in whose names and descriptions words take the places of ``{0}``, ``{1}`` ..."""
    return [(n.format(*words), how, *(s.format(*words) for s in more)) for n, how, *more in rows]


def in_formats(
    name: str, how: Any, *more: str, kinds: Iterable[str] = ("bfloat16", "float16")
) -> list[Row]:
    """A row for each of some formats, by which ``how`` makes overrides.

    It is a bug in the formats that have more digits.
    """
    rows = []
    for kind in kinds:
        digits = 11 if kind == "tf32" else format_of(kind).digits
        finer = [one.name for one in FORMATS.values() if one.digits > digits]
        rows += each([(name, how(kind), *more, *finer)], kind)
    return rows
