"""Where did it help? The classes' own differences to single task, with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metaux.evidence.intervals import difference_in_points, interval_of_points
from metaux.evidence.statistics import Estimate, mean_over_samples, mean_over_seeds, over_groups
from metaux.report.canvas import COLOURS
from metaux.report.html.charts import axis, figure, plain, short
from metaux.report.html.methods import Recorded
from metaux.report.html.parts import Chart, Figure, Table, rounded
from metaux.words import counted, percent

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_CLASSES = 40
RESAMPLES = 2000


@dataclass(frozen=True)
class ClassRow:
    """How one class fares: its name, test samples, and the mean with both intervals, in fractions."""

    name: str
    count: int
    seeds: Estimate
    test: Estimate


@dataclass(frozen=True)
class Where:
    """The classes by method, those that lose most first.

    Args:
        rows: by method.
        paired: whether they are differences to single; else they are the classes' accuracies.
        chart: of them; the selector chooses the method.
        left_out: classes that the chart leaves out.
        untested: the classes without test samples, of which there is no row.
    """

    rows: dict[str, list[ClassRow]]
    paired: bool
    chart: Chart
    left_out: int
    untested: Sequence[str]

    def table(self) -> Table:
        """Return all numbers."""
        bounds = ("mean", "seeds_low", "seeds_high", "test_low", "test_high")
        return Table(
            "classes",
            ("method", "class", "test_samples", *bounds),
            [
                (method, row.name, row.count, *map(rounded, _numbers(row)))
                for method, rows in self.rows.items()
                for row in rows
            ],
        )


def where(recorded: Recorded) -> Where:
    """Make the section's first part."""
    import numpy as np

    primary, groups = recorded.runs[0].output("test_primary"), recorded.runs[0].test_groups
    correct = {(run.method, run.seed): run.output("test_correct").astype(np.float64) for run in recorded.runs}
    found: dict[str, list[ClassRow]] = {}
    for method in recorded.ranked():
        pairs = [
            correct[method, run.seed] - correct["single", run.seed]
            for run in recorded.of_method(method)
            if method != "single" and ("single", run.seed) in correct
        ]
        if pairs:
            found[method] = _rows(np.stack(pairs), primary, groups, recorded.class_names)
    paired = bool(found)
    if not paired:
        for method in recorded.methods:
            values = np.stack([correct[method, run.seed] for run in recorded.of_method(method)])
            found[method] = _rows(values, primary, groups, recorded.class_names)
    names = recorded.class_names
    ticks = short(names)
    tested = {row.name for rows in found.values() for row in rows}
    shown = min(len(tested), MOST_CLASSES)
    label = "Differences of each class to single task" if paired else "Accuracy of each class"
    chart = Chart(
        "classes",
        f"{label}, sorted, with intervals",
        {method: _figure(rows, ticks, paired) for method, rows in found.items()},
        group="where",
        height=70 + 22 * shown,
    )
    left_out = max(0, len(tested) - MOST_CLASSES)
    return Where(found, paired, chart, left_out, [name for name in names if name not in tested])


def _rows(values: "Array", primary: "Array", groups: "Array | None", names: Sequence[str]) -> list[ClassRow]:
    """Return a row per class with test samples, from `[seeds, n_test]`, ascending."""
    rows = []
    for number, name in enumerate(names):
        here = primary == number
        own = values[:, here]
        if own.shape[1]:
            by_group = over_groups(own.mean(axis=0), None if groups is None else groups[here])
            test = mean_over_samples(by_group, resamples=RESAMPLES)
            rows.append(ClassRow(name, own.shape[1], mean_over_seeds(own.mean(axis=1)), test))
    return sorted(rows, key=lambda row: row.seeds.mean)


def _figure(rows: Sequence[ClassRow], ticks: Mapping[str, str], paired: bool) -> Figure:
    half = MOST_CLASSES // 2
    rows = rows if len(rows) <= MOST_CLASSES else [*rows[:half], *rows[-half:]]
    places = list(range(len(rows)))
    means = [100 * row.seeds.mean for row in rows]
    colours = [_colour(row, paired) for row in rows]
    bars = [("test", 1, 3), ("seeds", 4, 0)]
    traces: list[dict[str, object]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [value for row in rows for value in _span(getattr(row, of), paired)],
            "y": [value for place in places for value in (place + 0.18 * (of == "test"),) * 2 + (None,)],
            "line": {"width": width, "color": COLOURS[1]},
            "hoverinfo": "skip",
        }
        for of, width, _ in bars
    ]
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": means,
            "y": places,
            "marker": {"size": 9, "color": colours, "line": {"width": 1, "color": "#ffffff"}},
            "text": [_told(row, paired) for row in rows],
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    title = "points to single task" if paired else "accuracy, %"
    return figure(
        traces,
        {
            "margin": {"l": 8, "r": 12, "t": 8, "b": 36},
            "xaxis": axis(title, zeroline=paired, zerolinewidth=2, range=_range(rows, paired)),
            "yaxis": axis(
                tickvals=places,
                ticktext=[ticks[row.name] for row in rows],
                range=[len(rows) - 0.4, -0.6],
                showgrid=False,
            ),
        },
    )


def _range(rows: Sequence[ClassRow], paired: bool) -> list[float]:
    """Return what the axis has to show, with a margin: all ends of intervals, and zero of differences."""
    found = (_inside(end, paired) for row in rows for end in _numbers(row))
    ends = [end for end in found if end is not None] + ([0.0] if paired else [])
    margin = 0.04 * (max(ends) - min(ends)) or 1.0
    return [min(ends) - margin, max(ends) + margin]


def _span(estimate: Estimate, paired: bool) -> tuple[float | None, float | None, None]:
    """Return a line's two ends and the gap to the next."""
    low, high = _inside(estimate.low, paired), _inside(estimate.high, paired)
    return (None, None, None) if low is None or high is None else (low, high, None)


def _inside(end: float | None, paired: bool) -> float | None:
    """Return an interval's end in points, no farther than it can be: Student's t knows no bound."""
    return None if end is None else 100 * max(-1.0 if paired else 0.0, min(1.0, end))


def _colour(row: ClassRow, paired: bool) -> str:
    if paired and row.seeds.above and row.test.above:
        return COLOURS[3]
    return COLOURS[4] if paired and row.seeds.below and row.test.below else COLOURS[1]


def _told(row: ClassRow, paired: bool) -> str:
    value = difference_in_points(row.seeds) if paired else f"{percent(row.seeds.mean)} %"
    interval = interval_of_points(row.test) if paired else ""
    test = f"<br>over test samples {interval}" if interval else ""
    return f"<b>{plain(row.name)}</b>: {value}{test}<br>{counted(row.count, 'test sample')}"


def _numbers(row: ClassRow) -> tuple[float | None, ...]:
    return (row.seeds.mean, row.seeds.low, row.seeds.high, row.test.low, row.test.high)
