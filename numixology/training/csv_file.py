"""A feature table from a CSV file."""

import csv
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..array import Array
from ..errors import ArgumentError
from ..text import counted
from .table import FeatureTable

__all__ = ["read_csv"]

#: A column with more different numbers than this is numeric.
_FEW = 10


def read_csv(
    path: str | os.PathLike[str], target: str, *, categorical: Sequence[str] = ()
) -> FeatureTable:
    r"""A table from a CSV file whose first line has the names of the columns.

    A column of more than 10 different numbers is numeric; what is missing or not finite in it is
    put at the mean. Every other column is categorical, and what is missing is one more category.
    Ids that are numbers have to be named, to be categories.

    Args:
        path: the file, in UTF-8.
        target: the name of a column of two labels, of which the last, as numbers or else by their
            spelling, counts as 1.
        categorical: the names of columns that are categorical although they are numbers.

    Returns:
        The table of all other columns.

    Raises:
        ArgumentError: the file cannot be read, or its rows are not equally long; no column has that
            name or one of those in ``categorical``, or it has not two labels, or there is no other
            column.

    Example:
        >>> import pathlib, tempfile
        >>> import numixology as nx
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "clicks.csv")
        ...     _ = path.write_text("site,price,click\na,1.5,no\nb,2.0,yes\na,,no\n")
        ...     table = nx.training.read_csv(path, target="click")
        >>> table.names, table.ids.tolist(), table.target.tolist()
        (('site', 'price'), [[0, 3], [1, 4], [0, 2]], [0.0, 1.0, 0.0])
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            lines = [(reader.line_num, row) for row in reader if row]
    except (OSError, ValueError, csv.Error) as error:
        got = getattr(error, "strerror", None) or str(error)
        invariant = f"{path} must be a CSV file in UTF-8"
        raise ArgumentError(invariant, got, "look at it, or choose another") from error
    if not lines:
        raise ArgumentError(f"{path} has a line of names", "an empty file", "choose another")
    (_, header), *rows = lines
    if len({*header}) < len(header):
        raise ArgumentError("columns have different names", ", ".join(header), "rename them")
    for line, row in rows:
        if len(row) != len(header):
            invariant = f"every row of {path} has {len(header)} entries"
            got, instead = f"{len(row)} in line {line}", "fill it up, or quote commas"
            raise ArgumentError(invariant, got, instead)
    if len(header) == 1:
        invariant, instead = f"{path} has several columns", "separate them by commas"
        raise ArgumentError(invariant, repr(header[0]), instead)
    if target not in header:
        names = ", ".join(header)
        invariant = "the target is one of several columns"
        raise ArgumentError(invariant, repr(target), f"choose one of {names}")
    if unknown := {*categorical} - {*header}:
        got = ", ".join(sorted(unknown))
        raise ArgumentError("categorical columns are in the file", got, "choose from its columns")
    columns = [[row[i] for _, row in rows] for i in range(len(header))]
    marks = _labels(columns[header.index(target)])
    labels = sorted({*marks})
    if len(labels) != 2:
        got = ", ".join([counted(len(labels), "label"), *map(str, labels[:5])])
        instead = "choose another column, or give every row one of two labels"
        raise ArgumentError(f"{target} has two labels", got, instead)
    ids_of: dict[str, Array] = {}
    numeric: dict[str, Array] = {}
    known = 0
    for name, column in zip(header, columns, strict=True):
        if name == target:
            continue
        if name not in categorical and (values := _numbers(column)) is not None:
            numeric[name] = values
        else:
            categories, places = np.unique(column, return_inverse=True)
            ids_of[name], known = places + known, known + len(categories)
    ids, numbers = (
        np.stack([*part.values()], axis=1) if part else np.zeros((len(rows), 0), dtype)
        for part, dtype in ((ids_of, int), (numeric, float))
    )
    positive = np.array([1.0 * (mark == labels[1]) for mark in marks])
    return FeatureTable((*ids_of, *numeric), ids, numbers, positive)


def _labels(column: Sequence[str]) -> Sequence[Any]:
    """Numbers, or where some are none what is written."""
    try:
        numbers = [float(entry) for entry in column]
    except ValueError:
        return column
    return column if any(map(math.isnan, numbers)) else numbers


def _numbers(column: Sequence[str]) -> Array | None:
    """A numeric column, of mean 0 and standard deviation 1; None for one that is categorical."""
    try:
        numbers = np.array([float(entry or "nan") for entry in column])
    except ValueError:
        return None
    finite = np.isfinite(numbers)
    if len({*numbers[finite]}) <= _FEW:
        return None
    numbers /= np.abs(numbers[finite]).max()  # so that no square leaves the range
    numbers -= numbers[finite].mean()
    return np.where(finite, numbers / numbers[finite].std(), 0.0)
