"""The estimate of a run: it has all that an epoch of the run has."""

import time
from typing import final

from torch import Tensor

from metaux.labels.base import Batch, MetaStep, SubclassSource
from metaux.training.timing import time_run
from small import cpu, plan

SECONDS = 0.1


class EqualShares(SubclassSource):
    """The same label for every sample of a class."""

    def target(self, batch: Batch) -> Tensor:
        return self.hierarchy.mask(batch.primary) / 5


@final
class SlowLabels(EqualShares):
    """Whose labels take their time when they are looked at."""

    def labels(self, batch: Batch) -> Tensor:
        time.sleep(SECONDS)
        return super().labels(batch)


@final
class SlowDiagnosis(EqualShares):
    """Whose own numbers take their time."""

    def diagnostics(self, step: MetaStep) -> dict[str, float]:
        time.sleep(SECONDS)
        return super().diagnostics(step)


def test_an_epoch_has_its_labels_and_its_diagnosis() -> None:
    for source in (SlowLabels, SlowDiagnosis):
        assert time_run(plan(source), cpu())[0].epoch > SECONDS


def test_without_a_curve_only_the_reported_epochs_have_them() -> None:
    slow, _ = time_run(plan(SlowDiagnosis, epochs=50), cpu(), curve=False)
    assert slow.epoch - time_run(plan(EqualShares, epochs=50), cpu(), curve=False)[0].epoch < SECONDS / 2
