"""Does sharpness-aware minimisation pay at equal passes, on validation data?

    nice python benchmarks/sharpness.py --root data --out results/recipe

SAM (Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021) takes each gradient where the loss of the batch is greatest within
rho of the weights, for which it makes a second pass. So it is compared with single task of twice its epochs, on the
data sets of `recipe.py`, seed by seed. Running statistics are those of the first pass. One row per data set, seed and
training is recorded (`sharpness-accuracies.csv`), then the differences (`sharpness-differences.csv`); what is recorded
is not trained again.
"""

import argparse
import copy
import csv
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from recipe import COLUMNS, DATA, IMAGES, write_summary, write_texts
from torch import Tensor, nn

from metaux.errors import InputError
from metaux.files import to_csv, write_text_atomic
from metaux.labels.base import Batch
from metaux.protocols import Protocol, resolve
from metaux.runs.loading import load_once
from metaux.runs.plan import make_plan
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.studies.benchmark.datasets import found
from metaux.training.devices import make_fabric
from metaux.training.learner import Learner, make_learner
from metaux.training.loop import fit
from metaux.training.step import gradients_of, multi_task_losses, trained_parameters

RADIUS = 0.05  # as in the paper
TRAININGS = {"none": (1.0, False), "sam, equal passes": (0.5, True), "sam, equal epochs": (1.0, True)}


class SAM(torch.optim.SGD):
    """SGD by the gradient at the weights theta + rho g / |g|, with g the gradient at theta.

    Args:
        parameters: of the network.
        protocol: whose rate, momentum and decay it has.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], protocol: Protocol):
        super().__init__(parameters, protocol.learning_rate, protocol.momentum, weight_decay=protocol.weight_decay)
        self.gradients: Callable[[], list[Tensor]] | None = None

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move to the sharpest point near by, take the gradient there, come back and step."""
        assert self.gradients is not None
        parameters = self.param_groups[0]["params"]
        before = [own.detach().clone() for own in parameters]
        slopes = [own.grad for own in parameters]
        norm = torch.nn.utils.get_total_norm(slopes)
        with torch.no_grad():
            for own, slope in zip(parameters, slopes, strict=True):
                own.add_(slope * (RADIUS / (norm + 1e-12)))
        there = self.gradients()
        with torch.no_grad():
            for own, value, slope in zip(parameters, before, there, strict=True):
                own.copy_(value)
                own.grad = slope
        super().step(closure)


def with_sam(learner: Learner) -> None:
    """Let SAM train a learner: it takes the gradient of the batch of each step once more."""
    optimizer = learner.optimizer
    assert isinstance(optimizer, SAM)
    make: Callable[..., Batch] = learner.batches.training
    last: list[Batch] = []

    def training(*arguments: Any) -> Batch:
        last[:] = [make(*arguments)]
        return last[0]

    def gradients() -> list[Tensor]:
        kept = copy.deepcopy(dict(learner.network.named_buffers()))
        _, primary, _ = multi_task_losses(learner.network, learner.source, last[0], learner.primary_loss)
        found = gradients_of(primary, trained_parameters(optimizer))
        for name, buffer in learner.network.named_buffers():
            buffer.copy_(kept[name])
        return found

    vars(learner.batches)["training"] = training
    optimizer.gradients = gradients


def accuracy(settings: Settings, seed: int, sam: bool) -> float:
    """Return what single task reaches on validation data."""
    trial, fabric = Trial(settings, "single", seed), make_fabric(settings)
    plan = make_plan(trial, load_once(settings), fabric.device)
    if sam:
        plan = replace(plan, make_optimizer=partial(SAM, protocol=plan.protocol))
    learner = make_learner(plan, fabric)
    if sam:
        with_sam(learner)
    return float(fit(learner, curve=False).test_correct.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="data", help="where Fashion-MNIST and CIFAR-100 are (default: data)")
    parser.add_argument("--seeds", type=int, default=5, help="how many (default: 5)")
    parser.add_argument("--texts", type=Path, default=Path("metaux-runs/texts.csv"), help="where the texts are kept")
    parser.add_argument("--out", type=Path, default=Path("results/recipe"), help="folder of the record")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, lost = found(DATA, options.root, "cpu")
    if lost:
        raise InputError("; ".join(lost))
    if not options.texts.exists():
        options.texts.parent.mkdir(parents=True, exist_ok=True)
        write_texts(options.texts)
    data["texts"] = Settings(data=str(options.texts), device="cpu")
    record = options.out / "sharpness-accuracies.csv"
    lines = csv.DictReader(record.open(encoding="utf-8")) if record.exists() else ()
    known = {(row["data_set"], row["row"], int(row["seed"])): float(row["accuracy"]) for row in lines}
    known = {key: value for key, value in known.items() if key[0] in data}
    for seed in range(options.seeds):
        for name, base in data.items():
            own = replace(base, evaluate_on="validation")
            for row, (share, sam) in TRAININGS.items():
                if (name, row, seed) not in known:
                    epochs = int(resolve(own).epochs * share)
                    known[name, row, seed] = accuracy(replace(own, epochs=epochs), seed, sam)
                    rows = [dict(zip(COLUMNS, (*key, value), strict=True)) for key, value in known.items()]
                    write_text_atomic(record, to_csv(rows))
    write_summary(known, {"images": IMAGES, "all": [*data]}, options.out, "sharpness-")


if __name__ == "__main__":
    main()
