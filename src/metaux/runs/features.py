"""From the settings `features` and `embedding`, which are names, to what makes features of samples."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.data.texts import word_counts
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError, nearest
from metaux.networks.efficientnet import EFFICIENTNET, suited_size
from metaux.networks.multitask import feature_size
from metaux.networks.zoo import is_of_library
from metaux.rng import seeded
from metaux.runs.model import Model
from metaux.settings import Settings
from metaux.training.features import of_module
from metaux.training.loader import Loader
from metaux.training.plan import Features, Plan

PIXELS, AUTOENCODER = "pixels", "autoencoder"
ROTATIONS, CONTRASTIVE = SELF_SUPERVISED = ("rotations", "contrastive")


def make_features(
    settings: Settings, plan: Plan, preprocessing: Preprocessing, device: torch.device
) -> Features | None:
    """Return what `Settings.features` names; None for pixels, which of texts are the counts of words.

    Args:
        settings: the run's.
        plan: the run's, yet without features; an autoencoder and a self-supervised trunk learn from its samples.
        preprocessing: the plan's.
        device: where features are made.

    Raises:
        InputError: for a name of none, or a run on data of another form.
    """
    if settings.features == PIXELS:
        return (lambda samples: word_counts(samples.inputs[0])) if preprocessing.kind == "text" else None
    if settings.features == AUTOENCODER:
        return _when_asked(lambda: _autoencoder(plan, preprocessing, device))
    if settings.features in SELF_SUPERVISED:
        size = preprocessing.image_size
        if size is None or size[0] != size[1]:
            raise InputError(
                f"expected square images for --features {settings.features}, found {preprocessing.describe()}; "
                "give other features, or --image-size"
            )
        return _when_asked(lambda: _self_supervised(settings.features, plan, preprocessing, device))
    others = (PIXELS, AUTOENCODER, *SELF_SUPERVISED)
    return pretrained_features("features", settings.features, preprocessing, device, others)


def _when_asked(make: Callable[[], Features]) -> Features:
    """Return features whose network is trained or loaded when they are first asked for."""
    made = cache(make)
    return lambda samples: made()(samples)


def _autoencoder(plan: Plan, preprocessing: Preprocessing, device: torch.device) -> Features:
    """Return the latent vectors of an autoencoder."""
    from metaux.training.teachers import train_autoencoder

    autoencoder = train_autoencoder(plan.train, preprocessing, plan.seed, device)
    return of_module(autoencoder.encode, preprocessing, device)


def _self_supervised(name: str, plan: Plan, preprocessing: Preprocessing, device: torch.device) -> Features:
    """Return the features of the run's backbone, trained without labels."""
    from metaux.training.teachers import train_contrastive, train_on_rotations

    train_trunk = {ROTATIONS: train_on_rotations, CONTRASTIVE: train_contrastive}[name]
    with seeded(plan.seed, "self-supervised trunk"):
        trunk = plan.trunk()
    features = feature_size(trunk, (torch.zeros(1, *plan.train.shapes[0]),))
    train_trunk(trunk, features, Loader(plan.train, preprocessing, device, seed=plan.seed), plan.protocol)
    return of_module(trunk, preprocessing, device)


def pretrained_features(
    option: str, name: str, preprocessing: Preprocessing, device: torch.device, others: tuple[str, ...] = ()
) -> Features:
    """Return the features of a network that was trained before: by a finished run, or on ImageNet.

    Args:
        option: that names it, `features` or `embedding`.
        name: as the setting of that name.
        preprocessing: of the run that asks for them.
        device: where they are made.
        others: what the option may name besides.

    Raises:
        InputError: if the option names no network.
    """
    known = (*others, EFFICIENTNET)
    if name not in known and not is_of_library(name) and not Path(name).exists():
        raise InputError(
            f"expected the folder of a run, torchvision:NAME, timm:NAME or {', '.join(known)} for --{option}, found "
            f"'{name}'{nearest(name, known)}; give one of these"
        )
    if name != EFFICIENTNET and Path(name).exists():
        return _when_asked(lambda: _of_run(option, Path(name), preprocessing, device))
    return _when_asked(lambda: _of_imagenet(option, name, preprocessing, device))


def _of_imagenet(option: str, name: str, preprocessing: Preprocessing, device: torch.device) -> Features:
    from metaux.networks.embedding import AT_ONCE, pretrained_embedding

    if preprocessing.kind != "image":
        raise InputError(
            f"expected images for --{option} {name}, found {preprocessing.describe()}; give the folder of a finished "
            "run on such data"
        )
    size = None
    if name == EFFICIENTNET and preprocessing.image_size is not None:
        size = suited_size(max(preprocessing.image_size))
    embedding = pretrained_embedding(name, size).to(device)

    def features(samples: Samples) -> Tensor:
        parts = torch.arange(len(samples)).split(AT_ONCE)
        return torch.cat([embedding.features(samples.at(rows)[0]) for rows in parts])

    return features


def _of_run(option: str, folder: Path, preprocessing: Preprocessing, device: torch.device) -> Features:
    """Return the features that a finished run's network makes; its data may have been normalised differently."""
    model = Model.read(folder, str(device))
    theirs = model.preprocessing
    if (theirs.kind, theirs.describe()) != (preprocessing.kind, preprocessing.describe()):
        raise InputError(
            f"expected --{option} of a run on {preprocessing.describe()}, found one on {theirs.describe()}; "
            "give a run on data of the same form"
        )

    def features(samples: Samples) -> Tensor:
        with torch.no_grad():
            return model.features(samples)

    return features
