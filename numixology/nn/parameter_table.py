"""The table of a module's parameters."""

from typing import NamedTuple

from ..array import Shape
from ..notebook import table_html
from ..text import columns

__all__ = ["ParameterRow", "ParameterTable"]


class ParameterRow(NamedTuple):
    """One parameter of a module: its name, shape, count, and share of all in percent.

    Attributes:
        name: its dotted name.
        shape: the lengths of its axes.
        count: how many numbers it has.
        share: that count in percent of the module's.

    Source: guide, Parameter Distribution.

    Example:
        >>> import numixology as nx
        >>> row = nx.nn.Linear(3, 1, rng=0).parameter_table()[0]
        >>> row.name, row.shape, row.count, row.share
        ('weight', (1, 3), 3, 75.0)
    """

    name: str
    shape: Shape
    count: int  # type: ignore[assignment] # a tuple's method of that name is not needed here
    share: float


class ParameterTable(tuple[ParameterRow, ...]):
    """The parameters of a module; prints as an aligned table with three decimals of share.

    A tuple of :class:`.ParameterRow`, made by ``Module.parameter_table()``.

    Source: guide, Parameter Distribution.

    Example:
        >>> import numixology as nx
        >>> table = nx.nn.Linear(3, 1, rng=0).parameter_table()
        >>> table
        parameter  shape  count      share
        ---------  -----  -----  ---------
        weight     1 x 3      3   75.000 %
        bias       1          1   25.000 %
        total                 4  100.000 %
        >>> table.total
        4
    """

    __slots__ = ()

    @property
    def total(self) -> int:
        """The number of parameters of all rows."""
        return sum(row.count for row in self)

    def _columns(self) -> tuple[tuple[str, ...], list[tuple[str, ...]], str]:
        """Titles, rows and sides."""
        rows = [
            (row.name, " x ".join(map(str, row.shape)), f"{row.count:,}", f"{row.share:.3f} %")
            for row in self
        ]
        total = ("total", "", f"{self.total:,}", f"{100 if self else 0:.3f} %")
        return ("parameter", "shape", "count", "share"), [*rows, total], "<<>>"

    def __str__(self) -> str:
        return columns(*self._columns())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return table_html(*self._columns())
