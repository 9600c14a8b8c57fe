from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from pictures import cifar, class_folders, idx
from torchvision import datasets
from torchvision.datasets import utils

from metaux.data.levels import Levels
from metaux.data.sources import load
from metaux.errors import InputError
from metaux.settings import Settings
from shell import below, done, metaux

DOWNLOADS = {"mnist": "download_and_extract_archive", "cifar": "download_and_extract_archive"}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(utils, "_get_redirect_url", refuse)


def test_digits() -> None:
    data = load(Settings())
    assert data.train.inputs[0].shape == (1438, 1, 8, 8)
    assert data.train.inputs[0].dtype == torch.uint8
    assert int(data.train.inputs[0].max()) == 255
    assert data.hierarchy.class_names == ("even", "odd")
    assert data.hierarchy.subclass_names == ("0", "2", "4", "6", "8", "1", "3", "5", "7", "9")
    assert (data.kind, data.augmentation) == ("image", "crop")
    assert data.train.human is not None
    from sklearn.datasets import load_digits

    digit = torch.from_numpy(load_digits().target)[data.train.ids]
    assert data.train.primary.equal(digit % 2)
    assert data.train.human.equal(digit // 2 + 5 * (digit % 2))


def test_digits_as_ten_classes_or_with_other_subclasses() -> None:
    ten = load(Settings(primary="digit"))
    assert ten.hierarchy.slots == (5,) * 10
    other = load(Settings(subclasses=(3,), image_size=16))
    assert other.hierarchy.slots == (3, 3)
    assert other.train.human is None
    assert other.train.inputs[0].shape[2:] == (16, 16)


@pytest.mark.parametrize(
    ("name", "folder", "augment", "first"),
    [("mnist", "MNIST", "crop", "0"), ("fashion-mnist", "FashionMNIST", "crop-flip", "T-shirt/top")],
)
@pytest.mark.parametrize("packed", [False, True])
def test_mnist(tmp_path: Path, name: str, folder: str, augment: str, first: str, packed: bool) -> None:
    y = np.arange(30, dtype=np.uint8) % 10
    x = np.random.default_rng(0).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    for prefix in ("train", "t10k"):
        idx(tmp_path / folder / "raw" / f"{prefix}-images-idx3-ubyte", x, packed)
        idx(tmp_path / folder / "raw" / f"{prefix}-labels-idx1-ubyte", y, packed)
    before = sorted(tmp_path.rglob("*"))
    data = load(Settings(data=name, root=str(tmp_path)))
    assert sorted(tmp_path.rglob("*")) == before
    assert data.train.inputs[0].equal(torch.from_numpy(x)[:, None])
    assert data.test.primary.tolist() == y.tolist()
    assert data.hierarchy.class_names[0] == first
    assert data.augmentation == augment
    assert data.train.human is None


def test_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    for attribute, value in cifar(tmp_path, datasets.CIFAR10, names).items():
        monkeypatch.setattr(datasets.CIFAR10, attribute, value)
    data = load(Settings(data="cifar10", root=str(tmp_path)))
    assert data.hierarchy.class_names == tuple(names)
    assert (len(data.train), len(data.test)) == (150, 30)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 3072), dtype=np.uint8).reshape(30, 3, 32, 32)
    assert data.test.inputs[0].equal(torch.from_numpy(pixels))
    assert data.augmentation == "crop-flip"


def test_a_run_on_the_name_is_measured_on_a_class_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = sorted(Levels.cifar100().classes("100"))
    for attribute, value in cifar(tmp_path, datasets.CIFAR100, names).items():
        monkeypatch.setattr(datasets.CIFAR100, attribute, value)
    short = ("--method", "single", "--epochs", 1, "--backbone", "mlp")
    done("train", "cifar100", "--root", tmp_path, *short, "--out", tmp_path / "run")
    folder = class_folders(tmp_path / "folders", dict.fromkeys(names, 1), size=(32, 32))
    said = done("evaluate", tmp_path / "run", folder, "--hierarchy", "cifar100")
    assert "100 samples, all of" in " ".join(said.split())
    refused = metaux("evaluate", tmp_path / "run", folder)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "found 'apple' (1 of 100 samples); rename it" in refused.err


def test_cifar100_comes_with_its_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = sorted(Levels.cifar100().classes("100"))
    for attribute, value in cifar(tmp_path, datasets.CIFAR100, names).items():
        monkeypatch.setattr(datasets.CIFAR100, attribute, value)
    data = load(Settings(data="cifar100", root=str(tmp_path)))
    assert data.hierarchy.slots == (5,) * 20
    assert data.test.human is not None
    assert data.test.ids is not None
    fine = [data.hierarchy.subclass_names[flat] for flat in data.test.human]
    assert fine == [names[row % 100] for row in range(300)]
    above = Levels.cifar100().above("100", "20")

    assert [data.hierarchy.class_names[label] for label in data.test.primary] == [above[name] for name in fine]
    three = load(Settings(data="cifar100", root=str(tmp_path), primary="3", auxiliary="10"))
    assert three.hierarchy.slots == (5, 1, 4)


@pytest.mark.parametrize(
    ("name", "file", "folder"),
    [
        ("mnist", "train-images-idx3-ubyte.gz", "/MNIST/raw"),
        ("fashion-mnist", "t10k-labels-idx1-ubyte.gz", "/FashionMNIST/raw"),
        ("cifar10", "cifar-10-python.tar.gz", ""),
        ("cifar100", "cifar-100-python.tar.gz", ""),
    ],
)
def test_missing_files_without_a_network(tmp_path: Path, name: str, file: str, folder: str) -> None:
    root = tmp_path / "here"
    with pytest.raises(InputError) as caught:
        load(Settings(data=name, root=str(root)))
    message = str(caught.value)
    assert f"below '{root}', found no complete copy" in message
    assert "no network" in message
    assert file in message
    assert f"into '{root}{folder}', or give --root" in message
    assert " from http" in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "MNIST" / "raw"
    idx(folder / "train-images-idx3-ubyte", np.zeros((3, 28, 28), dtype=np.uint8), packed=True)
    for name in ("train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (folder / f"{name}.gz").write_bytes(b"cut")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match=r"expected MNIST below .*found no complete copy"):
        load(Settings(data="mnist", root=str(tmp_path)))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("packed", [False, True])
def test_mnist_cut_off(tmp_path: Path, file: str, packed: bool) -> None:
    folder = tmp_path / "MNIST" / "raw"
    for prefix in ("train", "t10k"):
        idx(folder / f"{prefix}-images-idx3-ubyte", np.zeros((20, 28, 28), dtype=np.uint8), packed)
        idx(folder / f"{prefix}-labels-idx1-ubyte", np.arange(20, dtype=np.uint8) % 10, packed)
    path = folder / (f"{file}.gz" if packed else file)
    path.write_bytes(path.read_bytes()[:-12])
    before = below(tmp_path)
    result = metaux("train", "mnist", "--root", tmp_path, "--out", tmp_path / "out")
    assert (result.code, result.err.count("\n")) == (2, 1), result
    assert "expected MNIST below" in result.err
    assert below(tmp_path) == before
