"""Figures as PNG and SVG: learning curves, and differences with their intervals.

Each says on itself what data, training, seeds and interval it shows; the same numbers give the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaux.evidence.comparison import Comparison, by_method, in_order
from metaux.evidence.statistics import Estimate
from metaux.report.chart import COLOURS, Axis, Chart, Line, Look, Point, Points, ends, looks
from metaux.report.differences import differences_chart
from metaux.report.learning import EPOCH, curves
from metaux.report.to_matplotlib import Drawing, described, key_of_intervals
from metaux.runs.record import Run
from metaux.words import data_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PERCENT = Axis("test accuracy (%)", factor=100)


def learning_curves(runs: Sequence[Run], folder: Path) -> tuple[Path, ...]:
    """Draw the test accuracy of every epoch: lines are means over seeds, bands the lowest to highest seed.

    With several methods, a second panel shows the last half of the epochs enlarged.

    Args:
        runs: at least one; of one comparison.
        folder: where the files go.

    Returns:
        The files written.
    """
    grouped = by_method(runs)
    look = looks(list(grouped))
    lines = curves(grouped, "test_accuracy", look)
    epochs, seeds = max(len(run.epochs) for run in runs), {len(own) for own in grouped.values()}
    charts = [Chart(lines, EPOCH, PERCENT)]
    if epochs >= 4 and len(lines) > 1:
        charts = [replace(charts[0], title="all epochs"), _last_half(charts[0], epochs)]
    test_size = len(runs[0].output("test_primary"))
    data = data_name(str(runs[0].settings.get("data", "")))
    how = "line: mean over seeds; band: lowest to highest seed (not a confidence interval)"
    made_of = described(data, max(run.train_size for run in runs), test_size, epochs, seeds)
    final = {line.name: 100 * line.y[-1] for line in lines}

    def ranked(figure: "Figure", handles: dict[str, Any]) -> None:
        order = sorted(handles, key=lambda method: -final[method])
        names = [f"{method}  {final[method]:.1f}" for method in order]
        where: dict[str, Any] = {"title": "last epoch (%)", "loc": "outside right center", "frameon": False}
        figure.legend([handles[method] for method in order], names, **where)

    inches = 9.0 if len(charts) > 1 else 6.4, 4.2
    drawing = Drawing(charts, how if max(seeds) > 1 else "one run per line", inches, legend=ranked)
    return drawing.save(folder, "learning-curves", "Test accuracy while training", made_of)


def _last_half(chart: Chart, epochs: int) -> Chart:
    first = epochs - epochs // 2
    late = [
        end
        for line in chart.marks
        if isinstance(line, Line)
        for epoch, *ends in zip(line.x, line.low, line.high, strict=True)
        for end in ends
        if epoch >= first
    ]
    x = chart.x._replace(limits=(first - 0.02 * epochs, 1.02 * epochs))
    return replace(chart, x=x, y=_around(late, chart.y, 0.05, 0.0005), title="last half, enlarged")


def differences(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Draw each method's differences in test accuracy to the references and its own control, with both intervals.

    Args:
        comparison: the table.
        folder: where the files go.

    Returns:
        The files written; none if no method shares a seed with a reference.
    """
    whole = differences_chart(comparison)
    if whole is None:
        return ()
    charts = [
        replace(
            whole,
            marks=[replace(mark, look=Look(COLOURS[1]))],
            title=mark.name,
            x=whole.x._replace(title="percentage points"),
        )
        for mark in whole.marks
        if isinstance(mark, Points)
    ]
    seeds = {len(found.by_seed) for row in comparison.rows for found in row.differences.values()}
    made_of = described(comparison.data, comparison.train_size, comparison.test_size, comparison.epochs, seeds)
    how = "right of zero is better; green: above zero in both intervals, red: below"
    inches = max(2.0 + 2.3 * len(charts), 6.4), 2.2 + 0.4 * len(whole.y.names)
    drawing = Drawing(charts, how, inches, legend=key_of_intervals(comparison.drawn))
    return drawing.save(folder, "differences", "Paired differences in test accuracy", made_of)


def curve_panels(panels: Mapping[str, Sequence[Run]], measure: str, axis: Axis) -> Drawing:
    """Draw one recorded measure of every epoch, a panel for each task: means and the lowest to highest seed.

    Args:
        panels: the runs of each panel, by its title.
        measure: a key of the records; methods without it are left out.
        axis: of its values.
    """
    look = looks(in_order(run.method for runs in panels.values() for run in runs))
    charts = []
    for title, runs in panels.items():
        lines = curves(by_method(runs), measure, look)
        # The first epochs, and the intervals of few seeds, may span more than all there is to see.
        late = [value for line in lines for value in line.y[len(line.y) // 4 :]]
        charts.append(Chart(lines, EPOCH, _around(late, axis, 0.08, 0.5 / axis.factor), title))
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    how = "lines: means over seeds; bands: lowest to highest seed (not a confidence interval)"
    return Drawing(charts, how, (3.4 * columns + 0.6, 2.7 * rows + 1.2), columns)


def gains_along(panels: Mapping[str, Mapping[str, Sequence[tuple[float, Estimate]]]], number: str) -> Drawing:
    """Draw gains in accuracy against a number on a logarithmic axis, with 95 % intervals over seeds.

    Args:
        panels: by title, for each method the points (number, gain as a fraction).
        number: what it is.
    """
    look = looks(list(dict.fromkeys(method for lines in panels.values() for method in lines)))
    x, y = Axis(number, log=True), Axis("gain over single task (points)", factor=100, zero=True)
    charts = [
        Chart([_along(method, look[method], found) for method, found in lines.items()], x, y, title)
        for title, lines in panels.items()
    ]
    how = "points: means of paired differences; bars: 95 % intervals over seeds (Student t)"
    return Drawing(charts, how, (max(6.4, 4.8 * len(panels)), 4.4))


def _along(method: str, look: Look, found: Sequence[tuple[float, Estimate]]) -> Line:
    low, high = zip(*(ends(gain) for _, gain in found), strict=True)
    return Line(method, look, [number for number, _ in found], [gain.mean for _, gain in found], low, high, bars=True)


def gain_rows(panels: Mapping[str, Mapping[str, Estimate]], reference: str) -> Drawing:
    """Draw the gains of each method over a reference as rows with 95 % intervals over seeds, a panel for each task."""
    x = Axis(f"points over {reference}", factor=100, zero=True)
    charts = [
        Chart(
            [Points("", Look(COLOURS[1]), [Point(row, gain) for row, gain in enumerate(rows.values())])],
            x,
            Axis(names=tuple(rows)),
            title,
        )
        for title, rows in panels.items()
    ]
    how = (
        "points: means of paired differences; bars: 95 % intervals over seeds (Student t), green above zero, red below"
    )
    inches = max(6.4, 3.6 * len(panels)), 1.9 + 0.34 * max(map(len, panels.values()))
    return Drawing(charts, how, inches, legend=None)


def _around(values: Iterable[float], axis: Axis, share: float, least: float) -> Axis:
    """Return an axis that shows these values and a margin, a share of what they span, but no less than `least`."""
    values = list(values)
    if not values:
        return axis
    margin = max(share * (max(values) - min(values)), least)
    return axis._replace(limits=(min(values) - margin, max(values) + margin))
