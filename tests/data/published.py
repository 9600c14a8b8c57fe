"""Small data sets in the formats that the large ones are published in, for the tests of their readers."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import cifar, class_folders, save

from metaux.data.catalogue import catalogue

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
NOWHERE = "http://127.0.0.1:9/"
"""No server answers at this port, so that no test depends on a network."""


def pixels(count: int, seed: int = 0, *shape: int) -> "np.ndarray[Any, Any]":
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def describe(monkeypatch: pytest.MonkeyPatch, name: str, **values: Any) -> None:
    """Describe a published data set otherwise in the catalogue."""
    monkeypatch.setitem(catalogue(), name, replace(catalogue()[name], **values))


def write_svhn(root: Path, count: int = 20) -> dict[str, Any]:
    """Write SVHN's .mat files: X (32, 32, 3, n) and y (n, 1) from 1 to 10; return their table with own checksums."""
    from scipy.io import savemat

    root.mkdir(parents=True, exist_ok=True)
    table = {}
    for seed, part in enumerate(("train", "test")):
        y = (np.arange(count) % 10 + 1).astype(np.uint8)[:, None]
        path = root / f"{part}_32x32.mat"
        savemat(path, {"X": pixels(count, seed, 32, 32, 3).transpose(1, 2, 3, 0), "y": y})
        table[part] = [NOWHERE + path.name, path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    return table


def write_cinic10(root: Path, count: int = 2) -> Path:
    for part in ("train", "valid", "test"):
        class_folders(root / "CINIC-10" / part, dict.fromkeys(CIFAR10, count), size=(32, 32))
    return root


def write_imagenet32(root: Path, count: int = 20) -> Path:
    """Write the eleven .npz files, of images in flat rows and labels from 1."""
    folder = root / "Imagenet32"
    folder.mkdir(parents=True)
    for batch in range(1, 11):
        labels = (np.arange(count) % 4 * 333 + 1).astype(np.int64)
        mean = np.zeros(3072)
        np.savez(folder / f"train_data_batch_{batch}.npz", data=pixels(count, batch, 3072), labels=labels, mean=mean)
    np.savez(folder / "val_data.npz", data=pixels(8, 99, 3072), labels=np.array([1, 334, 667, 1000] * 2))
    return root


def write_ucf101(root: Path, frames: int = 2) -> Path:
    for action in ("Archery", "YoYo"):
        for group in range(1, 6):
            part = "test" if group < 3 else "train"
            for frame in range(frames):
                name = f"v_{action}_g{group:02}_c01_{frame:04}.jpg"
                save(root / "UCF101" / part / action / name, pixels(1, group, 24, 32, 3)[0])
    return root


def write_cifar10_1(root: Path, dataset: Any, count: int = 20) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write CIFAR-10.1's pair and a small CIFAR-10; return the latter's attributes, and the pair's in the catalogue."""
    attributes = {**cifar(root, dataset, CIFAR10), "url": NOWHERE + "cifar-10-python.tar.gz"}
    np.save(root / "cifar10.1_v6_data.npy", pixels(count, 5, 32, 32, 3))
    np.save(root / "cifar10.1_v6_labels.npy", (np.arange(count) % 10).astype(np.int32))
    files = {file: (root / file).read_bytes() for file in catalogue()["cifar10.1"].archives}
    sizes = {file: len(content) for file, content in files.items()}
    return attributes, {
        "sizes": sizes,
        "sha256": {file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
    }
