"""The optimizer of the multi-task network, its learning rates, and the moving average of the weights."""

import math
from collections.abc import Mapping

from torch import nn, optim
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from metaux.errors import InputError
from metaux.protocols import Protocol
from metaux.training.plan import MakeOptimizer, Plan


def make_optimizer(network: nn.Module, protocol: Protocol, own: MakeOptimizer | None = None) -> optim.Optimizer:
    """Return the optimizer that a protocol trains a network with, or one of a program's own."""
    if own is not None:
        made = own(network.parameters())
        if not isinstance(made, optim.Optimizer):
            raise InputError(f"expected optimizer to make one of torch.optim, found {type(made).__name__}; return one")
        return made
    rate, decay = protocol.learning_rate, protocol.weight_decay
    if protocol.optimizer == "adamw":
        return optim.AdamW(network.parameters(), rate, weight_decay=decay)
    return optim.SGD(network.parameters(), rate, protocol.momentum, weight_decay=decay)


def make_average(network: nn.Module, protocol: Protocol, steps: int) -> AveragedModel | None:
    """Return the moving average of a network's weights and buffers that a protocol evaluates; None for none.

    After step t it is  a_t = d a_{t-1} + (1 - d) theta_t,  with  d = exp(-1 / (share steps)).

    Args:
        network: whose average it is.
        protocol: the share of the training that it is over.
        steps: of the training.
    """
    if not protocol.weight_average:
        return None
    decay = math.exp(-1 / (protocol.weight_average * steps))
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)


class Schedule:
    """Sets an optimizer's learning rates, which at the first are what the protocol's schedule multiplies.

    Args:
        plan: its protocol, or the scheduler that takes the place of the protocol's schedule.
        optimizer: whose rates are set.

    Raises:
        InputError: if what the plan makes is no scheduler.
    """

    def __init__(self, plan: Plan, optimizer: optim.Optimizer):
        self.protocol, self.optimizer = plan.protocol, optimizer
        self.at_first = [float(group["lr"]) for group in optimizer.param_groups]
        self.scheduler = None if plan.make_scheduler is None else plan.make_scheduler(optimizer)
        if not isinstance(self.scheduler, LRScheduler | None):
            raise InputError(
                "expected scheduler to make a scheduler of torch.optim.lr_scheduler, found "
                f"{type(self.scheduler).__name__}; return one"
            )

    def begin(self, epoch: int) -> float:
        """Set the rates of an epoch, counted from 0; return the factor on the label source's own rate."""
        if self.scheduler is not None:
            return float(self.optimizer.param_groups[0]["lr"]) / self.at_first[0] if self.at_first[0] else 1.0
        rate = self.protocol.rate(epoch)
        for group, at_first in zip(self.optimizer.param_groups, self.at_first, strict=True):
            group["lr"] = at_first * rate
        return rate

    def end(self, record: Mapping[str, float]) -> None:
        """Step a scheduler of one's own after an epoch; one that looks for a plateau is given the validation loss.

        Args:
            record: of the epoch; without validation samples, its training loss is taken.
        """
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(record.get("validation_loss", record["train_loss"]))
        elif self.scheduler is not None:
            self.scheduler.step()
