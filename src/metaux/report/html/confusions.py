"""Which classes are taken for which: confusion matrices side by side, and their difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metaux.report.canvas import COLOURS
from metaux.report.html.charts import axis, figure, plain, short
from metaux.report.html.methods import Recorded, predicted
from metaux.report.html.parts import Chart, Figure, Table

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_NAMED = 12
MOST_CHANGES = 8
CELLS_WITH_NUMBERS = 10
CELLS_WITH_DECIMALS = 5
LONGEST_TICK = 14
LEVEL = 30  # characters; more do not stand side by side under a matrix
# Nothing is the colour of the paper, which the page knows in light and dark.
SHADES = [[0, "#ffffff"], [1, COLOURS[1]]]
BOTH_WAYS = [[0, COLOURS[1]], [0.5, "#ffffff"], [1, COLOURS[4]]]


@dataclass(frozen=True)
class Confusions:
    """Confusion matrices.

    Args:
        counts: by method, the mean over its seeds of how many samples of each true class (row) are predicted as each
            class (column).
        charts: single task's, that of the selected method, and the difference of the two.
        names: the classes.
        changes: by method, the cells that differ most from single task's: true class, predicted class, and by how many
            percentage points of the true class.
    """

    counts: "dict[str, Array]"
    charts: Sequence[tuple[str, Chart]]
    names: Sequence[str]
    changes: Mapping[str, Sequence[tuple[str, str, float]]]

    def table(self) -> Table:
        """Return all numbers."""
        return Table(
            "confusion",
            ("method", "true_class", *(f"predicted {name}" for name in self.names)),
            [
                (method, name, *(round(float(count), 3) for count in row))
                for method, matrix in self.counts.items()
                for name, row in zip(self.names, matrix, strict=True)
            ],
        )


def confusions(recorded: Recorded) -> Confusions:
    """Make the matrices of all methods."""
    import numpy as np

    names = recorded.class_names
    primary = recorded.runs[0].output("test_primary")
    counts = {
        method: np.mean([_counted(primary, predicted(run), len(names)) for run in recorded.of_method(method)], axis=0)
        for method in recorded.methods
    }
    shares = {method: 100 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1) for method, matrix in counts.items()}
    ranked = recorded.ranked()
    largest = max(float(matrix.max()) for matrix in shares.values()) or 1.0
    tested = np.bincount(primary, minlength=len(names)) > 0
    own = {name: _figure(shares[name], tested, names, largest) for name in ranked}
    if "single" not in counts or ranked == ["single"]:
        charts = [("", Chart("confusion", "Confusion matrix of the selected method", own, "where"))]
        return Confusions(counts, charts, names, {})
    single = _figure(shares["single"], tested, names, largest)
    changes = {name: shares[name] - shares["single"] for name in ranked}
    differences = {
        name: _figure(matrix, tested, names, float(abs(matrix).max()) or 1.0, paired=True)
        for name, matrix in changes.items()
    }
    charts = [
        ("single", Chart("confusion-single", "Confusion matrix of single task", {"": single})),
        ("", Chart("confusion", "Confusion matrix of the selected method", own, "where")),
        ("minus single", Chart("confusion-difference", "Difference of the two matrices", differences, "where")),
    ]
    most = {name: _largest(matrix, names) for name, matrix in changes.items() if name != "single"}
    return Confusions(counts, charts, names, most)


def _largest(change: "Array", names: Sequence[str]) -> list[tuple[str, str, float]]:
    """Return the cells that changed most, largest first."""
    import numpy as np

    cells = np.argsort(-abs(change), axis=None, kind="stable")[:MOST_CHANGES]
    places = zip(*np.unravel_index(cells, change.shape), strict=True)
    return [(names[row], names[column], float(change[row, column])) for row, column in places if change[row, column]]


def _counted(primary: "Array", predicted: "Array", classes: int) -> "Array":
    import numpy as np

    return np.bincount(primary * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _figure(matrix: "Array", tested: "Array", names: Sequence[str], largest: float, paired: bool = False) -> Figure:
    """Return one matrix; the rows of classes without test samples are blank."""
    count = len(names)
    ticks = list(short(names, LONGEST_TICK).values())
    level = count * (2 + max(len(name[:LONGEST_TICK]) for name in names)) <= LEVEL
    # By place: as categories, plotly loses a class called `constructor`.
    marks: dict[str, Any] = {"tickvals": list(range(count)), "ticktext": ticks, "showgrid": False}
    if count > MOST_NAMED:
        marks = {"showticklabels": False, "showgrid": False}
    unit = "points" if paired else "% of the true class"
    few = count <= CELLS_WITH_NUMBERS
    heat: dict[str, object] = {
        "type": "heatmap",
        "z": [
            [round(float(value), 1) if has else None for value in row] for row, has in zip(matrix, tested, strict=True)
        ],
        "colorscale": BOTH_WAYS if paired else SHADES,
        "zmin": -largest if paired else 0,
        "zmax": largest,
        "showscale": False,
        "xgap": 1 if few else 0,
        "ygap": 1 if few else 0,
        "hoverongaps": False,
        # The names stand once in the figure, and the page finds those of a cell by its place.
        "meta": [plain(name) for name in names],
        "hovertemplate": f"%{{hovertext}}<br>%{{z:{'+' if paired else ''}.1f}} {unit}<extra></extra>",
    }
    if few:
        decimals = 1 if count <= CELLS_WITH_DECIMALS else 0
        heat |= {
            "text": [[_number(float(value), decimals, paired) for value in row] for row in matrix],
            "texttemplate": "%{text}",
            "textfont": {"size": 11 if decimals else 10},
        }
    return figure(
        [heat],
        {
            "xaxis": axis(range=[-0.5, count - 0.5], tickangle=0 if level else -45, **marks),
            "yaxis": axis(range=[count - 0.5, -0.5], **marks),
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        },
    )


def _number(value: float, decimals: int, signed: bool) -> str:
    """Return what stands in a cell; nothing in place of zero."""
    value = round(value, decimals)
    return f"{value:{'+' if signed else ''}.{decimals}f}" if value else ""
