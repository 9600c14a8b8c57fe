"""How long a run will take, from a rehearsal of it."""

import time
from dataclasses import dataclass

from metaux.training.fabric import Fabric
from metaux.training.fit import Trainer
from metaux.training.plan import Plan


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


def time_run(plan: Plan, fabric: Fabric, curve: bool = True) -> tuple[Cost, str]:
    """Time the preparation and a few steps of a run, with a trainer that is thrown away.

    Args:
        plan: what to train; networks that are trained before the run (teachers) are so for one epoch only.
        fabric: of one process.
        curve: as of `Trainer`.

    Returns:
        The cost, and what a user should know before the training; the latter may be empty.

    Raises:
        InputError: for what the method cannot be trained on.
    """
    start = time.perf_counter()
    trainer = Trainer(plan, fabric, curve=curve, rehearsal=True)
    preparation = time.perf_counter() - start + trainer.left_out
    return Cost(preparation, sum(trainer.time_epoch())), trainer.notice
