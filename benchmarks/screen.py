"""Screens label sources on CIFAR-100 with 3 classes, on validation data alone: which are worth a contest?

    python benchmarks/screen.py --root data --out screen --jobs 2 --epochs 12 single uniform frozen maxl lead-hard

Every run has the settings of the test bed (16 x 16 pixels, 10,000 images, 3-block CNN) and three seeds. The same
command goes on where it was interrupted. OUT/screen.csv holds one line per run; the table says how each method differs from
single task, uniform and frozen, seed by seed, with 95 % intervals.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

from metaux.contest.beds import BEDS, found
from metaux.experiment.progress import Job
from metaux.experiment.records import Run, is_finished
from metaux.experiment.statistics import mean_over_seeds
from metaux.experiment.wording import interval_of_points, points
from metaux.experiment.work import told, work_through
from metaux.labels.registry import SOURCES

BED = "cifar100-3-10k"
REFERENCES = ("single", "uniform", "frozen")
MEASURES = ("label_top_probability", "label_entropy", "class_entropy", "subclasses_used", "label_human_nmi")
MORE = (*MEASURES, "gradient_cosine", "mean_weight", "largest_weight")


def main() -> None:
    """Train what is missing; write and print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", help="names, METHOD or METHOD:FEATURES; every one that there is if none")
    for name, kind, default in (
        ("--root", str, "data"),
        ("--out", Path, Path("screen")),
        ("--jobs", int, 2),
        ("--seeds", int, 3),
        ("--epochs", int, 12),
        ("--device", str, "auto"),
    ):
        parser.add_argument(name, type=kind, default=default)
    given = parser.parse_args()
    beds, _ = found({BED: BEDS[BED]}, given.root, given.device)
    bed = replace(beds[BED], epochs=given.epochs, evaluate_on="validation")
    names = list(dict.fromkeys([*REFERENCES, *(given.methods or SOURCES)]))
    jobs = []
    for seed in range(given.seeds):
        for name in names:
            method, _, features = name.partition(":")
            settings = replace(bed, features=features or bed.features)
            jobs.append(Job(settings, method, seed, folder(given.out, name, seed), given.epochs, 1.0))
    failures = work_through([job for job in jobs if not is_finished(job.folder)], given.jobs)
    runs = {
        name: [Run.read(path) for seed in range(given.seeds) if is_finished(path := folder(given.out, name, seed))]
        for name in names
    }
    with (given.out / "screen.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "seed", "validation_accuracy", "seconds_per_epoch", *MORE])
        for name, own in runs.items():
            for run in own:
                last = run.epochs[-1]
                writer.writerow([name, run.seed, run.accuracy, run.seconds_per_epoch, *(last.get(key) for key in MORE)])
    for name, own in sorted(runs.items(), key=lambda row: -sum(run.accuracy for run in row[1]) / max(1, len(row[1]))):
        print(f"{name:28} n = {len(own)}", *(f"  {other} {against(own, runs[other])}" for other in REFERENCES))
    if failures:
        raise SystemExit(told(failures))


def folder(out: Path, name: str, seed: int) -> Path:
    """Return where a run is recorded."""
    return out / f"{name.replace(':', '-')}-{seed}"


def against(own: list[Run], others: list[Run]) -> str:
    """Return the mean paired difference and its interval."""
    theirs = {run.seed: run.accuracy for run in others}
    differences = [run.accuracy - theirs[run.seed] for run in own if run.seed in theirs]
    if not differences:
        return "-"
    estimate = mean_over_seeds(differences)
    return f"{points(estimate.mean)} {interval_of_points(estimate)}"


if __name__ == "__main__":
    main()
