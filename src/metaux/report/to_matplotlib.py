"""Charts as figures, PNG and SVG: looks, a caption that says what was measured, the same bytes each time."""

import io
from collections.abc import Callable, Collection, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

from metaux.files import write_bytes_atomic
from metaux.report.chart import COLOURS, DASHES, FAINT, SYMBOLS, Axis, Chart, Line, Point, Points
from metaux.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Plotly's words in matplotlib's.
_DASHES: dict[str, Any] = dict(zip(DASHES, ("-", "--", "-.", ":", (0, (8, 3)), (0, (8, 3, 2, 3))), strict=True))
_SYMBOLS = dict(zip(SYMBOLS, "osD^PX*ph<", strict=True))
CHARACTERS_PER_INCH = 13  # of text at 9 points


def described(data: str, train_size: int, test_size: int, epochs: int, seeds: set[int]) -> str:
    """Return what a figure was made of, in one line."""
    sizes = counted(train_size, "training sample"), counted(test_size, "test sample")
    return ", ".join([data, *sizes, counted(epochs, "epoch"), lowest_to_highest(seeds, "seed")])


def lowest_to_highest(counts: Collection[int], what: str) -> str:
    """Return how many things there are at least and at most, or the one number of them.

    >>> lowest_to_highest([3, 3], "seed"), lowest_to_highest([4000, 3600, 5000], "training image")
    ('3 seeds', '3,600 to 5,000 training images')
    """
    low, high = min(counts), max(counts)
    return counted(low, what) if low == high else f"{low:,} to {counted(high, what)}"


def names_below(figure: "Figure", handles: dict[str, Any]) -> None:
    """Write a legend under a figure, in as many columns as its width has room for."""
    if not handles:
        return
    entry = 0.85 + max(map(len, handles)) / CHARACTERS_PER_INCH  # inches: the line, then the longest name
    columns = max(1, min(len(handles), int(figure.get_figwidth() / entry)))
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=columns, frameon=False)


class Drawing(NamedTuple):
    """Charts as the panels of one figure; axes that are equal are shared.

    `how` says how to read it, `inches` are its width and height, `columns` those of panels, all in one row if 0;
    `legend` writes it from the lines by name.
    """

    charts: Sequence[Chart]
    how: str
    inches: tuple[float, float]
    columns: int = 0
    legend: "Callable[[Figure, dict[str, Any]], None] | None" = names_below

    def save(self, folder: Path, name: str, title: str, made_of: str) -> tuple[Path, ...]:
        """Write the figure, and return the files.

        Args:
            folder: where they go.
            name: of the files, without ending.
            title: above the figure.
            made_of: likewise: what was measured.
        """

        def draw_all(figure: "Figure") -> None:
            handles = self._draw(figure)
            if self.legend:
                self.legend(figure, handles)
            caption(figure, title, made_of, self.how)

        return save(draw_all, folder, name, self.inches)

    def _draw(self, figure: "Figure") -> dict[str, Any]:
        """Draw the panels, and return the lines by name."""
        first, columns = self.charts[0], self.columns or len(self.charts)
        shared: dict[str, Any] = {
            "sharex": all(chart.x == first.x and isinstance(chart.marks[0], Points) for chart in self.charts),
            "sharey": all(chart.y == first.y for chart in self.charts),
        }
        panels = figure.subplots(-(-len(self.charts) // columns), columns, squeeze=False, **shared)
        for axes, chart in zip(panels.flat, self.charts, strict=False):
            draw(axes, chart)
        for axes in panels.flat[len(self.charts) :]:
            axes.set_axis_off()
        for axes in panels[:, 0]:
            axes.set_ylabel(first.y.title)
        handles = (zip(*axes.get_legend_handles_labels(), strict=True) for axes in panels.flat)
        return {label: handle for pairs in handles for handle, label in pairs}


def draw(axes: "Axes", chart: Chart) -> None:
    """Draw a chart of lines or points."""
    from matplotlib.ticker import MaxNLocator

    axes.set_title(chart.title)
    axes.set_xlabel(chart.x.title)
    if chart.x.zero:
        axes.axvline(0, color="black", linewidth=1, zorder=1)
    if chart.y.zero:
        axes.axhline(0, color="black", linewidth=1, zorder=1)
    for place, mark in enumerate(chart.marks):
        if isinstance(mark, Line):
            # So that bars at the same place do not hide each other.
            _line(axes, mark, chart, 1.03 ** (place - len(chart.marks) / 2) if mark.bars and chart.x.log else 1.0)
        elif isinstance(mark, Points):
            for point in mark.points:
                _point(axes, point, chart.colour(mark, point), _SYMBOLS[mark.look.symbol], chart.x.factor)
            for row, remark in mark.remarks:
                style: dict[str, Any] = {"color": FAINT, "fontsize": 7.5, "va": "center", "style": "italic"}
                axes.text(0.02, row, remark, transform=axes.get_yaxis_transform(), **style)
    if chart.x.log:
        numbers = sorted({number for mark in chart.marks if isinstance(mark, Line) for number in mark.x})
        axes.set_xscale("log")
        axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
        axes.minorticks_off()
    if chart.x.whole:
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 2.5, 5, 10]))
    if chart.y.names:
        axes.set_yticks(range(len(chart.y.names)), list(chart.y.names))
        axes.set_ylim(len(chart.y.names) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    for axis, limit in ((chart.x, axes.set_xlim), (chart.y, axes.set_ylim)):
        if axis.limits:
            limit(*_scaled(axis.limits, axis))


def _line(axes: "Axes", line: Line, chart: Chart, shift: float) -> None:
    x = [shift * value for value in _scaled(line.x, chart.x)]
    y, low, high = (_scaled(values, chart.y) for values in (line.y, line.low, line.high))
    style: dict[str, Any] = {
        "label": line.name,
        "color": line.look.colour,
        "linestyle": _DASHES[line.look.dash],
        "marker": _SYMBOLS[line.look.symbol],
        "markersize": 4.5,
        "linewidth": 1.5,
    }
    if line.bars:
        reach = [[m - b for m, b in zip(y, low, strict=True)], [b - m for m, b in zip(y, high, strict=True)]]
        axes.errorbar(x, y, yerr=reach, capsize=2, elinewidth=1, **style)
        return
    axes.plot(x, y, markevery=max(1, len(x) // 8), **style)
    if low != high:
        axes.fill_between(x, low, high, color=line.look.colour, alpha=0.1, lw=0)


def _point(axes: "Axes", point: Point, colour: str, symbol: str, factor: float) -> None:
    """Draw a mean, its intervals around it, and each seed as a dot."""
    gap = 0.0 if point.test is None else 0.09
    for estimate, above, width in ((point.seeds, gap, 3.0), (point.test, -gap, 1.2)):
        if estimate is not None and estimate.low is not None and estimate.high is not None:
            ends = [factor * estimate.low, factor * estimate.high]
            axes.plot(ends, [point.row - above] * 2, color=colour, lw=width, solid_capstyle="butt", zorder=3)
    axes.plot(
        factor * point.seeds.mean, point.row, symbol, color=colour, markersize=6, markeredgecolor="white", zorder=5
    )
    dots = [factor * value for value in point.by_seed]
    axes.plot(dots, [point.row - 0.27] * len(dots), "o", color=FAINT, markersize=3, zorder=4)


def _scaled(values: Sequence[float], axis: Axis) -> list[float]:
    return [axis.factor * value for value in values]


def key_of_intervals(drawn: str) -> "Callable[[Figure, dict[str, Any]], None]":
    """Return what writes under a figure of points what the intervals are; `drawn` is what the bootstrap drew."""

    def write(figure: "Figure", _: dict[str, Any]) -> None:
        from matplotlib.lines import Line2D

        blue = COLOURS[1]
        lines = [
            Line2D([], [], color=blue, lw=3, marker="o", markeredgecolor="white", label="mean, 95 % over seeds (t)"),
            Line2D([], [], color=blue, lw=1.2, label=f"95 % over {drawn} (bootstrap)"),
            Line2D([], [], color=FAINT, lw=0, marker="o", markersize=3, label="one seed"),
        ]
        figure.legend(handles=lines, loc="outside lower center", ncols=3, frameon=False)

    return write


def caption(figure: "Figure", title: str, described: str, how: str) -> None:
    """Write above a figure what it shows, what it was made of, and how to read it."""
    width = int(figure.get_figwidth() * CHARACTERS_PER_INCH)
    lines = [part for line in f"{title}\n{described}\n{how}".splitlines() for part in wrap(line, width)]
    # A data set's name is the user's: a dollar sign in it is no formula.
    figure.suptitle("\n".join(lines).replace("$", r"\$"), fontsize=9)


def save(draw: "Callable[[Figure], None]", folder: Path, name: str, inches: tuple[float, float]) -> tuple[Path, ...]:
    """Draw a figure, write it as PNG and SVG into a folder, made if it isn't there, and return the files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    files = (folder / f"{name}.png", folder / f"{name}.svg")
    with _plain_style():
        figure = Figure(figsize=inches, dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once for both files
        for path in files:
            content = io.BytesIO()
            kind = path.suffix[1:]
            metadata = {"Date": None} if kind == "svg" else {"Software": None}
            figure.savefig(content, format=kind, metadata=metadata)
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
