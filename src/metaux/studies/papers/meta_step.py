"""What one meta step costs and how exact it is: each differentiation method, beside the released code's step.

Both networks are VGG-16 with batch normalisation on 32 x 32 images (channels last), with heads as in the
released code: 20 classes of 5 sub-classes, batch 100, float32; look-ahead and outer loss on one batch. A meta
step is the whole of it: the generator's forward, the meta-gradient, the generator's backward and SGD step.

The variants take turns, so that a slow moment of the machine meets all of them. Peak memory is that of the device, or
of the whole process on a CPU, imports included; each is measured in a process of its own. Errors are those of the
generator's gradient without the entropy loss's, relative to double backward in float64.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.func import functional_call

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
from metaux.training.devices import wait_for

BATCH, CLASSES, SLOTS = 100, 20, 5
RATE, GENERATOR_RATE, ENTROPY_WEIGHT = 0.01, 1e-3, 0.2
REPEATS = 5
PRECISIONS = {"float64": torch.float64, "float32": torch.float32}


class Bench:
    """The networks, the batch, and one method per variant."""

    def __init__(
        self,
        device: str,
        dtype: torch.dtype = torch.float32,
        backbone: str = "vgg16",
        batch: int = BATCH,
        entropy_weight: float = ENTROPY_WEIGHT,
    ) -> None:
        torch.manual_seed(0)
        self.entropy_weight = entropy_weight
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

    def step(self, loss: Tensor) -> None:
        """Step the multi-task network."""
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def single_task_iteration(self) -> None:
        """Step the network without its auxiliary head."""
        head, self.network.auxiliary_head = self.network.auxiliary_head, None
        self.step(self.outer_loss(self.network(self.images)))
        self.network.auxiliary_head = head

    def maxl_iteration(self) -> None:
        """Step the multi-task network on generated labels (equation 2), then the generator."""
        with torch.no_grad():
            target = self.generator(self.images, primary=self.classes)
        self.step(self.inner_loss(self.network(self.images), target))
        self.meta_step(forward_mode)

    def meta_step(self, method: MetaGradient) -> None:
        """Step the generator: its forward, the meta-gradient, its backward and SGD step."""
        self.generator_optimizer.zero_grad()
        labels = self.generator(self.images, primary=self.classes)
        look_ahead = LookAhead.from_optimizer(self.optimizer, self.network)
        x = (self.images,)
        gradient, _ = method(self.network, labels, x, self.inner_loss, x, self.outer_loss, look_ahead)
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


META_STEPS: dict[str, Callable[[Bench], None]] = {
    "forward_mode": partial(Bench.meta_step, method=forward_mode),
    "finite_difference": partial(Bench.meta_step, method=finite_difference),
    "double_backward": partial(Bench.meta_step, method=double_backward),
    "released": Bench.released,
}
VARIANTS = {
    "single_task_iteration": Bench.single_task_iteration,
    "maxl_iteration": Bench.maxl_iteration,
    **META_STEPS,
}


def seconds(device: str) -> dict[str, list[float]]:
    """Return the times of each variant, which take turns."""
    bench = Bench(device)
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for turn in range(REPEATS + 1):
        for name, run in VARIANTS.items():
            start = time.perf_counter()
            run(bench)
            wait_for(bench.device)
            if turn:  # the first turn warms up
                times[name].append(time.perf_counter() - start)
    return times


def peak_memory(name: str, device: str, backbone: str = "vgg16") -> float:
    """Run a variant twice in a process of its own, or none for any other name; return the peak memory, MB."""
    command = [sys.executable, "-m", __name__, name, device, backbone, str(torch.get_num_threads())]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _print_peak_memory(name: str, device: str, backbone: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    bench = Bench(device, backbone=backbone)
    for _ in range(2 if name in VARIANTS else 0):
        VARIANTS[name](bench)
    if bench.device.type == "cuda":
        print(torch.cuda.max_memory_allocated(bench.device) / 2**20)
        return
    import resource  # not on Windows

    scale = 2**20 if sys.platform == "darwin" else 2**10
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale)


def generator_gradient(
    name: str, device: str, dtype: torch.dtype, backbone: str = "vgg16", batch: int = BATCH
) -> Tensor:
    """Return the generator's gradient as one of `META_STEPS` computes it, `[parameters]` in float64.

    Without that of the entropy loss, which is the same in all of them and would hide the errors of the other part.
    """
    bench = Bench(device, dtype, backbone, batch, entropy_weight=0.0)
    META_STEPS[name](bench)
    gradients = [parameter.grad for parameter in bench.generator.parameters()]
    return torch.cat([gradient.double().flatten().cpu() for gradient in gradients if gradient is not None])


def errors(device: str) -> dict[str, dict[str, float]]:
    """Return the relative errors of the generator's gradient, per precision and meta step."""
    exact = generator_gradient("double_backward", device, torch.float64)
    return {
        precision: {name: _distance(generator_gradient(name, device, dtype), exact) for name in META_STEPS}
        for precision, dtype in PRECISIONS.items()
    }


def difference_errors(device: str) -> dict[str, dict[str, float]]:
    """Return how far finite differences are from forward mode in the same precision, on networks with ReLUs."""
    found: dict[str, dict[str, float]] = {precision: {} for precision in PRECISIONS}
    for precision, dtype in PRECISIONS.items():
        for backbone, batch in (("mlp", 100), ("small-cnn", 100), ("vgg16", 10)):
            of = device, dtype, backbone, batch
            exact, rough = (generator_gradient(name, *of) for name in ("forward_mode", "finite_difference"))
            found[precision][f"{backbone}, batch {batch}"] = _distance(rough, exact)
    return found


def _distance(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


if __name__ == "__main__":
    _print_peak_memory(*sys.argv[1:])
