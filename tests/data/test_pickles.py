"""CIFAR's files are pickles, which can run any program: none is opened before its checksum matched."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pictures import cifar
from published import CIFAR10, NOWHERE
from torchvision import datasets

from metaux.data.levels import Levels
from shell import below, metaux

FINE = sorted(Levels.cifar100().classes("100"))
KINDS = {"cifar10": (datasets.CIFAR10, CIFAR10), "cifar100": (datasets.CIFAR100, FINE)}


class Bomb:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.mkdir, (self.path,))


def bomb(path: Path) -> bytes:
    return pickle.dumps(Bomb(path))


def write(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write small files in CIFAR's format with checksums of their own; return the folder of the batches."""
    dataset, names = KINDS[name]
    for attribute, value in {**cifar(root, dataset, names), "url": NOWHERE + dataset.filename}.items():
        monkeypatch.setattr(dataset, attribute, value)
    return root / str(dataset.base_folder)


def refused(name: str, root: Path) -> str:
    before = below(root)
    result = metaux("train", name, "--root", root, "--method", "single", "--out", root / "out")
    assert (result.code, result.err.count("\n")) == (2, 1), result
    assert "Traceback" not in result.out + result.err
    assert below(root) == before
    return result.err


def test_a_bomb_explodes_where_it_is_unpickled(tmp_path: Path) -> None:
    pickle.loads(bomb(tmp_path / "exploded"))
    assert (tmp_path / "exploded").is_dir()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        *(("cifar10", f"data_batch_{number}") for number in (1, 5)),
        *(("cifar10", file) for file in ("test_batch", "batches.meta")),
        *(("cifar100", file) for file in ("train", "test", "meta")),
    ],
)
def test_a_tampered_file_is_never_opened(tmp_path: Path, name: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, name, monkeypatch) / file
    assert path.is_file()
    path.write_bytes(bomb(tmp_path / "exploded"))
    assert f"found '{path}' with another checksum than the published one" in refused(name, tmp_path)
    assert not (tmp_path / "exploded").exists()


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda content: content[:-10],
    "empty": lambda _: b"",
    "longer": lambda content: content + b"\0",
    "one bit": lambda content: content[:500] + bytes([content[500] ^ 1]) + content[501:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_damaged_file(tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "cifar10", monkeypatch) / "data_batch_4"
    path.write_bytes(CHANGES[change](path.read_bytes()))
    said = refused("cifar10", tmp_path)
    assert f"'{path}' with another checksum" in said
    assert "put cifar-10-python.tar.gz (163 MB) from https://www.cs.toronto.edu" in said


def pack(root: Path, folder: Path) -> Path:
    archive = root / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            info = tarfile.TarInfo(f"{folder.name}/{path.name}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
            path.unlink()
    folder.rmdir()
    return archive


def test_an_archive_is_unpacked_if_its_checksum_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(tmp_path, write(tmp_path, "cifar10", monkeypatch))
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    words = ("--root", tmp_path, "--method", "single", "--epochs", 1, "--backbone", "mlp", "--out", tmp_path / "out")
    assert metaux("train", "cifar10", *words).code == 0
    assert (tmp_path / "cifar-10-batches-py" / "data_batch_1").is_file()


def test_a_tampered_archive_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, "cifar10", monkeypatch)
    (folder / "data_batch_1").write_bytes(bomb(tmp_path / "exploded"))
    archive = pack(tmp_path, folder)
    assert f"found '{archive}' with another checksum" in refused("cifar10", tmp_path)
    assert sorted(tmp_path.iterdir()) == [archive]


def test_a_tampered_batch_in_an_archive_that_matches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, "cifar10", monkeypatch)
    (folder / "test_batch").write_bytes(bomb(tmp_path / "exploded"))
    archive = pack(tmp_path, folder)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    refused("cifar10", tmp_path)
    assert sorted(tmp_path.iterdir()) == [archive]
