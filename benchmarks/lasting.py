"""Does a process that trains for long, or many times, keep memory or open files?

    python benchmarks/lasting.py --out results/reliability

In one process, one after the other: a training of MAXL of 1,000 iterations, 100 fits of `MetauxClassifier`, and 200
recorded runs of five methods, all on a hundred samples or so. A line of the record is what the process has after each
ten iterations, fits or runs: its own memory (without the libraries' files), open files and threads. What is there in
the last third of a part should be what was there in the second; where the mean memory is more than 2 % above, or a file
or thread more is open, the exit status is 1. (The first third is left out: in it libraries are loaded and buffers
grow.)
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from sklearn.datasets import load_wine

from metaux import MetauxClassifier
from metaux.files import to_csv, write_text_atomic
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.plan import make_plan
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.callbacks import Callback, Training
from metaux.training.devices import computing, make_fabric
from metaux.training.learner import make_learner
from metaux.training.loop import fit

SAMPLES, BATCH = 100, 25
SETTINGS = Settings("wine", train_size=SAMPLES, batch_size=BATCH, epochs=2, backbone="mlp", device="cpu", threads=1)
METHODS = ("single", "uniform", "kmeans", "maxl", "logistic-regression")
MOST = 1.02
Line = dict[str, object]


def now(part: str, number: int) -> Line:
    """Return what this process has: MB of memory, open files, threads."""
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return {
        "part": part,
        "number": number,
        "memory_mb": round(int(status["RssAnon"].split()[0]) * 1024 / 1e6, 1),
        "open_files": len([*Path("/proc/self/fd").iterdir()]),
        "threads": int(status["Threads"]),
    }


class Noted(Callback):
    """Notes what the process has after each tenth batch."""

    def __init__(self) -> None:
        self.lines, self.batches = list[Line](), 0

    def on_batch_end(self, training: Training) -> None:  # noqa: ARG002
        """Count a batch."""
        self.batches += 1
        if self.batches % 10 == 0:
            self.lines.append(now("iterations", self.batches))


def iterations(count: int) -> Iterator[Line]:
    """Train MAXL for so many steps, each with its meta step."""
    settings, noted = replace(SETTINGS, epochs=count * BATCH // SAMPLES), Noted()
    with computing(1):
        learner = make_learner(make_plan(Trial(settings, "maxl", 0), load_once(settings)), make_fabric(settings))
        fit(learner, callbacks=[noted])
    yield from noted.lines


def fits(count: int) -> Iterator[Line]:
    """Fit an estimator so many times."""
    x, y = load_wine(return_X_y=True)
    for number in range(1, count + 1):
        classifier = MetauxClassifier("mlp", epochs=2, batch_size=BATCH, random_state=number, device="cpu")
        classifier.fit(x, y).predict(x)
        if number % 10 == 0:
            yield now("fits", number)


def runs(count: int) -> Iterator[Line]:
    """Train and record so many runs."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, count + 1):
            trial = Trial(SETTINGS, METHODS[number % len(METHODS)], number)
            run(trial, load_once(replace(SETTINGS, epochs=None)), Path(folder) / f"{number}")
            if number % 10 == 0:
                yield now("runs", number)


def growth(lines: list[Line]) -> str:
    """Return what is more in the last third than in the second, empty if nothing is; and print both."""
    third = len(lines) // 3
    second, last = lines[-2 * third : -third], lines[-third:]
    memory = [fmean(float(str(line["memory_mb"])) for line in own) for own in (second, last)]
    names = "open_files", "threads"
    counts = [[max(int(str(line[name])) for line in own) for own in (second, last)] for name in names]
    told = f"{memory[0]:.1f} MB, then {memory[1]:.1f}; open files {counts[0]}, threads {counts[1]}"
    print(f"{lines[-1]['number']} {lines[-1]['part']}: {told}", flush=True)
    more = memory[1] > MOST * memory[0] or any(after > before for before, after in counts)
    return str(lines[-1]["part"]) if more else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/reliability"), help="folder of lasting.csv")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    every, grown = list[Line](), list[str]()
    for part in (iterations(1000), fits(100), runs(200)):
        lines = [*part]
        every += lines
        grown.append(growth(lines))
        write_text_atomic(options.out / "lasting.csv", to_csv(every))
    if any(grown):
        sys.exit(f"more in the last third than in the second: {', '.join(filter(None, grown))}")


if __name__ == "__main__":
    main()
