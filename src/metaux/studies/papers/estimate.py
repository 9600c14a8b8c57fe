"""How long runs take on this machine, from a short timing of the real steps on images made up for it."""

from dataclasses import replace
from pathlib import Path

import torch

from metaux.data.samples import LabelledData, Samples
from metaux.hierarchy import Hierarchy
from metaux.labels.controls import Frozen
from metaux.labels.sources import SOURCES
from metaux.labels.vector import FrozenVector
from metaux.runs.plan import make_plan
from metaux.runs.trial import Trial
from metaux.studies.papers import datasets
from metaux.training.devices import computing, make_fabric
from metaux.training.learner import make_learner
from metaux.training.timing import time_epoch

BATCHES = 3


class Clock:
    """Seconds per sample of each kind of run, timed when first asked for.

    Args:
        curve: as of `metaux.training.loop.fit`.
    """

    def __init__(self, curve: bool = True) -> None:
        self.curve = curve
        self._known: dict[tuple[object, ...], tuple[float, float]] = {}

    def timed(self, trial: Trial) -> Trial:
        """Return a run on one of the papers' data sets, with the seconds that an epoch of it takes."""
        settings, source = trial.settings, datasets.SOURCES[Path(trial.settings.data).name]
        shape = source.shape
        if settings.image_size is not None:
            shape = (shape[0], settings.image_size, settings.image_size)
        method = _alike(trial)
        key = (settings.backbone, settings.device, settings.precision, settings.threads, shape, method)
        if key not in self._known:
            self._known[key] = _per_sample(replace(trial, method=method), shape, self.curve)
        train, test = self._known[key]
        size = min(settings.train_size or source.samples[0], source.samples[0])
        return replace(trial, seconds=train * size + test * source.samples[1])


def _alike(trial: Trial) -> str:
    """Return the label source that stands for all whose steps cost the same."""
    source = SOURCES[trial.method].source_class
    if source.meta_step is not None:
        return "maxl"
    if source in (Frozen, FrozenVector):
        return "frozen"
    return "uniform" if source.views is None else "rotated"


def _per_sample(trial: Trial, shape: tuple[int, int, int], curve: bool) -> tuple[float, float]:
    """Return the seconds per training sample and per test sample."""
    count = BATCHES * trial.protocol.batch_size
    train, test = (
        Samples((torch.randint(256, (count, *shape), dtype=torch.uint8),), torch.arange(count) % 2) for _ in range(2)
    )
    data = LabelledData(train, test, Hierarchy([5, 5]), "image")
    made_up = trial.changed(train_size=None, hierarchy=None, primary=None, auxiliary=None, subclasses=(5,), processes=1)
    with computing(made_up.settings.threads):
        learner = make_learner(make_plan(made_up, data), make_fabric(made_up.settings))
        steps, evaluation = time_epoch(learner, curve, steps=1)
    return steps / count, evaluation / count
