"""What the gradient through a whole training costs, in trainings of the same length, and in memory.

    python benchmarks/unrolled.py --steps 500 500 500 5000 --out results/speed/unrolled.json

The small CNN on 100 random images of 3 x 16 x 16 per step, with 3 classes of 8 sub-classes and SGD with momentum; one
thread. Each figure is of a fresh process: seconds of CPU time, since other programs may run beside it, and the peak of
the memory beyond that of a training of three steps. Of a length that is given several times, the least of each counts,
since what runs beside it slows it down. `double backward` takes each step back by a second backward pass. All keep
freed memory (`metaux.allocation`), as every training of metaux does.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from recording import record
from torch import Tensor, nn

from metaux import MultiTaskNetwork, Step, focal_loss, unrolled
from metaux.allocation import keep_freed_memory
from metaux.networks.backbones import small_cnn

KINDS = ("training", "in memory", "checkpointed", "double backward")
LIMITS = {"in memory": 5.0, "checkpointed": 6.0}
MOST_NAIVE = 500  # steps back by double backward
BATCH, SHAPE, CLASSES, SUBCLASSES = 100, (3, 16, 16), 3, 24


class WithoutFormula(torch.autograd.Function):
    """The identity, without a forward-mode formula, so that each step back takes a double backward pass."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Any:
        return gradient


class Blocked(nn.Module):
    def forward(self, x: Tensor) -> Any:
        return WithoutFormula.apply(x)


def problem(kind: str) -> tuple[nn.Module, torch.optim.SGD, Callable[[int], Step]]:
    """Return network, optimizer and steps."""
    torch.manual_seed(0)
    trunk = small_cnn(SHAPE)
    if kind == "double backward":
        trunk = nn.Sequential(trunk, Blocked())
    network = MultiTaskNetwork(trunk, nn.Linear(128, CLASSES), nn.Linear(128, SUBCLASSES))
    network.to(memory_format=torch.channels_last)

    def step(number: int) -> Step:
        generator = torch.Generator().manual_seed(number)
        primary = torch.randint(CLASSES, (BATCH,), generator=generator)
        images = torch.randn(BATCH, *SHAPE, generator=generator).contiguous(memory_format=torch.channels_last)
        labels = torch.randn(BATCH, SUBCLASSES, generator=generator).softmax(-1)

        def loss(outputs: Any, target: Tensor) -> Tensor:
            return focal_loss(outputs.primary, primary) + focal_loss(outputs.auxiliary, target)

        return Step((images,), labels, loss)

    return network, torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4), step


def train(network: nn.Module, optimizer: torch.optim.Optimizer, step: Callable[[int], Step], steps: int) -> None:
    """Train as any loop does."""
    for number in range(steps):
        inputs, target, loss, *_ = step(number)
        loss(network(*inputs), target).backward()
        optimizer.step()
        optimizer.zero_grad()


def measure(kind: str, steps: int) -> dict[str, float]:
    """Return seconds and bytes; a few steps first, since the first ones pay for what is set up once."""
    torch.set_num_threads(1)
    keep_freed_memory()
    network, optimizer, step = problem(kind)
    primary = step(0).loss

    def run(steps: int) -> None:
        if kind == "training":
            return train(network, optimizer, step, steps)
        # A state is of one MiB: not all fit, but twice their square root does.
        memory = (2 * isqrt(steps) + 20) * 2**20 if kind == "checkpointed" else 2**40
        outer = [(step(steps).inputs, lambda outputs: primary(outputs, torch.zeros(BATCH, SUBCLASSES)))]
        unrolled(network, optimizer, step, steps, outer, memory=memory if steps > 3 else 2**40)
        return None

    run(3)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    run(steps)
    seconds = time.process_time() - start
    return {"seconds": seconds, "bytes": 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)}


def in_fresh(task: tuple[str, int]) -> dict[str, float]:
    """Return what `measure` does, of a fresh process."""
    command = [sys.executable, __file__, "--one", task[0], str(task[1])]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[500, 5000], help="lengths (default: 500 5000)")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (default: 1)")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "STEPS"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one[0], int(arguments.one[1]))))
        return
    lengths = arguments.steps
    tasks = [(kind, steps) for steps in lengths for kind in KINDS if kind != "double backward" or steps <= MOST_NAIVE]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        found = [*zip(tasks, pool.map(in_fresh, tasks), strict=True)]
    lines: list[dict[str, Any]] = []
    for kind, steps in dict.fromkeys(tasks):
        own = [measured for task, measured in found if task == (kind, steps)]
        least = {name: min(one[name] for one in own) for name in own[0]}
        lines.append({"way": kind, "steps": steps, "times": len(own), **least})
    trainings = {line["steps"]: line["seconds"] for line in lines if line["way"] == "training"}
    for line in lines:
        line["trainings"] = line["seconds"] / trainings[line["steps"]]
        limit = f"  (at most {LIMITS[line['way']]})" if line["way"] in LIMITS else ""
        cost = f"{line['bytes'] / 2**20:8.0f} MiB{line['trainings']:7.2f} trainings"
        print(f"{line['steps']:6} {line['way']:16}{cost}{limit}")
    command = f"unrolled.py --steps {' '.join(map(str, lengths))} --jobs {arguments.jobs}"
    record(arguments.out, command, limits_trainings=LIMITS, measured=lines)


if __name__ == "__main__":
    main()
