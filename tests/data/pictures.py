"""Small real files for the tests of the data readers."""

import gzip
import hashlib
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from metaux.data.images import read_files
from metaux.data.pixels import AS_FOUND, ImageFormat

CIFAR_KEYS = {"CIFAR10": "label_names", "CIFAR100": "fine_label_names"}


def picture(seed: int, size: tuple[int, int] = (6, 6), channels: int = 3) -> "np.ndarray[Any, Any]":
    """Return random pixels, uint8 `[height, width]` or `[height, width, 3]`."""
    shape = size if channels == 1 else (*size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: "np.ndarray[Any, Any] | None" = None, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed) if pixels is None else pixels).save(path)
    return path


def class_folders(root: Path, classes: dict[str, int], **options: Any) -> Path:
    """Write so many images of each class into a folder of its name."""
    for number, (name, count) in enumerate(classes.items()):
        for index in range(count):
            save(root / name / f"{index:03}.png", picture(1000 * number + index, **options))
    return root


def idx(path: Path, array: "np.ndarray[Any, Any]", packed: bool) -> None:
    """Write an array as MNIST's files have it: magic number, big-endian sizes, bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    content = header + array.tobytes()
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


def cifar(root: Path, dataset: Any, classes: list[str]) -> dict[str, Any]:
    """Write CIFAR's pickled batches, three images per class; return the attributes with their checksums."""

    def dump(name: str, content: dict[str, Any]) -> str:
        path = root / dataset.base_folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(content))
        return hashlib.md5(path.read_bytes()).hexdigest()

    labels = list(range(len(classes))) * 3
    key = "labels" if dataset.__name__ == "CIFAR10" else "fine_labels"
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 3072), dtype=np.uint8)
    attributes: dict[str, Any] = {
        part: [(name, dump(name, {"data": pixels, key: labels})) for name, _ in getattr(dataset, part)]
        for part in ("train_list", "test_list")
    }
    meta = dataset.meta
    names = dump(meta["filename"], {CIFAR_KEYS[dataset.__name__]: classes})
    return attributes | {"meta": {**meta, "md5": names}}


def read_images(files: list[Path], wanted: ImageFormat = AS_FOUND, **options: Any) -> tuple[Tensor, tuple[str, ...]]:
    """Return the images in files that are all whole, and what was said."""
    found = read_files(files, wanted, **options)
    return found.images, found.notices
