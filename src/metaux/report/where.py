"""Where did it help? The classes' own differences to single task, with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metaux.evidence.folds import groups_of, ids_of, of_samples, overlap_of, side_by_side
from metaux.evidence.intervals import columns, difference_in_points, interval_of_points
from metaux.evidence.statistics import Estimate, mean_over_samples, mean_over_seeds, over_groups, paired
from metaux.report.chart import COLOURS, Axis, Chart, Look, Point, Points
from metaux.report.parts import Panel, Section
from metaux.report.recorded import Recorded
from metaux.report.to_plotly import plain
from metaux.words import counted, percent

MOST_CLASSES = 40
RESAMPLES = 2000


class ClassRow(NamedTuple):
    """How one class fares: its name, how many test samples, and the mean with both intervals, in fractions."""

    name: str
    samples: int
    seeds: Estimate
    test: Estimate


@dataclass(frozen=True)
class Where(Section):
    """The classes by method, those that lose most first.

    `paired` tells whether they are differences to single, or else accuracies; `left_out` counts the classes that the
    chart leaves out; `untested` are those without test samples.
    """

    paired: bool
    left_out: int
    untested: Sequence[str]


def where(recorded: Recorded) -> Where:
    """Make the section's first part."""
    correct: dict[str, dict[int, NDArray[Any]]] = {}
    for method, runs in recorded.by_method.items():
        each = side_by_side([run.output("test_correct").astype(np.float64) for run in runs], list(map(ids_of, runs)))
        correct[method] = {run.seed: own for run, own in zip(runs, each, strict=True)}
    single = correct.get("single", {})
    differences = {name: paired(correct[name], single) for name in recorded.ranked if name != "single"}
    values = {name: pairs for name, pairs in differences.items() if pairs}
    by_method = values or {name: list(own.values()) for name, own in correct.items()}
    primary, groups = of_samples(recorded.runs, "test_primary"), groups_of(recorded.runs)
    names, overlap = recorded.class_names, overlap_of(recorded.runs[0].settings)
    found = {method: _rows(np.stack(own), primary, groups, names, overlap) for method, own in by_method.items()}
    rows = [
        {"method": method, "class": row.name, "test_samples": row.samples}
        | columns("mean", row.seeds, "seeds")
        | {"test_low": row.test.low, "test_high": row.test.high}
        for method, own in found.items()
        for row in own
    ]
    label = "Differences of each class to single task" if values else "Accuracy of each class"
    charts = {method: _chart(own, bool(values)) for method, own in found.items()}
    untested = [name for number, name in enumerate(names) if number not in primary]
    tested = len(names) - len(untested)
    height = 70 + 22 * min(tested, MOST_CLASSES)
    panel = Panel("classes", f"{label}, sorted, with intervals", charts, "where", height)
    return Where([panel], {"classes": rows}, bool(values), max(0, tested - MOST_CLASSES), untested)


def _rows(
    values: NDArray[Any], primary: NDArray[Any], groups: NDArray[Any] | None, names: Sequence[str], overlap: float
) -> list[ClassRow]:
    """Return a row per class with test samples, from `[seeds, n_test]`, ascending."""
    rows = []
    for number, name in enumerate(names):
        here = primary == number
        own = values[:, here]
        if own.shape[1]:
            by_group = over_groups(np.nanmean(own, axis=0), None if groups is None else groups[here])
            test = mean_over_samples(by_group, resamples=RESAMPLES)
            measured = np.isfinite(own).any(axis=1)  # a part of cross-validation may have no sample of a class
            seeds = mean_over_seeds(np.nanmean(own[measured], axis=1), overlap=overlap)
            rows.append(ClassRow(name, own.shape[1], seeds, test))
    return sorted(rows, key=lambda row: row.seeds.mean)


def _chart(rows: Sequence[ClassRow], paired: bool) -> Chart:
    half = MOST_CLASSES // 2
    rows = rows if len(rows) <= MOST_CLASSES else [*rows[:half], *rows[-half:]]
    points = [
        Point(place, _possible(row.seeds, paired), _possible(row.test, paired), text=_in_words(row, paired))
        for place, row in enumerate(rows)
    ]
    title = "percentage points over single task" if paired else "accuracy, %"
    x = Axis(title, factor=100, zero=paired)
    return Chart([Points("", Look(COLOURS[1]), points)], x, Axis(names=tuple(row.name for row in rows)))


def _possible(estimate: Estimate, paired: bool) -> Estimate:
    """Return an estimate whose interval ends no farther than it can be: Student's t knows no bound."""
    least = -1.0 if paired else 0.0
    low, high = (None if end is None else max(least, min(1.0, end)) for end in (estimate.low, estimate.high))
    return Estimate(estimate.mean, low, high)


def _in_words(row: ClassRow, paired: bool) -> str:
    value = difference_in_points(row.seeds) if paired else f"{percent(row.seeds.mean)} %"
    interval = interval_of_points(row.test) if paired else ""
    test = f"<br>over test samples {interval}" if interval else ""
    return f"<b>{plain(row.name)}</b>: {value}{test}<br>{counted(row.samples, 'test sample')}"
