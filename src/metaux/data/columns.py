"""The columns of a table: what is learned of each from training samples, and the numbers that a network takes of it.

It is a little longer than 300 lines, since each way of writing a number is read here, for a run and a prediction alike.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import numpy as np
import torch
from torch import Tensor

from metaux.data.pixels import LARGEST, Array
from metaux.errors import InputError
from metaux.settings import typed
from metaux.words import few

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MISSING = frozenset(
    ("", "na", "n/a", "nan", "-nan", "null", "none", "?", "#n/a", "#na", "#n/a n/a", "<na>", "nil", "-", "--", ".")
)
"""What people write, in any case, where there is no value; among words `none` is one (a kind of something)."""
BOOLEANS = {"true": 1.0, "yes": 1.0, "t": 1.0, "y": 1.0, "false": 0.0, "no": 0.0, "f": 0.0, "n": 0.0}
LARGEST_NUMBER = float(np.finfo(np.float32).max)
# A currency before or after a number, or a percent sign after it.
_CURRENCY = r"[$€£¥₹₽₩₺₴]|R\$|USD|EUR|GBP|CHF|JPY|CNY|INR|kr|zł"
_UNIT = re.compile(rf"(?P<sign>[+\-−]?)\s*(?P<before>{_CURRENCY})?\s*(?P<number>.*?)\s*(?P<after>{_CURRENCY}|%)?")
PLAIN = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
# (decimal mark, mark of thousands), in the order in which they are tried.
MARKS = ((".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))


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
            kinds = get_type_hints(cls)
            return cls(**{name: typed(name, own, kinds.get(name, str)) for name, own in value.items()})
        if not isinstance(value, list | tuple):
            raise TypeError(f"a column that is {value!r}"[:100])
        name, *categories = map(str, value)
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
        return day_of(value) if self.kind == "date" else f"{value:g}"


Columns = tuple[Column, ...]


def tidy(frame: "DataFrame") -> "DataFrame":
    """Return a table of three types alone: float64, datetimes, and else stripped text, empty where nothing was.

    Whole numbers that float64 would round, such as long identifiers, are text.
    """
    import pandas as pd

    def plain(cells: "Series[Any]") -> "Series[Any]":
        kind = pd.api.types.infer_dtype(cells, skipna=True)
        if kind == "integer" and max(-int(cells.min()), int(cells.max())) > 2**53:
            kind = "string"
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
        values = codes_of(column, frame[column.name])
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
    for column in unresolved(table):
        low, high = float(table[:, column].min()), float(table[:, column].max())
        raise InputError(
            f"expected numbers that float32 can tell apart in {names[column]}, found {low:.16g} to {high:.16g}; "
            "subtract the smallest of them, or leave the column out"
        )


def unresolved(table: Array) -> list[int]:
    """Return the columns of a table whose numbers float32 can hardly tell apart."""
    low, high = table.min(0).astype(np.float64), table.max(0).astype(np.float64)
    largest = np.maximum(abs(low), abs(high))
    with np.errstate(over="ignore", invalid="ignore"):  # infinite and too large numbers are refused elsewhere
        spread, steps = high - low, 100 * np.spacing(largest.astype(np.float32))
        # A spread of less is the rounding of a constant.
        close = np.flatnonzero((spread > 1e-12 * largest) & (spread < steps)).tolist()
        return [column for column in close if (table[:, column] != table[:, column].astype(np.float32)).any()]


def parts_of(cells: "Series[Any]") -> "DataFrame":
    """Return sign, number and unit of each cell, as text; spaces and apostrophes in a number are written in one way."""
    from pandas import DataFrame

    found = cells.str.extract(_UNIT.pattern + r"$", expand=True)
    found = found.where(found.notna(), "")
    number = found["number"].str.replace("[\u00a0\u202f]", " ", regex=True).str.replace("’", "'")
    return DataFrame({"sign": found["sign"], "number": number, "unit": found["before"] + found["after"]})


def pattern_of(decimal: str, thousands: str) -> str:
    """Return what a number matches that is written with these marks."""
    if not thousands:
        return PLAIN
    d, t = re.escape(decimal), re.escape(thousands)
    return rf"[+-]?(\d+|[1-9]\d{{0,2}}({t}\d{{3}})+)?({d}\d*)?(e[+-]?\d+)?(?<=\d)"


def values_of(column: Column, cells: "Series[Any]") -> Array:
    """Return the numbers that the cells of a column are, float64, NaN where there is none.

    Raises:
        InputError: for a cell that is something else, or a number that float32 can't hold.
    """
    import pandas as pd

    if column.kind == "date":
        found = cells
        if cells.dtype == object:
            found = pd.to_datetime(cells, format=column.format or None, errors="coerce", utc=True).dt.tz_localize(None)
        days = (found - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1) if found.dtype != float else found * np.nan
        return _checked(days, cells, "a date", column)
    if cells.dtype == float:
        return _checked(cells, cells, "a number", column)
    if cells.dtype != object:
        cells = cells.astype(str).where(cells.notna(), "").astype(object)
    if column.kind == "boolean":
        return _checked(cells.str.lower().map(BOOLEANS).astype(float), cells, "true or false", column)
    text = cells
    if (column.decimal, column.thousands, column.unit) != (".", "", "") or cells.str.contains("[−\u00a0]").any():
        parts = parts_of(cells)
        units = ("%",) if column.unit == "%" else ("", column.unit)  # 5 % is not 5
        text = parts["number"].where(parts["unit"].isin(units), "")
        if column.thousands:
            text = text.where(text.str.fullmatch(pattern_of(column.decimal, column.thousands), case=False), "")
            text = text.str.replace(column.thousands, "", regex=False).str.replace(column.decimal, ".", regex=False)
        text = parts["sign"].str.replace("−", "-") + text
    what = "a number with a per cent sign, as in other rows," if column.unit == "%" else "a number"
    return _checked(text.map(number_of).astype(float), cells, what, column)


def number_of(cell: str) -> float:
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
            f"correct it, empty the cell, or train without the column: --ignore '{column.name}'"
        )
    return np.where(np.isfinite(found), found, np.nan)


def day_of(days: float) -> str:
    """Return a date and time of so many days since 1970."""
    return str(np.datetime64(0, "s") + round(86400 * days)).replace("T00:00:00", "").replace("T", " ")


def codes_of(column: Column, cells: "Series[Any]") -> Array:
    """Return the number, or the place of the category, of each cell; NaN for none."""
    import pandas as pd

    if column.kind != "category":
        return values_of(column, cells)
    if cells.dtype == float:  # whole numbers that were words, read as numbers
        cells = cells.map(lambda cell: "" if cell != cell else f"{cell:g}").astype(object)
    words = cells.astype(str).where(~is_missing(cells), "")
    codes = pd.Index(column.categories).get_indexer(pd.Index(words)).astype(float)
    return np.where(codes < 0, np.nan, codes)
