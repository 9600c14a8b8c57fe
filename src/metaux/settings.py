"""Everything that defines a run, as one frozen, typed configuration, for the command line and for files.

(Over 300 lines, since each setting says what it means.)
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from tyro.conf import Positional, arg

from metaux.errors import InputError, nearest

MOST_SUBCLASSES = 1_000_000
"""Of all classes together: each is an output of the network."""

Text = Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")]
Count = Annotated[int | None, arg(metavar="INT", help_behavior_hint="")]
Counts = Annotated[tuple[int, ...] | None, arg(metavar="INT [INT ...]", help_behavior_hint="")]
# What a protocol decides unless it is given.
_OF_PROTOCOL = "(default: the protocol's)"
Override = Annotated[float | None, arg(metavar="FLOAT", help_behavior_hint=_OF_PROTOCOL)]
Epochs = int | Literal["auto"] | None
CountOverride = Annotated[int | None, arg(metavar="INT", help_behavior_hint=_OF_PROTOCOL)]
Backend = Literal["processes", "ray", "dask"]
Precision = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Settings:
    """What defines a run, besides its method and seed.

    Args:
        data: a known name (digits, iris, wine, breast-cancer, mnist, fashion-mnist, cifar10, cifar10.1, cifar100, svhn,
            cinic10, imagenet32, ucf101), hf:NAME (of the Hugging Face hub, or a folder in its format), a folder with
            one sub-folder per class (with or without train/, val/, test/), a CSV file of images, texts or a table, or
            an .npz file. docs/data.md describes each.
        root: the folder that known data sets are kept in or downloaded to.
        hierarchy: a YAML or CSV file that names the classes in any number of levels.
        primary: the hierarchy's level to classify (by default, the one above the auxiliary one).
        auxiliary: the hierarchy's finer level that gives the sub-classes (by default, the data's own, or below).
        given: the column of a CSV file that method given takes its auxiliary labels from (in an .npz file, they are
            y_given).
        subclasses: sub-classes per class, without a hierarchy: one number, or one per class (5 by default).
        train_size: train on this many of the training samples (all by default). Each seed draws its own.
        train_seed: draw them by this seed instead, so that runs of several seeds train on the same samples.
        label: the column of the classes in a table (label by default, else the last one if it is called as usual).
        ignore: columns that are not looked at.
        group: the column that says which samples belong together ('' for none, by default the one called so).
        split: the column that says which part a sample is of (likewise).
        header: the first row of a table has the columns' names; if not, they are called 1, 2, 3, ...
        evaluate_on: the part that accuracy is measured on. validation is the data's own validation part, or else a
            fifth of the training samples, always the same; the test part is then not used.
        folds: cross-validation. Divide all samples in so many parts, in the balance of the classes; train on the others
            and measure on one. With --evaluate-on validation, the training samples are divided.
        fold: which part is measured, from 0.
        image_size: resize images to this many pixels a side. By default, they stay as they are if all are alike, else
            it is the median of their short sides, from 32 to 224.
        resize: how images of other proportions get that size. crop keeps the proportions and cuts off what is over.
        pixel_range: the values of black and white, of images that are no whole numbers from 0 to 255.
        skip_damaged: leave out images that can't be read, and say which.
        augment: random crops and horizontal flips; auto is what suits the data set. Images of your own are not flipped
            unless you say so, since that can turn one class into another.
        class_weights: balanced weighs each class in the primary loss inversely to its frequency.
        backbone: the network: auto, mlp, small-cnn, conv4, vgg16, vgg16-quarter (a quarter as wide), resnet32,
            text-cnn, efficientnet-lite0, torchvision:NAME or timm:NAME.
        pretrained: start both networks from ImageNet weights; for the last three only.
        weights: start both networks of such a backbone from this file (safetensors or of torch) instead.
        features: what kmeans, balanced and leaves cluster: pixels (of texts, the counts of words), autoencoder (its
            latent space), rotations or contrastive (the backbone, trained on the images without labels), a pretrained
            network (efficientnet-lite0, torchvision:NAME or timm:NAME), or the folder of a finished run.
        embedding: the pretrained network in whose features prototypical measures distances: efficientnet-lite0,
            torchvision:NAME, timm:NAME, or the folder of a finished run.
        labels: the folder of a finished run, whose final labels recorded and shuffled learn. {seed} in it stands for
            the run's own seed.
        protocol: tuned (momentum, weight decay, cosine schedule), or as published: iclr, neurips.
        epochs: passes over the training data; auto doubles them as long as validation data gains from it.
        batch_size: samples per batch.
        learning_rate: of the multi-task network.
        weight_decay: of the multi-task network.
        optimizer: sgd, or adamw, with a learning rate of 1e-3 and a weight decay of 0.05 unless they are given.
        warm_up: first epochs, in which the learning rate rises to its value.
        label_smoothing: the share of the primary class's label that is spread over all classes.
        mix: show the network mixed images, with mixed labels: mixup, cutmix, or both in turn; or none.
        trivial_augment: change each image in one more random way, of colour or geometry (TrivialAugment).
        head_epochs: epochs in which the primary head alone learns, before the training, with the backbone as it starts.
        weight_average: evaluate and keep a moving average of the weights, over this share of the training; 0 for none.
        generator_learning_rate: of the label generator.
        generator_decay: weight of the norm of the label generator's parameters.
        entropy_weight: weight of the entropy loss, which keeps the label generator from using few sub-classes.
        focal_gamma: focusing parameter of both losses; 0 is cross entropy.
        views: how transformation, rotation and their controls train on the several views of each image. together: all
            views of a batch in one step. apart: each view like an image of its own, in as many times the steps.
        auxiliary_weight: factor on the auxiliary loss.
        label_parameters: what the labels of unrolled are made of: a table (each sample its own), clusters (of the
            features of a network trained before), or a generator (a network of the sample).
        iterations: how often unrolled trains the network to learn its labels, before it trains it on them.
        starts: the untrained networks that it begins with in turn, the run's own first (40 by default).
        horizon: of each such training, the last steps that the gradient goes back through (100 by default).
        meta_gradient: how the label generator's gradient is computed. auto is forward-mode, which is exact, or
            finite-difference if the network has an operation without a forward-mode formula.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: the number format that networks compute in.
        processes: data-parallel processes, one device each.
        threads: CPU threads per run. Only runs with equal threads give equal bits.
    """

    data: Annotated[Positional[str], arg(metavar="DATA")] = "digits"
    root: str = "data"
    hierarchy: Text = None
    primary: Text = None
    auxiliary: Text = None
    given: Text = None
    subclasses: Counts = None
    train_size: Count = None
    train_seed: Count = None
    label: Text = None
    ignore: Annotated[tuple[str, ...], arg(metavar="TEXT ...", help_behavior_hint="")] = ()
    group: Text = None
    split: Text = None
    header: bool = True
    evaluate_on: Literal["test", "validation"] = "test"
    folds: Count = None
    fold: int = 0
    image_size: Count = None
    resize: Literal["crop", "stretch"] = "crop"
    pixel_range: Annotated[tuple[float, float] | None, arg(metavar="BLACK WHITE", help_behavior_hint="")] = None
    skip_damaged: bool = False
    augment: Literal["auto", "none", "crop", "crop-flip"] = "auto"
    class_weights: Literal["none", "balanced"] = "none"
    backbone: str = "auto"
    pretrained: bool = False
    weights: Text = None
    features: str = "pixels"
    embedding: str = "efficientnet-lite0"
    labels: Text = None
    protocol: str = "tuned"
    epochs: Annotated[Epochs, arg(metavar="{INT,auto}", help_behavior_hint=_OF_PROTOCOL)] = None
    batch_size: CountOverride = None
    learning_rate: Override = None
    weight_decay: Override = None
    optimizer: Annotated[
        Literal["sgd", "adamw"] | None, arg(metavar="{sgd,adamw}", help_behavior_hint=_OF_PROTOCOL)
    ] = None
    warm_up: CountOverride = None
    label_smoothing: Override = None
    mix: Annotated[
        Literal["none", "mixup", "cutmix", "both"] | None,
        arg(metavar="{none,mixup,cutmix,both}", help_behavior_hint=_OF_PROTOCOL),
    ] = None
    trivial_augment: Annotated[
        Literal["off", "on"] | None, arg(metavar="{off,on}", help_behavior_hint=_OF_PROTOCOL)
    ] = None
    weight_average: Override = None
    head_epochs: CountOverride = None
    generator_learning_rate: Override = None
    generator_decay: Override = None
    entropy_weight: Override = None
    focal_gamma: Override = None
    views: Annotated[
        Literal["together", "apart"] | None, arg(metavar="{together,apart}", help_behavior_hint=_OF_PROTOCOL)
    ] = None
    auxiliary_weight: Override = None
    label_parameters: Annotated[
        Literal["table", "clusters", "generator"] | None,
        arg(metavar="{table,clusters,generator}", help_behavior_hint=_OF_PROTOCOL),
    ] = None
    iterations: CountOverride = None
    starts: CountOverride = None
    horizon: CountOverride = None
    meta_gradient: Literal["auto", "forward-mode", "finite-difference", "double-backward"] = "auto"
    device: str = "auto"
    precision: Precision = "32-true"
    processes: int = 1
    threads: int = 1

    @property
    def from_weights(self) -> bool:
        """Whether both networks start from weights: published ones, or those in a file."""
        return self.pretrained or self.weights is not None


@dataclass(frozen=True)
class Output:
    """What a command prints and logs while it runs. It does not define a run, and so has no place in a settings file.

    Args:
        quiet: print nothing but errors.
        json: print nothing but one JSON object at the end, for scripts.
        log: write every epoch of every run to a log in the run's folder as well (extra metaux[log]).
    """

    quiet: bool = False
    json: bool = False
    log: Annotated[
        Literal["tensorboard", "wandb"] | None, arg(metavar="{tensorboard,wandb}", help_behavior_hint="")
    ] = None

    @property
    def is_silent(self) -> bool:
        """Whether nothing is printed on the way."""
        return self.quiet or self.json


def to_mapping(settings: Settings) -> dict[str, Any]:
    """Return settings as plain values for a YAML file; `from_mapping` reads them back.

    >>> to_mapping(Settings(subclasses=(2, 3)))["subclasses"]
    [2, 3]
    """
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(settings).items()}


def changed(settings: Settings, but: Collection[str] = ()) -> dict[str, Any]:
    """Return the settings that are not at their defaults, as plain values.

    Args:
        settings: any.
        but: names to leave out.

    >>> changed(Settings(epochs=3, root="here"), but=["root"])
    {'epochs': 3}
    """
    defaults = to_mapping(Settings())
    return {name: v for name, v in to_mapping(settings).items() if v != defaults[name] and name not in but}


def as_words(values: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line that gives these settings: the data, and what isn't at its default.

    >>> as_words({"data": "iris", "epochs": 3, "subclasses": [2], "pretrained": True})
    ['iris', '--subclasses', '2', '--pretrained', '--epochs', '3']
    """
    defaults = to_mapping(Settings())
    words = [str(values.get("data", defaults["data"]))]
    # In the order that --help has them; what an older version wrote and this one doesn't know is left out.
    for name, default in defaults.items():
        value = values.get(name, default)
        if name == "data" or value == default or value is None:
            continue
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        else:
            words += [option, *map(str, value if isinstance(value, list | tuple) else [value])]
    return words


def from_mapping(values: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> tuple[Settings, dict[str, Any]]:
    """Return settings from plain values (a YAML file's), and the values of the `extra` keys, which are not settings.

    Args:
        values: by field name; what is absent keeps its default.
        extra: further allowed keys with their types.

    Raises:
        InputError: for an unknown key or a value of another type.

    >>> from_mapping({"epochs": 3})[0].epochs
    3
    """
    types = {**get_type_hints(Settings), **(extra or {})}
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key not in types:
            raise InputError(f"expected known settings, found '{key}'{nearest(str(key), types)}; correct or remove it")
        plain = _plain(value, types[key])
        if not _fits(plain, types[key]):
            raise InputError(f"expected {key} to be {_in_words(types[key])}, found {value!r}; correct it")
        checked[key] = plain
    rest = {key: checked.pop(key) for key in (extra or {}) if key in checked}
    return Settings(**checked), rest


def typed(name: str, value: Any, kind: Any) -> Any:
    """Return a plain value in the type that was meant.

    Args:
        name: what it is called.
        value: as YAML or JSON have it.
        kind: the type: of settings, whatever `Settings` has.

    Raises:
        TypeError: for a value of another type.

    >>> typed("mean", [0, 0.5], tuple[float, ...])
    (0.0, 0.5)
    """
    plain = _plain(value, kind)
    if not _fits(plain, kind):
        raise TypeError(f"{name} that is not {_in_words(kind)}")
    return plain


def _plain(value: Any, kind: Any) -> Any:
    """Return what YAML read in the type that was meant: a tuple for a list, a number for 010 or 1e-5, true for yes."""
    kinds = (kind, *get_args(kind))
    if isinstance(value, list | tuple):
        items = [get_args(option)[0] for option in kinds if get_origin(option) is tuple]
        return tuple(_plain(item, items[0]) if items else item for item in value)
    number = float if float in kinds else int if int in kinds and isinstance(value, str) else None
    if number is not None and isinstance(value, int | str) and not isinstance(value, bool):
        try:
            return number(value)
        except (ValueError, OverflowError):
            return value
    if bool in kinds and isinstance(value, str):
        return {"yes": True, "on": True, "no": False, "off": False}.get(value.lower(), value)
    return value


def _fits(value: Any, kind: Any) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, option) for option in arguments)
    if origin is Literal:
        return isinstance(value, str) and value in arguments
    if origin is tuple:
        if not isinstance(value, tuple) or (arguments[1:] != (...,) and len(arguments) != len(value)):
            return False
        return all(_fits(item, arguments[0]) for item in value)
    if kind is float:
        return isinstance(value, float) and math.isfinite(value)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _in_words(kind: Any) -> str:
    """Return what values of a type are called.

    >>> _in_words(int | None), _in_words(tuple[int, ...]), _in_words(Literal["a", "b"])
    ('a whole number or null', 'a list, each of it a whole number', "one of 'a', 'b'")
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(map(_in_words, arguments))
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(repr, arguments))
    if origin is tuple:
        count = "" if arguments[1:] == (...,) else f"of {len(arguments)}, "
        return f"a list, {count}each of it {_in_words(arguments[0])}"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text", NoneType: "null"}[kind]
