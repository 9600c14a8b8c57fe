"""How long runs take on this machine, from a short timing of the real steps on images made up for it."""

from dataclasses import replace

import torch

from metaux.data.samples import LabelledData, Samples
from metaux.hierarchy import Hierarchy
from metaux.labels.generated import Generated
from metaux.labels.sources import SOURCES
from metaux.protocols import resolve
from metaux.runs.plan import make_plan
from metaux.settings import Settings
from metaux.training.devices import computing, make_fabric
from metaux.training.learner import make_learner
from metaux.training.timing import time_epoch

BATCHES = 3


class Clock:
    """Seconds per sample of each kind of run, timed when first asked for."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], tuple[float, float]] = {}

    def epoch(self, settings: Settings, method: str, samples: tuple[int, int], shape: tuple[int, int, int]) -> float:
        """Return the seconds of an epoch.

        Args:
            settings: the run's.
            method: its label source; those without a network of their own cost the same.
            samples: of the training part, before `train_size` is drawn from it, and of the test part.
            shape: of one image, before it is resized.
        """
        if settings.image_size is not None:
            shape = (shape[0], settings.image_size, settings.image_size)
        source = SOURCES[method](Hierarchy([2, 2]), resolve(settings))
        alone = "uniform" if source.views is None else "rotated"
        timed = "maxl" if source.meta_step is not None else "frozen" if isinstance(source, Generated) else alone
        key = (settings.backbone, settings.device, settings.precision, settings.threads, shape, timed)
        if key not in self._known:
            self._known[key] = _per_sample(settings, timed, shape)
        train, test = self._known[key]
        size = min(settings.train_size or samples[0], samples[0])
        return train * size + test * samples[1]


def _per_sample(settings: Settings, method: str, shape: tuple[int, int, int]) -> tuple[float, float]:
    """Return the seconds per training sample and per test sample."""
    protocol = resolve(settings)
    count = BATCHES * protocol.batch_size
    train, test = (
        Samples((torch.randint(256, (n, *shape), dtype=torch.uint8),), torch.arange(n) % 2) for n in (count, count)
    )
    data = LabelledData(train, test, Hierarchy([5, 5]), "image")
    made_up = replace(settings, train_size=None, hierarchy=None, primary=None, auxiliary=None, subclasses=(5,))
    with computing(settings.threads):
        plan = make_plan(made_up, method, 0, data)
        steps, evaluation = time_epoch(make_learner(plan, make_fabric(replace(settings, processes=1))), steps=1)
    return steps / count, evaluation / count
