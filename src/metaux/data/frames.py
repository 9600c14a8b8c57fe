"""Tables as pandas reads them: text, Parquet or Excel, with a name for every column and a place for every row."""

import csv
import io
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from metaux.data.columns import PLAIN, tidy
from metaux.data.npz import check_total
from metaux.errors import InputError, explained, nearest
from metaux.files import cell_text, check_file
from metaux.words import counted, few, listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pandas import DataFrame

TEXT, TYPED = (".csv", ".tsv", ".tab"), (".parquet", ".xlsx")
MOST_ROWS = 2**20  # of a sheet of Excel
LONGEST_CELL = 10_000_000  # characters; Python's own limit of 131,072 is less than some texts
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
_REMEDY = "leave rows out, or if so many are there, save it as CSV"
_SAID = re.compile(r"sep=([;\t|,])(?:\r\n|\r|\n)", re.IGNORECASE)
_ROW = re.compile(rb"""<(?:\w+:)?row\s(?:[^>]*\s)?r=["']([^"']*)""")
_NUMBER = re.compile(PLAIN, re.IGNORECASE)


class Table(NamedTuple):
    """A table: its tidy cells (see `metaux.data.columns.tidy`), whose index says in words where each row stands.

    `name` is what errors call it, `separator` what parts its columns in the file, `notices` what to say of that.
    """

    name: str
    cells: "DataFrame"
    separator: str = ","
    notices: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return list(map(str, self.cells))

    def require(self, names: "Iterable[str]") -> None:
        """Raise `InputError` naming the first of these columns that isn't there."""
        for name in names:
            if name not in self.names:
                raise InputError(
                    f"expected the column {name} in '{self.name}', found {few(self.names, 20) or 'nothing'}"
                    f"{nearest(name, self.names)}; add '{name}', or name another one"
                )


def read_table(path: Path, header: bool = True) -> Table:
    """Read a file of a table.

    Args:
        path: of a CSV file (or with semicolons, tabs or bars), a Parquet or an Excel file, by its suffix.
        header: whether its first row has the columns' names; if not, they are called 1, 2, 3, ...

    Raises:
        InputError: for a file that is missing or isn't one, columns of one name, a first row that looks like data, and
            a row of another length than the first.
    """
    check_file(path, f"a {path.suffix.lower()} file")
    if path.suffix.lower() in TYPED:
        return _read_typed(path, header)
    return _read_text(path, header)


def _read_text(path: Path, header: bool) -> Table:
    import pandas as pd

    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        content = path.read_bytes()
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        body = text.lstrip("\r\n")
        said = _SAID.match(body)  # a spreadsheet's line about the separator
        body = body[said.end() :] if said else body
        first_rows = {
            sign: csv.reader(io.StringIO(body), delimiter=sign, skipinitialspace=True) for sign in _SEPARATORS
        }
        widths = {sign: len(next(row, ())) for sign, row in first_rows.items()}
        separator = said[1] if said else max(widths, key=lambda sign: (widths[sign], widths[sign] > 1 or sign == ","))
        # One column more shows where a row is too long; of one that is too short pandas fills up the rest.
        # The empty cell of a single column is a row; another engine takes a quote for the end of one left open before.
        frame = pd.read_csv(
            io.StringIO(body, newline=""),
            engine="python",
            header=None,
            names=range(widths[separator] + 1),
            usecols=lambda _: True,
            dtype=object,
            na_filter=False,
            skip_blank_lines=False,
            sep=separator,
            skipinitialspace=True,
        )
    except pd.errors.EmptyDataError:
        frame = pd.DataFrame()
    except (UnicodeDecodeError, csv.Error, pd.errors.ParserError) as error:
        raise InputError(
            f"expected a CSV file, found '{path}' that isn't one ({error}); save it as UTF-8, and close every quote"
        ) from None
    finally:
        csv.field_size_limit(limit)
    if frame.empty:
        return Table(str(path), pd.DataFrame())
    # A row takes one line, and one more for each break in its cells, which only quotes allow.
    breaks = frame.map(_breaks, na_action="ignore").sum(axis=1) if '"' in body else pd.Series(0, index=frame.index)
    frame.index = _breaks(text[: len(text) - len(body)]) + (breaks.astype(int) + 1).cumsum()
    first = [cell_text(cell.strip()) for cell in frame.iloc[0, :-1]]
    names, notices = _names(first, path, header)
    rows = _whole_rows(frame.iloc[1:] if header else frame, names, path)
    rows.index = [f"line {line} of '{path}'" for line in rows.index]
    if separator != ",":
        notices = (f"the columns are separated by {_SEPARATORS[separator]}", *notices)
    return Table(str(path), rows, separator, notices)


def _breaks(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text))


def _names(first: list[str], path: Path, header: bool) -> tuple[list[str], tuple[str, ...]]:
    """Return the columns' names, from the cells of the first row."""
    if not header:
        return [str(number + 1) for number in range(len(first))], ()
    numbers = [cell for cell in first if _NUMBER.fullmatch(cell)]
    # Columns may be called 0, 1, 2, ... or by years.
    by_number = all(map(str.isdecimal, numbers)) and sorted(set(map(int, numbers))) == list(map(int, numbers))
    if numbers and not by_number:
        raise InputError(
            f"expected the columns' names in the first line of '{path}', found {few(first)}, which looks like data; "
            "give --no-header if there are no names, or write them there"
        )
    names = [name or f"column {number + 1}" for number, name in enumerate(first)]
    if len(set(names)) != len(names):
        raise InputError(
            f"expected different column names in '{path}', found {', '.join(names)}; rename one, or give --no-header "
            "if that is data"
        )
    unnamed = [f"'{name}'" for name, cell in zip(names, first, strict=True) if not cell]
    return names, (f"without a name in '{path}', and called so: {few(unnamed)}",) if unnamed else ()


def _whole_rows(rows: "DataFrame", names: list[str], path: Path) -> "DataFrame":
    """Return the rows under these names, without those of a spreadsheet that are empty."""
    rows = rows.map(lambda cell: cell_text(cell.strip()), na_action="ignore")
    count = rows.notna().sum(axis=1)
    filled = (rows.notna() & (rows != "")).any(axis=1)
    # A row of a single column may be empty, an empty line isn't a row.
    kept = count > 0 if len(names) == 1 else (filled | (count > 1)) & filled[::-1].cummax()[::-1]
    for line, cells in count[kept & (count != len(names))].items():
        found = cells if cells < len(names) else "more"
        raise InputError(
            f"expected {counted(len(names), 'cell')} in line {line} of '{path}', as in its first line, found {found}; "
            "correct it, or remove what stands above the columns' names"
        )
    return rows.iloc[:, :-1].set_axis(names, axis=1)[kept].astype(object)


def _check_rows(packed: zipfile.ZipFile, path: Path) -> None:
    """Raise `InputError` for a row of a number that a sheet has not: openpyxl makes all those before it, too."""
    for sheet in packed.namelist():
        found = _ROW.findall(packed.read(sheet)) if sheet.startswith("xl/worksheets/") else []
        if most := [row.decode() for row in found if float(row) > MOST_ROWS]:
            raise InputError(
                f"expected at most {MOST_ROWS:,} rows in '{path}', as many as a sheet has, found a row with the number "
                f"{most[0]}; save it again"
            )


def _read_typed(path: Path, header: bool) -> Table:
    """Read a Parquet file, or the first sheet of an Excel file."""
    import pandas as pd

    name, suffix, notices = str(path), path.suffix.lower(), tuple[str, ...]()
    damaged = f"expected a {suffix} file, found '{path}' that isn't one", "save it again", 200
    with explained(*damaged):
        try:
            if suffix == ".parquet":
                from pyarrow.parquet import read_metadata

                claimed = read_metadata(path)
                check_total(8 * claimed.num_rows * claimed.num_columns, path, _REMEDY)
                frame = pd.read_parquet(path, engine="pyarrow")
            else:
                with zipfile.ZipFile(path) as packed:
                    check_total(sum(member.file_size for member in packed.infolist()), path, _REMEDY)
                    _check_rows(packed, path)
                with pd.ExcelFile(path, engine="openpyxl") as book:
                    # Which words mean that there is no value, is said in `metaux.data.columns`.
                    named = 0 if header else None
                    frame = pd.read_excel(book, header=named, keep_default_na=False, na_values=[""], nrows=MOST_ROWS)
                    if others := list(map(str, book.sheet_names[1:])):
                        name += f": {book.sheet_names[0]}"
                        notices = (f"the sheet '{book.sheet_names[0]}' is read, not {listed(others)}",)
        except ImportError as error:
            raise InputError(
                f"expected a package to read '{path}', found none ({error.name}); pip install 'metaux[tables]'"
            ) from None
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    if suffix == ".xlsx":
        frame = frame.dropna(how="all")
    first = [str(name).strip() if header else "" for name in frame]
    names, more = _names(["" if name.startswith("Unnamed: ") else name for name in first], path, header)
    with explained(*damaged):  # Arrow looks at the bytes of a text only now
        frame = tidy(frame.set_axis(names, axis=1))
    frame.index = [f"row {row + 1} of '{path}'" for row in range(len(frame))]
    return Table(name, frame, notices=(*notices, *more))
