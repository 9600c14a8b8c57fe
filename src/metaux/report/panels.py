"""Figures of several panels: curves over epochs, and gains with their intervals along an axis."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metaux.evidence.comparison import in_order
from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.report.canvas import LINES, caption, legend_below, looks, save
from metaux.runs.record import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHED = ("uniform", "frozen")


def curve_panels(
    panels: Mapping[str, Sequence[Run]],
    folder: Path,
    name: str,
    heading: tuple[str, str],
    measure: str = "test_accuracy",
    unit: tuple[str, float] = ("test accuracy (%)", 100.0),
) -> tuple[Path, ...]:
    """Draw one recorded measure of every epoch, a panel for each task: means over seeds with 95 % intervals.

    Args:
        panels: the runs of each panel, by its title.
        folder: where the files go.
        name: of the files, without ending.
        heading: the figure's title, and what it was made of.
        measure: a key of the records; methods without it are left out.
        unit: the axis's label, and a factor on the values.
    """
    label, factor = unit
    grouped = {title: _curves(runs, measure, factor) for title, runs in panels.items()}
    methods = in_order(method for curves in grouped.values() for method in curves)
    look = looks(methods)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)

    def draw(figure: "Figure") -> None:
        axes = figure.subplots(rows, columns, squeeze=False).flatten()
        for place, (title, curves) in zip(axes, grouped.items(), strict=False):
            for method, values in curves.items():
                line = "--" if method in DASHED else LINES[0]
                _band(place, values, look[method].colour, line, look[method].marker, method)
            place.set_ylim(*_limits(curves.values()))
            place.set_title(title)
            place.set_xlabel("epoch")
            place.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        for place in axes[len(panels) :]:
            place.set_axis_off()
        for place in axes[::columns]:
            place.set_ylabel(label)
        handles = {line.get_label(): line for place in axes for line in place.get_lines()}
        shown = [method for method in methods if method in handles]
        legend_below(figure, [handles[method] for method in shown], shown)
        caption(figure, *heading, "lines: means over seeds; bands: 95 % intervals over seeds (Student t)")

    return save(draw, folder, name, (3.4 * columns + 0.6, 2.7 * rows + 1.2))


def gains_along(
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, Estimate]]]],
    folder: Path,
    name: str,
    heading: tuple[str, str],
    axis: str,
) -> tuple[Path, ...]:
    """Draw gains in accuracy against a number on a logarithmic axis, with 95 % intervals over seeds.

    Args:
        panels: by title, for each method the points (number, gain as a fraction).
        folder: where the files go.
        name: of the files, without ending.
        heading: the figure's title, and what it was made of.
        axis: what the number is.
    """
    methods = list(dict.fromkeys(method for lines in panels.values() for method in lines))
    look = looks(methods)

    def draw(figure: "Figure") -> None:
        for place, (title, lines) in zip(
            figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels.items(), strict=True
        ):
            place.axhline(0, color="black", linewidth=1)
            for order, (method, found) in enumerate(lines.items()):
                shift = 1.03 ** (order - len(lines) / 2)  # so that intervals do not hide each other
                _points(place, found, look[method], "--" if method in DASHED else "-", method, shift)
            place.set_xscale("log")
            numbers = sorted({number for found in lines.values() for number, _ in found})
            place.set_xticks(numbers, [f"{number:g}" for number in numbers])
            place.minorticks_off()
            place.set_title(title)
            place.set_xlabel(axis)
        figure.axes[0].set_ylabel("gain over single task (points)")
        legend_below(figure, *figure.axes[0].get_legend_handles_labels())
        caption(figure, *heading, "points: means of paired differences; bars: 95 % intervals over seeds (Student t)")

    return save(draw, folder, name, (max(6.4, 4.8 * len(panels)), 4.4))


def gain_rows(
    panels: Mapping[str, Mapping[str, Estimate]], folder: Path, name: str, heading: tuple[str, str], reference: str
) -> tuple[Path, ...]:
    """Draw the gains of each method over a reference as rows with 95 % intervals over seeds, a panel for each task."""
    most = max(map(len, panels.values()))

    def draw(figure: "Figure") -> None:
        for place, (title, rows) in zip(
            figure.subplots(1, len(panels), squeeze=False, sharex=True)[0], panels.items(), strict=True
        ):
            place.axvline(0, color="black", linewidth=1)
            look = looks(list(rows))
            for row, (method, gain) in enumerate(rows.items()):
                if gain.low is not None and gain.high is not None:
                    place.plot([100 * gain.low, 100 * gain.high], [row, row], color=look[method].colour, lw=2)
                place.plot(100 * gain.mean, row, "D", color=look[method].colour, markersize=5)
            place.set_yticks(range(len(rows)), list(rows))
            place.set_ylim(most - 0.5, -0.5)
            place.set_title(title)
            place.set_xlabel(f"points over {reference}")
            place.grid(visible=False, axis="y")
        caption(figure, *heading, "diamonds: means of paired differences; bars: 95 % intervals over seeds (Student t)")

    return save(draw, folder, name, (max(6.4, 3.6 * len(panels)), 1.9 + 0.34 * most))


def _curves(runs: Sequence[Run], measure: str, factor: float) -> dict[str, "np.ndarray[Any, np.dtype[np.float64]]"]:
    found = {}
    for method in in_order(run.method for run in runs):
        values = np.stack([factor * run.curve(measure) for run in runs if run.method == method])
        if np.isfinite(values[:, -1]).all():
            found[method] = values
    return found


def _limits(curves: "Iterable[np.ndarray[Any, np.dtype[np.float64]]]") -> tuple[float, float]:
    """Return a range for the lines after the first quarter of the epochs.

    The first epochs, and the intervals of few seeds, may span more than all there is to see.
    """
    means = [values.mean(0)[values.shape[1] // 4 :] for values in curves]
    low, high = min(map(np.nanmin, means)), max(map(np.nanmax, means))
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin


def _band(
    axes: "Axes", values: "np.ndarray[Any, np.dtype[np.float64]]", colour: str, line: Any, marker: str, label: str
) -> None:
    measured = np.isfinite(values).all(axis=0)
    epochs, values = np.flatnonzero(measured) + 1, values[:, measured]
    every = max(1, len(epochs) // 8)
    axes.plot(
        epochs, values.mean(0), color=colour, linestyle=line, marker=marker, markevery=every, markersize=3.5,
        linewidth=1.4, label=label,
    )  # fmt: skip
    if len(values) > 1:
        estimates = [mean_over_seeds(values[:, epoch]) for epoch in range(values.shape[1])]
        low = [estimate.mean if estimate.low is None else estimate.low for estimate in estimates]
        high = [estimate.mean if estimate.high is None else estimate.high for estimate in estimates]
        axes.fill_between(epochs, low, high, color=colour, alpha=0.08, lw=0)


def _points(
    axes: "Axes", found: Sequence[tuple[float, Estimate]], look: Any, line: str, label: str, shift: float
) -> None:
    numbers = [number * shift for number, _ in found]
    means = [100 * gain.mean for _, gain in found]
    low = [100 * (gain.mean - (gain.mean if gain.low is None else gain.low)) for _, gain in found]
    high = [100 * ((gain.mean if gain.high is None else gain.high) - gain.mean) for _, gain in found]
    axes.errorbar(
        numbers, means, yerr=[low, high], color=look.colour, linestyle=line, marker=look.marker, markersize=5,
        capsize=2, elinewidth=1, label=label,
    )  # fmt: skip
