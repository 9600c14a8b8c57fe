"""The data sets by name that ship with scikit-learn: digits (images), and the tables iris, wine and breast-cancer."""

from pathlib import Path

import torch

from metaux.data.columns import Column
from metaux.data.levels import Levels
from metaux.data.pixels import conform
from metaux.data.reader import RawData, Request

DIGITS = tuple(map(str, range(10)))
PARITY = Levels(
    ("parity", "digit"),
    [(parity, DIGITS[digit]) for odd, parity in enumerate(("even", "odd")) for digit in range(odd, 10, 2)],
)
NAMES = ("digits", "iris", "wine", "breast-cancer")


def takes(data: str) -> bool:
    """Return whether the data is a name of these sets."""
    return data in NAMES


def missing(_data: str, _root: Path) -> str | None:
    """Return None: they are always there."""
    return None


def read(request: Request) -> RawData:
    """Read a data set that ships with scikit-learn, a table with its columns' names.

    >>> from metaux.settings import Settings
    >>> raw = read(Request(Settings("iris")))
    >>> tuple(raw.inputs.shape), raw.columns[0].name, sorted(set(raw.labels["label"]))
    ((150, 4), 'sepal length (cm)', ['setosa', 'versicolor', 'virginica'])
    """
    from sklearn import datasets

    found = getattr(datasets, f"load_{request.data.replace('-', '_')}")()
    names = list(map(str, found.target_names))
    labels = tuple(names[label] for label in found.target)
    if request.data == "digits":
        images = torch.from_numpy(found.images * (255 / 16)).round().byte().unsqueeze(1)
        images = conform(images, request.image)
        return RawData(images, "image", {"digit": labels}, levels=PARITY, augmentation="crop")
    columns = tuple(Column(str(name)) for name in found.feature_names)
    return RawData(torch.from_numpy(found.data).float(), "table", {"label": labels}, columns=columns)
