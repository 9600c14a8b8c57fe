"""Does the outer loss fall as its gradient says? What a step along the gradient of `unrolled` promises, and what comes.

    python benchmarks/promised.py --root data --out results/horizon

The short training of `horizon.py`, with labels near uniform. Its outer loss, on both halves of the outer samples, has a
gradient for the logits of the labels through the last 20, 100 or all steps. The logits take a step along it, of a root
mean square of 0.01 to 1, and the training is repeated from the same start in the same order. `promised` is the change
of the outer loss by the gradient, `came` the one that is measured.

In a smooth training small steps keep their promise. So the logits are also moved at random, by 1e-4: what the outer
loss then changes by, up or down, is what no gradient can promise (`horizon` is `random` there). `agreement` is that of
the gradient with the one after such a move, from the same start, as a cosine within the classes.

One line per seed, horizon and step is recorded (`promised.csv`). What is recorded is not measured again.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev

import torch
from horizon import TRAININGS, WHOLE, Study, cifar, cosine, means
from torch import Tensor

from metaux.data.samples import Samples
from metaux.evidence.statistics import mean_over_seeds
from metaux.files import to_csv, write_text_atomic
from metaux.rng import generator

HORIZONS = (20, 100, WHOLE)
STEPS = (0.01, 0.1, 0.3, 1.0)  # of the logits, root mean square
NUDGE, NUDGES = 1e-4, 6


def outer_loss(samples: Samples, seed: int, logits: Tensor) -> float:
    """Return the outer loss after a training on labels with these logits, `[LEARNED, SUBCLASSES]`."""
    study = Study(samples, TRAININGS["short"], seed)
    study.labels = logits.softmax(-1)
    study.train(study.steps)
    with torch.no_grad():
        return fmean(float(loss(study.network(*inputs))) for half in (0, 1) for inputs, loss in study.batches(half))


def gradients(samples: Samples, seed: int, logits: Tensor) -> dict[int | str, Tensor]:
    """Return the gradient of the outer loss for these logits, through each horizon."""
    study = Study(samples, TRAININGS["short"], seed)
    study.labels = logits.softmax(-1)
    both = [study.gradients(study.rows, half)[0] for half in (0, 1)]
    by_step = [(first + second) / 2 for first, second in zip(*both, strict=True)]
    return {
        horizon: sum(by_step if horizon == WHOLE else by_step[-int(horizon) :], start=torch.zeros_like(logits))
        for horizon in HORIZONS
    }


def measured(samples: Samples, seed: int) -> Iterator[dict[str, object]]:
    """Yield the lines of a seed."""
    study = Study(samples, TRAININGS["short"], seed)
    logits = study.labels.log()
    chance = generator(seed, "nudges")
    nudged = [logits + NUDGE * torch.randn(logits.shape, generator=chance) for _ in range(NUDGES)]
    before = outer_loss(samples, seed, logits)
    for other in nudged:
        yield {
            "horizon": "random",
            "step": NUDGE,
            "promised": "",
            "came": outer_loss(samples, seed, other) - before,
            "agreement": "",
        }
    own, after_nudge = gradients(samples, seed, logits), gradients(samples, seed, nudged[0])
    for horizon, gradient in own.items():
        size = float(gradient.square().mean().sqrt())
        within = [each - means(each, study.primary) for each in (gradient, after_nudge[horizon])]
        for step in STEPS:
            yield {
                "horizon": horizon,
                "step": step,
                "promised": -step * size * gradient.numel(),
                "came": outer_loss(samples, seed, logits - step * gradient / size) - before,
                "agreement": cosine(*within),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data", help="folder of the data sets (default: data)")
    parser.add_argument("--seeds", type=int, default=5, help="how many (default: 5)")
    parser.add_argument("--out", type=Path, default=Path("results/horizon"), help="folder of the record")
    options = parser.parse_args()
    torch.set_num_threads(1)
    samples = cifar(options.root)
    path = options.out / "promised.csv"
    rows = [*csv.DictReader(path.open(encoding="utf-8"))] if path.exists() else []
    for seed in range(options.seeds):
        if not any(row["seed"] == str(seed) for row in rows):
            rows += (
                {"seed": str(seed), **{key: str(value) for key, value in line.items()}}
                for line in measured(samples, seed)
            )
            write_text_atomic(path, to_csv(rows))
    spread = stdev(float(row["came"]) for row in rows if row["horizon"] == "random")
    print(f"labels moved by {NUDGE} at random: the outer loss changes with a standard deviation of {spread:.4f}")
    for horizon in HORIZONS:
        for step in STEPS:
            own = [row for row in rows if row["horizon"] == str(horizon) and float(row["step"]) == step]
            ends = [mean_over_seeds([float(row[name]) for row in own]) for name in ("promised", "came", "agreement")]
            print(horizon, step, *(f"{each.mean:+.4f} [{each.low}, {each.high}]" for each in ends))


if __name__ == "__main__":
    main()
