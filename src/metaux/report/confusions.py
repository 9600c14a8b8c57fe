"""Which classes are taken for which: confusion matrices side by side, and their difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from metaux.evidence.quality import confusion
from metaux.report.chart import Chart, Heat
from metaux.report.parts import Panel, Section
from metaux.report.recorded import Recorded
from metaux.runs.record import Run

MOST_CHANGES = 8


@dataclass(frozen=True)
class Confusions(Section):
    """Confusion matrices: single task's, that of the selected method, and the difference of the two.

    `changes` are by method the cells that differ most from single task's: true class, predicted class, and by how many
    percentage points of the true class.
    """

    changes: Mapping[str, Sequence[tuple[str, str, float]]]


def confusions(recorded: Recorded) -> Confusions:
    """Make the matrices of all methods."""
    names, ranked = recorded.class_names, recorded.ranked
    counts = {method: counts_of(runs, len(names)) for method, runs in recorded.by_method.items()}
    shares = {method: 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1) for method, matrix in counts.items()}
    tested = next(iter(counts.values())).sum(1) > 0
    largest = max(float(matrix.max()) for matrix in shares.values()) or 1.0

    def chart(matrix: NDArray[Any], largest: float, unit: str, signed: bool = False) -> Chart:
        """Return one matrix; the rows of classes without test samples are blank."""
        rows = [row if has else [None] * len(names) for row, has in zip(matrix.tolist(), tested, strict=True)]
        return Chart([Heat(names, rows, largest, unit, signed)])

    tables = {
        "confusion": [
            {"method": method, "true_class": name}
            | {f"predicted {other}": count for other, count in zip(names, row, strict=True)}
            for method, matrix in counts.items()
            for name, row in zip(names, matrix.tolist(), strict=True)
        ]
    }
    own = {name: chart(shares[name], largest, "% of the true class") for name in ranked}
    selected = Panel("confusion", "Confusion matrix of the selected method", own, "where")
    if "single" not in counts or ranked == ["single"]:
        return Confusions([selected], tables, {})
    single = {"": chart(shares["single"], largest, "% of the true class")}
    changes = {name: shares[name] - shares["single"] for name in ranked}
    differences = {
        name: chart(matrix, float(abs(matrix).max()) or 1.0, "points", signed=True) for name, matrix in changes.items()
    }
    panels = [
        Panel("confusion-single", "Confusion matrix of single task", single, title="single"),
        selected,
        Panel("confusion-difference", "Difference of the two matrices", differences, "where", title="minus single"),
    ]
    return Confusions(panels, tables, {name: _largest(matrix, names) for name, matrix in changes.items()})


def counts_of(runs: Sequence[Run], classes: int) -> NDArray[Any]:
    """Return how many test samples of each class (row) are predicted as each class (column), the mean over runs."""
    mean: NDArray[Any] = np.mean([_counted(run, classes) for run in runs], axis=0)
    return mean


def _counted(run: Run, classes: int) -> NDArray[Any]:
    predicted, primary = run.output("test_probabilities").argmax(-1), run.output("test_primary")
    counts: NDArray[Any] = confusion(torch.from_numpy(predicted), torch.from_numpy(primary), classes).numpy()
    return counts


def _largest(change: NDArray[Any], names: Sequence[str]) -> list[tuple[str, str, float]]:
    """Return the cells that changed most, largest first."""
    cells = np.argsort(-abs(change), axis=None, kind="stable")[:MOST_CHANGES]
    places = zip(*np.unravel_index(cells, change.shape), strict=True)
    return [(names[row], names[column], float(change[row, column])) for row, column in places if change[row, column]]
