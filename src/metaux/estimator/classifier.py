"""The scikit-learn door: a classifier with `fit`, `predict` and `transform`.

It is longer than 300 lines for its parameters, each of which is named and explained.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from math import prod
from typing import Any, Literal, Self, TypeVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from metaux.data.classes import DEFAULT_SUBCLASSES
from metaux.data.in_memory import InMemory, read_samples
from metaux.data.in_memory_labels import plain_numbers, read_given, read_hierarchy, read_labels
from metaux.data.pixels import Array
from metaux.data.reader import Request
from metaux.data.samples import LabelledData, Samples
from metaux.data.splits import split
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.estimator.parts import (
    auxiliary_names,
    class_factors,
    make_source,
    make_trunk,
    of_mean_1,
    read_sample_weight,
    settings_of,
)
from metaux.estimator.saving import SavingMixin
from metaux.labels.base import MakeSource, SubclassSource
from metaux.labels.sources import AUTO
from metaux.protocols import Protocol, resolve
from metaux.rng import ALONE, all_seeded
from metaux.runs.model import Model
from metaux.runs.plan import assemble
from metaux.settings import Settings
from metaux.training.callbacks import Callback, PrintLog
from metaux.training.devices import computing, make_fabric
from metaux.training.evaluate import Record
from metaux.training.learner import Learner, make_learner
from metaux.training.loop import Fitted, fit
from metaux.training.plan import MakeOptimizer, MakeScheduler, Plan

Answer = TypeVar("Answer")


@dataclass(eq=False, repr=False)
class MetauxClassifier(
    SavingMixin,
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    ClassifierMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """A classifier that trains a network on its classes and on auxiliary labels, invented or given.

    `X` may be

    - a table (n, columns): an array or float tensor of numbers, or a data frame of numbers, words, dates and missing
      values (what becomes of them is warned of); standardised per column;
    - an array of images, (n, h, w) or (n, h, w, channels): whole numbers from 0 to 255, or fractions from 0 to 1, or of
      `pixel_range`; or a uint8 tensor in torch's order, (n, channels, h, w); normalised per channel;
    - texts, or the names of image files (paths, or strings that all end in .png, .jpg and the like), one per sample,
      in a list, array or series;
    - any other tensor, passed to the network as it is: float images that the program normalised itself, or token
      numbers for a network of one's own;
    - a map-style `Dataset` of tensors or of tuples of tensors (a network with several inputs). Without `y`, its items
      end in their label. It is read once, into memory: random transforms are drawn once, by `random_state` in `fit`.

    `y` holds numbers, strings or any other hashable labels.

    Args:
        backbone: a name (auto, mlp, small-cnn, conv4, vgg16, vgg16-quarter, resnet32, torchvision:NAME or timm:NAME), a
            callable that returns a fresh module, or a module, which is copied and never changed: any network from a
            batch to features `[batch, features]`. The copies, of which the label generator has its own, start from the
            module's weights.
        pretrained: start both networks from the library's ImageNet weights; for torchvision: and timm: only.
        weights: start both networks of such a backbone from this file (safetensors or of torch) instead.
        method: where the auxiliary labels come from. auto is transformation for arrays of images, where it was shown to
            help, and single (none) for other data, where nothing is shown to help. Also
            maxl, unrolled, uniform, random, frozen, kmeans, balanced, leaves, human, given, distilled, distilled-cross,
            null-space or prototypical; transformed and transformation-shuffled learn from transformed images, rotation,
            rotation-single, rotation-distilled, rotation-shuffled, rotated and rotated-single from turned ones,
            self-distilled and self-distilled-cross from a teacher's classes, null-space-random and null-space-shuffled
            from a teacher's features, vector and frozen-vector from target vectors; or a callable (hierarchy, protocol)
            -> `LabelSource`.
        subclasses: sub-classes per class, one number or one per class in the order of `classes_`; not used where
            `fit` is given auxiliary labels.
        features: what kmeans, balanced and leaves cluster: pixels (the inputs as they are), autoencoder, rotations,
            contrastive, efficientnet-lite0, torchvision:NAME, timm:NAME, or the folder of a finished run.
        embedding: what prototypical measures distances in: one of the last four.
        protocol: tuned, iclr or neurips, or a `Protocol` of one's own.
        epochs: passes over the training data; the protocol's by default, as for all values below.
        batch_size: samples per batch.
        learning_rate: of the multi-task network.
        weight_decay: of the multi-task network.
        optimizer: sgd, or adamw, with a learning rate of 1e-3 and a weight decay of 0.05 unless they are given; or a
            callable from the network's parameters to a `torch.optim.Optimizer`, whose learning rates the schedule
            multiplies.
        warm_up: first epochs, in which the learning rate rises to its value.
        label_smoothing: the share of the primary class's label that is spread over all classes.
        mix: show the network mixed images, with mixed labels: mixup, cutmix, or both in turn; or none.
        trivial_augment: on changes each image in one more random way, of colour or geometry (TrivialAugment); or off.
        weight_average: keep a moving average of the weights, over this share of the training; 0 for none.
        head_epochs: epochs in which the primary head alone learns, before the training, with the backbone as it starts.
        scheduler: a callable from the optimizer to a scheduler of `torch.optim.lr_scheduler`, which is stepped after
            each epoch in place of the protocol's schedule.
        criterion: the primary loss in place of the focal loss, of logits `[batch, classes]` and classes int64
            `[batch]`: of each sample (reduction="none"), or, without weights and mixed images, their mean.
        generator_learning_rate: of the label generator.
        generator_decay: weight of the norm of the label generator's parameters.
        entropy_weight: weight of the loss against collapse.
        focal_gamma: focusing parameter of both losses; 0 is cross entropy.
        views: together or apart: whether methods that show the network several views of each image learn those of a
            batch in one step, or like images of their own, in as many times the steps.
        auxiliary_weight: factor on the auxiliary loss.
        label_parameters: what the labels of unrolled are made of: table, clusters or generator.
        iterations: how often unrolled trains the network to learn its labels.
        starts: the untrained networks that it begins with in turn, the run's own first.
        horizon: of each such training, the last steps that the gradient goes back through.
        augment: random crops and horizontal flips of images: none, crop or crop-flip.
        pixel_range: the values of black and white in arrays of images; without it, whole numbers are from 0 to 255
            and fractions from 0 to 1.
        image_size: pixels a side of images that are read from files. By default they stay as they are if all are
            alike, else it is the median of their short sides, from 32 to 224.
        resize: how images of other proportions get that size: crop keeps the proportions and cuts off what is over,
            stretch keeps all of the image.
        class_weight: of the primary loss: balanced is inverse to class frequency; or a dict of factors by label. Their
            mean over the training samples is made 1.
        meta_gradient: auto, forward-mode, finite-difference or double-backward. auto is forward-mode, which is exact,
            or finite-difference, with a warning, where the network has an operation without a forward-mode formula.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: of the arithmetic: 32-true or bf16-mixed.
        threads: CPU threads; equal bits need equal threads.
        validation_fraction: the share of the samples that `fit` holds out and measures after each epoch, with the
            balance of the classes.
        callbacks: `Callback`s that are called at fixed places of the training, such as `EarlyStopping`.
        warm_start: start from the weights of the last fit, on data of the same form and classes; the label source
            starts anew.
        verbose: 1 prints a line for each epoch.
        random_state: the seed of everything random; None draws one from NumPy's global state. Fits of equal seed give
            equal bits in threads too, where one waits for the other, and leave the global generators of torch, NumPy
            and Python as they were. Other code that draws from these meanwhile, in another thread, disturbs a fit.

    Attributes:
        classes_: the labels, sorted; in order of appearance if they can't be.
        n_features_in_: columns of the table; of other inputs, values per sample.
        feature_names_in_: of a data frame whose columns have names.
        hierarchy_: the classes and their sub-classes.
        network_: the trained `MultiTaskNetwork`, on the CPU.
        history_: one dict per epoch: losses, accuracy, diagnostics; of validation samples, `validation_loss`,
            `validation_accuracy` and `validation_balanced_accuracy`.
        labels_: each training sample's label over its class's sub-classes, `[n, max(psi)]`; NaN for samples that were
            held out or have no weight; None where the method has no sub-classes.
        auxiliary_names_: what the auxiliary outputs are called, as `predict_auxiliary` says; empty without any.

    Raises:
        InputError: a ValueError that says what was expected, what was found and what to do.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = MetauxClassifier(method="maxl", subclasses=2, epochs=20, random_state=0).fit(X, y)
    >>> classifier.score(X, y) > 0.9
    True
    >>> classifier.predict(X[:1]), classifier.labels_.shape
    (array([0]), (150, 2))
    """

    backbone: str | nn.Module | Callable[[], nn.Module] = "auto"
    method: str | MakeSource = AUTO
    _: KW_ONLY
    subclasses: int | Sequence[int] = DEFAULT_SUBCLASSES
    features: str = "pixels"
    embedding: str = "efficientnet-lite0"
    protocol: str | Protocol = "tuned"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    optimizer: Literal["sgd", "adamw"] | MakeOptimizer | None = None
    warm_up: int | None = None
    label_smoothing: float | None = None
    mix: Literal["none", "mixup", "cutmix", "both"] | None = None
    trivial_augment: Literal["off", "on"] | None = None
    weight_average: float | None = None
    head_epochs: int | None = None
    scheduler: MakeScheduler | None = None
    criterion: Callable[[Tensor, Tensor], Tensor] | None = None
    generator_learning_rate: float | None = None
    generator_decay: float | None = None
    entropy_weight: float | None = None
    focal_gamma: float | None = None
    views: Literal["together", "apart"] | None = None
    auxiliary_weight: float | None = None
    label_parameters: Literal["table", "clusters", "generator"] | None = None
    iterations: int | None = None
    starts: int | None = None
    horizon: int | None = None
    augment: str = "none"
    pixel_range: tuple[float, float] | None = None
    image_size: int | None = None
    resize: Literal["crop", "stretch"] = "crop"
    class_weight: str | Mapping[Any, float] | None = None
    pretrained: bool = False
    weights: str | None = None
    meta_gradient: str = "auto"
    device: str = "auto"
    precision: str = "32-true"
    threads: int = 1
    validation_fraction: float | None = None
    callbacks: Sequence[Callback] = ()
    warm_start: bool = False
    verbose: int = 0
    random_state: Any = None

    def fit(
        self,
        X: Any,
        y: Any = None,
        auxiliary: Any = None,
        given: Any = None,
        *,
        sample_weight: Any = None,
        validation: Any = None,
    ) -> Self:
        """Train on samples.

        Args:
            X: the samples, as the class says.
            y: the label of each sample; None if `X` is a Dataset that has them.
            auxiliary: a finer label of each sample, within its class; needed by the method human. They set the
                sub-classes, and to other methods they are what `history_` compares the generated labels with.
            given: a label of any other kind of each sample, for the method given, which learns it beside the classes.
            sample_weight: a factor on both losses of each sample; their mean is made 1. Samples of weight 0 are left
                out. Normalisation, clusters, teachers and the generator's entropy count samples alike.
            validation: samples that are measured after each epoch, (X, y) or a Dataset that has labels.

        Returns:
            The classifier itself.

        Raises:
            InputError: for parameters or data that can't be trained with.
            TrainingError: if the loss is no longer finite.
        """
        new = copy(self)  # so that a fit that fails leaves this one as it was
        seed = self._seed()
        # Seeded for what draws at random in code that is not ours, such as a Dataset; called without gradients, too.
        with all_seeded(seed, "fit"), torch.inference_mode(False), torch.enable_grad():
            new._fit(X, y, auxiliary, given, sample_weight, validation, seed)
        self.__dict__ = new.__dict__
        return self

    def _fit(self, X: Any, y: Any, auxiliary: Any, given: Any, sample_weight: Any, validation: Any, seed: int) -> None:
        before = copy(self) if self.warm_start and hasattr(self, "network_") else None
        settings = settings_of(self.get_params(deep=False))
        found = self._read(X, settings, fitting=True, labelled=y is None)
        self.classes_, primary = read_labels(found.labels if y is None else y, len(found))
        weights = read_sample_weight(sample_weight, len(primary))
        learned, held_out = self._rows(torch.from_numpy(primary), weights, validation, seed)
        found = found.encoded(learned, torch.from_numpy(primary))
        if found.notices:
            warnings.warn(". ".join(found.notices), stacklevel=3)
        if found.form.kind != "table":
            self.n_features_in_ = prod(found.form.shapes[0])
        hierarchy, human = read_hierarchy(self.classes_, primary, auxiliary, self.subclasses)
        given_labels, given_names = read_given(given, len(primary))
        self._form = found.form
        samples = Samples(found.inputs, torch.from_numpy(primary), human, given=given_labels, given_names=given_names)
        train = samples if len(learned) == len(samples) else samples.take(learned)
        train = replace(train, weight=None if weights is None else of_mean_1(weights[learned]))
        measured = samples.take(held_out) if len(held_out) else self._read_validation(validation, settings)
        data = LabelledData(train, samples.take(torch.arange(0)), hierarchy, found.form.kind, measured)
        data = replace(
            data, columns=found.form.columns, tokenizer=found.form.tokenizer, pixel_range=found.form.pixel_range
        )
        source = make_source(self.method, data.kind)
        trunk = make_trunk(self.backbone, settings, found.form.shapes[0], data.kind)
        name = self.method if isinstance(self.method, str) else "this method"
        own_weights = settings.from_weights or not isinstance(self.backbone, str)
        protocol = resolve(settings, self.protocol if isinstance(self.protocol, Protocol) else None)
        plan = self._with_own_parts(assemble(settings, data, seed, protocol, source, trunk, name, own_weights))
        with computing(settings.threads):
            learner = make_learner(plan, make_fabric(settings))
            if learner.notice:
                warnings.warn(learner.notice, stacklevel=3)
            if before is not None:
                _start_from(before, self, learner)
            fitted = fit(learner, callbacks=[*([PrintLog()] if self.verbose else []), *self.callbacks])
        self.hierarchy_ = hierarchy
        self.network_ = fitted.network.cpu().eval()
        self.network_.zero_grad()
        self.history_: list[Record] = _numbered([] if before is None else before.history_, fitted.records)
        self.labels_ = _of_all(fitted, plan.train, len(samples))
        assert isinstance(plan.preprocess, Preprocessing)
        self._preprocess = plan.preprocess
        # Of the sources by name nothing that they learned has a say in a prediction: a generator is not kept.
        own_rule = fitted.source.predict is not None and not isinstance(self.method, str)
        self._source = fitted.source.cpu() if own_rule else source(hierarchy, protocol)
        self._source.auxiliary_names = fitted.source.auxiliary_names
        self.auxiliary_names_ = auxiliary_names(self._source)

    def predict(self, X: Any) -> Array:
        """Return each sample's most probable class, `[n]`."""
        rows = self.predict_proba(X).argmax(-1)
        chosen: Array = self.classes_[rows]
        return chosen

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on samples; whole numbers that are held as objects are the numbers that they are."""
        return float(super().score(X, plain_numbers(np.asarray(y)), sample_weight))

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, float32 `[n, classes]`, classes as in `classes_`.

        Args:
            X: samples of the form that was fitted; the labels of a Dataset that has them are not looked at.

        Raises:
            InputError: for samples of another form.
        """
        return self._of_model(X, Model.logits).softmax(-1).numpy()

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of the probability of each class, float32 `[n, classes]`."""
        return self._of_model(X, Model.logits).log_softmax(-1).numpy()

    def transform(self, X: Any) -> Array:
        """Return the features that both tasks share, the backbone's output, float32 `[n, features]`."""
        return self._of_model(X, Model.features).numpy()

    def predict_auxiliary(self, X: Any) -> Array:
        """Return the name of each sample's most probable auxiliary label, `[n]`, one of `auxiliary_names_`.

        Of a method with sub-classes it is a sub-class of the class that is predicted.

        Raises:
            InputError: for a method whose auxiliary outputs have no names.
        """
        check_is_fitted(self)
        if isinstance(self._source, SubclassSource):
            places = self._of_model(X, lambda model, samples: model.predict(samples).subclasses)
        else:
            places = self.predict_auxiliary_proba(X).argmax(-1)
        names: Array = np.array(self.auxiliary_names_)[places]
        return names

    def predict_auxiliary_proba(self, X: Any) -> Array:
        """Return the probability of each auxiliary label, float32 `[n, outputs]`, in the order of `auxiliary_names_`.

        Raises:
            InputError: as `predict_auxiliary`.
        """
        check_is_fitted(self)
        if not self.auxiliary_names_:
            raise InputError(f"expected a method with auxiliary labels to predict, found {self.method!r}; fit another")
        return self._of_model(X, lambda model, x: model.outputs(x, "auxiliary")[0]).softmax(-1).numpy()

    def _of_model(self, X: Any, ask: Callable[[Model, Samples], Answer]) -> Answer:
        """Return what the trained network says of samples."""
        check_is_fitted(self)
        with ALONE:
            settings = settings_of(self.get_params(deep=False))
            found = self._read(X, settings, fitting=False)
            if found.notices:
                warnings.warn(". ".join(found.notices), stacklevel=3)
            samples = Samples(found.inputs, torch.zeros(len(found), dtype=torch.int64))
            fabric = make_fabric(settings)
            network, source = self.network_, self._source
            if fabric.device.type != "cpu":
                network, source = deepcopy(network).to(fabric.device), deepcopy(source).to(fabric.device)
            return ask(Model(network, source, self.hierarchy_, self._preprocess, settings, fabric), samples)

    @property
    def _n_features_out(self) -> int:
        first = next(layer for layer in self.network_.primary_head.modules() if isinstance(layer, nn.Linear))
        return first.in_features

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _read(self, X: Any, settings: Settings, fitting: bool, labelled: bool = False) -> InMemory:
        """Return what X holds; when predicting, only if it is as it was fitted."""
        check_table = partial(validate_data, self, reset=fitting)
        found = read_samples(X, None if fitting else self._form, labelled, Request(settings).image, check_table)
        if fitting and found.form.kind != "table":
            validate_data(self, X, skip_check_array=True, ensure_2d=False)  # forgets an earlier table's columns
        return found

    def _rows(self, primary: Tensor, weights: Tensor | None, validation: Any, seed: int) -> tuple[Tensor, Tensor]:
        """Return the rows to learn from, and those to hold out."""
        rows = torch.arange(len(primary)) if weights is None else weights.nonzero().squeeze(-1)
        if len(primary[rows].unique()) < len(self.classes_):
            raise InputError(
                "expected samples of each class with a weight above zero, found a class without; give it one"
            )
        fraction = self.validation_fraction
        if fraction is None:
            return rows, rows[:0]
        if validation is not None or not 0 < fraction < 1:
            found = "validation samples beside it" if validation is not None else str(fraction)
            raise InputError(
                f"expected a validation_fraction above 0 and below 1, without other validation samples, found {found}; "
                "leave one out or correct it"
            )
        first, second = split(primary[rows], None, fraction, np.random.default_rng([seed, 2]))
        return rows[first], rows[second]

    def _read_validation(self, validation: Any, settings: Settings) -> Samples | None:
        if validation is None:
            return None
        x, y = validation if isinstance(validation, tuple | list) else (validation, None)
        found = self._read(x, settings, fitting=False)
        labels = found.labels if y is None else y
        place = {label: row for row, label in enumerate(self.classes_.tolist())}
        values = plain_numbers(np.asarray(labels)).tolist() if not isinstance(labels, list) else labels
        if len(values) != len(found) or (unknown := [label for label in values if label not in place]):
            what = f"{len(values)} labels for {len(found)} samples" if len(values) != len(found) else repr(unknown[0])
            raise InputError(
                f"expected a label of the training samples for each sample of validation, found {what}; correct it"
            )
        return Samples(found.inputs, torch.tensor([place[label] for label in values]))

    def _with_own_parts(self, plan: Plan) -> Plan:
        """Return a plan with the parts that are the program's own."""
        if self.criterion is not None and (self.focal_gamma or self.label_smoothing):
            raise InputError(
                "expected either a criterion, or focal_gamma and label_smoothing of the loss that it takes the place "
                "of, found both; leave one of them out"
            )
        factors = class_factors(self.class_weight, self.classes_, plan.train.primary)
        return replace(
            plan,
            class_weights=plan.class_weights if factors is None else factors,
            make_optimizer=self.optimizer if callable(self.optimizer) else None,
            make_scheduler=self.scheduler,
            criterion=self.criterion,
        )

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))


def _start_from(before: MetauxClassifier, now: MetauxClassifier, learner: Learner) -> None:
    """Give a learner the weights of an earlier fit."""
    same = before.classes_.tolist() == now.classes_.tolist()
    try:
        if same:
            learner.network.load_state_dict(before.network_.state_dict())
    except RuntimeError:
        same = False
    if not same:
        raise InputError(
            "expected the classes and the network of the last fit for warm_start, found others; fit a new classifier"
        )


def _numbered(before: list[Record], records: list[Record]) -> list[Record]:
    """Return the records of all epochs, those of a further fit counted on."""
    return [*before, *(record | {"epoch": record["epoch"] + len(before)} for record in records)]


def _of_all(fitted: Fitted, train: Samples, count: int) -> Array | None:
    if fitted.labels is None:
        return None
    assert train.ids is not None
    labels = np.full((count, fitted.labels.shape[1]), np.nan, dtype=np.float32)
    labels[train.ids.numpy()] = fitted.labels.numpy()
    return labels
