"""Milliseconds per iteration of each method, on random images of CIFAR's size.

    python benchmarks/steps.py --device cuda

An iteration is a training step and, for methods that learn labels, its meta step. The methods are timed one after
another in this process, so run it on a machine with nothing else to do.
"""

import argparse
import json
import time

import torch

from metaux.data.samples import LabelledData, Samples
from metaux.hierarchy import Hierarchy
from metaux.runs.plan import make_plan
from metaux.runs.worker import device_name
from metaux.settings import Settings
from metaux.training.devices import make_fabric
from metaux.training.fit import Trainer

METHODS = ("single", "uniform", "kmeans", "frozen", "maxl", "vector")
CLASSES, SUBCLASSES, BATCHES = 3, 33, 20


def trainer(method: str, given: argparse.Namespace) -> Trainer:
    """Return a trainer on made-up data."""
    torch.manual_seed(0)
    count = BATCHES * 100
    images = torch.randint(256, (count, 3, given.size, given.size), dtype=torch.uint8)
    samples = Samples((images,), torch.arange(count) % CLASSES)
    data = LabelledData(samples, samples.take(torch.arange(100)), Hierarchy([SUBCLASSES] * CLASSES), "image")
    settings = Settings(
        protocol="iclr", backbone=given.backbone, augment="crop-flip", device=given.device, precision=given.precision
    )
    return Trainer(make_plan(settings, method, 0, data), make_fabric(settings))


def seconds(made: Trainer, iterations: int) -> float:
    """Return the seconds of an iteration, after five that warm up."""
    orders = made._orders(0)
    count = len(orders["train"])
    for position in range(iterations + 5):
        if position == 5:
            _wait(made)
            start = time.perf_counter()
        place = position % count
        with made.fabric.autocast():
            made._train(made.loader.augmented(orders["train"][place], "timing", position))
            if made.source.meta_step is not None:
                made._meta(orders, 0, place, 1.0)
    _wait(made)
    return (time.perf_counter() - start) / iterations


def _wait(made: Trainer) -> None:
    if made.fabric.device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--backbone", default="vgg16")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--iterations", type=int, default=60)
    given = parser.parse_args()
    made = {method: trainer(method, given) for method in METHODS}
    found = {method: round(1000 * seconds(own, given.iterations), 2) for method, own in made.items()}
    device = device_name(made["single"].fabric.device)
    print(
        json.dumps({"device": device, "torch": torch.__version__, **vars(given), "ms_per_iteration": found}, indent=2)
    )
