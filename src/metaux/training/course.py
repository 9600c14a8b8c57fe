"""The training that a run will take, for a label source that goes through it before."""

import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

from metaux.errors import InputError
from metaux.labels.base import Batch, LabelSource, PrimaryLoss
from metaux.labels.course import Course, Round
from metaux.networks.multitask import MultiTaskNetwork
from metaux.rng import derive_seed
from metaux.training.batches import Batches
from metaux.training.optimizer import make_optimizer
from metaux.training.plan import Plan

if TYPE_CHECKING:
    from metaux.training.fabric import Fabric

REHEARSED = 8  # steps that are timed of a course, after a first one


def make_course(
    plan: Plan,
    source: LabelSource,
    fabric: "Fabric",
    network: MultiTaskNetwork,
    primary_loss: PrimaryLoss,
    spare: Callable[[float], None] | None,
) -> Course:
    """Return the course of a run: its start, order, augmentation, schedule and random numbers.

    Args:
        plan: of the run.
        source: the run's.
        fabric: its device and precision; the course is that of a single process.
        network: at the run's start, on the device.
        primary_loss: the run's.
        spare: in a rehearsal, told the seconds that were spared: the course then has a few steps, once.
    """
    if plan.make_scheduler is not None:
        raise InputError(
            "expected the protocol's schedule for labels that are learned through whole trainings, found a scheduler "
            "of one's own; leave one of them out"
        )
    batches = Batches(plan, source, fabric.device)
    order = cache(batches.order)
    epoch_steps = len(order(0).train)
    steps = plan.protocol.epochs * epoch_steps
    horizon = min(plan.protocol.horizon, steps)

    def batch(number: int) -> Batch:
        epoch, position = divmod(number, epoch_steps)
        return batches.training(order(epoch), position)

    def rounds(first: int, count: int) -> Iterator[Round]:
        if spare is None or first >= count:
            yield from (Round(number, steps, horizon) for number in range(first, count))
            return
        more, seconds = min(1 + REHEARSED, steps), []
        # The first round pays for what is set up once. The others differ in a few steps forth, and in these back.
        for shown, back in ((1, 1), (1, 1), (more, 1), (more, more)):
            start = time.perf_counter()
            yield Round(first, shown, back)
            seconds.append(time.perf_counter() - start)
        _, once, forth, back_too = seconds
        further = ((forth - once) * (steps - 1) + (back_too - forth) * (horizon - 1)) / max(1, more - 1)
        spare((count - first) * (once + max(0.0, further)) - sum(seconds))

    return Course(
        network=network.train(),
        optimizer=make_optimizer(network, plan.protocol, plan.make_optimizer),
        batch=batch,
        rate=lambda number: plan.protocol.rate(number // epoch_steps),
        seed_of=lambda number: derive_seed(plan.seed, "train", *divmod(number, epoch_steps)),
        load=batches.train.load,
        primary_loss=primary_loss,
        autocast=fabric.autocast,
        rounds=rounds,
    )
