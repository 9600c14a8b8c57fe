"""Tables for other programs: CSV to a file or to the terminal."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from metaux.errors import InputError
from metaux.files import to_csv, write_text_atomic
from metaux.words import visible


def check_csv(columns: Sequence[str], out: Path | None) -> None:
    """Check, before the work that makes its content, that a file can be written and replaces nothing but its like.

    Args:
        columns: of the table.
        out: the file; None for the terminal.

    Raises:
        InputError: if not.
    """
    from metaux.runs.store import check_writable

    if out is None:
        return
    if out.is_file():
        with out.open("rb") as file:
            before = file.readline(1000).strip()
        if before and before != ",".join(columns).encode():
            raise InputError(
                f"expected no file or an earlier {','.join(columns)} at '{out}', found another one, which would be "
                "lost; give another --out"
            )
    elif out.exists():
        kind = "folder" if out.is_dir() else "device"
        raise InputError(f"expected a file to write to, found the {kind} '{out}'; give --out FILE")
    check_writable(out.absolute().parent)


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[object]], out: Path | None) -> None:
    """Write a table to a file, in full or not at all, or to the terminal, on which nothing in it acts."""
    text = to_csv([dict(zip(columns, row, strict=True)) for row in rows])
    if out is None:
        sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(out, text)
