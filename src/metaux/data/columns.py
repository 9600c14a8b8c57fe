"""The columns of a table: numbers as they are, words as one column per category."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metaux.data.images import LARGEST
from metaux.data.samples import Columns
from metaux.errors import InputError

LARGEST_NUMBER = float(np.finfo(np.float32).max)
MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?"))


def find_columns(cells: Mapping[str, Sequence[str]], places: Sequence[str]) -> Columns:
    """Decide which columns are numbers and which are categories, from all rows.

    A column is of numbers if most of its cells are; then all have to be. The categories of another one are the
    different words in it, sorted.

    Args:
        cells: the cells of each column, by its name.
        places: what to call each row in errors.

    Raises:
        InputError: for a missing or wrong value, naming column and row, numbers that float32 can't tell apart, and
            words that are different in most rows.

    >>> find_columns({"height": ["1.5", "2"], "colour": ["red", "red"]}, ["line 2", "line 3"])
    (('height',), ('colour', 'red'))
    """
    found: list[tuple[str, ...]] = []
    for name, column in cells.items():
        numbers = [number for cell in column if (number := _number(cell)) is not None]
        words = sum(_number(cell) is None and cell.lower() not in MISSING for cell in column)
        if len(numbers) > words:
            check_resolution(np.array(numbers)[:, None], [f"column '{name}'"])
            found.append((name,))
            continue
        for place, cell in zip(places, column, strict=True):
            if is_missing(cell):
                raise _missing(name, place, cell)
        categories = sorted(set(column))
        if 2 * len(categories) > len(column) > 1:
            raise InputError(
                f"expected numbers or categories in column '{name}', found {len(categories)} different words in "
                f"{len(column)} rows ('{column[0]}', '{column[1]}', ...); leave the column out, or call it file (of "
                "images) or text"
            )
        found.append((name, *categories))
    return tuple(found)


def encode_columns(cells: Mapping[str, Sequence[str]], columns: Columns, places: Sequence[str]) -> Tensor:
    """Return the table of numbers that a network takes.

    Args:
        cells: the cells of each column, by its name; those that aren't among the columns are left out.
        columns: as `find_columns` returned them.
        places: what to call each row in errors.

    Returns:
        float32 `[n, features]`: a feature per column of numbers, and one per category of the others, 0 or 1.

    Raises:
        InputError: for a missing or wrong value, an unknown category or a missing column.

    >>> encode_columns({"height": ["1.5"], "colour": ["red"]}, (("height",), ("colour", "blue", "red")), ["row 0"])
    tensor([[1.5000, 0.0000, 1.0000]])
    """
    for name, *_ in columns:
        if name not in cells:
            raise InputError(f"expected the column '{name}', found {', '.join(cells) or 'none'}; add it")
    width = sum(max(len(column) - 1, 1) for column in columns)
    if 4 * len(places) * width > LARGEST:
        raise InputError(
            f"expected a table that fits in memory, found {len(places)} rows of {width} features; leave out "
            "the columns of many categories"
        )
    table = np.zeros((len(places), width), dtype=np.float32)
    start = 0
    for name, *categories in columns:
        if categories:
            number = {category: index for index, category in enumerate(categories)}
            for row, (place, cell) in enumerate(zip(places, cells[name], strict=True)):
                if cell not in number:
                    raise _missing(name, place, cell) if not cell else _unknown(name, place, cell, categories)
                table[row, start + number[cell]] = 1
        else:
            table[:, start] = _numbers(name, cells[name], places)
        start += max(len(categories), 1)
    return torch.from_numpy(table)


def check_resolution(table: "np.ndarray[Any, Any]", names: Sequence[str]) -> None:
    """Raise `InputError` for a column of a table whose numbers float32 can hardly tell apart, such as times in seconds.

    Args:
        table: the numbers as they were given, `[n, columns]`.
        names: what to call each column.

    >>> check_resolution(np.array([[0.1], [0.2]]), ["height"])
    """
    low, high = table.min(0).astype(np.float64), table.max(0).astype(np.float64)
    largest = np.maximum(abs(low), abs(high))
    with np.errstate(over="ignore", invalid="ignore"):  # infinite and too large numbers are told of elsewhere
        spread, steps = high - low, 100 * np.spacing(largest.astype(np.float32))
    # A spread of less is the rounding of a constant.
    for column in np.flatnonzero((spread > 1e-12 * largest) & (spread < steps)).tolist():
        if (table[:, column] != table[:, column].astype(np.float32)).any():
            raise InputError(
                f"expected numbers that float32 can tell apart in {names[column]}, found {low[column]:.16g} to "
                f"{high[column]:.16g}; subtract the smallest of them, or leave the column out"
            )


def is_missing(cell: str) -> bool:
    """Return whether a word says that there is no value; `none` does not, it may be a kind of something.

    >>> [is_missing(cell) for cell in ("", "NA", "none", "0")]
    [True, True, False, False]
    """
    return cell.lower() in MISSING and cell.lower() != "none"


def _numbers(name: str, cells: Sequence[str], places: Sequence[str]) -> list[float]:
    values = []
    for place, cell in zip(places, cells, strict=True):
        value = _number(cell)
        if value is None or abs(value) > LARGEST_NUMBER:
            if cell.lower() in MISSING:
                raise _missing(name, place, cell)
            raise InputError(
                f"expected a number in column '{name}', found '{cell}' in {place}; correct it, or make the whole "
                "column words"
            )
        values.append(value)
    return values


def _number(cell: str) -> float | None:
    """Return the finite number that a cell is, None for anything else (Python reads 1_000 as one: a table doesn't)."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in cell else None


def _missing(name: str, place: str, cell: str) -> InputError:
    return InputError(
        f"expected a value in column '{name}', found {repr(cell) if cell else 'none'} in {place}; fill it in, or leave "
        "out the row or the column"
    )


def _unknown(name: str, place: str, cell: str, categories: Sequence[str]) -> InputError:
    known = ", ".join(categories[:5]) + (", ..." if len(categories) > 5 else "")
    return InputError(
        f"expected one of the run's categories ({known}) in column '{name}', found '{cell}' in {place}; leave out the "
        "row, or train anew with it"
    )
