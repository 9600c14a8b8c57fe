"""How long a run will take, from a rehearsal of it."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from metaux.training.devices import wait_for
from metaux.training.evaluate import Evaluation
from metaux.training.generated_labels import describe, training_labels
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
    epoch = sum(time_epoch(learner, curve)) + time_diagnosis(learner, curve)
    return Cost(preparation, epoch), learner.notice


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
    evaluation, data = Evaluation(learner, curve), learner.plan.data
    few = data.test.take(_few(len(data.test)))
    seconds = _again(lambda: evaluation.logits(few)) / max(1, len(few))
    count = len(data.test) + len(data.validation or ())
    return total, seconds * count * evaluation.share


def time_diagnosis(learner: Learner, curve: bool = True) -> float:
    """Return an estimate of the seconds that an epoch's labels and diagnosis take (of their share, if not of each)."""
    evaluation, train = Evaluation(learner, curve), learner.plan.train
    rows = _few(len(train))

    def describe_few() -> None:
        labels = training_labels(learner.source, learner.batches.train, [rows])
        if labels is not None:
            describe(labels, train.take(rows))

    labels = _again(describe_few) * len(train) / max(1, len(rows))
    return (labels + _again(lambda: evaluation.diagnose(0))) * (1 if curve else evaluation.share)


def _few(count: int) -> Tensor:
    """Return the rows that stand for so many."""
    return torch.arange(min(count, 500))


def _again(work: Callable[[], object]) -> float:
    """Return the seconds of doing something a second time; the first pays for what is set up once."""
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
