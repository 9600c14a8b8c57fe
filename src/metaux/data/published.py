"""The published data sets that torchvision has no reader for: CINIC-10, UCF101, down-sampled ImageNet, CIFAR-10.1."""

import hashlib
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metaux.data.availability import how_to_get, missing_files
from metaux.data.catalogue import Published
from metaux.data.folder import read_folder
from metaux.data.images import ImageFormat, conform
from metaux.data.levels import Levels
from metaux.data.raw import RawData
from metaux.data.torchvision_sets import read_torchvision
from metaux.errors import InputError
from metaux.files import Progress

Array = np.ndarray[Any, Any]
Catalogue = Mapping[str, Published]
# v_ApplyEyeMakeup_g01_c01_0001.jpg: action, group of videos, clip, frame
FRAME = re.compile(r"v_([A-Za-z]+)_(g\d+)_c\d+")
IMAGENET_CLASSES = 1000


def read_cinic10(root: Path, wanted: ImageFormat, progress: Progress | None, catalogue: Catalogue) -> RawData:
    """Read CINIC-10 (Darlow et al. 2018); its part `valid` is the validation part.

    Raises:
        InputError: if a part or images are missing.
    """
    _check_files("cinic10", root, catalogue)
    raw = read_folder(root / "CINIC-10", wanted, progress)
    _check_counts("cinic10", raw, root, catalogue)
    return raw


def read_ucf101(root: Path, wanted: ImageFormat, progress: Progress | None, catalogue: Catalogue) -> RawData:
    """Read frames of UCF101 (Soomro et al. 2012), whose names are those of their videos.

    Videos of one group show the same scene, so a group (g01 to g25 of an action) is never divided.

    Raises:
        InputError: if a part is missing, a file isn't called as its video is, or a group is in two parts.
    """
    _check_files("ucf101", root, catalogue)
    raw = read_folder(root / "UCF101", wanted, progress)
    groups = []
    for name, label in zip(raw.names, raw.labels["label"], strict=True):
        found = FRAME.match(Path(name).name)
        if found is None:
            raise InputError(
                f"expected frames called as their videos (v_{label}_g01_c01_...), found '{name}'; make them by the "
                "recipe of docs/data.md"
            )
        groups.append(f"{label} {found[2]}")
    return replace(raw, groups=tuple(groups))


def read_imagenet32(root: Path, wanted: ImageFormat, _progress: Progress | None, catalogue: Catalogue) -> RawData:
    """Read ImageNet down-sampled to 32x32 pixels (Chrabaszcz et al. 2017); its classes are called 1 to 1000.

    The published validation images are the test part: ImageNet's own test labels were never published.

    Raises:
        InputError: if a file is missing or isn't as published.
    """
    _check_files("imagenet32", root, catalogue)
    files = [root / file.path for file in catalogue["imagenet32"].files]
    images, labels, parts = [], [], []
    for path in files:
        x, y = _imagenet_batch(path)
        # Each batch by itself, for half of the memory at its peak where images are to shrink.
        images.append(conform(torch.from_numpy(x).view(-1, 3, 32, 32), wanted))
        labels += list(map(str, y.tolist()))
        parts += ["test" if path.name.startswith("val") else "train"] * len(x)
    raw = RawData(
        torch.cat(images),
        {"label": tuple(labels)},
        "image",
        tuple(parts),
        levels=Levels(("label",), [(str(number),) for number in range(1, IMAGENET_CLASSES + 1)]),
        augmentation="crop-flip",
    )
    _check_counts("imagenet32", raw, root, catalogue)
    return raw


def read_cifar10_1(root: Path, wanted: ImageFormat, _progress: Progress | None, catalogue: Catalogue) -> RawData:
    """Read CIFAR-10.1 v6 (Recht et al. 2018), a second test set for CIFAR-10.

    The training part is CIFAR-10's. CIFAR-10's own test images are the validation part: measured beside the new ones
    after every epoch, and like every validation part never learned from.

    Raises:
        InputError: if files of it or of CIFAR-10 are missing or aren't as published.
    """
    _check_files("cifar10.1", root, catalogue)
    known = catalogue["cifar10.1"]
    for file in known.archives:
        kind, _, published = file.checksum.partition(":")
        if published and hashlib.new(kind, (root / file.path).read_bytes()).hexdigest() != published:
            raise _damaged("cifar10.1", root / file.path, f"another {kind} checksum", root, catalogue)
    x, y = (_load(root / file.path) for file in known.archives)
    if x.dtype != np.uint8 or x.shape != (len(y), 32, 32, 3) or y.dtype.kind not in "iu" or not _within(y, 0, 9):
        found = f"images of shape {x.shape} with {y.shape} labels"
        raise _damaged("cifar10.1", root / known.archives[0].path, found, root, catalogue)
    cifar = read_torchvision("cifar10", root, wanted)
    assert cifar.parts is not None
    assert cifar.levels is not None
    classes = cifar.levels.classes("label")
    images = conform(torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), wanted)
    return replace(
        cifar,
        inputs=torch.cat([cifar.inputs, images]),
        labels={"label": (*cifar.labels["label"], *(classes[int(label)] for label in y))},
        parts=(*("val" if part == "test" else part for part in cifar.parts), *("test",) * len(y)),
    )


READERS = {
    "cinic10": read_cinic10,
    "ucf101": read_ucf101,
    "imagenet32": read_imagenet32,
    "cifar10.1": read_cifar10_1,
}


def _imagenet_batch(path: Path) -> tuple[Array, Array]:
    """Return the images `[n, 3072]` and labels 1 to 1000 `[n]` of a published .npz."""
    try:
        # np.load leaves a file open that it opened itself and can't read.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            x, y = np.atleast_1d(file["data"]), np.atleast_1d(file["labels"])
    except (ValueError, OSError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(path, error) from None
    if x.dtype != np.uint8 or x.shape != (len(y), 3072) or y.dtype.kind not in "iu":
        raise InputError(
            f"expected data of uint8 (n, 3072) with as many labels in '{path}', found {x.dtype} {x.shape} with "
            f"{y.dtype} {y.shape}; unpack it again"
        )
    if not _within(y, 1, IMAGENET_CLASSES):
        raise InputError(f"expected labels from 1 to 1000 in '{path}', found {y.min()} to {y.max()}; unpack it again")
    return x, y


def _load(path: Path) -> Array:
    try:
        with path.open("rb") as file:
            array: Array = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _unreadable(path, error) from None
    return array


def _within(y: Array, low: int, high: int) -> bool:
    return y.ndim == 1 and len(y) > 0 and bool(y.min() >= low) and bool(y.max() <= high)


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return InputError(f"expected NumPy arrays, found '{path}' that can't be read ({reason}); download it again")


def _check_files(name: str, root: Path, catalogue: Catalogue) -> None:
    missing = missing_files(name, root, catalogue)
    if missing is not None:
        raise InputError(
            f"expected {catalogue[name].title} below '{root}', {missing}; {how_to_get(name, root, catalogue)}"
        )


def _check_counts(name: str, raw: RawData, root: Path, catalogue: Catalogue) -> None:
    for part, count in catalogue[name].counts.items():
        found = (raw.parts or ()).count(part)
        if found != count:
            raise InputError(
                f"expected {count:,} images in the {part} part of {catalogue[name].title} below '{root}', found "
                f"{found:,}; {how_to_get(name, root, catalogue)}"
            )


def _damaged(name: str, path: Path, found: str, root: Path, catalogue: Catalogue) -> InputError:
    return InputError(
        f"expected the published file of {catalogue[name].title}, found {found} in '{path}'; "
        f"{how_to_get(name, root, catalogue)}"
    )
