"""The published data sets that torchvision has no reader for: CINIC-10, UCF101, down-sampled ImageNet, CIFAR-10.1."""

import hashlib
import re
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from metaux.data import folder, torchvision_sets
from metaux.data.catalogue import Published, catalogue, missing
from metaux.data.levels import Levels
from metaux.data.mapped import room
from metaux.data.npz import read_array, read_arrays
from metaux.data.pixels import Array, conform
from metaux.data.reader import RawData, Request
from metaux.errors import InputError, explained
from metaux.files import check_file

__all__ = ["missing", "read", "takes"]

# v_ApplyEyeMakeup_g01_c01_0001.jpg: action, group of videos, clip, frame
FRAME = re.compile(r"v_([A-Za-z]+)_(g\d+)_c\d+")
IMAGENET_CLASSES = 1000


def takes(data: str) -> bool:
    """Return whether the data is a name of these sets."""
    return data in READERS


def read(request: Request) -> RawData:
    """Read a published data set below the root.

    Raises:
        InputError: if files are missing or aren't as published: which, from where, and where to put them.
    """
    known, root = catalogue()[request.data], request.root
    if (lacking := known.missing(root)) is not None:
        raise InputError(f"expected {known.title} below '{root}', {lacking}; {known.how_to_get(root)}")
    raw = READERS[request.data](request, known)
    for part, count in known.counts.items():
        found = (raw.parts or ()).count(part)
        if found != count:
            raise InputError(
                f"expected {count:,} images in the {part} part of {known.title} below '{root}', found {found:,}; "
                f"{known.how_to_get(root)}"
            )
    return raw


def _cinic10(request: Request, _known: Published) -> RawData:
    """Read CINIC-10 (Darlow et al. 2018); its part `valid` is the validation part."""
    return replace(folder.read(request.of(request.root / "CINIC-10")), augmentation="crop-flip")


def _ucf101(request: Request, _known: Published) -> RawData:
    """Read frames of UCF101 (Soomro et al. 2012), whose names are those of their videos.

    Videos of one group show the same scene, so a group (g01 to g25 of an action) is never divided.
    """
    raw = folder.read(request.of(request.root / "UCF101"))
    groups = []
    for name, label in zip(raw.names, raw.labels["label"], strict=True):
        found = FRAME.match(Path(name).name)
        if found is None:
            raise InputError(
                f"expected frames called as their videos (v_{label}_g01_c01_...), found '{name}'; make them by the "
                "recipe of docs/published-data.md"
            )
        groups.append(f"{label} {found[2]}")
    return replace(raw, groups=tuple(groups), augmentation="crop-flip")


def _imagenet32(request: Request, known: Published) -> RawData:
    """Read ImageNet down-sampled to 32x32 pixels (Chrabaszcz et al. 2017); its classes are called 1 to 1000.

    The published validation images are the test part: ImageNet's own test labels were never published.
    """
    paths = [request.root / file for file in known.files]
    counts = {path: len(_published_arrays(path, "labels")[0]) for path in paths}
    size, channels = request.image.size or (32, 32), request.image.channels or 3
    images, notices = room("images", (sum(counts.values()), channels, *size))
    labels, parts = list[str](), list[str]()
    for path, own in zip(paths, images.split([*counts.values()]), strict=True):  # one at a time, for the memory
        x, y = _imagenet_batch(path)
        own.copy_(conform(torch.from_numpy(x).view(-1, 3, 32, 32), request.image))
        labels += map(str, y.tolist())
        parts += ["test" if path.name.startswith("val") else "train"] * len(x)
    return RawData(
        images,
        "image",
        {"label": tuple(labels)},
        tuple(parts),
        levels=Levels(("label",), [(str(number),) for number in range(1, IMAGENET_CLASSES + 1)]),
        augmentation="crop-flip",
        notices=notices,
    )


def _imagenet_batch(path: Path) -> tuple[Array, Array]:
    """Return the images `[n, 3072]` and labels 1 to 1000 `[n]` of a published .npz."""
    x, y = _published_arrays(path, "data", "labels")
    if x.dtype != np.uint8 or x.shape != (len(y), 3072) or y.dtype.kind not in "iu":
        raise InputError(
            f"expected data of uint8 (n, 3072) with as many labels in '{path}', found {x.dtype} {x.shape} with "
            f"{y.dtype} {y.shape}; unpack it again"
        )
    if not _within(y, 1, IMAGENET_CLASSES):
        raise InputError(f"expected labels from 1 to 1000 in '{path}', found {y.min()} to {y.max()}; unpack it again")
    return x, y


def _cifar10_1(request: Request, known: Published) -> RawData:
    """Read CIFAR-10.1 v6 (Recht et al. 2018), a second test set for CIFAR-10.

    The training part is CIFAR-10's. CIFAR-10's own test images are the validation part: measured beside the new ones
    after every epoch, and like every validation part never learned from.
    """
    x, y = (_published_array(request.root, file, known) for file in known.archives)
    if x.dtype != np.uint8 or x.shape != (len(y), 32, 32, 3) or y.dtype.kind not in "iu" or not _within(y, 0, 9):
        found = f"images of shape {x.shape} with {y.shape} labels"
        raise _another(known, request.root, known.archives[0], found)
    cifar = torchvision_sets.read(request.of("cifar10"))
    assert cifar.parts is not None
    assert isinstance(cifar.inputs, torch.Tensor)
    assert cifar.levels is not None
    classes = cifar.levels.classes("label")
    images = conform(torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), request.image)
    return replace(
        cifar,
        inputs=torch.cat([cifar.inputs, images]),
        labels={"label": (*cifar.labels["label"], *(classes[int(label)] for label in y))},
        parts=(*("val" if part == "test" else part for part in cifar.parts), *("test",) * len(y)),
    )


def _published_arrays(path: Path, *names: str) -> list[Array]:
    with _published(path):
        arrays, _ = read_arrays(path, names)
        return [np.atleast_1d(arrays[name]) for name in names]


def _published_array(root: Path, file: str, known: Published) -> Array:
    path = root / file
    check_file(path, "an .npy file")
    if file in known.sha256 and hashlib.sha256(path.read_bytes()).hexdigest() != known.sha256[file]:
        raise _another(known, root, file, "another sha256 checksum")
    with _published(path):
        return read_array(path)


def _within(y: Array, low: int, high: int) -> bool:
    return y.ndim == 1 and len(y) > 0 and bool(y.min() >= low) and bool(y.max() <= high)


def _published(path: Path) -> AbstractContextManager[None]:
    return explained(f"expected NumPy arrays, found '{path}' that can't be read", "download it again", 200)


def _another(known: Published, root: Path, file: str, found: str) -> InputError:
    return InputError(
        f"expected the published file of {known.title}, found {found} in '{root / file}'; {known.how_to_get(root)}"
    )


READERS = {"cifar10.1": _cifar10_1, "cinic10": _cinic10, "imagenet32": _imagenet32, "ucf101": _ucf101}
NAMES = tuple(READERS)
