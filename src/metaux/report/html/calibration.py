"""Are the probabilities what they say? Reliability diagrams and the expected calibration error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.report.canvas import COLOURS
from metaux.report.html.charts import axis, figure
from metaux.report.html.methods import Recorded
from metaux.report.html.parts import Chart, Figure, Table, rounded
from metaux.runs.record import Run

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

BINS = 15
FEWEST_DRAWN = 10  # the accuracy of fewer samples is noise; the numbers to take away have them


@dataclass(frozen=True)
class Bin:
    """Test samples of similar confidence, of all seeds: how many, their mean confidence, and their accuracy."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How good the probabilities are.

    Args:
        bins: by method, those that have samples.
        errors: by method, the expected calibration error, over its seeds.
        chart: the selected method beside single task; None where no bin holds enough samples.
    """

    bins: dict[str, list[Bin]]
    errors: dict[str, Estimate]
    chart: Chart | None

    def tables(self) -> list[Table]:
        """Return all numbers."""
        errors = [(name, *map(rounded, (each.mean, each.low, each.high))) for name, each in self.errors.items()]
        bins = [
            (name, each.count, rounded(each.confidence), rounded(each.accuracy))
            for name, own in self.bins.items()
            for each in own
        ]
        return [
            Table("calibration-error", ("method", "mean", "seeds_low", "seeds_high"), errors),
            Table("reliability", ("method", "samples", "confidence", "accuracy"), bins),
        ]


def calibration(recorded: Recorded) -> Calibration:
    """Measure every method."""
    runs = {method: recorded.of_method(method) for method in recorded.methods}
    bins = {method: reliability(own) for method, own in runs.items()}
    errors = {method: mean_over_seeds([_error(reliability([run])) for run in own]) for method, own in runs.items()}
    figures = {name: _figure({key: bins[key] for key in ("single", name) if key in bins}) for name in recorded.ranked()}
    label = "Reliability diagram: accuracy of test samples by the confidence of their prediction"
    drawn = any(each.count >= FEWEST_DRAWN for own in bins.values() for each in own)
    return Calibration(bins, errors, Chart("reliability", label, figures, "where", 340) if drawn else None)


def reliability(runs: Sequence[Run]) -> list[Bin]:
    """Return the bins of equal width in the top probability that hold samples, those of all runs together.

    Their gaps, weighted, are `metaux.evidence.quality.calibration_error` of a single run.
    """
    import numpy as np

    probabilities = np.concatenate([run.output("test_probabilities") for run in runs]).astype(np.float64)
    primary = np.concatenate([run.output("test_primary") for run in runs])
    confidence, right = probabilities.max(-1), probabilities.argmax(-1) == primary
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        Bin(int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean()))
        for number in range(BINS)
        if (inside := place == number).any()
    ]


def _error(bins: Sequence[Bin]) -> float:
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.accuracy - each.confidence) for each in bins) / total


def _figure(bins: dict[str, list[Bin]]) -> Figure:
    traces: list[dict[str, object]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, 100],
            "y": [0, 100],
            "line": {"dash": "dot", "width": 1, "color": "#8c8c8c"},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for name, own in bins.items():
        place = 0 if name == "single" else 1
        total = sum(each.count for each in own)
        own = [each for each in own if each.count >= FEWEST_DRAWN]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "showlegend": True,
                "x": [round(100 * each.confidence, 2) for each in own],
                "y": [round(100 * each.accuracy, 2) for each in own],
                "line": {"color": COLOURS[0 if place == 0 else 4], "dash": "solid" if place else "dash", "width": 1.6},
                # The area tells how many samples a bin holds.
                "marker": {"size": [round(5 + 15 * (each.count / total) ** 0.5, 1) for each in own]},
                "text": [f"{name}: {100 * each.count / total:.1f} % of the samples" for each in own],
                "hovertemplate": "%{text}<br>confidence %{x:.1f} %<br>accuracy %{y:.1f} %<extra></extra>",
            }
        )
    return figure(
        traces,
        {
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
            "xaxis": axis("confidence, %", range=[0, 102]),
            "yaxis": axis("accuracy, %", range=[0, 102]),
        },
    )
