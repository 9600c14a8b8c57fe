"""How long a run will take, from a rehearsal of it."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from metaux.training.devices import wait_for
from metaux.training.evaluate import Evaluation
from metaux.training.learner import Learner, make_learner
from metaux.training.loop import steps_of, take_step
from metaux.training.plan import Plan

if TYPE_CHECKING:
    from metaux.training.fabric import Fabric


@dataclass(frozen=True)
class Cost:
    """Seconds of a run's preparation and of each epoch, evaluation and all."""

    preparation: float
    epoch: float

    def of(self, epochs: int) -> float:
        """Return the seconds of a run of so many epochs.

        >>> Cost(preparation=2.0, epoch=0.5).of(10)
        7.0
        """
        return self.preparation + self.epoch * epochs


def time_run(plan: Plan, fabric: "Fabric", curve: bool = True) -> tuple[Cost, str]:
    """Time the preparation and a few steps of a run, with a learner that is thrown away.

    Args:
        plan: what to train; networks that are trained before the run (teachers) are so for one epoch only.
        fabric: of one process.
        curve: as of `fit`.

    Returns:
        The cost, and what a user should know before the training; the latter may be empty.

    Raises:
        InputError: for what the method cannot be trained on.
    """
    start = time.perf_counter()
    learner = make_learner(plan, fabric, rehearsal=True)
    preparation = time.perf_counter() - start + learner.left_out
    return Cost(preparation, sum(time_epoch(learner, curve))), learner.notice


def time_epoch(learner: Learner, curve: bool = True, steps: int = 2) -> tuple[float, float]:
    """Return an estimate of the seconds of an epoch's steps, and of its evaluation (of its share, if not of each).

    From a few real steps; the learner is of no use afterwards.
    """
    order = learner.batches.order(0)
    learner.network.train()
    learner.source.train()
    total = 0.0
    for kind, count in Counter(kind for kind, _ in steps_of(learner, order)).items():
        for number in range(steps + 1):
            if number == 1:  # the first step pays for what is set up once
                wait_for(learner.fabric.device)
                start = time.perf_counter()
            take_step(learner, kind, order, number % len(order.train), 1.0)
        wait_for(learner.fabric.device)
        total += count * (time.perf_counter() - start) / steps
    evaluation, test = Evaluation(learner, curve), learner.plan.data.test
    few = test.take(torch.arange(min(len(test), 500)))
    for _ in range(2):  # likewise
        start = time.perf_counter()
        evaluation.logits(few)
    seconds = (time.perf_counter() - start) * len(test) / max(1, len(few))
    epochs = learner.plan.protocol.epochs
    return total, seconds * sum(map(evaluation.is_measured, range(epochs))) / epochs
