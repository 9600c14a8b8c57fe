"""The columns of a table: what is learned of each from training samples, and the numbers that a network takes of it."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from metaux.data.pixels import LARGEST, Array
from metaux.errors import InputError
from metaux.words import counted, few

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MISSING = frozenset(
    ("", "na", "n/a", "nan", "-nan", "null", "none", "?", "#n/a", "#na", "#n/a n/a", "<na>", "nil", "-", "--", ".")
)
"""What people write, in any case, where there is no value; among words `none` is one (a kind of something)."""
BOOLEANS = {"true": 1.0, "yes": 1.0, "t": 1.0, "y": 1.0, "false": 0.0, "no": 0.0, "f": 0.0, "n": 0.0}
MOST_CATEGORIES = 1000
FEW_CATEGORIES = 20
"""A column of at most half as many different words is one of categories, however few rows there are."""
LARGEST_NUMBER = float(np.finfo(np.float32).max)
# A currency before or after a number, or a percent sign after it.
_CURRENCY = r"[$€£¥₹₽₩₺₴]|R\$|USD|EUR|GBP|CHF|JPY|CNY|INR|kr|zł"
_UNIT = re.compile(rf"(?P<sign>[+\-−]?)\s*(?P<before>{_CURRENCY})?\s*(?P<number>.*?)\s*(?P<after>{_CURRENCY}|%)?")
_PLAIN = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
# (decimal mark, mark of thousands), in the order in which they are tried.
_MARKS = ((".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))


@dataclass(frozen=True)
class Column:
    """A column, as it was on the training samples.

    Args:
        name: as in the table.
        kind: what its cells are; `left out` gives no feature.
        categories: the different words in it, sorted; the empty one stands for a missing value.
        fill: the number in place of a missing one: the median.
        indicator: a further feature is 1 where the value was missing.
        origin: is subtracted from every number; of dates, which are counted in days since 1970, the earliest.
        decimal: the decimal mark.
        thousands: the mark of thousands.
        unit: a currency or per cent, which is not looked at.
        format: of dates, as `strptime` has it.
    """

    name: str
    kind: Literal["number", "boolean", "date", "category", "left out"] = "number"
    categories: tuple[str, ...] = ()
    fill: float = 0.0
    indicator: bool = False
    origin: float = 0.0
    decimal: str = "."
    thousands: str = ""
    unit: str = ""
    format: str = ""

    @classmethod
    def of(cls, value: Any) -> "Column":
        """Return the column that JSON holds; of a run of an earlier version, name and categories alone."""
        if isinstance(value, Mapping):
            return cls(**{**value, "categories": tuple(value.get("categories", ()))})
        name, *categories = value
        return cls(name, "category" if categories else "number", tuple(categories))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON types, without what is at its default; `of` reads it back."""
        values = {
            field.name: getattr(self, field.name)
            for field in fields(self)[2:]
            if getattr(self, field.name) != field.default
        }
        return {"name": self.name, "kind": self.kind, **values}

    @property
    def features(self) -> tuple[str, ...]:
        """What each of its features is.

        >>> Column("colour", "category", ("", "red")).features, Column("height", indicator=True).features
        (('colour is missing', 'colour = red'), ('height', 'height is missing'))
        """
        missing = f"{self.name} is missing"
        if self.kind == "category":
            return tuple(f"{self.name} = {category}" if category else missing for category in self.categories)
        return () if self.kind == "left out" else (self.name, missing) if self.indicator else (self.name,)

    def show(self, features: Sequence[float]) -> str:
        """Return a cell from its features: a number, or the category whose feature is 1.

        >>> Column("colour", "category", ("blue", "red")).show([0.0, 1.0])
        'red'
        """
        if self.kind == "category":
            return self.categories[int(np.argmax(features))] if max(features) > 0 else "other"
        if self.indicator and features[1]:
            return ""
        value = features[0] + self.origin
        return _day(value) if self.kind == "date" else f"{value:g}"


Columns = tuple[Column, ...]


def tidy(frame: "DataFrame") -> "DataFrame":
    """Return a table of three types alone: float64, datetimes, and else stripped text, empty where nothing was."""
    import pandas as pd

    def plain(cells: "Series[Any]") -> "Series[Any]":
        kind = pd.api.types.infer_dtype(cells, skipna=True)
        if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
            return pd.to_numeric(cells).astype("Float64").astype(float) if kind != "decimal" else cells.astype(float)
        if kind in ("datetime64", "datetime", "date"):
            return pd.to_datetime(cells, utc=True, errors="coerce").dt.tz_localize(None)
        if kind == "categorical":
            return plain(cells.astype(object))
        return cells.astype(object).where(cells.notna(), "").map(lambda cell: str(cell).strip()).astype(object)

    return pd.DataFrame({str(name): plain(cells) for name, cells in frame.items()}, index=frame.index)


def is_missing(cells: "Series[Any]", words: bool = True) -> "Series[bool]":
    """Return where a tidy column has no value; of `words`, none is one."""
    if cells.dtype != object:
        return cells.isna()
    lower = cells.str.lower()
    return lower.isin(MISSING) & ~(lower.eq("none") & words)


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
            values = _codes(column, cells)
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


def encode_columns(frame: "DataFrame", columns: Columns, new: Array | None = None) -> tuple[Tensor, tuple[str, ...]]:
    """Return the table of numbers that a network takes, and what to say of new rows.

    Args:
        frame: tidy; columns that aren't among the `columns` are not looked at.
        columns: as `learn_columns` returned them.
        new: which rows are not training samples, bool `[n]`; by default all.

    Returns:
        float32 `[n, features]`. A missing number becomes the training samples' median, a category that they don't have
        none of theirs.

    Raises:
        InputError: for a missing column, or a cell that isn't of its column's kind.

    >>> from pandas import DataFrame
    >>> colours = Column("colour", "category", ("blue", "red"))
    >>> encode_columns(DataFrame({"height": ["1.5"], "colour": ["red"]}, dtype=object), (Column("height"), colours))[0]
    tensor([[1.5000, 0.0000, 1.0000]])
    """
    used = [column for column in columns if column.features]
    for column in used:
        if column.name not in frame:
            raise InputError(
                f"expected the column '{column.name}', found {few(list(map(str, frame)), 20) or 'none'}; add it"
            )
    width = sum(len(column.features) for column in used)
    if 4 * len(frame) * width > LARGEST:
        raise InputError(
            f"expected a table that fits in memory, found {len(frame)} rows of {width} features; leave out "
            "the columns of many categories (--ignore)"
        )
    table, start, said = np.zeros((len(frame), width), dtype=np.float32), 0, list[str]()
    fresh = np.ones(len(frame), bool) if new is None else new
    for column in used:
        values = _codes(column, frame[column.name])
        absent = np.isnan(values)
        if column.kind == "category":
            rows = np.flatnonzero(~absent)
            table[rows, start + values[rows].astype(int)] = 1
            told = "a category that the training samples don't have", "count as other"
        else:
            table[:, start] = np.where(absent, column.fill, values - column.origin)
            if column.indicator:
                table[:, start + 1] = absent
            told = "no value, as no training sample", "became the median of the training samples"
        if (lost := absent & fresh & (column.kind == "category" or not column.indicator)).any():
            example = str(frame[column.name].iloc[int(lost.argmax())]) if column.kind == "category" else ""
            what = f" ('{example}')" if example else ""
            how_many = f"{lost.sum():,} of {fresh.sum():,} cells of column '{column.name}'"
            said.append(f"{how_many} have {told[0]}{what}: they {told[1]}")
        start += len(column.features)
    return torch.from_numpy(table), tuple(said)


def check_resolution(table: Array, names: Sequence[str]) -> None:
    """Raise `InputError` for a column of a table whose numbers float32 can hardly tell apart, such as times in seconds.

    Args:
        table: the numbers as they were given, `[n, columns]`.
        names: what to call each column.

    >>> check_resolution(np.array([[0.1], [0.2]]), ["height"])
    """
    for column in _unresolved(table):
        low, high = float(table[:, column].min()), float(table[:, column].max())
        raise InputError(
            f"expected numbers that float32 can tell apart in {names[column]}, found {low:.16g} to {high:.16g}; "
            "subtract the smallest of them, or leave the column out"
        )


def _unresolved(table: Array) -> list[int]:
    low, high = table.min(0).astype(np.float64), table.max(0).astype(np.float64)
    largest = np.maximum(abs(low), abs(high))
    with np.errstate(over="ignore", invalid="ignore"):  # infinite and too large numbers are refused elsewhere
        spread, steps = high - low, 100 * np.spacing(largest.astype(np.float32))
        # A spread of less is the rounding of a constant.
        close = np.flatnonzero((spread > 1e-12 * largest) & (spread < steps)).tolist()
        return [column for column in close if (table[:, column] != table[:, column].astype(np.float32)).any()]


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
    values = _values(column, cells)
    known = values[~np.isnan(values)]
    absent = len(known) < len(values)
    if known.min() == known.max() and not absent:
        return column, f"always '{present.iloc[0]}'"
    origin = known.min() if column.kind == "date" or _unresolved(known[:, None]) else 0.0
    return replace(column, fill=float(np.median(known) - origin), indicator=absent, origin=float(origin)), ""


def _numbers_of(name: str, present: "Series[Any]", comma: bool) -> Column | None:
    """Return the column if most of its cells are numbers in one way of writing them."""
    if present.dtype == float:
        return Column(name)
    if present.dtype != object or not len(present):
        return None
    marks = [(".", ""), *_MARKS]
    best, most = None, 0
    parts = present.str.extract(_UNIT.pattern + r"$", expand=True)
    units = parts["before"].fillna(parts["after"]).dropna().unique()
    if len(units) > 1:
        return None
    numbers = parts["number"].fillna("").str.replace("\u00a0", " ").str.replace("\u202f", " ").str.replace("’", "'")
    # In a file with decimal commas, 1.234 is a thousand and more, and 1,234 is not.
    order = sorted(marks, key=lambda mark: comma and mark[0] == ".")
    for decimal, thousands in order:
        found = int(numbers.str.fullmatch(_pattern(decimal, thousands), case=False).sum())
        if found > most:
            best, most = Column(name, decimal=decimal, thousands=thousands, unit="".join(units)), found
        if found == len(numbers):
            break
    return best if 2 * most > len(present) else None


def _pattern(decimal: str, thousands: str) -> str:
    if not thousands:
        return _PLAIN
    d, t = re.escape(decimal), re.escape(thousands)
    return rf"[+-]?(\d+|[1-9]\d{{0,2}}({t}\d{{3}})+)?({d}\d*)?(e[+-]?\d+)?(?<=\d)"


def _has_decimal_comma(cells: "Series[Any]", separator: str) -> bool:
    """Return whether a column can only be numbers with decimal commas; between semicolons, whether it can be."""
    if cells.dtype != object:
        return False
    present = cells[~is_missing(cells, words=False)]
    if not len(present) or not present.str.contains(",", regex=False).any():
        return False
    numbers = present.str.extract(_UNIT.pattern + r"$", expand=True)["number"].fillna("").str.replace("\u00a0", " ")
    if separator != ";" and numbers.str.fullmatch(_pattern(".", ","), case=False).all():
        return False
    return any(numbers.str.fullmatch(_pattern(",", mark), case=False).all() for mark in (".", " ", "'"))


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guesses = [guess_datetime_format(cell, dayfirst=first) for first in (False, True) for cell in present[:20]]
        for form in dict.fromkeys([*filter(None, guesses), "ISO8601"]):
            if pd.to_datetime(present, format=form, errors="coerce", utc=True).notna().all():
                return Column(name, "date", format=form)
    return None


def _values(column: Column, cells: "Series[Any]") -> Array:
    """Return the numbers that the cells of a column are, float64, NaN where there is none.

    Raises:
        InputError: for a cell that is something else, or a number that float32 can't hold.
    """
    import pandas as pd

    if column.kind == "date":
        found = cells
        if cells.dtype == object:
            found = pd.to_datetime(cells, format=column.format or None, errors="coerce", utc=True).dt.tz_localize(None)
        days = (found - pd.Timestamp(0)) / pd.Timedelta(days=1) if found.dtype != float else found * np.nan
        return _checked(days, cells, "a date", column)
    if cells.dtype == float:
        return _checked(cells, cells, "a number", column)
    if cells.dtype != object:
        cells = cells.astype(str).where(cells.notna(), "").astype(object)
    if column.kind == "boolean":
        return _checked(cells.str.lower().map(BOOLEANS).astype(float), cells, "true or false", column)
    text = cells
    if (column.decimal, column.thousands, column.unit) != (".", "", "") or cells.str.contains("[−\u00a0]").any():
        parts = cells.str.extract(_UNIT.pattern + r"$", expand=True)
        unit = parts["before"].fillna(parts["after"]).fillna(column.unit)
        text = parts["number"].where(unit == column.unit, "").fillna("")
        text = text.str.replace("\u00a0", " ").str.replace("\u202f", " ").str.replace("’", "'")
        if column.thousands:
            text = text.where(text.str.fullmatch(_pattern(column.decimal, column.thousands), case=False), "")
            text = text.str.replace(column.thousands, "", regex=False).str.replace(column.decimal, ".", regex=False)
        text = parts["sign"].fillna("").str.replace("−", "-") + text
    return _checked(text.map(_number).astype(float), cells, "a number", column)


def _number(cell: str) -> float:
    """Return the number that a cell is, NaN for anything else (Python reads 1_000 as one: a table doesn't)."""
    try:
        return np.nan if "_" in cell else float(cell)
    except ValueError:
        return np.nan


def _checked(values: "Series[Any]", cells: "Series[Any]", what: str, column: Column) -> Array:
    found = values.to_numpy(dtype=float)
    wrong = ~(abs(found) <= LARGEST_NUMBER) & ~is_missing(cells, words=False).to_numpy(bool)
    if wrong.any():
        row = int(wrong.argmax())
        more = f" ({wrong.sum():,} such cells)" if wrong.sum() > 1 else ""
        raise InputError(
            f"expected {what} in column '{column.name}', found '{cells.iloc[row]}' in {cells.index[row]}{more}; "
            f"correct it, empty the cell, or leave the column out: --ignore '{column.name}'"
        )
    return np.where(np.isfinite(found), found, np.nan)


def _day(days: float) -> str:
    """Return a date and time of so many days since 1970."""
    return str(np.datetime64(0, "s") + round(86400 * days)).replace("T00:00:00", "").replace("T", " ")


def _codes(column: Column, cells: "Series[Any]") -> Array:
    """Return the number, or the place of the category, of each cell; NaN for none."""
    import pandas as pd

    if column.kind != "category":
        return _values(column, cells)
    if cells.dtype == float:  # whole numbers that were words, read as numbers
        cells = cells.map(lambda cell: "" if cell != cell else f"{cell:g}").astype(object)
    words = cells.astype(str).where(~is_missing(cells), "")
    codes = pd.Index(column.categories).get_indexer(pd.Index(words)).astype(float)
    return np.where(codes < 0, np.nan, codes)


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
            values = _values(column, cells)
            # An example that is not written as the number that it is.
            plain = cells.map(_number) if column.kind == "number" else np.nan
            for row in np.flatnonzero(~np.isnan(values) & (values != plain))[:1]:
                shown = _day(values[row]) if column.kind == "date" else f"{values[row]:.15g}"
                how = f" ({column.format})" if column.format else ""
                yield f"column '{column.name}'{how}: '{cells.iloc[row]}' is read as {shown}"
        elif column.kind == "number" and column.origin:
            yield f"column '{column.name}': {column.origin:.16g} is subtracted, so that float32 tells its numbers apart"
    for name in counts:
        yield f"column '{name}' counts the rows; if it says nothing of a sample, leave it out: --ignore '{name}'"
    for name in settles:
        yield (
            f"column '{name}' alone settles the class of every training sample; if it is known only after the class, "
            f"leave it out: --ignore '{name}'"
        )


def _listed(why: Mapping[str, str], most: int) -> str:
    return few([f"'{name}' ({reason})" for name, reason in why.items()], most)
