"""What a pretrained network's features are worth by themselves: a linear classifier on them."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metaux.data.samples import LabelledData, Samples
from metaux.files import write_json
from metaux.runs.plan import make_plan
from metaux.settings import Settings
from metaux.studies.benchmark.rules import SINGLE, Contestant
from metaux.studies.kept import read_kept
from metaux.training.devices import computing
from metaux.training.plan import Features

if TYPE_CHECKING:
    from sklearn.model_selection import GridSearchCV

Array = np.ndarray[Any, Any]
MEASURED = "probe.json"
# The inverse strengths of regularisation that are tried.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class Probed:
    """Test accuracies by seed, and the seconds that it takes to make the training samples' features and to fit."""

    accuracies: dict[int, float]
    seconds: float


def probe(bed: Settings, row: Contestant, data: LabelledData, seeds: Sequence[int], folder: Path) -> Probed:
    """Return what logistic regression on a row's features reaches, with the training samples of each seed.

    How strongly it is regularised is decided by cross-validation within them.

    Args:
        bed: the data's settings.
        row: its changes name the features.
        data: the bed's.
        seeds: of the training samples.
        folder: the bed's; what was measured is kept there, and not measured again.
    """
    path = folder / MEASURED
    found: dict[str, dict[str, float]] = read_kept(path)
    if missing := [seed for seed in seeds if str(seed) not in found]:
        settings = replace(bed, **row.changes)
        features = make_plan(settings, SINGLE, 0, data).features
        assert features is not None
        fitted: dict[tuple[int, ...], dict[str, float]] = {}  # seeds may draw the same samples: all of them
        with computing(bed.threads):
            test = _numbers(data.test, features)
            for seed in missing:
                train = make_plan(settings, SINGLE, seed, data).train
                assert train.ids is not None
                drawn = tuple(sorted(train.ids.tolist()))
                if drawn not in fitted:
                    start = time.perf_counter()
                    classifier = _tuned().fit(*_numbers(train, features))
                    seconds = time.perf_counter() - start
                    fitted[drawn] = {"accuracy": float(classifier.score(*test)), "seconds": seconds}
                found[str(seed)] = fitted[drawn]
                write_json(path, found)
    own = [found[str(seed)] for seed in seeds]
    accuracies = {seed: values["accuracy"] for seed, values in zip(seeds, own, strict=True)}
    return Probed(accuracies, statistics.median(values["seconds"] for values in own))


def is_probed(folder: Path) -> bool:
    """Return whether it was measured before."""
    return (folder / MEASURED).is_file()


def _numbers(samples: Samples, features: Features) -> tuple[Array, Array]:
    return features(samples).numpy(), samples.primary.numpy()


def _tuned() -> "GridSearchCV":
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return GridSearchCV(classifier, {"logisticregression__C": STRENGTHS}, cv=3)
