"""From settings, which are words and numbers, to a plan, which is objects."""

from metaux.data.samples import LabelledData
from metaux.data.splits import draw
from metaux.data.transforms import Preprocessing, augmentation
from metaux.errors import InputError, choose
from metaux.experiment.features import make_embedding, make_features
from metaux.labels.registry import SOURCES
from metaux.metagradient import MetaGradient, double_backward, finite_difference, forward_mode
from metaux.networks.backbones import BACKBONES, make_backbone
from metaux.protocols import resolve
from metaux.settings import Settings
from metaux.training.devices import make_fabric
from metaux.training.plan import Plan

META_GRADIENTS: dict[str, MetaGradient] = {
    "forward-mode": forward_mode,
    "finite-difference": finite_difference,
    "double-backward": double_backward,
}


def check(settings: Settings) -> None:
    """Check what can be checked without the data.

    Raises:
        InputError: for an unknown protocol, backbone or device, or a value out of range.
    """
    resolve(settings)
    make_fabric(settings)
    if settings.backbone != "auto":
        choose("backbone", settings.backbone, BACKBONES)


def make_plan(settings: Settings, method: str, seed: int, data: LabelledData) -> Plan:
    """Make the plan of a run; draws the training samples of this seed.

    Raises:
        InputError: for an unknown method, backbone, protocol or a value out of range.
    """
    choose("method", method, SOURCES)
    if seed < 0:
        raise InputError(f"expected a seed of 0 or more, found {seed}; give another")
    protocol = resolve(settings)
    needs_split = SOURCES[method](data.hierarchy, protocol).needs_meta_split
    if needs_split and protocol.meta_fraction == 0:
        raise InputError(
            f"expected a protocol with a meta split for {method}, found '{protocol.name}'; "
            "give --protocol iclr, or leave the method out"
        )
    train, meta = draw(data.train, seed, settings.train_size, protocol.meta_fraction if needs_split else 0.0)
    preprocessing = Preprocessing.fit(data, protocol.normalisation)
    shape = tuple(data.train.inputs[0].shape[1:])
    return Plan(
        data=data,
        train=train,
        meta=meta,
        preprocess=preprocessing,
        augment=augmentation(settings.augment, data),
        trunk=lambda: make_backbone(settings.backbone, shape),
        source=SOURCES[method],
        protocol=protocol,
        meta_gradient=META_GRADIENTS[settings.meta_gradient],
        features=make_features(settings, train, preprocessing, seed),
        embedding=make_embedding(settings, preprocessing),
        balanced=settings.class_weights == "balanced",
        seed=seed,
    )
