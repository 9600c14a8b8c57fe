"""From the classifier's parameters to the parts of a training: settings, network, label source, weights."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from torch import Tensor, nn

from metaux.errors import InputError, choose
from metaux.labels.base import LabelSource, MakeSource, SubclassSource
from metaux.labels.sources import AUTO, SOURCES, best
from metaux.networks.backbones import make_backbone
from metaux.settings import Settings, from_mapping


def settings_of(parameters: Mapping[str, Any]) -> Settings:
    """Return the settings among the parameters; what is an object of the program's own is at its default there.

    Raises:
        InputError: for a value of another type than the setting's.
    """
    own = {"subclasses"} | ({"backbone"} if not isinstance(parameters["backbone"], str) else set())
    own |= {name for name in ("protocol", "optimizer") if not isinstance(parameters[name], str | None)}
    shared = {field.name for field in fields(Settings)} & set(parameters) - own
    values = {name: parameters[name] for name in sorted(shared)}
    if parameters["class_weight"] is not None and not isinstance(parameters["class_weight"], Mapping):
        if parameters["class_weight"] != "balanced":
            raise InputError(
                f"expected class_weight to be None, 'balanced' or a dict, found {parameters['class_weight']!r}; give "
                "one of these"
            )
        values["class_weights"] = "balanced"
    return from_mapping({name: v.item() if isinstance(v, np.generic) else v for name, v in values.items()})[0]


def make_source(method: str | MakeSource, kind: str) -> MakeSource:
    """Return what makes the label source of a method for data of a kind.

    Raises:
        InputError: for an unknown name, or one whose labels are in the folder of a run: here labels can be given.
    """
    if isinstance(method, str):
        choose("method", method, (AUTO, *(name for name, known in SOURCES.items() if known.asks != "run")))
        return SOURCES[best(kind) if method == AUTO else method]
    if not callable(method):
        raise InputError(
            f"expected method to be a name or a callable (hierarchy, protocol) -> LabelSource, found {method!r}; give "
            "one of these"
        )
    return method


def make_trunk(backbone: Any, settings: Settings, shape: tuple[int, ...], kind: str) -> Callable[[], nn.Module]:
    """Return what makes fresh backbones: by name, copies of a module, or what a callable returns.

    Raises:
        InputError: for weights of a library where the backbone is the program's own; when called, for no module.
    """
    if isinstance(backbone, str):
        known = kind if kind == "text" else ""
        return partial(make_backbone, backbone, shape, known, settings.pretrained, settings.weights)
    if settings.from_weights:
        raise InputError(
            "expected a backbone torchvision:NAME or timm:NAME for pretrained=True or weights, found "
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


def read_sample_weight(sample_weight: Any, count: int) -> Tensor | None:
    """Return the weight of each sample, float64 `[n]`; None where none are given.

    Raises:
        ValueError: as scikit-learn says it, for another number of weights, or some that are not finite.
        InputError: for weights below 0, or all of them 0.
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, int | float):
        sample_weight = np.full(count, sample_weight)
    weights = column_or_1d(sample_weight, dtype=np.float64)
    check_consistent_length(range(count), weights)
    assert_all_finite(weights, input_name="sample_weight")
    if (weights < 0).any() or not weights.any():
        found = f"{weights.min():g}" if (weights < 0).any() else "all of them zero"
        raise InputError(f"expected sample weights of zero or more, some of them above, found {found}; correct them")
    return torch.from_numpy(weights.copy())


def of_mean_1(weights: Tensor) -> Tensor:
    """Return weights, float32, so that the learning rate means what it means without them."""
    return (weights / weights.mean()).float()


def class_factors(class_weight: Any, classes: Any, primary: Tensor) -> Tensor | None:
    """Return the factor of each class of a dict by label, with mean 1 over the samples, float32 `[classes]`.

    Args:
        class_weight: a factor of each label; those that are not in it have 1. Anything else gives None.
        classes: the labels.
        primary: the class of each training sample, int64 `[n]`.

    Raises:
        InputError: for a label that no sample has, or a factor below 0.
    """
    if not isinstance(class_weight, Mapping):
        return None
    known = classes.tolist()
    for label, factor in class_weight.items():
        if label not in known or not np.isfinite(factor) or factor < 0:
            raise InputError(
                f"expected weights of zero or more for labels of y, found {factor!r} for {label!r}; correct "
                "class_weight"
            )
    factors = torch.tensor([float(class_weight.get(label, 1.0)) for label in known], dtype=torch.float64)
    mean = factors[primary].mean()
    if mean == 0:
        raise InputError("expected a class with a weight above zero, found all of them zero; correct class_weight")
    return (factors / mean).float()


def auxiliary_names(source: LabelSource) -> tuple[str, ...]:
    """Return what the auxiliary outputs of a label source are called; nothing where they have no names."""
    return tuple(source.hierarchy.subclass_names) if isinstance(source, SubclassSource) else source.auxiliary_names
