"""Tries label sources on the validation data of a bed: python benchmarks/explore.py BED EPOCHS SEEDS OUT JOBS METHOD ..."""

# ruff: noqa
# mypy: ignore-errors
import sys, statistics
from dataclasses import replace
from pathlib import Path
from metaux.contest.beds import BEDS, found
from metaux.experiment.progress import Job
from metaux.experiment.records import Run, is_finished
from metaux.experiment.work import told, work_through


def main():
    bed_name, epochs, seeds, out, jobs, *names = sys.argv[1:]
    out = Path(out)
    epochs, jobs = int(epochs), int(jobs)
    seeds = range(*map(int, seeds.split(":"))) if ":" in seeds else range(int(seeds))
    beds, _ = found({bed_name: BEDS[bed_name]}, "data", "auto")
    rate = {"fashion-500": (0.12, 2e-3)}.get(bed_name, (0.04, 2e-3))
    base = replace(beds[bed_name], epochs=epochs, evaluate_on="validation", learning_rate=rate[0], weight_decay=rate[1])
    todo, where = [], {}
    for seed in seeds:
        for name in names:
            method, *changes = name.split(",")
            values = {k: type(getattr(base, k) or 0.0)(v) for k, v in (c.split("=") for c in changes)}
            folder = out / f"{bed_name}-{epochs}" / f"{name}-{seed}"
            where[name, seed] = folder
            if not is_finished(folder):
                todo.append(Job(replace(base, **values), method, seed, folder, epochs, 1.0, curve=False))
    failures = work_through(todo, jobs) if todo else []
    if failures:
        print(told(failures))
    acc = {n: {s: 100 * Run.read(where[n, s]).accuracy for s in seeds if is_finished(where[n, s])} for n in names}
    ref = acc.get("single") or acc[names[0]]
    for n in sorted(names, key=lambda n: -statistics.fmean(acc[n].values() or [0])):
        own = acc[n]
        d = [own[s] - ref[s] for s in own if s in ref]
        sd = statistics.stdev(d) if len(d) > 1 else float("nan")
        if own:
            print(
                f"{n:30} n={len(own)} {statistics.fmean(own.values()):6.2f} d={statistics.fmean(d):+.2f} sd={sd:.2f} s/epoch {Run.read(where[n, min(own)]).seconds_per_epoch:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
