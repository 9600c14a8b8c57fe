"""What commands print: notes, tables, JSON, and the progress of reading data."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from metaux.files import Progress, to_json
from metaux.words import ACTING, data_name, shortened, visible


class _Console(Console):
    """A console on which no text acts; it keeps the notes, which a command's JSON has too."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.notes: dict[str, None] = {}  # in order, each once

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def make_console(quiet: bool = False) -> Console:
    """Return a console that shows text as it is: without markup, emoji codes or highlighting, and `visible`.

    Args:
        quiet: print nothing.
    """
    # Notebooks and build servers set FORCE_COLOR, which would put every step of the progress into a file.
    terminal = None if sys.stdout.isatty() else False
    return _Console(markup=False, emoji=False, highlight=False, quiet=quiet, force_terminal=terminal)


def begin(what: str, data: str, quiet: bool) -> Console:
    """Return a console on which a command has said what it does, before it loads what takes seconds.

    Args:
        what: it does.
        data: as `Settings.data`.
        quiet: print nothing.
    """
    console = make_console(quiet)
    console.print(f"{what} {data_name(data)}", soft_wrap=True)
    return console


def print_json(value: object, console: Console | None = None) -> None:
    """Print a value as JSON, for scripts; characters that act on a terminal are JSON's escapes.

    Args:
        value: to print.
        console: whose notes a mapping gets too, as `notices`.
    """
    if isinstance(console, _Console) and isinstance(value, Mapping):
        value = {**value, "notices": list(console.notes)}
    escaped = ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", to_json(value, indent=2))
    sys.stdout.write(escaped + "\n")


def print_notes(notes: Sequence[str], console: Console) -> None:
    """Print what a user should know; the lines of a note are aligned."""
    if isinstance(console, _Console):
        console.notes |= dict.fromkeys(notes)
    for note in notes:
        grid = Table.grid(padding=(0, 1))
        grid.add_row("note:", Text(visible(shortened(note)), overflow="fold"))
        console.print(grid)


@contextmanager
def reading(console: Console) -> Iterator[Progress]:
    """Show within the block how many images have been read, if the output is a terminal."""
    if not console.is_terminal:
        yield lambda _done, _total: None
        return
    with console.status("reading the data") as status:

        def progress(done: int, total: int) -> None:
            status.update(f"reading the data: {done:,} of {total:,} images")

        yield progress


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> Table:
    """Return a table of plain text."""
    table = Table(title=Text(visible(title)) if title else None, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(Text(visible(column)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table


def width_of(table: Table, console: Console) -> int:
    """Return how many columns of the terminal a table takes where nothing is folded."""
    return console.measure(table, options=console.options.update(width=10_000)).maximum


def print_whole(table: Table, console: Console) -> None:
    """Print a table: a terminal folds what does not fit, a file has it as wide as it is."""
    width = console.width
    if not console.is_terminal:
        console.width = max(width, width_of(table, console))
    console.print(table)
    console.width = width
