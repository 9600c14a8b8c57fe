"""What the commands say on the terminal: notes, progress of reading, tables, CSV."""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from metaux.files import Progress, to_json, write_text_atomic


def make_console(quiet: bool = False) -> Console:
    """Return the terminal; text is shown as it is, without markup, emoji codes or highlighting; nothing if quiet."""
    # FORCE_COLOR, which notebooks and build servers set, would put every step of the progress into a file.
    terminal = None if sys.stdout.isatty() else False
    return Console(markup=False, emoji=False, highlight=False, quiet=quiet, force_terminal=terminal)


def print_json(value: object) -> None:
    """Print one JSON object, for scripts."""
    sys.stdout.write(to_json(value, indent=2) + "\n")


def print_notes(notes: Sequence[str], console: Console) -> None:
    """Print what a user should know, each note indented below its first line."""
    for note in notes:
        grid = Table.grid(padding=(0, 1))
        grid.add_row("note:", Text(note))
        console.print(grid)


@contextmanager
def reading(console: Console) -> Iterator[Progress]:
    """Within the block, show how many files have been read; nothing where the output isn't a terminal."""
    if not console.is_terminal:
        yield lambda _done, _total: None
        return
    with console.status("reading the data") as status:

        def progress(done: int, total: int) -> None:
            status.update(f"reading the data: {done:,} of {total:,} images")

        yield progress


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> Table:
    """Return a table of plain text."""
    table = Table(title=Text(title) if title else None, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def print_whole(table: Table, console: Console) -> None:
    """Print a table: a terminal folds what it has no room for, a file has it as wide as it needs to be."""
    width = console.width
    if not console.is_terminal:
        wanted = console.measure(table, options=console.options.update(width=10_000)).maximum
        console.width = max(width, wanted)
    console.print(table)
    console.width = width


def write_csv(header: Sequence[str], rows: Iterable[Sequence[object]], out: Path | None) -> None:
    """Write CSV to a file, in full or not at all, or to the terminal."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    if out is None:
        sys.stdout.write(file.getvalue())
    else:
        write_text_atomic(out, file.getvalue())
