"""What one meta step costs, in time and memory, and how exact it is: forward mode against double backward.

    python benchmarks/meta_step.py --threads 2 --out results/benchmarks/meta-step.json

Both networks are VGG-16 with batch normalisation on 32 x 32 images (channels last), with heads as in the
released code: 20 classes of 5 sub-classes, batch 100, float32; look-ahead and outer loss on one batch. A meta
step is the whole of it: the generator's forward, the meta-gradient, the generator's backward and SGD step.

The variants take turns, so that a slow moment of the machine meets all of them; times are medians. Peak memory
is the whole process's, imports included, each in a fresh one. Errors are those of the
generator's gradient without the entropy loss's, relative to double backward in float64.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.func import functional_call

from metaux.hierarchy import Hierarchy
from metaux.losses import entropy_loss, focal_loss
from metaux.metagradient import LookAhead, MetaGradient, double_backward, finite_difference, forward_mode
from metaux.networks.backbones import make_backbone
from metaux.networks.multitask import LabelGenerator, MultiTaskNetwork, Outputs, feature_size, make_head, place

BATCH, CLASSES, SLOTS = 100, 20, 5
RATE, GENERATOR_RATE, ENTROPY_WEIGHT = 0.01, 1e-3, 0.2
TARGETS = {
    "time, forward_mode / released": 0.70,
    "memory, forward_mode / released": 0.70,
    "time, maxl_iteration / single_task_iteration": 6.0,
}


class Bench:
    """The networks, the batch, and one method per variant."""

    def __init__(self, dtype: torch.dtype = torch.float32, backbone: str = "vgg16", batch: int = BATCH) -> None:
        torch.manual_seed(0)
        self.entropy_weight = ENTROPY_WEIGHT
        hierarchy = Hierarchy([SLOTS] * CLASSES)
        processor = torch.device("cpu")
        images = torch.randn(batch, 3, 32, 32)
        trunks = [make_backbone(backbone, (3, 32, 32)) for _ in range(2)]
        width = feature_size(trunks[0], (images,))
        heads = [make_head(width, count, "mlp") for count in (CLASSES, hierarchy.size, hierarchy.size)]
        self.network = place(MultiTaskNetwork(trunks[0], heads[0], heads[1]), processor).to(dtype)
        self.generator = place(LabelGenerator(trunks[1], heads[2], hierarchy), processor).to(dtype)
        self.images = images.to(dtype).contiguous(memory_format=torch.channels_last)
        self.classes = torch.randint(CLASSES, (batch,))
        self.optimizer = torch.optim.SGD(self.network.parameters(), RATE)
        self.generator_optimizer = torch.optim.SGD(self.generator.parameters(), GENERATOR_RATE, weight_decay=5e-4)

    def outer_loss(self, outputs: Outputs) -> Tensor:
        return focal_loss(outputs.primary, self.classes)

    def inner_loss(self, outputs: Outputs, target: Tensor) -> Tensor:
        assert outputs.auxiliary is not None
        return self.outer_loss(outputs) + focal_loss(outputs.auxiliary, target)

    def single_task_iteration(self) -> None:
        """Forward, backward and SGD step without auxiliary head."""
        head, self.network.auxiliary_head = self.network.auxiliary_head, None
        self.optimizer.zero_grad()
        self.outer_loss(self.network(self.images)).backward()
        self.optimizer.step()
        self.network.auxiliary_head = head

    def training_step(self) -> None:
        """Step the multi-task network on generated labels (equation 2)."""
        with torch.no_grad():
            target = self.generator(self.images, primary=self.classes)
        self.optimizer.zero_grad()
        self.inner_loss(self.network(self.images), target).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def meta_step(self, way: MetaGradient) -> None:
        self.generator_optimizer.zero_grad()
        labels = self.generator(self.images, primary=self.classes)
        look_ahead = LookAhead.from_optimizer(self.optimizer, self.network)
        x = (self.images,)
        gradient, _ = way(self.network, labels, x, self.inner_loss, x, self.outer_loss, look_ahead)
        objective = (labels * gradient).sum() + self.entropy_weight * entropy_loss(labels)
        objective.backward()
        self.generator_optimizer.step()

    def released(self) -> None:
        """Step the generator as the released code does: one backward pass into everything."""
        self.optimizer.zero_grad()
        self.generator_optimizer.zero_grad()
        labels = self.generator(self.images, primary=self.classes)
        loss = self.inner_loss(self.network(self.images), labels)
        theta = dict(self.network.named_parameters())
        gradient = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
        ahead = {name: value - RATE * slope for (name, value), slope in zip(theta.items(), gradient, strict=True)}
        outer_loss = self.outer_loss(functional_call(self.network, ahead, (self.images,)))
        objective = outer_loss + self.entropy_weight * entropy_loss(labels)
        objective.backward()
        self.generator_optimizer.step()

    def variants(self) -> dict[str, Callable[[], None]]:
        def maxl_iteration() -> None:
            self.training_step()
            self.meta_step(forward_mode)

        return {
            "single_task_iteration": self.single_task_iteration,
            "maxl_iteration": maxl_iteration,
            "forward_mode": lambda: self.meta_step(forward_mode),
            "finite_difference": lambda: self.meta_step(finite_difference),
            "double_backward": lambda: self.meta_step(double_backward),
            "released": self.released,
        }


META_STEPS = ["forward_mode", "finite_difference", "double_backward", "released"]


def peak_memory(name: str, threads: int) -> float:
    """Run a variant (or nothing) twice in a process of its own; return that process's peak resident memory, MB."""
    command = [sys.executable, __file__, "--threads", str(threads), "--memory-of", name]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(output)


def generator_gradient(bench: Bench, name: str) -> Tensor:
    bench.entropy_weight = 0.0  # its gradient is the same in all variants and would hide the errors of the other part
    bench.variants()[name]()
    gradients = [parameter.grad for parameter in bench.generator.parameters()]
    return torch.cat([gradient.double().flatten() for gradient in gradients if gradient is not None])


def distance(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def errors() -> dict[str, dict[str, float]]:
    """Return the relative errors of the generator's gradient, per precision and variant."""
    exact = generator_gradient(Bench(torch.float64), "double_backward")
    return {
        str(dtype).removeprefix("torch."): {
            name: distance(generator_gradient(Bench(dtype), name), exact) for name in META_STEPS
        }
        for dtype in (torch.float64, torch.float32)
    }


def difference_errors() -> dict[str, dict[str, float]]:
    """Return how far finite differences are from forward mode in the same precision, on networks with ReLUs."""
    found: dict[str, dict[str, float]] = {}
    for dtype in (torch.float64, torch.float32):
        for backbone, batch in (("mlp", 100), ("small-cnn", 100), ("vgg16", 10)):
            pair = [
                generator_gradient(Bench(dtype, backbone, batch), way) for way in ("finite_difference", "forward_mode")
            ]
            found.setdefault(str(dtype).removeprefix("torch."), {})[f"{backbone}, batch {batch}"] = distance(*pair)
    return found


def seconds(repeats: int) -> dict[str, list[float]]:
    variants = Bench().variants()
    times: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(repeats + 1):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            if turn:  # the first turn warms up
                times[name].append(time.perf_counter() - start)
    return times


def processor() -> str:
    """Return the processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def ratios(table: dict[str, dict[str, float]]) -> dict[str, float]:
    found = {
        f"{what}, {name} / released": table[name][column] / table["released"][column]
        for what, column in (("time", "median_s"), ("memory", "peak_mb"))
        for name in META_STEPS[:-1]
    }
    single = table["single_task_iteration"]["median_s"]
    return found | {
        f"time, {name} / single_task_iteration": row["median_s"] / single
        for name, row in table.items()
        if name != "single_task_iteration"
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="threads per operation (default: 2)")
    parser.add_argument("--repeats", type=int, default=7, help="timed turns of each variant (default: 7)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--no-errors", action="store_true", help="skip the comparison with float64")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory_of:
        variants = Bench().variants()
        for _ in range(2 if arguments.memory_of in variants else 0):
            variants[arguments.memory_of]()
        scale = 2**20 if sys.platform == "darwin" else 2**10
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale)
        return
    # Memory first: on Linux a child's peak starts from its parent's, which is small now.
    memory = {name: peak_memory(name, arguments.threads) for name in [*META_STEPS, "single_task_iteration"]}
    memory["maxl_iteration"] = peak_memory("maxl_iteration", arguments.threads)
    idle = peak_memory("nothing", arguments.threads)
    print(f"imports, networks and batch alone: {idle:.0f} MB")
    times = seconds(arguments.repeats)
    table = {name: {"median_s": statistics.median(t), "peak_mb": memory[name]} for name, t in times.items()}
    found = ratios(table)
    for name, row in table.items():
        print(f"{name:24}{row['median_s']:8.3f} s{row['peak_mb']:8.0f} MB")
    for name, ratio in found.items():
        bound = TARGETS.get(name)
        print(f"{name:58}{ratio:6.2f}" + (f"  (at most {bound:.2f})" if bound else ""))
    error = {} if arguments.no_errors else errors()
    difference = {} if arguments.no_errors else difference_errors()
    for precision, values in error.items():
        for name, value in values.items():
            print(f"error in {precision}, {name:24}{value:.1e}")
    for precision, values in difference.items():
        for name, value in values.items():
            print(f"finite difference against forward mode in {precision}, {name:24}{value:.1e}")
    if arguments.out:
        record = {
            "command": f"python benchmarks/meta_step.py --threads {arguments.threads} --repeats {arguments.repeats}",
            "setting": f"VGG-16-BN, {CLASSES} classes x {SLOTS}, batch {BATCH}, float32",
            "processor": processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "idle_mb": idle,
            "variants": table,
            "seconds": times,
            "ratios": found,
            "targets": TARGETS,
            "errors": error,
            "difference_errors": difference,
        }
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
