"""What an iteration of MAXL costs, in iterations of single task, and what sharing the passes saves.

    python benchmarks/maxl.py --backbone small-cnn --out results/speed/maxl-small-cnn.json

Protocol `tuned` on random images of 3 x 32 x 32, 20 classes of 5 sub-classes, in epochs of five batches; one thread.
`apart` is the same protocol with a look-ahead of its own after each training step. The three take turns in one process,
and the least CPU time of each counts, since other programs may run beside it.
"""

import argparse
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from recording import record

from metaux.allocation import keep_freed_memory
from metaux.data.samples import LabelledData, Samples
from metaux.hierarchy import Hierarchy
from metaux.labels.sources import SOURCES
from metaux.networks.backbones import make_backbone
from metaux.protocols import TUNED
from metaux.settings import Settings
from metaux.training.devices import make_fabric
from metaux.training.learner import Learner, make_learner
from metaux.training.loop import steps_of, take_step
from metaux.training.plan import Plan

KINDS = {
    "single": ("single", TUNED),
    "maxl, passes shared": ("maxl", TUNED),
    "maxl, look-ahead apart": ("maxl", replace(TUNED, look_ahead="optimizer")),
}
LIMIT = 4.3
BATCHES, CLASSES, SUBCLASSES = 5, 20, 5


def learners(backbone: str, batch: int) -> dict[str, Learner]:
    """Return what learns, of each kind."""
    torch.manual_seed(0)
    count = batch * BATCHES
    hierarchy = Hierarchy([SUBCLASSES] * CLASSES)
    samples = Samples((torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8),), torch.arange(count) % CLASSES)
    plan = Plan(
        data=LabelledData(samples, samples, hierarchy, "image"),
        train=samples,
        meta=None,
        preprocess=lambda inputs: (inputs[0].float() / 255 - 0.5,),
        augment=None,
        trunk=partial(make_backbone, backbone, (3, 32, 32)),
        source=SOURCES["single"],
        protocol=TUNED,
        meta_gradient=None,
    )
    fabric = make_fabric(Settings(device="cpu"))
    return {
        kind: make_learner(replace(plan, source=SOURCES[method], protocol=replace(protocol, batch_size=batch)), fabric)
        for kind, (method, protocol) in KINDS.items()
    }


def epoch(learner: Learner) -> float:
    """Take the steps of an epoch; return seconds of CPU time per iteration."""
    start, order = time.process_time(), learner.batches.order(0)
    for kind, position in steps_of(learner, order):
        take_step(learner, kind, order, position, 1.0)
    return (time.process_time() - start) / len(order.train)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5, help="epochs of each that are measured (default: 5)")
    parser.add_argument("--backbone", default="small-cnn", help="small-cnn (default), vgg16 or another")
    parser.add_argument("--batch", type=int, default=100, help="samples per batch (default: 100)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    made = learners(arguments.backbone, arguments.batch)
    turns = [{kind: epoch(own) for kind, own in made.items()} for _ in range(arguments.turns + 1)]
    least = {kind: min(turn[kind] for turn in turns[1:]) for kind in made}  # the first turn sets up
    lines = [{"kind": kind, "seconds": own, "iterations": own / least["single"]} for kind, own in least.items()]
    for kind, seconds in least.items():
        limit = f"  (at most {LIMIT})" if kind == "maxl, passes shared" else ""
        print(f"{kind:24}{1000 * seconds:9.1f} ms{seconds / least['single']:7.2f} iterations{limit}")
    command = f"maxl.py --backbone {arguments.backbone} --batch {arguments.batch} --turns {arguments.turns}"
    record(arguments.out, command, limit_iterations=LIMIT, measured=lines)


if __name__ == "__main__":
    main()
