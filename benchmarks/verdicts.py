"""How often the intervals hold, how often a verdict calls a gain where there is none, and how often it finds one.

    python benchmarks/verdicts.py --out results/reliability

First, experiments of n paired differences whose true mean is known: how many of the 95 % intervals cover it. The
differences are normal, or of two shares of 1,000 test samples (binomial). Then whole tables as `metaux compare` makes
them of images, eight rows on 1,000 test samples: samples differ in how hard they are, rows in which samples they get
right, and runs of a row by a normal shift of 0.5 points. In one half of the tables no row is better than another; in
the other half MAXL is one point better than all others. Recorded is how many verdicts call a gain for any row, and for
MAXL.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from metaux.evidence.comparison import Comparison
from metaux.evidence.contender import Contender, Result
from metaux.evidence.statistics import mean_over_seeds, share_of_samples
from metaux.evidence.verdict import judge
from metaux.files import to_csv, write_text_atomic
from metaux.labels.sources import baselines, entry
from metaux.runs.record import Run, write_finished, write_records, write_settings
from metaux.settings import Settings

Array = NDArray[np.float64]
SEEDS = (3, 5, 8)
METHODS = ("single", "uniform", "frozen", "random", "kmeans", "maxl", "transformation", "transformed")
SAMPLES, SHARE = 1000, 0.8
SHIFT, OWN, GAIN = 0.005, 0.05, 0.01


def covered(kind: str, n: int, count: int, generator: np.random.Generator) -> Iterator[bool]:
    """Yield for each experiment whether the interval over its seeds covers the true mean."""
    for _ in range(count):
        if kind == "normal":
            values = generator.normal(GAIN, SHIFT, n)
        else:
            shares = generator.binomial(SAMPLES, (SHARE + GAIN, SHARE), (n, 2)) / SAMPLES
            values = shares[:, 0] - shares[:, 1]
        found = mean_over_seeds(values)
        assert found.low is not None
        assert found.high is not None
        yield found.low <= GAIN <= found.high


def recorded(folder: Path) -> Run:
    """Record a run on so many test samples, which says what a table holds for."""
    settings = Settings(data="simulated", epochs=1)
    write_settings(folder, settings, method="single", seed=0)
    write_records(folder, [{"epoch": 1, "seconds": 1.0}])
    model = {"preprocessing": {"kind": "image"}}
    result = {"method": "single", "seed": 0, "accuracy": SHARE, "balanced_accuracy": SHARE, "seconds_per_epoch": 1.0}
    result |= {"epochs": 1, "class_names": ["a", "b"], "versions": {}, "train_size": 1, "model": model}
    outputs = {
        "test_probabilities": torch.full((SAMPLES, 2), 0.5),
        "test_correct": torch.full((SAMPLES,), SHARE),
        "test_primary": torch.zeros(SAMPLES, dtype=torch.int64),
        "train_labels": torch.ones(1, 1, dtype=torch.float16),
        "train_ids": torch.zeros(1, dtype=torch.int64),
    }
    write_finished(folder, result, outputs, {"weight": torch.zeros(1)})
    return Run.read(folder)


def winners(n: int, gain: float, run: Run, generator: np.random.Generator) -> tuple[str, ...]:
    """Return the rows that the verdict on one table calls better."""
    hard = generator.beta(2, 0.5, SAMPLES)  # a mean of 0.8, most samples easy
    contenders = []
    for name in METHODS:
        own = (hard + generator.normal(0, OWN, SAMPLES)).clip(0, 1)
        if name == "maxl":
            own += gain * (1 - own) / (1 - own).mean()  # where there is room, a point on the mean
        shifted = own + generator.normal(0, SHIFT, (n, 1))
        correct = (generator.random((n, SAMPLES)) < shifted).astype(np.float64)
        results = [Result(seed, float(c.mean()), float(c.mean()), c, 1.0, 1.0) for seed, c in enumerate(correct)]
        contenders.append(Contender(name, results, entry(name).role, baselines(name)))
    return judge(Comparison.of(contenders, [run])).winners


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=20_000, help="of each kind (default: 20,000)")
    parser.add_argument("--tables", type=int, default=500, help="of each kind (default: 500)")
    parser.add_argument("--out", type=Path, help="folder of the record to write")
    options = parser.parse_args()
    console, lines = Console(highlight=False), list[dict[str, object]]()

    def told(what: str, n: int, hits: Array) -> None:
        share = share_of_samples(hits)
        lines.append(
            {"what": what, "n": n, "count": len(hits), "share": share.mean, "low": share.low, "high": share.high}
        )
        console.print(f"{what}, n = {n}: {100 * share.mean:.2f} % of {len(hits):,}", soft_wrap=True)

    generator, start = np.random.default_rng(0), time.perf_counter()
    for kind in ("normal", "binomial"):
        for n in SEEDS:
            told(f"interval covers, {kind}", n, np.array([*covered(kind, n, options.experiments, generator)], float))
    with tempfile.TemporaryDirectory() as place:
        run = recorded(Path(place) / "run")
        for n in SEEDS:
            without = [winners(n, 0.0, run, generator) for _ in range(options.tables)]
            told("a gain is called where there is none", n, np.array([bool(found) for found in without], float))
            gained = [winners(n, GAIN, run, generator) for _ in range(options.tables)]
            told("a gain of one point is called", n, np.array(["maxl" in found for found in gained], float))
    console.print(f"{time.perf_counter() - start:.0f} s")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_text_atomic(options.out / "verdicts.csv", to_csv(lines))


if __name__ == "__main__":
    main()
