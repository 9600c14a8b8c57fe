import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from metaux.errors import LostFolderError
from metaux.files import remove_unfinished, write_json, write_tensors, write_text_atomic


def test_writes_text_but_no_folder(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "b.txt", "é\r\n")
    assert (tmp_path / "b.txt").read_bytes() == "é\r\n".encode()
    with pytest.raises(LostFolderError, match=r"expected '.*a' to stay in its place"):
        write_text_atomic(tmp_path / "a" / "b.txt", "")
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


@pytest.mark.skipif(os.name == "nt", reason="folders can't be opened there")
def test_content_and_name_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content before the file has its name, and the name after that."""
    path, seen = tmp_path / "file.txt", []
    monkeypatch.setattr("os.fsync", lambda file: seen.append((stat.S_ISDIR(os.fstat(file).st_mode), path.exists())))
    write_text_atomic(path, "new")
    assert seen == [(False, False), (True, True)]


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_what_a_kill_leaves_is_known_as_ours(tmp_path: Path) -> None:
    folder = tmp_path / "figure3"
    folder.mkdir()
    code = (
        "import os, pathlib, metaux.files as files\n"
        f"os.fsync = lambda _: os.kill(os.getpid(), {signal.SIGKILL:d})\n"
        f"files.write_text_atomic(pathlib.Path({str(folder / 'summary.json')!r}), 'data')"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    (folder / "mine.tmp").touch()
    assert len([*folder.iterdir()]) == 2
    remove_unfinished(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["mine.tmp"]


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
