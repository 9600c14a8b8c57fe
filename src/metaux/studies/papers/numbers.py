"""The numbers behind a figure, as CSV: one line per value, in plain words."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from metaux.evidence.comparison import Comparison
from metaux.evidence.statistics import Estimate
from metaux.files import to_csv, write_text_atomic
from metaux.labels.sources import REFERENCES
from metaux.studies.papers.item import Findings


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows, all with the same keys, under a header."""
    write_text_atomic(path, to_csv(list(rows)))


def write_curves(findings: Findings, path: Path, measure: str = "test_accuracy") -> None:
    """Write one recorded measure of every epoch of every run."""
    rows = [
        {"panel": panel, "method": run.method, "seed": run.seed, "epoch": record["epoch"], measure: record[measure]}
        for panel, runs in findings.panels.items()
        for run in runs
        for record in run.epochs
        if measure in record
    ]
    write_rows(path, rows)


def write_table(comparisons: Mapping[str, Comparison], path: Path) -> None:
    """Write what each method reached (mean of the protocol's last epochs), and its differences to the references."""
    rows: list[dict[str, object]] = []
    for panel, comparison in comparisons.items():
        for row in comparison.rows:
            line: dict[str, object] = {"panel": panel, "method": row.name, "n": len(row.seeds)}
            line |= bounds("accuracy", row.accuracy)
            for name in REFERENCES:
                difference = row.differences.get(name)
                line |= bounds(f"minus_{name}", difference.seeds if difference else None)
            line["gain"] = row.gain
            line["seconds_per_epoch"] = round(row.seconds_per_epoch, 3)
            rows.append(line)
    write_rows(path, rows)


def bounds(name: str, estimate: Estimate | None) -> dict[str, object]:
    """Return a mean and its 95 % interval over seeds as three cells; empty where there is none."""
    values = (None, None, None) if estimate is None else (estimate.mean, estimate.low, estimate.high)
    names = (name, f"{name}_low", f"{name}_high")
    return {key: None if value is None else round(value, 6) for key, value in zip(names, values, strict=True)}
