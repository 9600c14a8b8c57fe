"""The data sets by name that torchvision reads: MNIST, Fashion-MNIST, CIFAR and SVHN.

CIFAR's files are pickles, which can run any program: torchvision opens one only after its published checksum matched.
"""

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
from typing import Any

import torch

from metaux.data.catalogue import catalogue, missing
from metaux.data.levels import Levels
from metaux.data.pixels import conform
from metaux.data.reader import RawData, Request
from metaux.errors import InputError, reason

__all__ = ["missing", "read", "takes"]

TORCHVISION = {
    "mnist": ("MNIST", "crop"),
    "fashion-mnist": ("FashionMNIST", "crop-flip"),
    "cifar10": ("CIFAR10", "crop-flip"),
    "cifar100": ("CIFAR100", "crop-flip"),
    "svhn": ("SVHN", "crop"),
}
"""The class of torchvision that reads each data set, and what `--augment auto` means for it."""
NAMES = tuple(TORCHVISION)
TIMEOUT = 20.0
FAILURES = (
    *(RuntimeError, OSError, ValueError, AssertionError, EOFError, KeyError),
    *(pickle.UnpicklingError, tarfile.TarError, zlib.error),
)


def takes(data: str) -> bool:
    """Return whether the data is a name of these sets."""
    return data in TORCHVISION


def read(request: Request) -> RawData:
    """Read a data set of torchvision; its files are downloaded to the root folder if they aren't there.

    Raises:
        InputError: if files are missing or damaged and can't be downloaded: which, from where, and where to
            put them.
    """
    from torchvision import datasets

    name = request.data
    class_name, augmentation = TORCHVISION[name]
    dataset = getattr(datasets, class_name)
    # NumPy's, on how the pickles of CIFAR were written long ago.
    with _explained(name, dataset, request.root), warnings.catch_warnings(action="ignore"):
        parts = _parts(dataset, request.root)
    images = [torch.as_tensor(part.data) for part in parts]
    if name == "svhn":
        targets = [part.labels.tolist() for part in parts]
    else:
        images = [x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2) for x in images]
        targets = [list(part.targets) for part in parts]
    classes = tuple(map(str, range(10))) if name in ("mnist", "svhn") else tuple(parts[0].classes)
    return RawData(
        conform(torch.cat(images), request.image),
        "image",
        {"100" if name == "cifar100" else "label": tuple(classes[int(label)] for part in targets for label in part)},
        ("train",) * len(images[0]) + ("test",) * len(images[1]),
        levels=Levels.cifar100() if name == "cifar100" else Levels(("label",), [(name,) for name in classes]),
        augmentation=augmentation,
    )


def _parts(dataset: Any, root: Path) -> list[Any]:
    """Return the training and the test part, downloaded only if files are missing."""
    from torchvision import datasets
    from torchvision.datasets.utils import extract_archive

    if dataset is datasets.SVHN:
        # With the file in place and whole, a download is none.
        return [dataset(root, split=split, download=True) for split in ("train", "test")]
    try:
        return [dataset(root, train=train) for train in (True, False)]
    except RuntimeError:
        raw = Path(dataset.__name__, "raw")
        archives = [root / raw / name for name, _ in dataset.resources] if issubclass(dataset, datasets.MNIST) else []
        if not archives or not all(archive.is_file() for archive in archives):
            return [dataset(root, train=train, download=True) for train in (True, False)]
    # torchvision would refuse the same content in another compression, and unpack beside it
    with tempfile.TemporaryDirectory() as place:
        Path(place, raw).mkdir(parents=True)
        for archive in archives:
            extract_archive(archive, Path(place, raw))
        return [dataset(place, train=train) for train in (True, False)]


@contextmanager
def _explained(name: str, dataset: Any, root: Path) -> Iterator[None]:
    """Turn a failed download into an `InputError`, wait briefly, and leave nothing half-written behind."""
    published = catalogue()[name]
    files = [root / file for file in (*published.archives, *published.files)]
    new = {path for file in files for path in (file, *file.parents) if root in path.parents and not path.exists()}
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
        raise InputError(
            f"expected {published.title} below '{root}', found {_damaged(dataset, root)}no complete copy "
            f"that can be read or downloaded ({reason(error, 200)}); {published.how_to_get(root)}"
        ) from None
    finally:
        socket.setdefaulttimeout(patience)


def _damaged(dataset: Any, root: Path) -> str:
    """Name the first file that has another checksum than the published one; MNIST's files have none once unpacked."""
    from torchvision import datasets
    from torchvision.datasets.utils import check_integrity

    checksums = dict[Path, str]()
    if dataset is datasets.SVHN:
        checksums = {root / file: md5 for _, file, md5 in dataset.split_list.values()}
    elif issubclass(dataset, datasets.CIFAR10):
        batches = [*dataset.train_list, *dataset.test_list, (dataset.meta["filename"], dataset.meta["md5"])]
        checksums = {root / dataset.base_folder / file: md5 for file, md5 in batches}
        checksums[root / dataset.filename] = dataset.tgz_md5
    for path, md5 in checksums.items():
        if path.is_file() and not check_integrity(path, md5):
            return f"'{path}' with another checksum than the published one, and "
    return ""
