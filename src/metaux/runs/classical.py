"""Classical models: what a user would pick instead of a network, from scikit-learn, on the same training samples.

- `logistic-regression`: of a table, on its columns as a network sees them; of texts, on TF-IDF (term frequency times
  inverse document frequency).
- `gradient-boosting`: histogram gradient boosting, on the columns of a table.
- `linear-probe`: logistic regression on the features that a frozen network, trained on other data, makes of images.

Cross-validation within the training samples decides how strongly logistic regression is regularised, by log loss. A run
is recorded as a network's is, with `classifier.skops` in place of weights: a file that cannot run a program.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from metaux.data.samples import LabelledData, Samples
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError, choose, reason
from metaux.files import check_not_packed
from metaux.hierarchy import Hierarchy
from metaux.labels.sources import CLASSICAL, entry
from metaux.runs.model import Model, Predictions, read_description
from metaux.runs.numbers import kept_numbers, numbers_of
from metaux.runs.plan import make_plan
from metaux.runs.reading import check_digests, damaged, plain
from metaux.runs.record import CLASSIFIER, Run, write_finished, write_records, write_settings
from metaux.runs.results import describe_run, sample_outputs
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.threads import as_many_as_torch
from metaux.training.devices import computing, device_of
from metaux.training.evaluate import measures
from metaux.training.plan import Plan
from metaux.training.timing import Cost

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

# The inverse strengths of regularisation that are tried, by kind of data: the more numbers a sample has, the stronger.
STRENGTHS = {"image": (1e-4, 1e-3, 1e-2, 1e-1), "table": (1e-2, 1e-1, 1.0, 10.0), "text": (1.0, 10.0, 100.0)}
_FOLDS = 3
# The types that a file may hold besides those of scikit-learn that skops trusts by itself.
_TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
_PARTS = ("LogisticRegression", "StandardScaler", "TfidfTransformer", "HistGradientBoostingClassifier")
# Samples of a rehearsal.
_FEW = 100
_LEAST = 1e-12


def fit_and_record(
    trial: Trial, data: LabelledData, folder: Path, notify: Callable[[str], None] = lambda _: None
) -> None:
    """Fit a classical model, and record it as a run.

    Args:
        trial: the run.
        data: what its settings name.
        folder: where it is recorded.
        notify: called with what a user should know.

    Raises:
        InputError: for data of a kind that it is not for, or features that can't be had.
    """
    with computing(trial.settings.threads):
        plan = _plan(trial, data)
        preprocessing, classes = _preprocessing(plan), data.hierarchy.classes
        start, device = time.perf_counter(), device_of(trial.settings)
        train, test = (
            kept_numbers(trial.settings.embedding, preprocessing, samples, device, data.digest)
            for samples in (plan.train, data.test)
        )
        if note := _note(trial, plan):
            notify(note)
        classifier = _fitted(trial, plan, train)
        record: dict[str, Any] = {"epoch": 1, "seconds": time.perf_counter() - start}
        for part, numbers, samples in (("train", train, plan.train), ("test", test, data.test)):
            logits = _log_probabilities(classifier, numbers, classes)
            record |= {f"{part}_{name}": value for name, value in measures(logits, samples.primary).items()}
    correct = (logits.argmax(-1) == data.test.primary).float()
    result = describe_run(trial.method, plan, correct, [record], 0.0, torch.device("cpu"))
    write_settings(folder, trial.settings, method=trial.method, seed=trial.seed)
    write_records(folder, [record])
    write_finished(folder, result, sample_outputs(plan, logits.exp(), correct), _dumped(classifier))


def rehearse(trial: Trial, data: LabelledData) -> tuple[Cost, str]:
    """Estimate the seconds of a run from a fit to a few samples; and say what a user should know, if anything.

    Raises:
        InputError: as `fit_and_record`.
    """
    with computing(trial.settings.threads):
        plan = _plan(trial, data)
        rows = torch.linspace(0, len(plan.train) - 1, min(_FEW, len(plan.train))).long()
        few = plan.train.take(rows)
        start = time.perf_counter()
        numbers = numbers_of(trial.settings.embedding, _preprocessing(plan), few, device_of(trial.settings))
        measured = time.perf_counter()
        if len(few.primary.unique()) > 1:
            _fitted(trial, replace(plan, train=few), numbers)
        fitted = time.perf_counter()
    share = len(plan.train) / len(few)
    seconds = (measured - start) * (share + len(data.test) / len(few)) + (fitted - measured) * share
    return Cost(seconds, 0.0), _note(trial, plan)


@dataclass(frozen=True)
class ClassicalModel:
    """A fitted classical model with all it needs to take raw samples.

    Args:
        method: its name.
        classifier: of scikit-learn.
        hierarchy: classes with their names.
        preprocessing: raw inputs to numbers.
        settings: the run's.
        device: where the features of images are made.
    """

    method: str
    classifier: "BaseEstimator"
    hierarchy: Hierarchy
    preprocessing: Preprocessing
    settings: Settings
    device: torch.device

    @classmethod
    def of(cls, run: Run, device: str = "cpu") -> "ClassicalModel":
        """Read the model of a finished run.

        Args:
            run: the run.
            device: as `Settings.device`.

        Raises:
            InputError: if its file is missing, damaged, or holds a type that such models have not.
        """
        import skops.io

        hierarchy, preprocessing, _ = read_description(run)
        path = run.folder / CLASSIFIER
        check_digests(run.folder, [CLASSIFIER])
        try:
            check_not_packed(plain(path))
            classifier = skops.io.load(path, trusted=_TRUSTED)
            _check_parts(classifier)
            if not set(classifier.classes_) <= set(range(hierarchy.classes)):
                raise ValueError("its classes are others")
        except InputError:
            raise
        except FileNotFoundError:
            raise damaged(run.folder, f"without {CLASSIFIER}") from None
        except Exception as error:  # of a file that is no archive, no schema, or holds another type
            raise damaged(path, f"that holds no model ({reason(error)})") from None
        settings = run.trial.settings
        return cls(
            run.method, classifier, hierarchy, preprocessing, settings, device_of(replace(settings, device=device))
        )

    def predict(self, samples: Samples) -> Predictions:
        """Return the logarithms of the classes' probabilities for raw samples.

        Raises:
            InputError: if the model, as its file had it, can't take them.
        """
        with computing(self.settings.threads):
            numbers = numbers_of(self.settings.embedding, self.preprocessing, samples, self.device)
            try:
                return Predictions(_log_probabilities(self.classifier, numbers, self.hierarchy.classes), None)
            except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
                raise InputError(
                    f"expected a model of {self.method} that takes {self.preprocessing.describe()}, found one that "
                    f"doesn't ({reason(error, 120)}); train it anew"
                ) from None


AnyModel = Model | ClassicalModel


def read_model(run: Run, device: str = "cpu") -> AnyModel:
    """Return what a finished run trained: both predict, and say what they take.

    Args:
        run: the run.
        device: as `Settings.device`.

    Raises:
        InputError: for a damaged model.
    """
    return ClassicalModel.of(run, device) if run.method in CLASSICAL else Model.of(run, device)


def _plan(trial: Trial, data: LabelledData) -> Plan:
    """Return the plan of single task with the same seed: its samples and its preprocessing."""
    choose("method", trial.method, CLASSICAL)
    kinds = entry(trial.method).kinds
    if data.kind not in kinds:
        raise InputError(
            f"expected data of kind {' or '.join(kinds)} for {trial.method}, found {data.kind}; leave it out"
        )
    return make_plan(replace(trial, method="single"), data, torch.device("cpu"))


def _preprocessing(plan: Plan) -> Preprocessing:
    assert isinstance(plan.preprocess, Preprocessing)
    return plan.preprocess


def _fitted(trial: Trial, plan: Plan, numbers: Any) -> "BaseEstimator":
    """Return the classifier, fitted to the numbers of the training samples."""
    classifier = _MAKERS[trial.method](plan, None if plan.class_weights is None else "balanced")
    with as_many_as_torch():
        return classifier.fit(numbers, plan.train.primary.numpy())


def _boosting(plan: Plan, weights: str | None) -> "BaseEstimator":
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(class_weight=weights, random_state=plan.seed)


def _regression(plan: Plan, weights: str | None) -> "BaseEstimator":
    """Return logistic regression; where each class has two samples, cross-validation chooses its regularisation."""
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind = plan.data.kind
    scaled = {"image": StandardScaler(), "table": None, "text": TfidfTransformer(sublinear_tf=True)}[kind]
    regression = LogisticRegression(max_iter=1000, class_weight=weights)
    pipeline = make_pipeline(scaled, regression) if scaled is not None else make_pipeline(regression)
    if (folds := _folds(plan)) < 2:
        return pipeline
    return GridSearchCV(pipeline, {"logisticregression__C": STRENGTHS[kind]}, scoring="neg_log_loss", cv=folds)


def _folds(plan: Plan) -> int:
    """Return the folds of the cross-validation, in each of which every class has a sample."""
    counts = plan.train.primary.bincount()
    return min(_FOLDS, int(counts[counts > 0].min()))


def _note(trial: Trial, plan: Plan) -> str:
    if _MAKERS[trial.method] is not _regression or _folds(plan) > 1:
        return ""
    return (
        f"{trial.method}: a class has one training sample, so that no cross-validation chose the regularisation: it is "
        "scikit-learn's own, C = 1"
    )


_MAKERS = {"logistic-regression": _regression, "linear-probe": _regression, "gradient-boosting": _boosting}


def _check_parts(classifier: Any) -> None:
    """Check that a file held what is written here, since compiled code takes it without a look.

    Raises:
        ValueError: for another part of scikit-learn, or trees in which a node leads back or to nothing.
    """
    for part in [own for _, own in classifier.steps] if hasattr(classifier, "steps") else [classifier]:
        if type(part).__name__ not in _PARTS:
            raise ValueError(f"it holds a {type(part).__name__}")
    for tree in (tree for trees in getattr(classifier, "_predictors", ()) for tree in trees):
        nodes, places = tree.nodes, np.arange(len(tree.nodes))
        inner = nodes["is_leaf"] == 0
        left, right, feature = (nodes[name][inner].astype(np.int64) for name in ("left", "right", "feature_idx"))
        leads_on = (np.minimum(left, right) > places[inner]) & (np.maximum(left, right) < len(nodes))
        of_a_column = (feature >= 0) & (feature < classifier.n_features_in_)
        if not len(nodes) or not leads_on.all() or not of_a_column.all() or nodes["is_categorical"].any():
            raise ValueError("its trees are broken")


def _log_probabilities(classifier: "BaseEstimator", numbers: Any, classes: int) -> Tensor:
    """Return `[n, classes]`; of a class without training samples, the least that is told apart from none."""
    found = np.full((numbers.shape[0], classes), _LEAST)
    if len(found):
        found[:, classifier.classes_] = classifier.predict_proba(numbers)
    return torch.from_numpy(np.log(np.maximum(found, _LEAST)).astype(np.float32))


def _dumped(classifier: "BaseEstimator") -> bytes:
    import skops.io

    content: bytes = skops.io.dumps(getattr(classifier, "best_estimator_", classifier))
    return content
