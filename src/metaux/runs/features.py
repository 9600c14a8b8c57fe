"""From the settings `features` and `embedding`, which are names, to what makes features of samples."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from metaux.data.samples import Samples
from metaux.data.texts import word_counts
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError, nearest
from metaux.networks.multitask import feature_size
from metaux.networks.zoo import is_of_library
from metaux.protocols import Protocol
from metaux.rng import seeded
from metaux.runs.model import Model
from metaux.settings import Settings
from metaux.training.devices import make_fabric
from metaux.training.features import of_module
from metaux.training.loader import Loader
from metaux.training.plan import Features

PIXELS, AUTOENCODER, EFFICIENTNET = "pixels", "autoencoder", "efficientnet-lite0"
ROTATIONS, CONTRASTIVE = SELF_SUPERVISED = ("rotations", "contrastive")
# EfficientNet-Lite0 sees small images enlarged this many times, from 64 to 128 pixels a side, rather than at the 224 of
# its training: on CIFAR-100 most of the agreement with human labels at a third of the pixels; and images of 48 pixels
# agree better at 128 (0.83) than at 192 (0.79; the slow test in tests/runs/test_features.py).
ENLARGED, LEAST, ENOUGH, MOST = 4, 64, 128, 224


def make_features(
    settings: Settings,
    train: Samples,
    preprocessing: Preprocessing,
    seed: int,
    trunk: Callable[[], nn.Module],
    protocol: Protocol,
) -> Features | None:
    """Return what `Settings.features` names; None for pixels, which of texts are the counts of words.

    Args:
        settings: the run's.
        train: the run's training samples, which an autoencoder and a self-supervised trunk learn from.
        preprocessing: of the run.
        seed: the run's.
        trunk: makes the run's backbone.
        protocol: the run's.

    Raises:
        InputError: for a name of none, or a run on data of another form.
    """
    if settings.features == PIXELS:
        return (lambda samples: word_counts(samples.inputs[0])) if preprocessing.kind == "text" else None
    if settings.features == AUTOENCODER:
        return _autoencoder(settings, train, preprocessing, seed)
    if settings.features in SELF_SUPERVISED:
        return _self_supervised(settings, train, preprocessing, seed, trunk, protocol)
    return _pretrained("features", (PIXELS, AUTOENCODER, *SELF_SUPERVISED, EFFICIENTNET), settings, preprocessing)


def make_embedding(settings: Settings, preprocessing: Preprocessing) -> Features:
    """Return what `Settings.embedding` names.

    Args:
        settings: the run's.
        preprocessing: of the run.

    Raises:
        InputError: for a name of none.
    """
    return _pretrained("embedding", (EFFICIENTNET,), settings, preprocessing)


def _autoencoder(settings: Settings, train: Samples, preprocessing: Preprocessing, seed: int) -> Features:
    """Return the latent vectors of an autoencoder, which is trained when it is first asked for them."""
    from metaux.training.teachers import train_autoencoder

    device = _device(settings)
    load = cache(lambda: of_module(train_autoencoder(train, preprocessing, seed, device).encode, preprocessing, device))
    return lambda samples: load()(samples)


def _self_supervised(
    settings: Settings,
    train: Samples,
    preprocessing: Preprocessing,
    seed: int,
    make: Callable[[], nn.Module],
    protocol: Protocol,
) -> Features:
    """Return the features of the run's backbone, trained without labels when they are first asked for."""
    size = preprocessing.image_size
    if size is None or size[0] != size[1]:
        raise InputError(
            f"expected square images for --features {settings.features}, found {preprocessing.describe()}; "
            "give other features, or --image-size"
        )
    from metaux.training.teachers import train_contrastive, train_on_rotations

    train_trunk = {ROTATIONS: train_on_rotations, CONTRASTIVE: train_contrastive}[settings.features]
    device, shape = _device(settings), tuple(train.inputs[0].shape[1:])

    @cache
    def load() -> Features:
        with seeded(seed, "self-supervised trunk"):
            trunk = make()
        features = feature_size(trunk, (torch.zeros(1, *shape),))
        train_trunk(trunk, features, Loader(train, preprocessing, device, seed=seed), protocol)
        return of_module(trunk, preprocessing, device)

    return lambda samples: load()(samples)


def _pretrained(
    option: Literal["features", "embedding"], known: tuple[str, ...], settings: Settings, preprocessing: Preprocessing
) -> Features:
    """Return the features of a network trained before, which is loaded when it is first asked for them.

    Raises:
        InputError: if the option names no network.
    """
    name: str = getattr(settings, option)
    if name not in known and not is_of_library(name) and not Path(name).exists():
        raise InputError(
            f"expected the folder of a run, torchvision:NAME, timm:NAME or {', '.join(known)} for --{option}, found "
            f"'{name}'{nearest(name, known)}; give one of these"
        )
    load = cache(lambda: _loaded(option, name, settings, preprocessing))
    return lambda samples: load()(samples)


def _loaded(option: str, name: str, settings: Settings, preprocessing: Preprocessing) -> Features:
    """Load a network that was trained before: by a finished run, or on ImageNet."""
    if name != EFFICIENTNET and Path(name).exists():
        return _of_run(option, Path(name), settings, preprocessing)
    from metaux.networks.embedding import pretrained_embedding

    if preprocessing.kind != "image":
        raise InputError(
            f"expected images for --{option} {name}, found {preprocessing.describe()}; give the folder of a finished "
            "run on such data"
        )
    size = None
    if name == EFFICIENTNET and preprocessing.image_size is not None:
        side = max(preprocessing.image_size)
        size = min(max(side, LEAST, min(ENLARGED * side, ENOUGH)), MOST)
    embedding = pretrained_embedding(name, size).to(_device(settings))
    return lambda samples: embedding.features(samples.inputs[0])


def _of_run(option: str, folder: Path, settings: Settings, preprocessing: Preprocessing) -> Features:
    """Return the features that a finished run's network makes; its data may have been normalised differently."""
    model = Model.read(folder, settings.device)
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


def _device(settings: Settings) -> torch.device:
    return make_fabric(replace(settings, processes=1)).device
