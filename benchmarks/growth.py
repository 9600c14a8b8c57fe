"""How time and memory of a step grow with sub-classes, classes, batch and depth.

    python benchmarks/growth.py --out results/speed/growth.csv

MAXL and single task in protocol `tuned`, on random images of 3 x 16 x 16 and a small CNN; one thread. One quantity at a
time is changed: sub-classes per class (of 10 classes), classes (of 5 sub-classes, and of 100), samples in a batch, and
blocks of the network. Each row is of a process of its own: the least CPU time of an iteration, since other programs may
run beside it, and the peak memory beyond that of the process before it made networks and data. At last it prints, for
each quantity, the exponent of a power that is fitted to its three largest values.
"""

import argparse
import csv
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import linear_regression
from typing import Any

import torch
from recording import peak_memory
from torch import nn

from metaux.allocation import keep_freed_memory
from metaux.data.samples import LabelledData, Samples
from metaux.files import to_csv, write_text_atomic
from metaux.hierarchy import Hierarchy
from metaux.labels.sources import SOURCES
from metaux.protocols import TUNED
from metaux.settings import Settings
from metaux.training.devices import make_fabric
from metaux.training.learner import make_learner
from metaux.training.loop import take_step
from metaux.training.plan import Plan

METHODS = ("single", "maxl")
BASE = {"classes": 10, "subclasses": 5, "batch": 100, "blocks": 3}
GROWN: dict[str, tuple[dict[str, int], str, tuple[int, ...]]] = {
    "sub-classes of 10 classes": ({}, "subclasses", (2, 5, 10, 20, 50, 100)),
    "classes of 5 sub-classes": ({}, "classes", (10, 30, 100, 300, 1000)),
    "classes of 100 sub-classes": ({"subclasses": 100}, "classes", (10, 30, 100, 300, 1000)),
    "batch": ({}, "batch", (25, 50, 100, 200, 400)),
    "blocks": ({}, "blocks", (3, 6, 12, 24)),
}
BATCHES = 4
WIDTH = 32


def trunk(blocks: int) -> nn.Module:
    """Return a CNN of so many blocks, the second and the third of which halve the image's sides."""
    layers: list[nn.Module] = []
    for number in range(blocks):
        layers += [nn.Conv2d(WIDTH if number else 3, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if number in (1, 2) else []
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def measure(method: str, classes: int, subclasses: int, batch: int, blocks: int) -> dict[str, float]:
    """Return what a step of this process costs."""
    torch.set_num_threads(1)
    keep_freed_memory()
    torch.manual_seed(0)
    start, count = peak_memory(), batch * BATCHES
    samples = Samples((torch.randint(256, (count, 3, 16, 16), dtype=torch.uint8),), torch.arange(count) % classes)
    plan = Plan(
        data=LabelledData(samples, samples, Hierarchy([subclasses] * classes), "image"),
        train=samples,
        meta=None,
        preprocess=lambda inputs: (inputs[0].float() / 255 - 0.5,),
        augment=None,
        trunk=lambda: trunk(blocks),
        source=SOURCES[method],
        protocol=replace(TUNED, batch_size=batch),
        meta_gradient=None,
    )
    learner = make_learner(plan, make_fabric(Settings(device="cpu")))
    learner.network.train()
    learner.source.train()
    seconds, order = [], learner.batches.order(0)
    for turn in range(3 * BATCHES):
        begin = time.process_time()
        take_step(learner, "train", order, turn % (BATCHES - 1), 1.0)  # the last batch of an epoch has a pass more
        seconds.append(time.process_time() - begin)
    return {"seconds": min(seconds[1:]), "peak_mb": peak_memory() - start}


def rows(known: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what is not known yet."""
    there = {(row["grown"], row["method"], int(row["value"])) for row in known}
    for grown, (base, name, values) in GROWN.items():
        for method in METHODS:
            for value in values:
                if (grown, method, value) not in there:
                    asked = {**BASE, **base, name: value, "method": method}
                    words = [sys.executable, __file__, "--one", json.dumps(asked)]
                    found = subprocess.run(words, capture_output=True, text=True)
                    if found.returncode:
                        raise SystemExit(f"{grown}, {method}, {value}: {found.stderr}")
                    yield {"grown": grown, "method": method, "value": value, **json.loads(found.stdout)}


def exponent(rows: list[dict[str, Any]], name: str) -> float:
    """Return the slope of a line through the logarithms of the last three values."""
    x = [math.log(float(row["value"])) for row in rows[-3:]]
    y = [math.log(float(row[name])) for row in rows[-3:]]
    return linear_regression(x, y).slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/speed/growth.csv"), help="file of the records")
    parser.add_argument("--one", help="measure one row in this process")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(**json.loads(arguments.one))))
        return
    known: list[dict[str, Any]] = list(csv.DictReader(arguments.out.open())) if arguments.out.exists() else []
    for row in rows(known):
        known.append(row)
        print(row, flush=True)
        write_text_atomic(arguments.out, to_csv(known))
    for grown in GROWN:
        for method in METHODS:
            own = [row for row in known if (row["grown"], row["method"]) == (grown, method)]
            print(f"{grown}, {method}: seconds ^ {exponent(own, 'seconds'):.2f}, MB ^ {exponent(own, 'peak_mb'):.2f}")


if __name__ == "__main__":
    main()
