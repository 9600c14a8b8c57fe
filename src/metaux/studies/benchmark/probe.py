"""What a pretrained network's features are worth by themselves: a linear classifier on them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from metaux.data.samples import LabelledData, Samples
from metaux.evidence.contender import Result
from metaux.files import write_json
from metaux.runs.plan import make_plan
from metaux.runs.reading import read_kept
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.studies.benchmark.rules import SINGLE, Entrant
from metaux.training.devices import computing
from metaux.training.evaluate import class_recalls
from metaux.training.plan import Features

if TYPE_CHECKING:
    from sklearn.model_selection import GridSearchCV

Array = np.ndarray[Any, Any]
MEASURED = "probe.json"
# The inverse strengths of regularisation that are tried.
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)


def probe(data_set: Settings, row: Entrant, data: LabelledData, seeds: Sequence[int], folder: Path) -> list[Result]:
    """Return what logistic regression on a row's features reaches, with the training samples of each seed.

    How strongly it is regularised is decided by cross-validation within them.

    Args:
        data_set: its settings.
        row: its changes name the features.
        data: the data set's.
        seeds: of the training samples.
        folder: the data set's; what was measured is kept there, and not measured again.
    """
    path = folder / MEASURED
    found: dict[str, dict[str, Any]] = {seed: own for seed, own in read_kept(path).items() if "wrong" in own}
    if missing := [seed for seed in seeds if str(seed) not in found]:
        settings = replace(data_set, **row.changes)
        features = make_plan(Trial(settings, SINGLE, 0), data).features
        assert features is not None
        fitted: dict[tuple[int, ...], dict[str, Any]] = {}  # seeds may draw the same samples: all of them
        with computing(data_set.threads):
            test, primary = _numbers(data.test, features)
            for seed in missing:
                train = make_plan(Trial(settings, SINGLE, seed), data).train
                assert train.ids is not None
                drawn = tuple(sorted(train.ids.tolist()))
                if drawn not in fitted:
                    start = time.perf_counter()
                    classifier = _tuned().fit(*_numbers(train, features))
                    seconds = time.perf_counter() - start
                    wrong = np.flatnonzero(classifier.predict(test) != primary).tolist()
                    fitted[drawn] = {"wrong": wrong, "seconds": seconds}
                found[str(seed)] = fitted[drawn]
                write_json(path, found)
    return [_result(seed, found[str(seed)], data.test.primary) for seed in seeds]


def _result(seed: int, measured: Mapping[str, Any], primary: Tensor) -> Result:
    correct = torch.ones(len(primary), dtype=torch.bool)
    correct[measured["wrong"]] = False
    numbers = correct.numpy().astype(np.float64)
    balanced = float(class_recalls(correct, primary).mean())
    seconds = float(measured["seconds"])
    return Result(seed, float(numbers.mean()), balanced, numbers, seconds, seconds)


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
