"""From settings, which are words and numbers, to a plan, which is objects: the one place where a run's plan is made."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from metaux.data.samples import LabelledData
from metaux.data.splits import draw
from metaux.data.transforms import Preprocessing, augmentation
from metaux.errors import InputError, choose
from metaux.labels.base import LabelSource, MakeSource
from metaux.labels.sources import SOURCES, Entry
from metaux.networks.backbones import check_backbone, form_of_weights, make_backbone
from metaux.protocols import Protocol, resolve
from metaux.runs.features import make_features, pretrained_features
from metaux.runs.recorded import make_recorded
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.devices import device_of
from metaux.training.meta_gradients import META_GRADIENTS
from metaux.training.plan import Plan
from metaux.training.primary_loss import balanced
from metaux.words import counted


def check(settings: Settings) -> None:
    """Check what can be checked without the data; pretrained weights are fetched here, once for all runs.

    Raises:
        InputError: for an unknown protocol, backbone or device, a value out of range, or weights that can't be had.
    """
    resolve(replace(settings, epochs=None) if settings.epochs == "auto" else settings)
    device_of(settings)
    check_backbone(settings.backbone, settings.pretrained, settings.weights)


# What the default epochs are on digits; a network that has seen fewer batches has hardly begun to learn.
_FEW_STEPS = 300


def too_short(settings: Settings, data: LabelledData) -> list[str]:
    """Return a note if the protocol's epochs are few steps on so little data; none where epochs were asked for."""
    protocol = resolve(settings)
    samples = settings.train_size or len(data.train)
    batches = math.ceil(samples / protocol.batch_size)
    if settings.epochs is not None or (steps := protocol.epochs * batches) >= _FEW_STEPS:
        return []
    return [
        f"{counted(protocol.epochs, 'epoch')} are {counted(steps, 'step')} on {counted(samples, 'sample')}, which may "
        f"be too few: try --epochs {math.ceil(_FEW_STEPS / batches)}, or let `metaux recommend` find out how many help"
    ]


def make_plan(trial: Trial, data: LabelledData, device: torch.device | None = None) -> Plan:
    """Make the plan of a run.

    Args:
        trial: the run.
        data: what its settings name.
        device: where features and embedding are made; the settings' by default.

    Raises:
        InputError: for an unknown method, backbone, protocol or a value out of range.
    """
    settings = trial.settings
    choose("method", trial.method, SOURCES)
    if (least := min(trial.seed, settings.train_seed or 0)) < 0:
        raise InputError(f"expected a seed of 0 or more, found {least}; give another")
    shape = data.train.shapes[0]
    trunk = partial(make_backbone, settings.backbone, shape, data.kind, settings.pretrained, settings.weights)
    return assemble(
        settings,
        data,
        trial.seed,
        trial.protocol,
        SOURCES[trial.method],
        trunk,
        trial.method,
        own_weights=settings.from_weights,
        device=device,
    )


def assemble(
    settings: Settings,
    data: LabelledData,
    seed: int,
    protocol: Protocol,
    source: MakeSource,
    trunk: Callable[[], nn.Module],
    method: str = "this method",
    own_weights: bool = False,
    device: torch.device | None = None,
) -> Plan:
    """Make a plan around a protocol, a label source and a backbone of one's own; draws the training samples.

    Args:
        settings: all but these.
        data: what to learn from and to measure on.
        seed: of everything random.
        protocol: the values of the training protocol.
        source: makes the label source.
        trunk: makes a fresh backbone.
        method: what a message calls the source.
        own_weights: as of `Plan`.
        device: as of `make_plan`.

    Raises:
        InputError: for a source that is none, needs a meta split that the protocol hasn't, or can't follow its recipe,
            and bad settings.
    """
    made = source(data.hierarchy, protocol)
    if not isinstance(made, LabelSource):
        raise InputError(f"expected method to return a LabelSource, found {type(made).__name__}; return one")
    asked = source if isinstance(source, Entry) else made  # an entry may give up a split that its source doesn't need
    share = protocol.meta_fraction if asked.needs_meta_split(protocol) else None
    if share == 0:
        raise InputError(
            f"expected a protocol with a meta split for {method}, found '{protocol.name}'; take the protocol iclr, or "
            "leave the method out"
        )
    made.check_recipe(protocol)
    if protocol.mix != "none" and data.kind != "image":
        raise InputError(f"expected images for --mix {protocol.mix}, found a {data.kind} data set; leave it out")
    draw_seed = seed if settings.train_seed is None else settings.train_seed
    train, meta = draw(data.train, draw_seed, settings.train_size, share or 0.0)
    preprocessing, device = Preprocessing.fit(data, protocol.normalisation), device or device_of(settings)
    form = form_of_weights(settings.backbone, settings.from_weights)
    if form is not None and data.kind == "image" and (count := preprocessing.channels) <= len(form.mean):
        preprocessing = replace(preprocessing, mean=form.mean[:count], deviation=form.deviation[:count])
    plan = Plan(
        data=data,
        train=train,
        meta=meta,
        preprocess=preprocessing,
        augment=augmentation(settings.augment, data, protocol.trivial_augment == "on"),
        trunk=trunk,
        source=source,
        protocol=protocol,
        meta_gradient=META_GRADIENTS.get(settings.meta_gradient),
        embedding=pretrained_features("embedding", settings.embedding, preprocessing, device),
        recorded=make_recorded(settings, data.hierarchy, seed),
        own_weights=own_weights,
        class_weights=balanced(train.primary, data.hierarchy.classes) if settings.class_weights == "balanced" else None,
        seed=seed,
    )
    return replace(plan, features=make_features(settings, plan, preprocessing, device))
