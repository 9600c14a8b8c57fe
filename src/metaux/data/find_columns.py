"""What the columns of a table are: decided from training samples, and said."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from metaux.data.columns import (
    BOOLEANS,
    MARKS,
    Column,
    Columns,
    codes_of,
    day_of,
    is_missing,
    number_of,
    parts_of,
    pattern_of,
    unresolved,
    values_of,
)
from metaux.data.pixels import Array
from metaux.errors import InputError
from metaux.words import counted, few

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MOST_CATEGORIES = 1000
FEW_CATEGORIES = 20
"""A column of at most half as many different words is one of categories, however few rows there are."""


def learn_columns(
    frame: "DataFrame", rows: Array, primary: Array, separator: str = ","
) -> tuple[Columns, tuple[str, ...]]:
    """Decide from training samples what each column is and how it becomes numbers; return also what to say of that.

    A column is of numbers if most of its cells are, in one way of writing them; then all have to be.

    Args:
        frame: the training samples, tidy; the index says in words where each row stands.
        rows: where each stands in the whole table, int64 `[n]`.
        primary: the class of each, int64 `[n]`.
        separator: of columns in the file: where it is a semicolon, 1,234 is more than one and less than two.

    Raises:
        InputError: for a column of numbers with something else in it, or if no column says anything.

    >>> from pandas import DataFrame
    >>> table = DataFrame({"height": ["1.5", "2", "?"], "colour": ["red", "blue", "red"]}, dtype=object)
    >>> [column.features for column in learn_columns(table, np.arange(3), np.array([0, 1, 0]))[0]]
    [('height', 'height is missing'), ('colour = blue', 'colour = red')]
    """
    from pandas import factorize

    comma = any(_has_decimal_comma(cells, separator) for _, cells in frame.items())
    columns, why, settles = list[Column](), dict[str, str](), list[str]()
    seen: dict[bytes, str] = {}
    counts = list[str]()
    for name, cells in frame.items():
        column, reason = _learn(str(name), cells, comma)
        if not reason:
            values = codes_of(column, cells)
            # The same words in other ones are the same column: they are numbered as they come.
            ranks = factorize(values)[0] if column.kind == "category" else values
            if (twin := seen.setdefault(ranks.tobytes(), column.name)) != column.name:
                reason = f"the same as '{twin}'"
            elif column.kind == "number" and len(values) > 2 and (np.ptp(values - rows) == 0):
                if re.fullmatch(r"(column|Unnamed:) \d+", column.name):
                    reason = "without a name, it counts the rows"
                else:
                    counts.append(column.name)
            elif _settles(values, primary, column.kind == "category"):
                settles.append(column.name)
        if reason:
            column, why[column.name] = Column(column.name, "left out"), reason
        columns.append(column)
    if not any(column.features for column in columns):
        raise InputError(
            f"expected columns to learn from, found {_listed(why, 5) or 'none beside the labels'}; add features"
        )
    return tuple(columns), tuple(_told(columns, frame, why, settles, counts))


def _learn(name: str, cells: "Series[Any]", comma: bool) -> tuple[Column, str]:
    """Return what a column is, and why it is left out, if it is."""
    words = cells[~is_missing(cells)]
    present = cells[~is_missing(cells, words=False)]
    if not len(words):
        return Column(name), "empty"
    column = _numbers_of(name, present, comma) or _booleans_of(name, present) or _dates_of(name, present)
    if column is None or not len(present):
        different = sorted(words.unique())
        if len(different) == 1 and len(words) == len(cells):
            return Column(name), f"always '{different[0]}'"
        if len(different) > MOST_CATEGORIES or 2 * len(different) > max(len(words), FEW_CATEGORIES):
            return Column(name), f"{len(different):,} different words in {len(words):,} rows, such as '{words.iloc[0]}'"
        return Column(name, "category", (*[""] * (len(words) < len(cells)), *different)), ""
    values = values_of(column, cells)
    known = values[~np.isnan(values)]
    absent = len(known) < len(values)
    if known.min() == known.max() and not absent:
        return column, f"always '{present.iloc[0]}'"
    origin = known.min() if column.kind == "date" or unresolved(known[:, None]) else 0.0
    return replace(column, fill=float(np.median(known) - origin), indicator=absent, origin=float(origin)), ""


def _numbers_of(name: str, present: "Series[Any]", comma: bool) -> Column | None:
    """Return the column if most of its cells are numbers in one way of writing them."""
    if present.dtype == float:
        return Column(name)
    if present.dtype != object or not len(present):
        return None
    best, most = None, 0
    parts = parts_of(present)
    units = set(parts["unit"]) - {""}
    if len(units) > 1:
        return None
    numbers = parts["number"]
    # In a file with decimal commas, 1.234 is a thousand and more, and 1,234 is not.
    for decimal, thousands in sorted([(".", ""), *MARKS], key=lambda mark: comma and mark[0] == "."):
        found = int(numbers.str.fullmatch(pattern_of(decimal, thousands), case=False).sum())
        if found > most:
            best, most = Column(name, decimal=decimal, thousands=thousands, unit="".join(units)), found
        if found == len(numbers):
            break
    return best if 2 * most > len(present) else None


def _has_decimal_comma(cells: "Series[Any]", separator: str) -> bool:
    """Return whether a column can only be numbers with decimal commas; between semicolons, whether it can be."""
    if cells.dtype != object:
        return False
    present = cells[~is_missing(cells, words=False)]
    if not len(present) or not present.str.contains(",", regex=False).any():
        return False
    numbers = parts_of(present)["number"]
    if separator != ";" and numbers.str.fullmatch(pattern_of(".", ","), case=False).all():
        return False
    return any(numbers.str.fullmatch(pattern_of(",", mark), case=False).all() for mark in (".", " ", "'"))


def _booleans_of(name: str, present: "Series[Any]") -> Column | None:
    if present.dtype != object or not present.str.lower().isin(BOOLEANS).all():
        return None
    return Column(name, "boolean")


def _dates_of(name: str, present: "Series[Any]") -> Column | None:
    """Return the column if all its cells are dates of one form; of those that fit, the first with the month first."""
    import pandas as pd
    from pandas.tseries.api import guess_datetime_format

    if present.dtype != object:
        return Column(name, "date")
    if not present.str.fullmatch(r"(?=.*\d.*[-/.: ].*\d)[\w\s:/.,+\-]{5,40}").all():
        return None
    with warnings.catch_warnings(action="ignore"):
        guesses = [guess_datetime_format(cell, dayfirst=first) for first in (False, True) for cell in present[:20]]
        for form in dict.fromkeys([*filter(None, guesses), "ISO8601"]):
            if pd.to_datetime(present, format=form, errors="coerce", utc=True).notna().all():
                return Column(name, "date", format=form)
    return None


def _settles(values: Array, primary: Array, words: bool) -> bool:
    """Return whether a column alone says the class: each category, or each of as many intervals, has a single one."""
    if len(values) < 10 or len(np.unique(primary)) < 2 or np.isnan(values).any():
        return False
    order = np.lexsort((primary, values))
    values, primary = values[order], primary[order]
    same, other = values[1:] == values[:-1], primary[1:] != primary[:-1]
    if (same & other).any():
        return False
    return (words and 2 * len(np.unique(values)) <= len(values)) or other.sum() + 1 == len(np.unique(primary))


def _told(
    columns: Sequence[Column], frame: "DataFrame", why: Mapping[str, str], settles: Sequence[str], counts: Sequence[str]
) -> Iterator[str]:
    kinds = {"number": "of numbers", "boolean": "of yes or no", "date": "of dates", "category": "of categories"}
    named = {kind: [f"'{column.name}'" for column in columns if column.kind == kind] for kind in kinds}
    yield "columns " + "; ".join(f"{kinds[kind]}: {few(names)}" for kind, names in named.items() if names)
    if why:
        yield f"{counted(len(why), 'column')} left out: {_listed(why, 10)}"
    absent = {c.name: int(is_missing(frame[c.name], c.kind == "category").sum()) for c in columns if c.features}
    if any(absent.values()):
        found = [f"'{name}' {count:,}" for name, count in absent.items() if count]
        yield (
            f"{counted(sum(absent.values()), 'missing value')} ({few(found)}): a number becomes the median, with a "
            "further column that says so, and a missing category is one of its own"
        )
    for column in columns:
        cells = frame[column.name]
        if cells.dtype == object and (column.kind == "date" or column.thousands or column.unit):
            values = values_of(column, cells)
            # An example that is not written as the number that it is.
            plain = cells.map(number_of) if column.kind == "number" else np.nan
            for row in np.flatnonzero(~np.isnan(values) & (values != plain))[:1]:
                shown = day_of(values[row]) if column.kind == "date" else f"{values[row]:.15g}"
                how = f" ({column.format})" if column.format else ""
                yield f"column '{column.name}'{how}: '{cells.iloc[row]}' is read as {shown}"
        elif column.kind == "number" and column.origin:
            yield f"column '{column.name}': {column.origin:.16g} is subtracted, so that float32 tells its numbers apart"
    for name in counts:
        yield f"column '{name}' counts the rows; if it says nothing of a sample, leave it out (--ignore '{name}')"
    for name in settles:
        yield (
            f"column '{name}' alone settles the class of every training sample; if it is known only after the class, "
            f"leave it out (--ignore '{name}')"
        )


def _listed(why: Mapping[str, str], most: int) -> str:
    return few([f"'{name}' ({reason})" for name, reason in why.items()], most)
