"""The columns of a table: numbers as they are, words as one column per category; or a column of texts."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from metaux.data.pixels import LARGEST
from metaux.data.reader import RawData
from metaux.data.samples import Columns
from metaux.data.table import MISSING, is_missing
from metaux.data.texts import cut_off, encode
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame, Series

LARGEST_NUMBER = float(np.finfo(np.float32).max)


def read_cells(cells: "DataFrame", text: str | None, like: Preprocessing | None) -> RawData:
    """Return the inputs that columns of text hold.

    Args:
        cells: of a `Table`, without the columns that are no inputs.
        text: the column of texts, if there is one; then the others are not looked at.
        like: what a finished run takes; texts get its length, words its categories.
    """
    if text is not None:
        words = cells[text].tolist()
        length = like.channels if like is not None and like.kind == "text" else None
        return RawData(encode(words, length), "text", {}, notices=cut_off(words, length))
    columns = like.columns if like is not None and like.columns else find_columns(cells)
    return RawData(encode_columns(cells, columns), "table", {}, columns=columns)


def find_columns(cells: "DataFrame") -> Columns:
    """Decide which columns are numbers and which are categories, from all rows.

    A column is of numbers if most of its cells are; then all have to be. The categories of another one are the
    different words in it, sorted.

    Args:
        cells: text; the index says in words where each row stands.

    Raises:
        InputError: for a missing value, naming column and row, numbers that float32 can't tell apart, and words that
            are different in most rows.

    >>> from pandas import DataFrame
    >>> find_columns(DataFrame({"height": ["1.5", "2"], "colour": ["red", "red"]}))
    (('height',), ('colour', 'red'))
    """
    return tuple((str(name), *_categories(str(name), column)) for name, column in cells.items())


def encode_columns(cells: "DataFrame", columns: Columns) -> Tensor:
    """Return the table of numbers that a network takes.

    Args:
        cells: text, as for `find_columns`; columns that aren't among the `columns` are left out.
        columns: as `find_columns` returned them.

    Returns:
        float32 `[n, features]`: a feature per column of numbers, and one per category of the others, 0 or 1.

    Raises:
        InputError: for a missing or wrong value, an unknown category or a missing column.

    >>> from pandas import DataFrame
    >>> encode_columns(DataFrame({"height": ["1.5"], "colour": ["red"]}), (("height",), ("colour", "blue", "red")))
    tensor([[1.5000, 0.0000, 1.0000]])
    """
    import pandas as pd

    for name, *_ in columns:
        if name not in cells:
            raise InputError(f"expected the column '{name}', found {', '.join(map(str, cells)) or 'none'}; add it")
    width = sum(max(len(column) - 1, 1) for column in columns)
    if 4 * len(cells) * width > LARGEST:
        raise InputError(
            f"expected a table that fits in memory, found {len(cells)} rows of {width} features; leave out "
            "the columns of many categories"
        )
    table = np.zeros((len(cells), width), dtype=np.float32)
    start = 0
    for name, *categories in columns:
        column = cells[name]
        if categories:
            codes = pd.Index(categories).get_indexer(pd.Index(column))
            if (codes < 0).any():
                raise _unknown(name, column[codes < 0], categories)
            table[np.arange(len(cells)), start + codes] = 1
        else:
            table[:, start] = _all_numbers(name, column)
        start += max(len(categories), 1)
    return torch.from_numpy(table)


def check_resolution(table: "np.ndarray[Any, Any]", names: "Sequence[str]") -> None:
    """Raise `InputError` for a column of a table whose numbers float32 can hardly tell apart, such as times in seconds.

    Args:
        table: the numbers as they were given, `[n, columns]`.
        names: what to call each column.

    >>> check_resolution(np.array([[0.1], [0.2]]), ["height"])
    """
    low, high = table.min(0).astype(np.float64), table.max(0).astype(np.float64)
    largest = np.maximum(abs(low), abs(high))
    with np.errstate(over="ignore", invalid="ignore"):  # infinite and too large numbers are refused elsewhere
        spread, steps = high - low, 100 * np.spacing(largest.astype(np.float32))
    # A spread of less is the rounding of a constant.
    for column in np.flatnonzero((spread > 1e-12 * largest) & (spread < steps)).tolist():
        if (table[:, column] != table[:, column].astype(np.float32)).any():
            raise InputError(
                f"expected numbers that float32 can tell apart in {names[column]}, found {low[column]:.16g} to "
                f"{high[column]:.16g}; subtract the smallest of them, or leave the column out"
            )


def _categories(name: str, column: "Series[str]") -> list[str]:
    """Return the categories of a column, none if it is one of numbers."""
    numbers = _numbers(column)
    words = numbers.isna() & ~column.str.lower().isin(MISSING)
    if numbers.count() > words.sum():
        check_resolution(numbers.dropna().to_numpy()[:, None], [f"column '{name}'"])
        return []
    missing = column[column.map(is_missing)]
    if len(missing):
        raise _missing(name, missing)
    categories = sorted(column.unique())
    if 2 * len(categories) > len(column) > 1:
        raise InputError(
            f"expected numbers or categories in column '{name}', found {len(categories)} different words in "
            f"{len(column)} rows ('{column.iloc[0]}', '{column.iloc[1]}', ...); leave the column out, or call it file "
            "(of images) or text"
        )
    return categories


def _numbers(column: "Series[str]") -> "Series[float]":
    return column.map(_number).astype(float)


def _number(cell: str) -> float:
    """Return the finite number that a cell is, NaN for anything else (Python reads 1_000 as one: a table doesn't)."""
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and "_" not in cell else math.nan


def _all_numbers(name: str, column: "Series[str]") -> "Series[float]":
    values = _numbers(column)
    wrong = column[~(values.abs() <= LARGEST_NUMBER)]
    if len(wrong):
        if wrong.iloc[0].lower() in MISSING:
            raise _missing(name, wrong)
        raise InputError(
            f"expected a number in column '{name}', found '{wrong.iloc[0]}' in {wrong.index[0]}; correct it, or make "
            "the whole column words"
        )
    return values


def _missing(name: str, cells: "Series[str]") -> InputError:
    found = repr(cells.iloc[0]) if cells.iloc[0] else "none"
    return InputError(
        f"expected a value in column '{name}', found {found} in {cells.index[0]}; fill it in, or leave out the row or "
        "the column"
    )


def _unknown(name: str, cells: "Series[str]", categories: "Sequence[str]") -> InputError:
    if not cells.iloc[0]:
        return _missing(name, cells)
    known = ", ".join(categories[:5]) + (", ..." if len(categories) > 5 else "")
    return InputError(
        f"expected one of the run's categories ({known}) in column '{name}', found '{cells.iloc[0]}' in "
        f"{cells.index[0]}; leave out the row, or train anew with it"
    )
