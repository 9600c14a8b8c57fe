"""Tables as text: a CSV file by pandas, its cells checked with line and column before anything is made of them."""

import csv
import io
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaux.errors import InputError, nearest
from metaux.files import cell_text, check_file

if TYPE_CHECKING:
    from pandas import DataFrame

MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "?"))
LONGEST_CELL = 10_000_000  # characters; Python's own limit of 131,072 is less than some texts


@dataclass(frozen=True)
class Table:
    """The cells of a table.

    Args:
        name: what errors call the table.
        cells: stripped text under the columns' names; the index says in words where each row stands.
    """

    name: str
    cells: "DataFrame"

    def __len__(self) -> int:
        return len(self.cells)

    def __contains__(self, column: str) -> bool:
        return column in self.cells

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return list(map(str, self.cells))

    def column(self, name: str) -> tuple[str, ...]:
        """Return the cells of a column."""
        return tuple(self.cells[name])

    def require(self, names: Iterable[str]) -> None:
        """Raise `InputError` naming the first of these columns that isn't there."""
        names, known = list(names), self.names
        for name in names:
            if name not in known:
                raise InputError(
                    f"expected the column{'s' if len(names) > 1 else ''} {' and '.join(names)} in the first line of "
                    f"'{self.name}', found {', '.join(known) or 'nothing'}{nearest(name, known)}; add '{name}'"
                )

    def require_cells(self, names: Iterable[str], words: Collection[str] = ()) -> None:
        """Raise `InputError` naming the first row without a value in one of these columns, where they are there.

        Args:
            names: of columns.
            words: names of further columns, in which a word such as NA says that there is no value.
        """
        for name in (*words, *names):
            for place, cell in self.cells[name].items() if name in self else ():
                if not cell:
                    raise InputError(f"expected a {name} in {place}, found nothing; fill it in")
                if name in words and is_missing(cell):
                    raise InputError(
                        f"expected a {name} in {place}, found '{cell}', which says that there is none; fill it in, "
                        "leave the row out, or use another word"
                    )


def is_missing(cell: str) -> bool:
    """Return whether a word says that there is no value; `none` does not, it may be a kind of something.

    >>> [is_missing(cell) for cell in ("", "NA", "none", "0")]
    [True, True, False, False]
    """
    return cell.lower() in MISSING and cell.lower() != "none"


def read_csv(path: Path) -> Table:
    """Read a CSV file with a header as text, that of a cell which metaux kept from being a formula included.

    Raises:
        InputError: for a file that is missing or isn't one, columns without a name or with one name, and a row of
            another length than the header.
    """
    import pandas as pd

    def cells(**options: Any) -> "DataFrame":
        # The empty cell of a single column is a row; another engine takes a quote for the end of one left open before.
        frame: DataFrame = pd.read_csv(
            io.StringIO(body, newline=""),
            engine="python",
            header=None,
            dtype=object,
            na_filter=False,
            skip_blank_lines=False,
            **options,
        )
        return frame

    check_file(path, "a CSV file")
    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        body = text.lstrip("\r\n")
        width = cells(nrows=1).shape[1]
        # One column more shows where a row is too long; of one that is too short pandas fills up the rest.
        frame = cells(names=range(width + 1), usecols=lambda _: True)
    except pd.errors.EmptyDataError:
        return Table(str(path), pd.DataFrame())
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InputError(
            f"expected a CSV file, found '{path}' that isn't one ({error}); save it as UTF-8, and close every quote"
        ) from None
    finally:
        csv.field_size_limit(limit)
    # A row takes one line, and one more for each break in its cells, which only quotes allow.
    breaks = frame.map(_breaks, na_action="ignore").sum(axis=1) if '"' in body else pd.Series(0, index=frame.index)
    frame.index = _breaks(text[: len(text) - len(body)]) + (breaks.astype(int) + 1).cumsum()
    return Table(str(path), _under_header(frame, path))


def _breaks(text: str) -> int:
    return len(re.findall(r"\r\n|\r|\n", text))


def _under_header(frame: "DataFrame", path: Path) -> "DataFrame":
    """Return the rows below the first, under its names, without those of a spreadsheet that are empty."""
    header = frame.iloc[0, :-1].str.strip().tolist()
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and separator in header[0]:
            raise InputError(f"expected columns separated by commas in '{path}', found {name}; save it with commas")
    if "" in header:
        raise InputError(
            f"expected a name for every column in the first line of '{path}', found none for column "
            f"{header.index('') + 1}; name it, or leave it out (pandas: to_csv(index=False))"
        )
    if len(set(header)) != len(header):
        raise InputError(f"expected different column names in '{path}', found {', '.join(header)}; rename one")
    rows = frame.iloc[1:].map(lambda cell: cell_text(cell.strip()), na_action="ignore")
    count = rows.notna().sum(axis=1)
    filled = (rows.notna() & (rows != "")).any(axis=1)
    # A row of a single column may be empty, an empty line isn't a row.
    kept = count > 0 if len(header) == 1 else (filled | (count > 1)) & filled[::-1].cummax()[::-1]
    for line, cells in count[kept & (count != len(header))].items():
        found = cells if cells < len(header) else "more"
        raise InputError(f"expected {len(header)} cells in line {line} of '{path}', found {found}; correct it")
    rows = rows.iloc[:, :-1].set_axis(header, axis=1)[kept]
    return rows.set_axis([f"line {line} of '{path}'" for line in rows.index])
