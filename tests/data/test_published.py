from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published import (
    CIFAR10,
    describe,
    pixels,
    write_cifar10_1,
    write_cinic10,
    write_imagenet32,
    write_svhn,
    write_ucf101,
)
from torchvision import datasets

from metaux.data.catalogue import catalogue
from metaux.data.samples import LabelledData
from metaux.data.sources import load
from metaux.errors import InputError
from metaux.settings import Settings


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.SVHN, "split_list", write_svhn(tmp_path))
    before = sorted(tmp_path.iterdir())
    data = load(Settings(data="svhn", root=str(tmp_path)))
    assert data.train.inputs[0].equal(torch.from_numpy(pixels(20, 0, 32, 32, 3)).permute(0, 3, 1, 2))
    assert data.test.inputs[0].equal(torch.from_numpy(pixels(20, 1, 32, 32, 3)).permute(0, 3, 1, 2))
    assert data.hierarchy.class_names == tuple("0123456789")
    assert data.train.primary.tolist() == [*range(1, 10), 0] * 2  # the files call the digit 0 10
    assert data.augmentation == "crop"
    assert sorted(tmp_path.iterdir()) == before


def test_svhn_of_another_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.SVHN, "split_list", write_svhn(tmp_path))
    damaged = (tmp_path / "test_32x32.mat").read_bytes()[:-1]
    (tmp_path / "test_32x32.mat").write_bytes(damaged)
    with pytest.raises(InputError, match=r"found '.*test_32x32.mat' with another checksum .*put train_32x32.mat"):
        load(Settings(data="svhn", root=str(tmp_path)))
    assert (tmp_path / "test_32x32.mat").read_bytes() == damaged


def read(name: str, root: Path) -> LabelledData:
    return load(Settings(data=name, root=str(root)))


def test_cinic10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(monkeypatch, "cinic10", counts={"train": 20, "val": 20, "test": 20})
    data = read("cinic10", write_cinic10(tmp_path))
    assert data.hierarchy.class_names == tuple(CIFAR10)
    assert data.validation is not None
    assert [len(part) for part in (data.train, data.validation, data.test)] == [20, 20, 20]
    assert all("/valid/" in name for name in data.validation.names)
    assert data.train.inputs[0].shape == (20, 3, 32, 32)
    assert data.augmentation == "crop-flip"


def test_cinic10_that_is_incomplete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cinic10(tmp_path)
    with pytest.raises(InputError, match=r"expected 90,000 images in the train part of CINIC-10 .*, found 20; put"):
        load(Settings(data="cinic10", root=str(tmp_path)))
    describe(monkeypatch, "cinic10", counts={"test": 21})
    with pytest.raises(InputError, match="expected 21 images in the test part"):
        read("cinic10", tmp_path)
    (tmp_path / "CINIC-10" / "valid").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"found nothing at '.*/CINIC-10/valid'; put CINIC-10.tar.gz"):
        read("cinic10", tmp_path)


def test_imagenet32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_imagenet32(tmp_path)
    with pytest.raises(InputError, match="expected 1,281,167 images in the train part"):
        read("imagenet32", tmp_path)
    describe(monkeypatch, "imagenet32", counts={"train": 200, "test": 8})
    data = read("imagenet32", tmp_path)
    assert data.hierarchy.class_names == ("1", "334", "667", "1000")
    assert (len(data.train), len(data.test)) == (200, 8)
    assert data.train.inputs[0][180:].equal(torch.from_numpy(pixels(20, 10, 3072)).view(-1, 3, 32, 32))
    assert data.test.primary.tolist() == [0, 1, 2, 3] * 2
    shrunk = load(Settings(data="imagenet32", root=str(tmp_path), image_size=16))
    assert shrunk.train.inputs[0].shape == (200, 3, 16, 16)


class Bomb:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.mkdir, (self.path,))


def _rewrite(path: Path, **changes: Any) -> None:
    with np.load(path) as file:
        np.savez(path, **{**file, **changes})


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut off": (lambda p: p.write_bytes(p.read_bytes()[:-100]), "expected NumPy arrays, found '.*' that can't be read"),
    "empty": (lambda p: p.write_bytes(b""), "expected NumPy arrays"),
    "without labels": (lambda p: np.savez(p, data=pixels(2, 0, 3072)), "expected NumPy arrays, .*labels"),
    "other pixels": (lambda p: _rewrite(p, data=pixels(20, 0, 12)), r"uint8 \(n, 3072\) .* found uint8 \(20, 12\)"),
    "float pixels": (lambda p: _rewrite(p, data=np.ones((20, 3072))), "found float64"),
    "labels from 0": (lambda p: _rewrite(p, labels=np.arange(20)), "expected labels from 1 to 1000 .*, found 0 to 19"),
    "a label of no image": (lambda p: _rewrite(p, labels=np.arange(1, 22)), r"with int64 \(21,\)"),
    "a program": (lambda p: _rewrite(p, data=np.array([Bomb(p.parent / "exploded")])), "expected NumPy arrays"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_imagenet32(tmp_path: Path, damage: str) -> None:
    change, message = DAMAGES[damage]
    path = write_imagenet32(tmp_path) / "Imagenet32" / "train_data_batch_3.npz"
    change(path)
    with pytest.raises(InputError, match=message) as caught:
        read("imagenet32", tmp_path)
    assert "train_data_batch_3.npz" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "Imagenet32" / "exploded").exists()


def test_ucf101_keeps_groups_together(tmp_path: Path) -> None:
    data = load(Settings(data="ucf101", root=str(write_ucf101(tmp_path))))
    assert data.hierarchy.class_names == ("Archery", "YoYo")
    assert (len(data.train), len(data.test)) == (12, 8)
    assert data.train.inputs[0].shape[1:] == (3, 24, 32)
    groups = data.train.groups
    assert groups is not None
    assert len(groups.unique()) == 6  # g03 of Archery is another scene than g03 of YoYo
    for name, group in zip(data.train.names, groups.tolist(), strict=True):
        same = {other for other, number in zip(data.train.names, groups.tolist(), strict=True) if number == group}
        assert {other.rpartition("_")[0] for other in same} == {name.rpartition("_")[0]}


def test_ucf101_with_a_group_in_both_parts(tmp_path: Path) -> None:
    folder = write_ucf101(tmp_path) / "UCF101"
    (folder / "train/YoYo/v_YoYo_g03_c01_0000.jpg").rename(folder / "test/YoYo/v_YoYo_g03_c02_0000.jpg")
    with pytest.raises(InputError, match="found group 'YoYo g03' in train and test"):
        load(Settings(data="ucf101", root=str(tmp_path)))


def test_ucf101_with_a_frame_of_no_video(tmp_path: Path) -> None:
    folder = write_ucf101(tmp_path) / "UCF101" / "train" / "YoYo"
    (folder / "v_YoYo_g03_c01_0000.jpg").rename(folder / "frame0.jpg")
    with pytest.raises(InputError, match=r"called as their videos \(v_YoYo_g01_c01_...\), found '.*frame0.jpg'"):
        load(Settings(data="ucf101", root=str(tmp_path)))


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    attributes, described = write_cifar10_1(tmp_path, datasets.CIFAR10)
    for attribute, value in attributes.items():
        monkeypatch.setattr(datasets.CIFAR10, attribute, value)
    return described


def test_cifar10_1_tests_beside_cifar10(tmp_path: Path, both: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    describe(monkeypatch, "cifar10.1", **both)
    data = read("cifar10.1", tmp_path)
    own = load(Settings(data="cifar10", root=str(tmp_path)))
    assert data.validation is not None
    assert data.train.inputs[0].equal(own.train.inputs[0])
    assert data.validation.inputs[0].equal(own.test.inputs[0])
    assert data.validation.primary.equal(own.test.primary)
    assert data.test.inputs[0].equal(torch.from_numpy(pixels(20, 5, 32, 32, 3)).permute(0, 3, 1, 2))
    assert data.test.primary.tolist() == [*range(10)] * 2
    assert data.hierarchy.class_names == tuple(CIFAR10)


def test_cifar10_1_of_another_size_or_checksum(
    tmp_path: Path, both: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"data.npy' of 61,568 bytes, not 6,144,128, nor 1 more .*; put cifar10.1_v6"):
        load(Settings(data="cifar10.1", root=str(tmp_path)))
    describe(monkeypatch, "cifar10.1", **both)
    path = tmp_path / "cifar10.1_v6_data.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match=r"found another sha256 checksum in '.*cifar10.1_v6_data.npy'; put"):
        read("cifar10.1", tmp_path)
    describe(monkeypatch, "cifar10.1", sha256={})
    path.write_bytes(b"?" * path.stat().st_size)
    with pytest.raises(InputError, match=r"expected NumPy arrays, found '.*data.npy' that can't be read"):
        read("cifar10.1", tmp_path)


def test_cifar10_1_needs_cifar10(tmp_path: Path, both: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    describe(monkeypatch, "cifar10.1", **both)
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").unlink()
    with pytest.raises(InputError, match=r"expected CIFAR-10 below .*put cifar-10-python.tar.gz \(163 MB\)"):
        read("cifar10.1", tmp_path)


@pytest.mark.parametrize("name", catalogue())
def test_nothing_there(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for dataset in (datasets.CIFAR10, datasets.CIFAR100):
        monkeypatch.setattr(dataset, "url", "http://127.0.0.1:9/archive.tar.gz")
    for kind in (datasets.MNIST, datasets.FashionMNIST):
        monkeypatch.setattr(kind, "mirrors", ["http://127.0.0.1:9/"])
    nowhere = {part: ["http://127.0.0.1:9/", name, md5] for part, (_, name, md5) in datasets.SVHN.split_list.items()}
    monkeypatch.setattr(datasets.SVHN, "split_list", nowhere)
    with pytest.raises(InputError) as caught:
        load(Settings(data=name, root=str(tmp_path / "here")))
    message, known = str(caught.value), catalogue()[name]
    assert f"expected {known.title} below '{tmp_path / 'here'}', found" in message
    assert f"({known.download}) from {known.source}" in message
    assert all(Path(file).name in message for file in known.archives)
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []
