"""What one meta step costs, in time and memory, and how exact it is: forward mode against double backward.

Both networks are VGG-16 with batch normalisation on 32 x 32 images (channels last), with heads as in the
released code: 20 classes of 5 sub-classes, batch 100, float32; look-ahead and outer loss on one batch. A meta
step is the whole of it: the generator's forward, the meta-gradient, the generator's backward and SGD step.

The variants take turns, so that a slow moment of the machine meets all of them; times are medians. Peak memory
is that of the device, or of the whole process on processors, imports included; each is measured in a process of
its own. Errors are those of the generator's gradient without the entropy loss's, relative to double backward in
float64.

This file is longer than 300 lines, since the released code's step is written out beside ours.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.func import functional_call

from metaux.files import write_json
from metaux.hierarchy import Hierarchy
from metaux.losses import entropy_loss, focal_loss
from metaux.metagradient import LookAhead, MetaGradient, double_backward, finite_difference, forward_mode
from metaux.networks.backbones import make_backbone
from metaux.networks.multitask import (
    LabelGenerator,
    MultiTaskNetwork,
    Outputs,
    feature_size,
    make_head,
    to_channels_last,
)
from metaux.report.chart import COLOURS
from metaux.report.to_matplotlib import caption, save
from metaux.runs.worker import device_name
from metaux.settings import Settings
from metaux.studies.papers.item import Findings, Item, nothing
from metaux.studies.papers.numbers import write_rows
from metaux.training.devices import make_fabric

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCH, CLASSES, SLOTS = 100, 20, 5
RATE, GENERATOR_RATE, ENTROPY_WEIGHT = 0.01, 1e-3, 0.2
REPEATS = 5
# What we hold ourselves to; see docs/performance.md.
TARGETS = {
    "time, forward_mode / released": 0.70,
    "memory, forward_mode / released": 0.70,
    "time, maxl_iteration / single_task_iteration": 6.0,
}
META_STEPS = ["forward_mode", "finite_difference", "double_backward", "released"]
VARIANTS = ["single_task_iteration", "maxl_iteration", *META_STEPS]


class Bench:
    """The networks, the batch, and one method per variant."""

    def __init__(
        self, device: str, dtype: torch.dtype = torch.float32, backbone: str = "vgg16", batch: int = BATCH
    ) -> None:
        torch.manual_seed(0)
        self.entropy_weight = ENTROPY_WEIGHT
        hierarchy = Hierarchy([SLOTS] * CLASSES)
        self.device = torch.device(device)
        images = torch.randn(batch, 3, 32, 32)
        trunks = [make_backbone(backbone, (3, 32, 32)) for _ in range(2)]
        width = feature_size(trunks[0], (images,))
        heads = [make_head(width, count, "mlp") for count in (CLASSES, hierarchy.size, hierarchy.size)]
        self.network = to_channels_last(MultiTaskNetwork(trunks[0], heads[0], heads[1]), self.device).to(dtype)
        self.generator = to_channels_last(LabelGenerator(trunks[1], heads[2], hierarchy), self.device).to(dtype)
        self.images = images.to(self.device, dtype).contiguous(memory_format=torch.channels_last)
        self.classes = torch.randint(CLASSES, (batch,)).to(self.device)
        self.optimizer = torch.optim.SGD(self.network.parameters(), RATE)
        self.generator_optimizer = torch.optim.SGD(self.generator.parameters(), GENERATOR_RATE, weight_decay=5e-4)

    def outer_loss(self, outputs: Outputs) -> Tensor:
        """Return the primary loss (equation 3)."""
        return focal_loss(outputs.primary, self.classes)

    def inner_loss(self, outputs: Outputs, target: Tensor) -> Tensor:
        """Return the loss of both tasks (equation 2)."""
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
        """Step the generator: its forward, the meta-gradient, its backward and SGD step."""
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
        """Return what is measured, by name."""

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


def peak_memory(name: str, device: str) -> float:
    """Run a variant twice in a process of its own; return the peak memory, MB."""
    threads = str(torch.get_num_threads())
    command = [sys.executable, "-m", __name__, name, device, threads]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(output)


def generator_gradient(bench: Bench, name: str) -> Tensor:
    """Return the generator's gradient as one variant computes it, `[parameters]` in float64."""
    bench.entropy_weight = 0.0  # its gradient is the same in all variants and would hide the errors of the other part
    bench.variants()[name]()
    gradients = [parameter.grad for parameter in bench.generator.parameters()]
    return torch.cat([gradient.double().flatten().cpu() for gradient in gradients if gradient is not None])


def _distance(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def errors(device: str) -> dict[str, dict[str, float]]:
    """Return the relative errors of the generator's gradient, per precision and variant."""
    exact = generator_gradient(Bench(device, torch.float64), "double_backward")
    return {
        str(dtype).removeprefix("torch."): {
            name: _distance(generator_gradient(Bench(device, dtype), name), exact) for name in META_STEPS
        }
        for dtype in (torch.float64, torch.float32)
    }


def difference_errors(device: str) -> dict[str, dict[str, float]]:
    """Return how far finite differences are from forward mode in the same precision, on networks with ReLUs."""
    found: dict[str, dict[str, float]] = {}
    for dtype in (torch.float64, torch.float32):
        for backbone, batch in (("mlp", 100), ("small-cnn", 100), ("vgg16", 10)):
            pair = [
                generator_gradient(Bench(device, dtype, backbone, batch), way)
                for way in ("finite_difference", "forward_mode")
            ]
            found.setdefault(str(dtype).removeprefix("torch."), {})[f"{backbone}, batch {batch}"] = _distance(*pair)
    return found


def seconds(device: str) -> dict[str, list[float]]:
    """Return the times of each variant, which take turns."""
    bench = Bench(device)
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for turn in range(REPEATS + 1):
        for name, run in bench.variants().items():
            start = time.perf_counter()
            run()
            if bench.device.type == "cuda":
                torch.cuda.synchronize(bench.device)
            if turn:  # the first turn warms up
                times[name].append(time.perf_counter() - start)
    return times


def ratios(table: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return time and memory relative to the released code's step, and times relative to single task."""
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


def measure(device: str) -> dict[str, Any]:
    """Return all that is measured, as plain values."""
    # Memory first: on Linux a child's peak starts from its parent's, which is small now.
    memory = {name: peak_memory(name, device) for name in ("nothing", *VARIANTS)}
    times = seconds(device)
    table = {name: {"median_s": statistics.median(own), "peak_mb": memory[name]} for name, own in times.items()}
    return {
        "command": "metaux reproduce gradient",
        "setting": f"VGG-16-BN, {CLASSES} classes x {SLOTS}, batch {BATCH}, float32",
        "device": device_name(torch.device(device)),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "idle_mb": memory["nothing"],
        "variants": table,
        "seconds": times,
        "ratios": ratios(table),
        "targets": TARGETS,
        "errors": errors(device),
        "difference_errors": difference_errors(device),
    }


def _draw(findings: Findings) -> str:
    record = measure(str(make_fabric(Settings(device=findings.device)).device))
    table, error = record["variants"], record["errors"]
    write_json(findings.folder / "gradient.json", record)
    rows = [
        {"variant": name, **row, **{f"error_{kind}": error[kind].get(name) for kind in ("float64", "float32")}}
        for name, row in table.items()
    ]
    write_rows(findings.folder / "gradient.csv", rows)

    def draw(figure: "Figure") -> None:
        panels = figure.subplots(1, 3, sharey=True)
        for axes, key, label in zip(
            panels, ("median_s", "peak_mb", "error_float32"), ("seconds", "MB", ""), strict=True
        ):
            shown = [(place, row[key]) for place, row in enumerate(rows) if row[key] is not None]
            axes.barh([place for place, _ in shown], [value for _, value in shown], color=COLOURS[1])
            for row, value in shown:
                axes.text(value, row, f" {value:.3g}", va="center", fontsize=8)
            axes.margins(x=0.25)
            axes.set_xlabel(label)
        panels[0].set_yticks(range(len(rows)), [name.replace("_", " ") for name in table])
        panels[0].invert_yaxis()
        for axes, title in zip(panels, ("time", "peak memory", "relative error in float32"), strict=True):
            axes.set_title(title)
        what = f"{record['setting']}; {record['device']}, {record['threads']} threads"
        caption(
            figure, "One meta step: exact, forward mode, finite difference, released", what, f"medians of {REPEATS}"
        )

    save(draw, findings.folder, "gradient", (11.0, 3.4))
    ratio, forward = record["ratios"], "forward_mode / released"
    return (
        f"Forward mode takes {ratio[f'time, {forward}']:.2f} of the released step's time and "
        f"{ratio[f'memory, {forward}']:.2f} of its memory; a MAXL iteration costs "
        f"{ratio['time, maxl_iteration / single_task_iteration']:.1f} single-task iterations. "
        f"Relative error in float64: forward mode {error['float64']['forward_mode']:.0e}, finite difference "
        f"{error['float64']['finite_difference']:.0e}; in float32: {error['float32']['forward_mode']:.2g}, "
        f"{error['float32']['finite_difference']:.2g}, double backward {error['float32']['double_backward']:.2g}."
    )


GRADIENT = Item(
    "gradient",
    "exact, forward-mode and finite-difference meta-gradients on VGG-16: time, memory, error",
    "",
    nothing,
    _draw,
)


def _print_peak_memory(name: str, device: str, threads: int) -> None:
    torch.set_num_threads(threads)
    bench = Bench(device)
    for _ in range(2 if name in VARIANTS else 0):
        bench.variants()[name]()
    if bench.device.type == "cuda":
        print(torch.cuda.max_memory_allocated(bench.device) / 2**20)
        return
    import resource  # not on Windows

    scale = 2**20 if sys.platform == "darwin" else 2**10
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale)


if __name__ == "__main__":
    _print_peak_memory(sys.argv[1], sys.argv[2], int(sys.argv[3]))
