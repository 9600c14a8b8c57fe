"""What a contest found, as a table, as CSV and in a sentence."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from metaux import files
from metaux.evidence.intervals import interval_of_accuracy, interval_of_points
from metaux.evidence.statistics import Estimate
from metaux.evidence.table import bounds
from metaux.labels.sources import REFERENCES
from metaux.settings import Settings
from metaux.studies.benchmark.measured import ENSEMBLE, EQUAL_COMPUTE, Row
from metaux.studies.benchmark.rules import HUMAN, SINGLE
from metaux.terminal import make_table
from metaux.words import counted, listed, percent, points

if TYPE_CHECKING:
    from rich.table import Table


def table(name: str, bed: Settings, rows: Sequence[Row]) -> "Table":
    """Return the rows of a bed as a table; accuracies in per cent, differences in points, with 95 % intervals."""
    columns = ("row", "accuracy", "minus single", "minus uniform", "minus frozen", "minus own control", "cost")
    cells = []
    for row in rows:
        own = [f"{other} {_points(d)}" for other, d in row.differences.items() if other not in REFERENCES]
        cells.append(
            (
                row.name,
                f"{percent(row.accuracy.mean)} {interval_of_accuracy(row.accuracy)}".strip(),
                *(_points(row.differences[other]) if other in row.differences else "–" for other in REFERENCES),
                "\n".join(own) or "–",
                f"×{row.cost:.2f}",
            )
        )
    seeds = max(len(row.seeds) for row in rows)
    return make_table(columns, cells, f"{name}: test accuracy, {seeds} paired seeds, {bed.epochs} epochs")


def alternatives(rows: Sequence[Row]) -> dict[str, dict[str, Estimate]]:
    """Return what each method gains over what may be had in its place; where that is an ensemble alone, none.

    Returns:
        By method and column: the paired difference over seeds to single task trained for the same time, to two single
        tasks as an ensemble, and to human labels. No method has to be above these to be called a gain.
    """
    by_name = {row.name: row for row in rows}
    found: dict[str, dict[str, Estimate]] = {}
    for row in rows:
        others = {"single, same time": f"{EQUAL_COMPUTE} {row.name}", ENSEMBLE: ENSEMBLE, HUMAN: HUMAN}
        there = {title: by_name[other] for title, other in others.items() if other in by_name}
        if row.role == "method" and there.keys() - {ENSEMBLE}:
            found[row.name] = {title: row.minus(other) for title, other in there.items()}
    return found


def alternatives_table(name: str, found: Mapping[str, Mapping[str, Estimate]]) -> "Table":
    """Return what `alternatives` found as a table, in points with 95 % intervals over seeds."""
    titles = list(dict.fromkeys(title for own in found.values() for title in own))
    cells = [
        (method, *(_points(own[title]) if title in own else "–" for title in titles)) for method, own in found.items()
    ]
    columns = ("row", *(f"minus {title}" for title in titles))
    return make_table(columns, cells, f"{name}: what else could be had, paired by seed")


def to_csv(name: str, rows: Sequence[Row]) -> str:
    """Return the rows as CSV; accuracies are fractions, the unknown is empty."""
    compared = dict.fromkeys(other for row in rows for other in row.differences)
    lines = []
    for row in rows:
        line: dict[str, object] = {"bed": name, "row": row.name, "role": row.role, "n": len(row.seeds)}
        line |= bounds("accuracy", row.accuracy)
        for other in compared:
            line |= bounds(f"minus_{other}", row.over_samples.get(other), "test_")
            line |= bounds(f"minus_{other}", row.differences.get(other), "seeds_")
        lines.append({**line, "cost": row.cost, "beats_all": row.beats_all})
    return files.to_csv(lines)


def verdict(rows: Sequence[Row]) -> str:
    """Say which methods are above single task, and which above all that they are compared with."""
    methods = [row for row in rows if row.role == "method"]
    above = [row.name for row in methods if row.above(SINGLE)]
    all_ = [row.name for row in methods if row.beats_all]
    said = (
        f"Above tuned single task (95 % intervals over seeds and over test samples): {listed(above) or 'none'}; "
        f"above every control too: {listed(all_) or 'none'}."
    )
    lacking = [
        f"{row.name} ({len(row.seeds)} of {counted(len(row.seeds) + len(row.absent), 'seed')})"
        for row in rows
        if row.absent
    ]
    return f"{said} Not judged, since runs are missing: {listed(lacking)}." if lacking else said


def _points(difference: Estimate) -> str:
    return f"{points(difference.mean)} {interval_of_points(difference)}".strip()
