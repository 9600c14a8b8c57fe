"""The papers' data sets: where each is looked for, and what stands in for one that is not there."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from metaux.data.sources import availability
from metaux.settings import Settings
from metaux.studies.papers.scales import Scale


class Bed(NamedTuple):
    """A data set for an experiment.

    Args:
        title: what figures call it.
        settings: its data and levels.
        missing: what is missing of it, in one line; empty if it is there.
        samples: of the training and the test part, for estimates of time.
        shape: of one image, likewise.
        stands_in: whether it is there in place of another.
    """

    title: str
    settings: Settings
    missing: str
    samples: tuple[int, int]
    shape: tuple[int, int, int]
    stands_in: bool = False


class _Source(NamedTuple):
    title: str
    samples: tuple[int, int]
    shape: tuple[int, int, int]
    augment: Literal["crop", "crop-flip"] = "crop-flip"


SOURCES = {
    "cifar100": _Source("CIFAR-100", (50_000, 10_000), (3, 32, 32)),
    "cifar10.1": _Source("CIFAR-10 and CIFAR-10.1v6", (50_000, 2_000), (3, 32, 32)),
    "cifar10": _Source("CIFAR-10", (50_000, 10_000), (3, 32, 32)),
    "mnist": _Source("MNIST", (60_000, 10_000), (1, 28, 28), "crop"),
    "fashion-mnist": _Source("Fashion-MNIST", (60_000, 10_000), (1, 28, 28)),
    "svhn": _Source("SVHN", (73_257, 26_032), (3, 32, 32), "crop"),
    "cinic10": _Source("CINIC-10", (90_000, 90_000), (3, 32, 32)),
    "imagenet32": _Source("ImageNet 32 x 32", (1_281_167, 50_000), (3, 32, 32)),
    "ucf101": _Source("UCF-101 frames", (9_537, 3_783), (3, 32, 32)),
}


def bed(name: str, scale: Scale, root: str, psi: int, primary: str | None = None, auxiliary: str | None = None) -> Bed:
    """Return the data set of that name.

    Args:
        name: a key of `SOURCES`.
        scale: whether another may stand in for it.
        root: where data sets are; a folder of class folders `root/name/train`, `root/name/test` serves too.
        psi: sub-classes per class, where no auxiliary level is given.
        primary: the level to classify.
        auxiliary: the level that gives the sub-classes.
    """
    missing = missing_of(name, root)
    if missing and scale.stand_ins and name in ("cifar10", "cifar10.1") and not missing_of("cifar100", root):
        stand_in = bed("cifar100", scale, root, psi, primary="10")
        title = f"CIFAR-100's 10-class level in place of {SOURCES[name].title}"
        return stand_in._replace(title=title, stands_in=True)
    if missing and scale.stand_ins and name == "mnist" and not missing_of("fashion-mnist", root):
        stand_in = bed("fashion-mnist", scale, root, psi)
        return stand_in._replace(title="Fashion-MNIST in place of MNIST", stands_in=True)
    source = SOURCES[name]
    settings = Settings(
        data=place_of(name, root), root=root, primary=primary, auxiliary=auxiliary, augment=source.augment
    )
    if name == "cifar100":
        settings = replace(settings, hierarchy="cifar100")
    if auxiliary is None:
        settings = replace(settings, subclasses=(psi,))
    return Bed(source.title, settings, missing, source.samples, source.shape)


def missing_of(name: str, root: str) -> str:
    """Return what to do where the data is not there, and nothing where it is."""
    return "" if _is_folder(name, root) else availability(name, Path(root).expanduser()) or ""


def place_of(name: str, root: str) -> str:
    """Return how `Settings.data` names the data: by its folder where it lies as one."""
    return str(Path(root) / name) if _is_folder(name, root) else name


def _is_folder(name: str, root: str) -> bool:
    return (Path(root).expanduser() / name / "train").is_dir()
