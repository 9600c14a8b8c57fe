"""Trains the best leads on a bed of the contest: test data, MAXL's tuned settings, the contest's seeds.

    git worktree add ../leads d1b84cc
    PYTHONPATH=../leads/src python benchmarks/leads_on_beds.py fashion-500 --root data --out leads

The leads left the package after commit d1b84cc, so the package is taken from there, and what was tuned from
results/contest/BED/plan.json here. Other methods of a plan (`--methods frozen maxl`) are run with their own settings:
that they come out as in the contest shows that both commits train alike. `--methods 'lead-start, shuffled'` gives each
sample the label of another one of its class, as that lead's finished run has it. OUT/BED.csv holds one line per run
of the methods that are named; the same command goes on where it was interrupted.
"""

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path

from metaux.protocols import resolve
from metaux.runs.pool import summarise_failures, work_through
from metaux.runs.progress import Job
from metaux.runs.record import Run, is_finished
from metaux.studies.benchmark.datasets import BEDS, found
from metaux.studies.benchmark.measured import FIRST_SEED, SHUFFLED

PLANS = Path(__file__).parent.parent / "results" / "contest"
LEADS = ("lead-ten-times", "lead-start", "lead-consistent", "lead-warm-up")
MEASURES = ("label_top_probability", "subclasses_used")


def main() -> None:
    """Train what is missing; write what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bed")
    parser.add_argument("--methods", nargs="+", default=LEADS)
    parser.add_argument("--root", default="data")
    parser.add_argument("--out", type=Path, default=Path("leads"))
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    plan = json.loads((PLANS / given.bed / "plan.json").read_text())
    bed = found({given.bed: BEDS[given.bed]}, given.root, "auto")[0][given.bed]
    jobs = {}
    for seed in range(FIRST_SEED, FIRST_SEED + plan["seeds"]):
        for name in given.methods:
            method, _, control = name.partition(", ")
            tuned = plan["rows"]["maxl" if method in LEADS else method]
            own = replace(bed, learning_rate=tuned["learning_rate"], weight_decay=tuned["weight_decay"])
            if control == SHUFFLED:
                own, method = replace(own, labels=str(given.out / given.bed / f"{method}-{seed}")), control
            jobs[name, seed] = Job(
                own, method, seed, given.out / given.bed / f"{name}-{seed}", resolve(own).epochs, 1.0
            )
    failures = work_through([job for job in jobs.values() if not is_finished(job.folder)], given.jobs)
    with (given.out / f"{given.bed}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["bed", "labels", "seed", "test_accuracy", *MEASURES])
        for (name, seed), job in jobs.items():
            if is_finished(job.folder):
                run = Run.read(job.folder)
                writer.writerow([given.bed, name, seed, run.accuracy, *(run.epochs[-1].get(key) for key in MEASURES)])
    if failures:
        raise SystemExit(summarise_failures(failures))


if __name__ == "__main__":
    main()
