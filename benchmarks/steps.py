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
from metaux.training.devices import make_fabric, wait_for
from metaux.training.learner import Learner, make_learner
from metaux.training.loop import steps_of, take_step

METHODS = ("single", "uniform", "kmeans", "frozen", "maxl", "vector")
CLASSES, SUBCLASSES, BATCHES = 3, 33, 20


def learner(method: str, given: argparse.Namespace) -> Learner:
    """Return what learns from made-up data."""
    torch.manual_seed(0)
    count = BATCHES * 100
    images = torch.randint(256, (count, 3, given.size, given.size), dtype=torch.uint8)
    samples = Samples((images,), torch.arange(count) % CLASSES)
    data = LabelledData(samples, samples.take(torch.arange(100)), Hierarchy([SUBCLASSES] * CLASSES), "image")
    settings = Settings(
        protocol="iclr", backbone=given.backbone, augment="crop-flip", device=given.device, precision=given.precision
    )
    return make_learner(make_plan(settings, method, 0, data), make_fabric(settings))


def seconds(made: Learner, iterations: int) -> float:
    """Return the seconds of an iteration, after five that warm up."""
    count = len(made.batches.order(0).train)
    for number in range(iterations + 5):
        if number == 5:
            wait_for(made.fabric.device)
            start = time.perf_counter()
        epoch, position = divmod(number, count)
        if position == 0:
            order = made.batches.order(epoch)
            steps = steps_of(made, order)
        for kind, place in steps:
            if place == position:
                take_step(made, kind, order, place, 1.0)
    wait_for(made.fabric.device)
    return (time.perf_counter() - start) / iterations


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--backbone", default="vgg16")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--iterations", type=int, default=60)
    given = parser.parse_args()
    made = {method: learner(method, given) for method in METHODS}
    found = {method: round(1000 * seconds(own, given.iterations), 2) for method, own in made.items()}
    device = device_name(made["single"].fabric.device)
    print(
        json.dumps({"device": device, "torch": torch.__version__, **vars(given), "ms_per_iteration": found}, indent=2)
    )
