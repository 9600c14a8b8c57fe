import errno
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from metaux.files import write_json, write_tensors, write_text_atomic


def test_writes_text_and_makes_the_folder(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "a" / "b.txt", "é\r\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "é\r\n".encode()


def test_a_crash_before_the_replacement_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"version": 1})

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", crash)
        with pytest.raises(KeyboardInterrupt):
            write_json(path, {"version": 2})
    assert path.read_text() == '{\n  "version": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_crash_while_writing_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    write_text_atomic(path, "old")

    def full(_: int) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="no space"):
            write_text_atomic(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left .*file.txt"):
        write_text_atomic(tmp_path / "file.txt", "new")
    assert not list(tmp_path.iterdir())


def test_json_is_strict(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": float("inf"), "b": [float("nan"), 1.5], "c": ("ä", None, True)})
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "a": None,
        "b": [None, 1.5],
        "c": ["ä", None, True],
    }
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(path, {"a": object()})
    assert "ä" in path.read_text(encoding="utf-8")


def test_tensors_may_be_views_shared_and_need_gradients(tmp_path: Path) -> None:
    weight = torch.arange(6.0).reshape(2, 3).requires_grad_()
    write_tensors(tmp_path / "w.safetensors", {"a": weight, "b": weight, "t": weight.T, "s": torch.tensor(3)})
    read = load_file(tmp_path / "w.safetensors")
    assert torch.equal(read["a"], weight)
    assert torch.equal(read["b"], weight)
    assert torch.equal(read["t"], weight.T)
    assert read["s"].shape == ()
