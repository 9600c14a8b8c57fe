"""Figures of a comparison, as PNG and SVG: learning curves, and paired differences with their intervals.

Each says on itself what data, training, seeds and interval it shows; the same numbers give the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaux.evidence.comparison import OWN, Comparison, Difference, in_order
from metaux.labels.sources import entry
from metaux.report.canvas import COLOURS, FAINT, Look, caption, described, looks, save
from metaux.runs.record import Run
from metaux.words import data_name

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def learning_curves(runs: Sequence[Run], folder: Path, name: str = "learning-curves") -> tuple[Path, ...]:
    """Draw the test accuracy of every epoch: lines are means over seeds, bands the lowest to highest seed.

    With several methods, a second panel shows the last half of the epochs enlarged.

    Args:
        runs: at least one; of one comparison.
        folder: where the files go.
        name: of the files, without ending.

    Returns:
        The files written.
    """
    import numpy as np

    grouped = {
        method: np.stack([100 * run.curve("test_accuracy") for run in runs if run.method == method])
        for method in in_order(run.method for run in runs)
    }
    epochs = max(curves.shape[1] for curves in grouped.values())
    seeds = {len(curves) for curves in grouped.values()}
    # Of the last epochs, on which the legend is ordered and the second panel looks.
    final = {method: float(curves[:, -1].mean()) for method, curves in grouped.items()}
    enlarged = epochs >= 4 and len(grouped) > 1

    def draw(figure: "Figure") -> None:
        panels = figure.subplots(1, 1 + enlarged, squeeze=False)[0]
        look = looks(list(grouped))
        for method, curves in grouped.items():
            for axes in panels:
                _curve(axes, method, curves, look[method])
        panels[0].set_ylabel("test accuracy (%)")
        for axes in panels:
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if enlarged:
            first = epochs - epochs // 2
            late = np.concatenate([curves[:, first - 1 :] for curves in grouped.values()])
            low, high = float(np.nanmin(late)), float(np.nanmax(late))
            margin = max(0.05 * (high - low), 0.05)
            panels[1].set_xlim(first - 0.02 * epochs, epochs + 0.02 * epochs)
            panels[1].set_ylim(low - margin, high + margin)
            panels[0].set_title("all epochs")
            panels[1].set_title("last half, enlarged")
        handles = dict(zip(grouped, panels[0].get_lines(), strict=True))
        ranked = sorted(grouped, key=lambda method: -final[method])
        figure.legend(
            [handles[method] for method in ranked],
            [f"{method}  {final[method]:.1f}" for method in ranked],
            title="last epoch (%)",
            loc="outside right center",
            frameon=False,
        )
        band = (
            "line: mean over seeds; band: lowest to highest seed (not a confidence interval)"
            if max(seeds) > 1
            else "one run per line"
        )
        caption(figure, "Test accuracy while training", _of_runs(runs, seeds, epochs), band)

    return save(draw, folder, name, (9.0 if enlarged else 6.4, 4.2))


def differences(comparison: Comparison, folder: Path, name: str = "differences") -> tuple[Path, ...]:
    """Draw each method's differences in test accuracy to the references and its own control, with both intervals.

    Args:
        comparison: the table.
        folder: where the files go.
        name: of the files, without ending.

    Returns:
        The files written; none if no method shares a seed with a reference.
    """
    shown = comparison.columns
    rows = [row for row in comparison.rows if row.differences]
    if not shown:
        return ()
    seeds = {len(difference.by_seed) for row in rows for difference in row.differences.values()}

    def draw(figure: "Figure") -> None:
        panels = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
        for axes, reference in zip(panels, shown, strict=True):
            axes.axvline(0, color="black", linewidth=1, zorder=1)
            for place, row in enumerate(rows):
                if (difference := row.difference(reference)) is not None:
                    _forest(axes, place, difference)
                else:
                    none = reference == OWN and not entry(row.method).control
                    why = "has none" if none else "is the reference" if row.method == reference else "no seed in common"
                    axes.text(0.02, place, why, transform=axes.get_yaxis_transform(), **_REMARK)
            axes.set_title(f"to {reference}")
            axes.set_xlabel("percentage points")
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(rows)), [row.method for row in rows])
        panels[0].set_ylim(len(rows) - 0.5, -0.5)
        figure.legend(handles=_forest_key(comparison.drawn), loc="outside lower center", ncols=3, frameon=False)
        what = described(comparison.data, comparison.train_size, comparison.test_size, comparison.epochs, seeds)
        caption(
            figure,
            "Paired differences in test accuracy",
            what,
            "right of zero is better; green: above zero in both intervals, red: below",
        )

    return save(draw, folder, name, (max(2.0 + 2.3 * len(shown), 6.4), 2.2 + 0.4 * len(rows)))


_REMARK: dict[str, Any] = {"color": FAINT, "fontsize": 7.5, "va": "center", "style": "italic"}


def _curve(axes: "Axes", method: str, curves: "np.ndarray[Any, np.dtype[np.float64]]", look: Look) -> None:
    import numpy as np

    measured = np.isfinite(curves).all(axis=0)
    epochs, curves = np.flatnonzero(measured) + 1, curves[:, measured]
    axes.plot(
        epochs,
        curves.mean(axis=0),
        label=method,
        color=look.colour,
        linestyle=look.line,
        marker=look.marker,
        markersize=4.5,
        markevery=max(1, len(epochs) // 8),
        linewidth=1.6,
    )
    if len(curves) > 1:
        axes.fill_between(epochs, curves.min(axis=0), curves.max(axis=0), color=look.colour, alpha=0.1, lw=0)


def _forest(axes: "Axes", place: int, difference: Difference) -> None:
    """Draw one difference: both intervals around one mean, and each seed as a dot."""
    mean = 100 * difference.seeds.mean
    colour = COLOURS[3] if difference.above else COLOURS[4] if difference.below else COLOURS[1]
    seeds, test = difference.seeds, difference.test
    if seeds.low is not None and seeds.high is not None:
        span = [100 * seeds.low, 100 * seeds.high]
        axes.plot(span, [place - 0.09] * 2, color=colour, lw=3, solid_capstyle="butt", zorder=3)
    if test.low is not None and test.high is not None:
        span = [100 * test.low, 100 * test.high]
        axes.plot(span, [place + 0.09] * 2, color=colour, lw=1.2, zorder=3)
    axes.plot(mean, place, "D", color=colour, markersize=5, markeredgecolor="white", zorder=5)
    axes.plot(
        [100 * value for value in difference.by_seed],
        [place - 0.27] * len(difference.by_seed),
        "o",
        color=FAINT,
        markersize=3,
        zorder=4,
    )


def _forest_key(drawn: str) -> list[Any]:
    from matplotlib.lines import Line2D

    blue = COLOURS[1]
    return [
        Line2D([], [], color=blue, lw=3, marker="D", markeredgecolor="white", label="mean, 95 % over seeds (t)"),
        Line2D([], [], color=blue, lw=1.2, label=f"95 % over {drawn} (bootstrap)"),
        Line2D([], [], color=FAINT, lw=0, marker="o", markersize=3, label="one seed"),
    ]


def _of_runs(runs: Sequence[Run], seeds: set[int], epochs: int) -> str:
    test_size = len(runs[0].output("test_primary"))
    return described(
        data_name(str(runs[0].settings.get("data", ""))), max(run.train_size for run in runs), test_size, epochs, seeds
    )
