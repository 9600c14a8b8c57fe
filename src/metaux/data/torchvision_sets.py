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
from typing import Any, NamedTuple

import torch

from metaux.data.catalogue import catalogue, missing
from metaux.data.levels import Levels
from metaux.data.pixels import conform
from metaux.data.reader import RawData, Request
from metaux.errors import InputError

__all__ = ["missing", "read", "takes"]

DIGITS = tuple(map(str, range(10)))


class Known(NamedTuple):
    """A data set of torchvision: its class, where its files lie below the root, and what flips do to it."""

    dataset: str
    folder: str
    augmentation: str


TORCHVISION = {
    "mnist": Known("MNIST", "MNIST/raw", "crop"),
    "fashion-mnist": Known("FashionMNIST", "FashionMNIST/raw", "crop-flip"),
    "cifar10": Known("CIFAR10", "", "crop-flip"),
    "cifar100": Known("CIFAR100", "", "crop-flip"),
    "svhn": Known("SVHN", "", "crop"),
}
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

    name, known = request.data, TORCHVISION[request.data]
    dataset = getattr(datasets, known.dataset)
    with _explained(name, dataset, request.root), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, on how the pickles of CIFAR were written long ago
        parts = _parts(known, dataset, request.root)
    images = [torch.as_tensor(part.data) for part in parts]
    if name != "svhn":
        images = [x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2) for x in images]
    targets = [part.labels.tolist() if name == "svhn" else list(part.targets) for part in parts]
    classes = DIGITS if name in ("mnist", "svhn") else tuple(parts[0].classes)
    return RawData(
        conform(torch.cat(images), request.image),
        "image",
        {"100" if name == "cifar100" else "label": tuple(classes[int(label)] for part in targets for label in part)},
        ("train",) * len(images[0]) + ("test",) * len(images[1]),
        levels=Levels.cifar100() if name == "cifar100" else Levels(("label",), [(name,) for name in classes]),
        augmentation=known.augmentation,
    )


def _parts(known: Known, dataset: Any, root: Path) -> list[Any]:
    """Return the training and the test part, downloaded only if files are missing."""
    if known.dataset == "SVHN":
        # With the file in place and whole, a download is none.
        return [dataset(root, split=split, download=True) for split in ("train", "test")]
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
def _explained(name: str, dataset: Any, root: Path) -> Iterator[None]:
    """Turn a failed download into an `InputError`, wait briefly, and leave nothing half-written behind."""
    known, published = TORCHVISION[name], catalogue()[name]
    new = [path for path in _touched(known, dataset, root) if not path.exists()]
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
            f"expected {published.title} below '{root}', found {_damaged(known, dataset, root)}no complete copy "
            f"that can be read or downloaded ({reason}); {published.how_to_get(root)}"
        ) from None
    finally:
        socket.setdefaulttimeout(patience)


def _touched(known: Known, dataset: Any, root: Path) -> list[Path]:
    """Return the files and folders that a download may write."""
    if known.folder:
        names = [filename for filename, _ in dataset.resources]
        files = [root / known.folder / file for name in names for file in (name, Path(name).stem)]
        return [*files, root / known.folder, (root / known.folder).parent]
    if known.dataset == "SVHN":
        return list(_checksums(known, dataset, root))
    return [root / dataset.base_folder, root / dataset.filename]


def _damaged(known: Known, dataset: Any, root: Path) -> str:
    """Name the first file that is there with another checksum than the published one."""
    from torchvision.datasets.utils import check_integrity

    for path, md5 in _checksums(known, dataset, root).items():
        if path.is_file() and not check_integrity(path, md5):
            return f"'{path}' with another checksum than the published one, and "
    return ""


def _checksums(known: Known, dataset: Any, root: Path) -> dict[Path, str]:
    """Return the MD5 checksum of each file that torchvision has one for; of MNIST's it has none once unpacked."""
    if known.folder:
        return {}
    if known.dataset == "SVHN":
        return {root / filename: md5 for _, filename, md5 in dataset.split_list.values()}
    listed = [*dataset.train_list, *dataset.test_list, (dataset.meta["filename"], dataset.meta["md5"])]
    batches = {root / dataset.base_folder / filename: md5 for filename, md5 in listed}
    return batches | {root / dataset.filename: dataset.tgz_md5}
