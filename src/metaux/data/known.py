"""Data sets by name: scikit-learn's digits, and torchvision's MNIST, Fashion-MNIST and CIFAR."""

import pickle
import shutil
import socket
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

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


class Known(NamedTuple):
    """A data set of torchvision: its class, where its files lie below the root, and what flips do to it."""

    dataset: str
    title: str
    folder: str
    augmentation: str


TORCHVISION = {
    "mnist": Known("MNIST", "MNIST", "MNIST/raw", "crop"),
    "fashion-mnist": Known("FashionMNIST", "Fashion-MNIST", "FashionMNIST/raw", "crop-flip"),
    "cifar10": Known("CIFAR10", "CIFAR-10", "", "crop-flip"),
    "cifar100": Known("CIFAR100", "CIFAR-100", "", "crop-flip"),
}
NAMES = ("digits", *TORCHVISION)
TIMEOUT = 20.0
FAILURES = (
    *(RuntimeError, OSError, ValueError, AssertionError, EOFError, KeyError),
    *(pickle.UnpicklingError, tarfile.TarError, zlib.error),
)


def read_known(name: str, root: Path, wanted: ImageFormat = AS_FOUND) -> RawData:
    """Read a data set by name; its files are downloaded to the root folder if they aren't there.

    Raises:
        InputError: if files are missing or damaged and can't be downloaded: which, from where, and where to
            put them.
    """
    if name == "digits":
        return _digits(wanted)
    from torchvision import datasets

    known = TORCHVISION[name]
    dataset = getattr(datasets, known.dataset)
    with _explained(known, dataset, root), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, on how the pickles of CIFAR were written long ago
        parts = _parts(known, dataset, root)
    images = [torch.as_tensor(part.data) for part in parts]
    images = [x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2) for x in images]
    classes = DIGITS if name == "mnist" else tuple(parts[0].classes)
    labels = tuple(classes[int(label)] for part in parts for label in part.targets)
    return RawData(
        conform(torch.cat(images), wanted),
        {"100" if name == "cifar100" else "label": labels},
        "image",
        ("train",) * len(images[0]) + ("test",) * len(images[1]),
        levels=Levels.cifar100() if name == "cifar100" else Levels(("label",), [(name,) for name in classes]),
        augmentation=known.augmentation,
    )


def _digits(wanted: ImageFormat) -> RawData:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.from_numpy(digits.images * (255 / 16)).round().byte().unsqueeze(1)
    labels = tuple(map(str, digits.target.tolist()))
    return RawData(conform(images, wanted), {"digit": labels}, "image", levels=PARITY, augmentation="crop")


def _parts(known: Known, dataset: Any, root: Path) -> list[Any]:
    """Return the training and the test part, downloaded only if files are missing."""
    try:
        return [dataset(root, train=train) for train in (True, False)]
    except RuntimeError:
        archives = [root / known.folder / name for name, _ in dataset.resources] if known.folder else []
        if not archives or not all(archive.is_file() for archive in archives):
            return [dataset(root, train=train, download=True) for train in (True, False)]
    # torchvision would refuse the same content in another compression, and unpack beside it
    from torchvision.datasets.utils import extract_archive

    with tempfile.TemporaryDirectory() as place:
        Path(place, known.folder).mkdir(parents=True)
        for archive in archives:
            extract_archive(archive, Path(place, known.folder))
        return [dataset(place, train=train) for train in (True, False)]


@contextmanager
def _explained(known: Known, dataset: Any, root: Path) -> Iterator[None]:
    """Turn a failed download into an `InputError`, wait briefly, and leave nothing half-written behind."""
    if known.folder:
        needed, source = [filename for filename, _ in dataset.resources], dataset.mirrors[0]
        touched = [root / known.folder / file for name in needed for file in (name, Path(name).stem)]
        touched += [root / known.folder, (root / known.folder).parent]
    else:
        needed, source = [dataset.filename], dataset.url.rpartition("/")[0] + "/"
        touched = [root / dataset.base_folder, root / dataset.filename]
    new = [path for path in touched if not path.exists()]
    new_root = not root.exists()
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    except BaseException as error:
        for path in new:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if new_root and root.exists() and not any(root.iterdir()):
            root.rmdir()
        if not isinstance(error, FAILURES):
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"expected {known.title} below '{root}', found no complete copy that can be read or downloaded "
            f"({reason}); put {', '.join(needed)} from {source} into '{root / known.folder}', or give "
            "--root where they are"
        ) from None
    finally:
        socket.setdefaulttimeout(patience)
