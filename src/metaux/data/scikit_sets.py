"""The data sets by name that ship with scikit-learn: digits (images), and the tables iris, wine and breast-cancer."""

import torch

from metaux.data.images import AS_FOUND, ImageFormat, conform
from metaux.data.levels import Levels
from metaux.data.raw import RawData
from metaux.errors import InputError

DIGITS = tuple(map(str, range(10)))
PARITY = Levels(
    ("parity", "digit"),
    [(parity, DIGITS[digit]) for odd, parity in enumerate(("even", "odd")) for digit in range(odd, 10, 2)],
)
TABLES = {"iris": "load_iris", "wine": "load_wine", "breast-cancer": "load_breast_cancer"}


def read_digits(wanted: ImageFormat = AS_FOUND) -> RawData:
    """Read the handwritten digits, 1,797 grey images of 8x8 pixels, as even and odd ones."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.from_numpy(digits.images * (255 / 16)).round().byte().unsqueeze(1)
    labels = tuple(map(str, digits.target.tolist()))
    return RawData(conform(images, wanted), {"digit": labels}, "image", levels=PARITY, augmentation="crop")


def read_table_set(name: str, wanted: ImageFormat = AS_FOUND) -> RawData:
    """Read a table that ships with scikit-learn, with its columns' names.

    Raises:
        InputError: if images are wanted.

    >>> raw = read_table_set("iris")
    >>> tuple(raw.inputs.shape), raw.columns[0], sorted(set(raw.labels["label"]))
    ((150, 4), ('sepal length (cm)',), ['setosa', 'versicolor', 'virginica'])
    """
    from sklearn import datasets

    if wanted.size:
        raise InputError(f"expected images, found the table {name}; give images (an image size is for images alone)")
    table = getattr(datasets, TABLES[name])()
    classes = [str(label) for label in table.target_names]
    return RawData(
        torch.from_numpy(table.data).float(),
        {"label": tuple(classes[label] for label in table.target)},
        "table",
        columns=tuple((str(column),) for column in table.feature_names),
    )
