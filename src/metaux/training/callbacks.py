"""What is called at fixed places of a training: it records, prints, stops early, or is a program's own."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from metaux.errors import InputError
from metaux.training.evaluate import Record
from metaux.training.learner import Learner


@dataclass
class Training:
    """A training that is going on, as its callbacks see it.

    Args:
        learner: what learns: network, label source, optimizer, plan; a callback may change it.
        records: one dict per epoch so far.
        stopping: whether the training ends here; set it by `stop`.
        changed: set it where a callback changes weights once the training has ended: they are then measured anew.
    """

    learner: Learner
    records: list[Record] = field(default_factory=list)
    stopping: bool = False
    changed: bool = False

    def stop(self) -> None:
        """End the training after this epoch."""
        self.stopping = True


class Callback:
    """Called at fixed places of a training; as it stands it does nothing.

    >>> class Announce(Callback):
    ...     def on_epoch_end(self, training):
    ...         print("epoch", training.records[-1]["epoch"], "of", training.learner.plan.protocol.epochs)
    """

    def on_train_begin(self, training: Training) -> None:
        """Before the first epoch, or the first one after an interruption."""

    def on_epoch_begin(self, training: Training) -> None:
        """Before the steps of an epoch."""

    def on_batch_end(self, training: Training) -> None:
        """After each training step, and after each meta step that is not one with it."""

    def on_epoch_end(self, training: Training) -> None:
        """After each epoch, once it is measured, recorded and safe."""

    def on_train_end(self, training: Training) -> None:
        """After the last epoch, before what is left of the training is measured."""


class PrintLog(Callback):
    """Prints the losses and accuracies of each epoch, as a table that grows."""

    COLUMNS = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "seconds")

    def on_epoch_end(self, training: Training) -> None:
        """Print what is recorded of the epoch, under a header if it is the first."""
        records = training.records
        names = [name for name in self.COLUMNS if name in records[-1]]
        if len(records) == 1:
            print("  ".join(names))
        values = (f"{records[-1][name]:.4g}" for name in names)
        print("  ".join(value.rjust(len(name)) for name, value in zip(names, values, strict=True)), flush=True)


class EarlyStopping(Callback):
    """Ends a training that gains no more, and goes back to the weights of its best epoch.

    Args:
        patience: how many epochs in a row may bring no gain.
        monitor: the number of each epoch's record that is looked at.
        lower_is_better: whether less of it is a gain.
        threshold: a smaller change is no gain.

    Attributes:
        best_epoch: the epoch, counted from 1, whose weights the network has.

    Raises:
        InputError: while training, where the records don't have the number.
    """

    def __init__(
        self,
        patience: int = 5,
        monitor: str = "validation_loss",
        *,
        lower_is_better: bool = True,
        threshold: float = 0.0,
    ):
        self.patience, self.monitor, self.lower_is_better = patience, monitor, lower_is_better
        self.threshold = threshold

    def on_train_begin(self, training: Training) -> None:  # noqa: ARG002
        """Forget an earlier training."""
        self.best_epoch, self._best, self._state = 0, 0.0, list[Any]()

    def on_epoch_end(self, training: Training) -> None:
        """Keep the best weights so far; stop after `patience` epochs without a gain."""
        record = training.records[-1]
        if self.monitor not in record:
            raise InputError(
                f"expected '{self.monitor}' in the records for EarlyStopping, found {', '.join(record)}; give "
                "validation samples, or monitor one of these"
            )
        value = record[self.monitor] if self.lower_is_better else -record[self.monitor]
        if not self._state or value < self._best - self.threshold:
            self.best_epoch, self._best = len(training.records), value
            self._state = deepcopy([part.state_dict() for part in _kept(training)])
        elif len(training.records) - self.best_epoch >= self.patience:
            training.stop()

    def on_train_end(self, training: Training) -> None:
        """Go back to the best weights."""
        if self.best_epoch < len(training.records):
            for part, state in zip(_kept(training), self._state, strict=True):
                part.load_state_dict(state)
            training.changed = True
        self._state = []


def _kept(training: Training) -> tuple[nn.Module, nn.Module]:
    return training.learner.evaluated, training.learner.source
