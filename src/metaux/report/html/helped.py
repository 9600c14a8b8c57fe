"""Did it help? The verdict, every difference with its intervals, and what would change the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

from metaux.evidence.comparison import OWN, Comparison, Difference, Row
from metaux.evidence.intervals import decimals_for, interval_of_accuracy, interval_of_points
from metaux.evidence.statistics import Estimate
from metaux.evidence.verdict import verdict, what_would_change_it
from metaux.labels.sources import REFERENCES, entry
from metaux.report.canvas import COLOURS
from metaux.report.html.charts import SYMBOLS, axis, figure
from metaux.report.html.methods import Recorded
from metaux.report.html.parts import Chart, Figure
from metaux.words import percent, points

COLUMN_COLOURS = dict(zip((*REFERENCES, OWN), COLOURS[1:], strict=False))
COLUMN_SYMBOLS = dict(zip((*REFERENCES, OWN), SYMBOLS, strict=False))


@dataclass(frozen=True)
class Cell:
    """A difference in words: value, interval over seeds, interval over test samples, and `above`, `below` or ``."""

    value: str
    seeds: str
    test: str
    side: str


@dataclass(frozen=True)
class Line:
    """One method of the table, in words."""

    method: str
    seeds: int
    accuracy: str
    interval: str
    gain: bool
    differences: Sequence[Cell | None]
    seconds: str


@dataclass(frozen=True)
class Helped:
    """The first section.

    Args:
        verdict: a sentence, or what a search says.
        change: what would change it; may be empty.
        lines: the table.
        references: the columns of differences in it.
        chart: all differences on one axis; None if there are none.
    """

    verdict: str
    change: str
    lines: Sequence[Line]
    references: Sequence[str]
    chart: Chart | None


def helped(recorded: Recorded) -> Helped:
    """Make the section."""
    comparison = recorded.comparison
    shown = comparison.columns
    rows = [row for row in comparison.rows if row.differences]
    return Helped(
        verdict=recorded.search.says if recorded.search else verdict(comparison),
        change=what_would_change_it(comparison),
        lines=[_line(row, shown, comparison) for row in comparison.rows],
        references=shown,
        chart=_chart(rows, shown) if rows else None,
    )


def _line(row: Row, shown: Sequence[str], comparison: Comparison) -> Line:
    return Line(
        method=row.method,
        seeds=len(row.seeds),
        accuracy=percent(row.accuracy.mean),
        interval=interval_of_accuracy(row.accuracy),
        gain=comparison.gain(row),
        differences=[_cell(row.difference(name)) for name in shown],
        seconds=f"{row.seconds_per_epoch:.2g}" if row.seconds_per_epoch < 10 else f"{row.seconds_per_epoch:.0f}",
    )


def _cell(difference: Difference | None) -> Cell | None:
    if difference is None:
        return None
    return Cell(
        points(difference.seeds.mean, decimals_for(difference.seeds)),
        interval_of_points(difference.seeds),
        interval_of_points(difference.test),
        "above" if difference.above else "below" if difference.below else "",
    )


def _chart(rows: Sequence[Row], shown: Sequence[str]) -> Chart:
    height = 90 + max(34, 20 * len(shown)) * len(rows)
    label = "Differences in test accuracy of each method to each reference, with intervals; the table has the numbers"
    return Chart("differences", label, {"": _figure(rows, shown)}, height=height)


def _figure(rows: Sequence[Row], shown: Sequence[str]) -> Figure:
    traces: list[dict[str, object]] = []
    for place, name in enumerate(shown):
        having = [(number, row, found) for number, row in enumerate(rows) if (found := row.difference(name))]
        offset = 0.72 / len(shown) * (place - (len(shown) - 1) / 2)
        differences = [difference for _, _, difference in having]
        heights = [number + offset for number, _, _ in having]
        look = {"color": COLUMN_COLOURS[name], "symbol": COLUMN_SYMBOLS[name]}
        texts = [
            f"<b>{row.method} minus {entry(row.method).control if name == OWN else name}</b>: {_told(difference)}"
            for _, row, difference in having
        ]
        means = [100 * difference.seeds.mean for difference in differences]
        common = {"type": "scatter", "mode": "markers", "x": means, "y": heights, "legendgroup": name}
        hover = {"text": texts, "hovertemplate": "%{text}<extra></extra>"}
        test = [difference.test for difference in differences]
        seeds = [difference.seeds for difference in differences]
        traces += [
            {
                **common,
                "y": [height - 0.07 for height in heights],
                "error_x": _bars(test, look["color"], 1, 4),
                "marker": {**look, "size": 1},
                "hoverinfo": "skip",
                "showlegend": False,
            },
            {
                "type": "scatter",
                "mode": "markers",
                "x": [100 * value for difference in differences for value in difference.by_seed],
                "y": [
                    height + 0.09
                    for height, difference in zip(heights, differences, strict=True)
                    for _ in difference.by_seed
                ],
                "marker": {"color": look["color"], "size": 5, "opacity": 0.6},
                "hoverinfo": "skip",
                "showlegend": False,
                "legendgroup": name,
            },
            {
                **common,
                **hover,
                "error_x": _bars(seeds, look["color"], 4, 0),
                "marker": {**look, "size": 10, "line": {"width": 1, "color": "#ffffff"}},
                "name": f"minus {name}",
                "showlegend": True,
            },
        ]
    names = [row.method for row in rows]
    return figure(
        traces,
        {
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
            "xaxis": axis("percentage points of test accuracy", zeroline=True, zerolinewidth=2),
            "yaxis": axis(
                tickvals=list(range(len(rows))), ticktext=names, range=[len(rows) - 0.5, -0.5], showgrid=False
            ),
        },
    )


def _bars(estimates: Sequence[Estimate], colour: str, thickness: float, caps: int) -> dict[str, object]:
    """Return error bars; of no length where there is no interval."""
    above = [0.0 if each.high is None else 100 * (each.high - each.mean) for each in estimates]
    below = [0.0 if each.low is None else 100 * (each.mean - each.low) for each in estimates]
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "color": colour,
        "thickness": thickness,
        "width": caps,
    }


def _told(difference: Difference) -> str:
    cell = _cell(difference)
    assert cell is not None
    seeds = f"<br>over seeds {cell.seeds}" if cell.seeds else "<br>one seed, so no interval over seeds"
    test = f"over {difference.drawn} {cell.test}" if cell.test else "too few test samples for an interval"
    return f"{cell.value} points{seeds}<br>{test}"
