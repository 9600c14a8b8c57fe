"""What the training loop costs beside one written by hand: an epoch of single task, on a table and on images.

    python benchmarks/overhead.py --out results/speed/overhead.json

The loop by hand trains an equal network with equal weights on inputs that are normalised before, in batches of the same
rows. It has what a practitioner would write: an order drawn anew in each epoch, SGD with momentum and decay, a cosine
schedule, mean loss and accuracy of the epoch. Both loops must end in the same weights. They take turns in one process
of one thread, and the least CPU time of each counts, since other programs may run beside it.
"""

import argparse
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from recording import record
from torch import Tensor
from torch.nn.functional import cross_entropy

from metaux.allocation import keep_freed_memory
from metaux.runs.loading import load_once
from metaux.runs.plan import make_plan
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.devices import make_fabric
from metaux.training.learner import Learner, make_learner
from metaux.training.loader import shuffled
from metaux.training.loop import train_epoch

DATA = {
    "table": Settings(data="breast-cancer", device="cpu"),
    "images": Settings(data="digits", augment="none", device="cpu"),
}
LIMIT = 1.2


@dataclass
class Case:
    """A training by the library, and the same one by hand.

    Args:
        learner: of the library, at its start.
    """

    learner: Learner

    def __post_init__(self) -> None:
        own, protocol = self.learner, self.learner.plan.protocol
        everything = own.batches.train.load(torch.arange(len(own.plan.train)))
        self.inputs, self.labels = everything.inputs[0], everything.primary
        self.network = copy.deepcopy(own.network)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=protocol.learning_rate,
            momentum=protocol.momentum,
            weight_decay=protocol.weight_decay,
        )

    def by_library(self, epoch: int) -> None:
        """Train an epoch with the library's loop."""
        train_epoch(self.learner, epoch)

    def by_hand(self, epoch: int) -> None:
        """Train the same epoch."""
        plan = self.learner.plan
        rows = shuffled(len(plan.train), plan.protocol.batch_size, plan.seed, "order", epoch)
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = plan.protocol.learning_rate * plan.protocol.rate(epoch)
        total, correct = torch.zeros(()), torch.zeros(())
        for own in rows:
            x, y = self.inputs[own], self.labels[own]
            output = self.network(x).primary
            loss = cross_entropy(output, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(y)
            correct += (output.argmax(-1) == y).sum()
        float(total / len(self.labels)), float(correct / len(self.labels))

    def weights(self) -> tuple[Tensor, Tensor]:
        """Return the weights by the library and by hand."""
        networks = self.learner.network, self.network
        library, hand = (torch.cat([own.detach().flatten() for own in made.parameters()]) for made in networks)
        return library, hand


def seconds(do: Callable[[int], None], epoch: int) -> float:
    """Return the CPU time of an epoch."""
    start = time.process_time()
    do(epoch)
    return time.process_time() - start


def measured(settings: Settings) -> dict[str, float]:
    """Return the seconds of an epoch by the library and by hand, and the largest difference of the last weights."""
    trial = Trial(settings, "single", 0)
    fabric = make_fabric(settings)
    case = Case(make_learner(make_plan(trial, load_once(settings), fabric.device), fabric))
    epochs = range(trial.protocol.epochs)
    both = [(seconds(case.by_library, epoch), seconds(case.by_hand, epoch)) for epoch in epochs]
    library, hand = (min(turns) for turns in zip(*both[1:], strict=True))  # the first turn sets up
    one, other = case.weights()
    apart = float((one - other).abs().max())
    return {"seconds": library, "seconds_by_hand": hand, "ratio": library / hand, "weights_apart": apart}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    found = {name: measured(settings) for name, settings in DATA.items()}
    for name, own in found.items():
        print(
            f"{name}: {1e3 * own['seconds']:.1f} ms an epoch, by hand {1e3 * own['seconds_by_hand']:.1f} ms, ratio "
            f"{own['ratio']:.2f}; weights {own['weights_apart']} apart"
        )
    record(arguments.out, "overhead.py", limit_ratio=LIMIT, measured=found)


if __name__ == "__main__":
    main()
