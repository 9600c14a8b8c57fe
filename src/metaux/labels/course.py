"""The training that a run will take, as a label source goes through it before."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from metaux.labels.batch import Batch, PrimaryLoss
from metaux.networks.multitask import MultiTaskNetwork


class Round(NamedTuple):
    """One repetition of a course.

    Args:
        number: of the repetition.
        steps: how many of the course's it takes.
        horizon: how many of the last of them a gradient goes back through.
    """

    number: int
    steps: int
    horizon: int


@dataclass(frozen=True)
class Course:
    """The training that a run will take, step by step, for a source that goes through it before.

    Args:
        network: at the run's start, in training mode; a source leaves it as it is.
        optimizer: of the network, likewise.
        batch: of a step's number, the same each time: what the run's training step learns.
        rate: the schedule's factor on the learning rate, of a step's number.
        seed_of: the seed of a step's random numbers, of its number.
        load: the training samples at the rows given, without augmentation.
        primary_loss: of the primary output and its batch; a scalar.
        autocast: makes the arithmetic that the network is trained in.
        rounds: the repetitions of the course, from the number of a first one to a count; in a rehearsal short ones.
    """

    network: MultiTaskNetwork
    optimizer: torch.optim.Optimizer
    batch: Callable[[int], Batch]
    rate: Callable[[int], float]
    seed_of: Callable[[int], int]
    load: Callable[[Tensor], Batch]
    primary_loss: PrimaryLoss
    autocast: Callable[[], AbstractContextManager[object]]
    rounds: Callable[[int, int], Iterator[Round]]
