"""Is anything called better, or more accurate than chance, where the labels are random?

    python benchmarks/placebo.py --out results/reliability

Makes tables of normal columns and of classes that are equally frequent and in random order, and compares on each what
`metaux compare` compares by default, classical models included. (Were the classes drawn one by one, the most frequent
one would be a better guess than 1 in 4.) A line of the record is one table: the mean accuracy of all rows, and how many
rows its verdict calls better than single task. Student's 95 % interval of the accuracy over the tables should hold
chance, and nothing should be called better; otherwise the exit status is 1.
"""

import argparse
import csv
import tempfile
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd
from rich.console import Console

from metaux.evidence.statistics import mean_over_seeds
from metaux.runs.workers import Processes
from metaux.settings import Settings
from metaux.studies.compare import compare

CLASSES, SAMPLES, COLUMNS, SEEDS, EPOCHS = 4, 400, 10, 3, 5
FIELDS = ("table", "rows", "accuracy", "called_better")


def measured(number: int, place: Path) -> tuple[int, float, int]:
    """Return how many rows a table compares, their mean accuracy, and how many are called better."""
    generator = np.random.default_rng(number)
    frame = pd.DataFrame(generator.normal(size=(SAMPLES, COLUMNS))).add_prefix("x")
    frame["label"] = generator.permutation(SAMPLES) % CLASSES
    frame.to_csv(place / "table.csv", index=False)
    settings = Settings(data=str(place / "table.csv"), epochs=EPOCHS)
    comparison, verdict = compare(settings, (), SEEDS, Processes(1), place / "compared", Console(quiet=True))
    accuracy = fmean(row.accuracy.mean for row in comparison.rows)
    return len(comparison.rows), accuracy, len(verdict.winners) + bool(verdict.simpler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=20, help="how many (default: 20)")
    parser.add_argument("--out", type=Path, default=Path("results/reliability"), help="folder of placebo.csv")
    options = parser.parse_args()
    if options.tables < 2:
        parser.error("expected at least 2 tables: one has no interval")
    options.out.mkdir(parents=True, exist_ok=True)
    found = list[tuple[int, float, int]]()
    with (options.out / "placebo.csv").open("w", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(FIELDS)
        for number in range(options.tables):
            with tempfile.TemporaryDirectory() as place:
                found.append(measured(number, Path(place)))
            rows, accuracy, called = found[-1]
            lines.writerow((number, rows, f"{accuracy:.4f}", called))
            file.flush()
    over = mean_over_seeds([accuracy for _, accuracy, _ in found])
    called = sum(own for _, _, own in found)
    assert over.low is not None
    assert over.high is not None
    print(f"accuracy {over.mean:.4f} [{over.low:.4f}, {over.high:.4f}], chance {1 / CLASSES}; {called} called better")
    if called or not over.low <= 1 / CLASSES <= over.high:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
