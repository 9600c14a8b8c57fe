"""A CSV file as columns of text: what manifests of images, tables and texts have in common."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from metaux.data.columns import is_missing
from metaux.data.folder import PARTS
from metaux.data.levels_file import check_commas
from metaux.errors import InputError, nearest

CELL = 10_000_000  # characters; Python's own limit of 131,072 is less than some texts


class Csv(NamedTuple):
    """The cells of a CSV file, stripped, by column; `lines` says where in the file each row ends."""

    path: Path
    columns: dict[str, tuple[str, ...]]
    lines: Sequence[int]

    def require(self, names: Iterable[str]) -> None:
        """Raise `InputError` naming the first of these columns that isn't there."""
        names = list(names)
        for name in names:
            if name not in self.columns:
                raise InputError(
                    f"expected the column{'s' if len(names) > 1 else ''} {' and '.join(names)} in the first line of "
                    f"'{self.path}', found {', '.join(self.columns) or 'nothing'}{nearest(name, self.columns)}; "
                    f"add '{name}'"
                )

    def require_cells(self, names: Iterable[str]) -> None:
        """Raise `InputError` naming the first line without a value in one of these columns, where they are there."""
        for name in names:
            words = name in ("label", "group")  # a text or a file may well be called NA
            for line, cell in zip(self.lines, self.columns.get(name, ()), strict=False):
                if not cell:
                    raise InputError(f"expected a {name} in line {line} of '{self.path}', found nothing; fill it in")
                if words and is_missing(cell):
                    raise InputError(
                        f"expected a {name} in line {line} of '{self.path}', found '{cell}', which says that there is "
                        "none; fill it in, leave the row out, or use another word"
                    )

    def parts(self) -> tuple[str, ...] | None:
        """Return the part of each row as the column `split` has it, None without one.

        Raises:
            InputError: naming the line of another word than train, val or test.
        """
        if "split" not in self.columns:
            return None
        for line, cell in zip(self.lines, self.columns["split"], strict=True):
            if cell.lower() not in PARTS:
                raise InputError(
                    f"expected the split train, val or test in line {line} of '{self.path}', found '{cell}'; correct it"
                )
        return tuple(PARTS[cell.lower()] for cell in self.columns["split"])


def read_csv_file(path: Path) -> Csv:
    """Read a CSV file with a header.

    Raises:
        InputError: for a file that is missing or isn't one, columns without a name or with one name, a row of another
            length than the header, and a header alone.
    """
    if not path.is_file():
        raise InputError(f"expected a CSV file, found nothing at '{path}'; check the path")
    limit = csv.field_size_limit(CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, strict=True)
            numbered = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"expected a CSV file, found '{path}' that isn't one ({error}); save it as UTF-8, and close every quote"
        ) from None
    finally:
        csv.field_size_limit(limit)
    header, rows = (numbered[0][1], numbered[1:]) if numbered else ([], [])
    check_commas(header, path)
    if "" in header:
        raise InputError(
            f"expected a name for every column in the first line of '{path}', found none for column "
            f"{header.index('') + 1}; name it, or leave it out (pandas: to_csv(index=False))"
        )
    if len(set(header)) != len(header):
        raise InputError(f"expected different column names in '{path}', found {', '.join(header)}; rename one")
    if len(header) > 1:
        rows = [(line, row) for line, row in rows if row != [""]]  # nothing but blanks
        while rows and not any(rows[-1][1]):  # as spreadsheets end a table
            rows.pop()
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(f"expected {len(header)} cells in line {line} of '{path}', found {len(row)}; correct it")
    columns = {name: tuple(row[index] for _, row in rows) for index, name in enumerate(header)}
    return Csv(path, columns, [line for line, _ in rows])
