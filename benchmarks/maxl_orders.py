"""What it does to MAXL's accuracy that the training step is its look-ahead: the two orders, seed by seed.

    python benchmarks/maxl_orders.py --root data --out results/speed/maxl-orders.csv

`taken` is protocol `tuned`; `optimizer` is the same with a look-ahead of its own after each training step, as `tuned`
had it before. Equal seeds have equal training samples, starts and batches. A run that the file has is not made again.
"""

import argparse
import csv
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from metaux.evidence.intervals import difference_in_points
from metaux.evidence.statistics import mean_over_seeds, paired
from metaux.labels.sources import SOURCES
from metaux.networks.backbones import make_backbone
from metaux.protocols import resolve
from metaux.runs.loading import load_once
from metaux.runs.plan import assemble
from metaux.settings import Settings
from metaux.studies.benchmark.datasets import found as found_there
from metaux.training.devices import computing, make_fabric
from metaux.training.learner import make_learner
from metaux.training.loop import fit

Order = Literal["taken", "optimizer"]
DATASETS = {
    "digits": Settings(device="cpu"),
    "breast-cancer": Settings(data="breast-cancer", subclasses=(3,), epochs=60, device="cpu"),
    "cifar100-20-1k": Settings(
        data="cifar100",
        hierarchy="cifar100",
        primary="20",
        auxiliary="100",
        image_size=16,
        augment="crop-flip",
        backbone="small-cnn",
        train_size=1000,
        device="cpu",
    ),
}


def accuracy(settings: Settings, order: Order, seed: int) -> float:
    """Train MAXL; return its test accuracy."""
    data = load_once(settings)
    trunk = partial(make_backbone, settings.backbone, tuple(data.train.inputs[0].shape[1:]), data.kind)
    protocol = replace(resolve(settings), look_ahead=order)
    with computing(settings.threads):
        plan = assemble(settings, data, seed, protocol, SOURCES["maxl"], trunk)
        fitted = fit(make_learner(plan, make_fabric(settings)), curve=False)
    return float(fitted.test_correct.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data", help="folder of the data sets (default: data)")
    parser.add_argument("--seeds", type=int, default=8, help="default: 8")
    parser.add_argument("--out", type=Path, default=Path("results/speed/maxl-orders.csv"), help="file of the runs")
    arguments = parser.parse_args()
    rows = list(csv.reader(arguments.out.open())) if arguments.out.exists() else [["data", "order", "seed", "accuracy"]]
    there, missing = found_there(DATASETS, arguments.root, "cpu")
    for note in missing:
        print(note)
    for name in there:
        for seed in range(arguments.seeds):
            for order in get_args(Order):
                if [name, order, str(seed)] in [row[:3] for row in rows]:
                    continue
                found = accuracy(there[name], order, seed)
                rows.append([name, order, str(seed), f"{found:.6f}"])
                arguments.out.parent.mkdir(parents=True, exist_ok=True)
                with arguments.out.open("w", newline="") as file:
                    csv.writer(file).writerows(rows)
        of = {
            order: {int(seed): float(value) for data, own, seed, value in rows[1:] if (data, own) == (name, order)}
            for order in get_args(Order)
        }
        difference = mean_over_seeds(paired(of["taken"], of["optimizer"]))
        means = ", ".join(f"{order} {100 * mean_over_seeds([*own.values()]).mean:.1f} %" for order, own in of.items())
        print(f"{name}: {means}; taken - optimizer: {difference_in_points(difference)} ({len(of['taken'])} seeds)")


if __name__ == "__main__":
    main()
