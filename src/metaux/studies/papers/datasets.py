"""The papers' data sets: where each is looked for, and what stands in for one that is not there."""

from typing import Literal, NamedTuple

from metaux.data.sources import located
from metaux.settings import Settings
from metaux.studies.papers.scales import Scale


class Source(NamedTuple):
    """What is known of a data set without reading it.

    Args:
        title: what figures call it.
        samples: of the training and the test part.
        shape: of one image.
        augment: as the papers do: images that mean something else in a mirror are not flipped.
    """

    title: str
    samples: tuple[int, int]
    shape: tuple[int, int, int]
    augment: Literal["crop", "crop-flip"] = "crop-flip"


class DataSet(NamedTuple):
    """A data set for an experiment.

    Args:
        title: what figures call it.
        settings: its data and levels.
        missing: what is missing of it, in one line; empty if it is there.
        stands_in: whether it is there in place of another.
    """

    title: str
    settings: Settings
    missing: str
    stands_in: bool = False


SOURCES = {
    "cifar100": Source("CIFAR-100", (50_000, 10_000), (3, 32, 32)),
    "cifar10.1": Source("CIFAR-10 and CIFAR-10.1v6", (50_000, 2_000), (3, 32, 32)),
    "cifar10": Source("CIFAR-10", (50_000, 10_000), (3, 32, 32)),
    "mnist": Source("MNIST", (60_000, 10_000), (1, 28, 28), "crop"),
    "fashion-mnist": Source("Fashion-MNIST", (60_000, 10_000), (1, 28, 28)),
    "svhn": Source("SVHN", (73_257, 26_032), (3, 32, 32), "crop"),
    "cinic10": Source("CINIC-10", (90_000, 90_000), (3, 32, 32)),
    "imagenet32": Source("ImageNet 32 x 32", (1_281_167, 50_000), (3, 32, 32)),
    "ucf101": Source("UCF-101 frames", (9_537, 3_783), (3, 32, 32)),
}
# By the data set that is not there: the one in its place, the level to classify, and both in words.
STAND_INS = {
    "cifar10": ("cifar100", "10", "CIFAR-100's 10-class level"),
    "cifar10.1": ("cifar100", "10", "CIFAR-100's 10-class level"),
    "mnist": ("fashion-mnist", None, "Fashion-MNIST"),
}


def data_set(
    name: str, scale: Scale, root: str, primary: str | None = None, auxiliary: str | None = None, *, psi: int = 0
) -> DataSet:
    """Return the data set of that name.

    Args:
        name: a key of `SOURCES`.
        scale: whether another may stand in for it.
        root: where data sets are; a folder of class folders `root/name/train`, `root/name/test` serves too.
        primary: the level to classify.
        auxiliary: the level that gives the sub-classes.
        psi: sub-classes per class, where no auxiliary level is given.
    """
    source = SOURCES[name]
    data, missing = located(name, root)
    if missing and scale.stand_ins and name in STAND_INS:
        other, level, words = STAND_INS[name]
        if not located(other, root).missing:
            found = data_set(other, scale, root, level, psi=psi)
            return found._replace(title=f"{words} in place of {source.title}", stands_in=True)
    settings = Settings(
        data=data,
        root=root,
        hierarchy="cifar100" if name == "cifar100" else None,
        primary=primary,
        auxiliary=auxiliary,
        subclasses=(psi,) if auxiliary is None else None,
        augment=source.augment,
    )
    return DataSet(source.title, settings, missing)
