"""What all figures share: looks, a caption that says what was measured, files whose bytes are the same each time."""

import io
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

from metaux.files import write_bytes_atomic
from metaux.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers tell apart; without yellow, too pale on white.
# A method is known by its line and marker too.
COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7")
LINES: tuple[Any, ...] = (
    *("-", "--", "-.", ":"),
    (0, (6, 1)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (1, 1)),
    (0, (8, 3, 2, 3)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h", "*")
FAINT = "#8c8c8c"
CHARACTERS_PER_INCH = 13  # of text at 9 points


class Look(NamedTuple):
    """How one method is drawn."""

    colour: str
    line: Any
    marker: str


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """Return a different look for each method, in their order: 7 colours, then the same with other lines.

    >>> looks(["single", "maxl"])["single"].colour
    '#000000'
    """
    return {name: Look(COLOURS[place % 7], LINES[place % 8], MARKERS[place % 11]) for place, name in enumerate(methods)}


def described(data: str, train_size: int, test_size: int, epochs: int, seeds: set[int]) -> str:
    """Return what a figure was made of, in one line."""
    low, high = min(seeds), max(seeds)
    runs = counted(high, "seed") if low == high else f"{low} to {high} seeds"
    return ", ".join(
        [
            data,
            counted(train_size, "training sample"),
            counted(test_size, "test sample"),
            counted(epochs, "epoch"),
            runs,
        ]
    )


def caption(figure: "Figure", title: str, described: str, how: str) -> None:
    """Write above a figure what it shows, what it was made of, and how to read it."""
    width = int(figure.get_figwidth() * CHARACTERS_PER_INCH)
    lines = [part for line in f"{title}\n{described}\n{how}".splitlines() for part in wrap(line, width)]
    # A data set's name is the user's: a dollar sign in it is no formula.
    figure.suptitle("\n".join(lines).replace("$", r"\$"), fontsize=9)


def legend_below(figure: "Figure", handles: "Sequence[Any]", names: Sequence[str]) -> None:
    """Write a legend under a figure, in as many columns as its width has room for."""
    entry = 0.6 + max(map(len, names)) / CHARACTERS_PER_INCH  # inches: the line, then the longest name
    columns = max(1, min(len(names), int(figure.get_figwidth() / entry)))
    figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)


def save(draw: "Callable[[Figure], None]", folder: Path, name: str, inches: tuple[float, float]) -> tuple[Path, ...]:
    """Draw a figure, write it as PNG and SVG, and return the files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    files = (folder / f"{name}.png", folder / f"{name}.svg")
    with _plain_style():
        figure = Figure(figsize=inches, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        for path in files:
            content = io.BytesIO()
            kind = path.suffix[1:]
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(content, format=kind, dpi=150, metadata=metadata)
            write_bytes_atomic(path, content.getvalue())
    return files


@contextmanager
def _plain_style() -> "Iterator[None]":
    """Draw as the library ships, whatever the user's own style is, with ids that are the same each time."""
    import matplotlib

    ours: dict[Any, Any] = {
        "svg.hashsalt": "metaux",
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e6e6e6",
        "legend.fontsize": 8.5,
        "legend.handlelength": 3.6,
    }
    kept: dict[Any, Any] = {
        key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")
    }
    with matplotlib.rc_context({**kept, **ours}):
        yield
