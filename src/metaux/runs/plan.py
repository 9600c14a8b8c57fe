"""From settings, which are words and numbers, to a plan, which is objects."""

import math

from torch import nn

from metaux.data.samples import LabelledData
from metaux.data.splits import draw
from metaux.data.transforms import Preprocessing, augmentation
from metaux.errors import InputError, choose
from metaux.labels.sources import SOURCES
from metaux.networks.backbones import check_backbone, make_backbone
from metaux.protocols import Protocol, resolve
from metaux.runs.features import make_embedding, make_features
from metaux.runs.recorded import make_recorded
from metaux.settings import Settings
from metaux.training.devices import make_fabric
from metaux.training.meta_gradients import way_by_name
from metaux.training.plan import Plan
from metaux.words import counted


def check(settings: Settings) -> None:
    """Check what can be checked without the data; pretrained weights are fetched here, once for all runs.

    Raises:
        InputError: for an unknown protocol, backbone or device, a value out of range, or weights that can't be had.
    """
    resolve(settings)
    make_fabric(settings)
    check_backbone(settings.backbone, settings.pretrained)


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


def meta_share(needed: bool, protocol: Protocol, method: str) -> float:
    """Return the share of the training data that is split off for a source: 0 where it needs no meta split.

    Raises:
        InputError: if the source needs a meta split, and the protocol has none.
    """
    if needed and protocol.meta_fraction == 0:
        raise InputError(
            f"expected a protocol with a meta split for {method}, found '{protocol.name}'; take the protocol iclr, or "
            "leave the method out"
        )
    return protocol.meta_fraction if needed else 0.0


def make_plan(settings: Settings, method: str, seed: int, data: LabelledData) -> Plan:
    """Make the plan of a run; draws the training samples of this seed.

    Raises:
        InputError: for an unknown method, backbone, protocol or a value out of range.
    """
    choose("method", method, SOURCES)
    if min(seed, settings.train_seed or 0) < 0:
        raise InputError(f"expected a seed of 0 or more, found {min(seed, settings.train_seed or 0)}; give another")
    protocol = resolve(settings)
    share = meta_share(SOURCES[method].needs_meta_split(protocol), protocol, method)
    draw_seed = seed if settings.train_seed is None else settings.train_seed
    train, meta = draw(data.train, draw_seed, settings.train_size, share)
    preprocessing = Preprocessing.fit(data, protocol.normalisation)
    shape = tuple(data.train.inputs[0].shape[1:])

    def trunk() -> nn.Module:
        return make_backbone(settings.backbone, shape, data.kind, settings.pretrained)

    return Plan(
        data=data,
        train=train,
        meta=meta,
        preprocess=preprocessing,
        augment=augmentation(settings.augment, data),
        trunk=trunk,
        source=SOURCES[method],
        protocol=protocol,
        meta_gradient=way_by_name(settings.meta_gradient),
        features=make_features(settings, train, preprocessing, seed, trunk, protocol),
        embedding=make_embedding(settings, preprocessing),
        recorded=make_recorded(settings, data.hierarchy, seed),
        balanced=settings.class_weights == "balanced",
        seed=seed,
    )
