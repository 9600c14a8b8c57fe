"""What may be had in place of a method: single task for the same time, an ensemble, human labels."""

from collections.abc import Mapping

from rich.table import Table

from metaux.evidence.comparison import Comparison
from metaux.evidence.intervals import interval_of_points
from metaux.evidence.statistics import Estimate, mean_over_seeds, paired
from metaux.studies.benchmark.measured import ENSEMBLE, same_time_as
from metaux.studies.benchmark.rules import HUMAN
from metaux.terminal import make_table
from metaux.words import points


def alternatives(comparison: Comparison) -> dict[str, dict[str, Estimate]]:
    """Return what each method gains over what may be had in its place; where that is an ensemble alone, none.

    Returns:
        By method and column: the paired difference over seeds to single task trained for the same time, to two single
        tasks as an ensemble, and to human labels. No method has to be above these to be called a gain.
    """
    reached = {row.name: dict(zip(row.seeds, row.accuracies, strict=True)) for row in comparison.rows}
    found: dict[str, dict[str, Estimate]] = {}
    for row in comparison.rows:
        others = {"single, same time": same_time_as(row.name), ENSEMBLE: ENSEMBLE, HUMAN: HUMAN}
        there = {title: other for title, other in others.items() if other in reached}
        if row.role == "method" and there.keys() - {ENSEMBLE}:
            differences = {title: paired(reached[row.name], reached[other]) for title, other in there.items()}
            found[row.name] = {title: mean_over_seeds(own) for title, own in differences.items() if own}
    return found


def alternatives_table(name: str, found: Mapping[str, Mapping[str, Estimate]]) -> Table:
    """Return what `alternatives` found as a table, in points with 95 % intervals over seeds."""
    titles = list(dict.fromkeys(title for own in found.values() for title in own))
    cells = [
        (
            method,
            *(f"{points(own[t].mean)} {interval_of_points(own[t])}".strip() if t in own else "–" for t in titles),
        )
        for method, own in found.items()
    ]
    columns = ("row", *(f"minus {title}" for title in titles))
    return make_table(columns, cells, f"{name}: what else could be had, paired by seed")
