"""The learning rates of a training, epoch by epoch: by the protocol, or by a scheduler of a program's own."""

from collections.abc import Mapping

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from metaux.errors import InputError
from metaux.training.plan import Plan


class Schedule:
    """Sets an optimizer's learning rates, which at the first are what the protocol's schedule multiplies.

    Args:
        plan: its protocol, or the scheduler that takes the place of the protocol's schedule.
        optimizer: whose rates are set.

    Raises:
        InputError: if what the plan makes is no scheduler.
    """

    def __init__(self, plan: Plan, optimizer: Optimizer):
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
