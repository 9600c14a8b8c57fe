"""The scikit-learn door: a classifier with `fit`, `predict` and `predict_proba`.

It is longer than 300 lines for its parameters, each of which is named, stored and explained.
"""

import warnings
from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from dataclasses import fields
from functools import partial
from math import prod
from typing import Any, Literal, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from metaux.data.classes import DEFAULT_SUBCLASSES
from metaux.data.in_memory import InMemory, read_samples
from metaux.data.in_memory_labels import plain_numbers, read_given, read_hierarchy, read_labels
from metaux.data.samples import LabelledData, Samples
from metaux.errors import InputError, choose
from metaux.labels.base import LabelSource, MakeSource
from metaux.labels.sources import AUTO, SOURCES, best
from metaux.networks.backbones import make_backbone
from metaux.protocols import Protocol, resolve
from metaux.rng import ALONE, all_seeded
from metaux.runs.plan import assemble
from metaux.settings import Settings, from_mapping
from metaux.training.devices import computing, make_fabric
from metaux.training.evaluate import primary_outputs
from metaux.training.learner import make_learner
from metaux.training.loop import Fitted, fit

Array = np.ndarray[Any, Any]


class MetauxClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that trains a network on its classes and on auxiliary labels, invented or given.

    `X` may be

    - a table (n, columns): an array or float tensor of numbers, or a data frame of numbers, words, dates and missing
      values (what becomes of them is warned of); standardised per column;
    - an array of images, (n, h, w) or (n, h, w, channels): whole numbers from 0 to 255, or fractions from 0 to 1, or of
      `pixel_range`; or a uint8 tensor in torch's order, (n, channels, h, w); normalised per channel;
    - any other tensor, passed to the network as it is: float images that the program normalised itself, or token
      numbers for a network of one's own;
    - a map-style `Dataset` of tensors or of tuples of tensors (a network with several inputs). Without `y`, its items
      end in their label. It is read once, into memory: random transforms are drawn once, by `random_state` in `fit`.

    `y` holds numbers, strings or any other hashable labels. There are no sample weights.

    Args:
        backbone: a name (auto, mlp, small-cnn, conv4, vgg16, vgg16-quarter, resnet32, torchvision:NAME or timm:NAME), a
            callable that returns a fresh module, or a module, which is copied and never changed: any network from a
            batch to features `[batch, features]`. The copies, of which the label generator has its own, start from the
            module's weights.
        pretrained: start both networks from the library's ImageNet weights; for torchvision: and timm: only.
        method: where the auxiliary labels come from. auto is transformation for arrays of images, where it was shown to
            help, and single (none) for other data, where nothing is shown to help. Also
            maxl, uniform, random, frozen, kmeans, balanced, leaves, human, given,
            distilled, distilled-cross or prototypical; transformed and transformation-shuffled learn from transformed
            images, rotation, rotation-single, rotation-shuffled, rotated and rotated-single from turned ones,
            self-distilled and self-distilled-cross from a teacher's classes, vector and frozen-vector from target
            vectors; or a callable (hierarchy, protocol) -> `LabelSource`.
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
        optimizer: sgd, or adamw, with a learning rate of 1e-3 and a weight decay of 0.05 unless they are given.
        warm_up: first epochs, in which the learning rate rises to its value.
        label_smoothing: the share of the primary class's label that is spread over all classes.
        mix: show the network mixed images, with mixed labels: mixup, cutmix, or both in turn; or none.
        trivial_augment: on changes each image in one more random way, of colour or geometry (TrivialAugment); or off.
        weight_average: keep a moving average of the weights, over this share of the training; 0 for none.
        generator_learning_rate: of the label generator.
        entropy_weight: weight of the loss against collapse.
        focal_gamma: focusing parameter of both losses; 0 is cross entropy.
        views: together or apart: whether methods that show the network several views of each image learn those of a
            batch in one step, or like images of their own, in as many times the steps.
        auxiliary_weight: factor on the auxiliary loss.
        label_parameters: what the labels of unrolled are made of: table, clusters or generator.
        iterations: how often unrolled trains the network to learn its labels.
        horizon: of each such training, the last steps that the gradient goes back through.
        augment: random crops and horizontal flips of images: none, crop or crop-flip.
        pixel_range: the values of black and white in arrays of images; without it, whole numbers are from 0 to 255
            and fractions from 0 to 1.
        class_weights: balanced weighs the primary loss inversely to class frequency; or none.
        meta_gradient: auto, forward-mode, finite-difference or double-backward. auto is forward-mode, which is exact,
            or finite-difference, with a warning, where the network has an operation without a forward-mode formula.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: of the arithmetic: 32-true or bf16-mixed.
        threads: CPU threads; equal bits need equal threads.
        random_state: the seed of everything random; None draws one from NumPy's global state. Fits of equal seed give
            equal bits in threads too, where one waits for the other, and leave the global generators of torch, NumPy
            and Python as they were. Other code that draws from these meanwhile, in another thread, disturbs a fit.

    Attributes:
        classes_: the labels, sorted; in order of appearance if they can't be.
        n_features_in_: columns of the table; of other inputs, values per sample.
        feature_names_in_: of a data frame whose columns have names.
        hierarchy_: the classes and their sub-classes.
        network_: the trained `MultiTaskNetwork`, on the CPU.
        history_: one dict per epoch: losses, accuracy, diagnostics.
        labels_: each training sample's label over its class's sub-classes, `[n, max(psi)]`; NaN for samples of the meta
            split, None where the method has no sub-classes.

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

    def __init__(
        self,
        backbone: str | nn.Module | Callable[[], nn.Module] = "auto",
        method: str | MakeSource = AUTO,
        *,
        subclasses: int | Sequence[int] = DEFAULT_SUBCLASSES,
        features: str = "pixels",
        embedding: str = "efficientnet-lite0",
        protocol: str | Protocol = "tuned",
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        optimizer: Literal["sgd", "adamw"] | None = None,
        warm_up: int | None = None,
        label_smoothing: float | None = None,
        mix: Literal["none", "mixup", "cutmix", "both"] | None = None,
        trivial_augment: Literal["off", "on"] | None = None,
        weight_average: float | None = None,
        generator_learning_rate: float | None = None,
        entropy_weight: float | None = None,
        focal_gamma: float | None = None,
        views: Literal["together", "apart"] | None = None,
        auxiliary_weight: float | None = None,
        label_parameters: Literal["table", "clusters", "generator"] | None = None,
        iterations: int | None = None,
        horizon: int | None = None,
        augment: str = "none",
        pixel_range: tuple[float, float] | None = None,
        class_weights: str = "none",
        pretrained: bool = False,
        meta_gradient: str = "auto",
        device: str = "auto",
        precision: str = "32-true",
        threads: int = 1,
        random_state: Any = None,
    ):
        self.backbone = backbone
        self.method = method
        self.subclasses = subclasses
        self.features = features
        self.embedding = embedding
        self.protocol = protocol
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.warm_up = warm_up
        self.label_smoothing = label_smoothing
        self.mix = mix
        self.trivial_augment = trivial_augment
        self.weight_average = weight_average
        self.generator_learning_rate = generator_learning_rate
        self.entropy_weight = entropy_weight
        self.focal_gamma = focal_gamma
        self.views = views
        self.auxiliary_weight = auxiliary_weight
        self.label_parameters = label_parameters
        self.iterations = iterations
        self.horizon = horizon
        self.augment = augment
        self.pixel_range = pixel_range
        self.class_weights = class_weights
        self.pretrained = pretrained
        self.meta_gradient = meta_gradient
        self.device = device
        self.precision = precision
        self.threads = threads
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, auxiliary: Any = None, given: Any = None) -> Self:
        """Train on samples.

        Args:
            X: the samples, as the class says.
            y: the label of each sample; None if `X` is a Dataset that has them.
            auxiliary: a finer label of each sample, within its class; needed by the method human. They set the
                sub-classes, and to other methods they are what `history_` compares the generated labels with.
            given: a label of any other kind of each sample, for the method given, which learns it beside the classes.

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
            new._fit(X, y, auxiliary, given, seed)
        self.__dict__ = new.__dict__
        return self

    def _fit(self, X: Any, y: Any, auxiliary: Any, given: Any, seed: int) -> None:
        settings = self._settings()
        found = self._read(X, fitting=True, labelled=y is None)
        self.classes_, primary = read_labels(found.labels if y is None else y, len(found))
        found = found.encoded(primary)
        # What values images have is what this class says of itself.
        if found.notices and found.form.columns:
            warnings.warn(". ".join(found.notices), stacklevel=3)
        hierarchy, human = read_hierarchy(self.classes_, primary, auxiliary, self.subclasses)
        given_labels, given_names = read_given(given, len(primary))
        samples = Samples(found.inputs, torch.from_numpy(primary), human, given=given_labels, given_names=given_names)
        own = self.protocol if isinstance(self.protocol, Protocol) else None
        data = LabelledData(samples, samples.take(torch.arange(0)), hierarchy, found.form.kind)
        source, trunk = self._make_source(data.kind), self._make_trunk(found.form.shapes[0])
        name = self.method if isinstance(self.method, str) else "this method"
        own_weights = self.pretrained or not isinstance(self.backbone, str)
        protocol = resolve(settings, own)
        plan = assemble(settings, data, seed, protocol, source, trunk, name, own_weights)
        fabric = make_fabric(settings)
        with computing(settings.threads):
            learner = make_learner(plan, fabric)
            if learner.notice:
                warnings.warn(learner.notice, stacklevel=3)
            fitted = fit(learner)
        self.hierarchy_ = hierarchy
        self.network_ = fitted.network.cpu().eval()
        self.network_.zero_grad()
        self.history_ = fitted.records
        self.labels_ = _of_all(fitted, plan.train, len(samples))
        self._form, self._preprocess = found.form, plan.preprocess
        own_rule = fitted.source.predict is not None  # all that is kept of a source: a generator has no say
        self._source = fitted.source.cpu() if own_rule else LabelSource(hierarchy, plan.protocol)

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
        check_is_fitted(self)
        with ALONE:
            return self._probabilities(X)

    def _probabilities(self, X: Any) -> Array:
        settings = self._settings()
        found = self._read(X, fitting=False)
        if found.notices:
            warnings.warn(". ".join(found.notices), stacklevel=2)
        inputs = found.inputs
        samples = Samples(inputs, torch.zeros(len(inputs[0]), dtype=torch.int64))
        fabric = make_fabric(settings)
        network, source = self.network_, self._source
        if fabric.device.type != "cpu":
            network, source = deepcopy(network).to(fabric.device), deepcopy(source).to(fabric.device)
        with computing(settings.threads), fabric.autocast():
            logits = primary_outputs(network, source, samples, self._preprocess, fabric.device)
        probabilities: Array = logits.softmax(-1).numpy()
        return probabilities

    def _settings(self) -> Settings:
        shared = {field.name for field in fields(Settings)} & set(self.get_params(deep=False))
        own = {"backbone", "subclasses"} | ({"protocol"} if isinstance(self.protocol, Protocol) else set())
        values = {name: getattr(self, name) for name in sorted(shared - own)}
        plain = {name: v.item() if isinstance(v, np.generic) else v for name, v in values.items()}
        return from_mapping(plain)[0]

    def _read(self, X: Any, fitting: bool, labelled: bool = False) -> InMemory:
        """Return what X holds; when predicting, only if it is as it was fitted."""
        pixel_range = None if self.pixel_range is None else (float(self.pixel_range[0]), float(self.pixel_range[1]))
        check_table = partial(validate_data, self, reset=fitting)
        found = read_samples(X, None if fitting else self._form, labelled, pixel_range, check_table)
        if fitting and found.form.kind != "table":
            validate_data(self, X, skip_check_array=True, ensure_2d=False)  # forgets an earlier table's columns
            self.n_features_in_ = prod(found.form.shapes[0])
        return found

    def _make_source(self, kind: str) -> MakeSource:
        if isinstance(self.method, str):
            # Whose labels are in the folder of a run; here labels can be given.
            choose("method", self.method, (AUTO, *(name for name, known in SOURCES.items() if known.asks != "run")))
            return SOURCES[best(kind) if self.method == AUTO else self.method]
        if not callable(self.method):
            raise InputError(
                "expected method to be a name or a callable (hierarchy, protocol) -> LabelSource, found "
                f"{self.method!r}; give one of these"
            )
        return self.method

    def _make_trunk(self, shape: tuple[int, ...]) -> Callable[[], nn.Module]:
        backbone: Any = self.backbone
        if isinstance(backbone, str):
            return lambda: make_backbone(backbone, shape, pretrained=self.pretrained)
        if self.pretrained:
            raise InputError(
                "expected a backbone torchvision:NAME or timm:NAME for pretrained=True, found "
                f"{type(backbone).__name__}; load its weights into it yourself"
            )
        if isinstance(backbone, nn.Module):
            return lambda: deepcopy(backbone)

        def fresh() -> nn.Module:
            made = backbone() if callable(backbone) else backbone
            if not isinstance(made, nn.Module):
                raise InputError(
                    "expected backbone to be a name, a torch module or a callable that returns one, found "
                    f"{type(made).__name__}; give one of these"
                )
            return made

        return fresh

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))


def _of_all(fitted: Fitted, train: Samples, count: int) -> Array | None:
    if fitted.labels is None:
        return None
    assert train.ids is not None
    labels = np.full((count, fitted.labels.shape[1]), np.nan, dtype=np.float32)
    labels[train.ids.numpy()] = fitted.labels.numpy()
    return labels
