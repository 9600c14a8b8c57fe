"""One writer per output folder."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from metaux.errors import InputError
from metaux.runs.store import WRITER
from metaux.runs.writer import sole_writer
from shell import below, done, metaux, write_table

QUIET = Console(quiet=True)
HOLD = """
import sys, time
from pathlib import Path
from rich.console import Console
from metaux.runs.writer import sole_writer
with sole_writer(Path(sys.argv[1]), Console(quiet=True)):
    print("here", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes into the folder `out`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "out"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_writer_is_refused_at_once_and_told_who_the_first_is(
    other: subprocess.Popen[str], tmp_path: Path
) -> None:
    table = write_table(tmp_path / "t.npz")
    for command in ("train", "compare", "recommend"):
        result = metaux(command, table, "--out", tmp_path / "out")
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert f"(process {other.pid} on " in result.err
        assert ", since 2" in result.err
    result = metaux("benchmark", "wine", "--out", tmp_path / "out")
    assert (result.code, f"(process {other.pid} on " in result.err) == (2, True)


def test_the_place_of_one_that_was_killed_is_taken_with_a_note(other: subprocess.Popen[str], tmp_path: Path) -> None:
    other.kill()
    other.wait()
    words = ("train", write_table(tmp_path / "t.npz"), "--method", "single", "--epochs", 1, "--out", tmp_path / "out")
    assert f"note: a command (process {other.pid} on " in done(*words)
    assert "was stopped here" not in done(*words)
    assert not (tmp_path / "out" / WRITER).exists()


def test_a_damaged_note_of_a_writer_is_no_obstacle(tmp_path: Path) -> None:
    for content in ("", "[1]", json.dumps({"process": 1})):
        (tmp_path / WRITER).write_text(content)
        with sole_writer(tmp_path, QUIET):
            assert json.loads((tmp_path / WRITER).read_text())["process"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_in_place_of_the_note_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / WRITER)
    with sole_writer(tmp_path, QUIET):
        assert (tmp_path / WRITER).is_file()


def test_a_folder_in_which_a_command_was_killed_in_its_first_write_is_taken(tmp_path: Path) -> None:
    words = ("train", write_table(tmp_path / "t.npz"), "--method", "single", "--epochs", 1, "--out", tmp_path / "out")
    unfinished = tmp_path / "out" / ".metaux-settings.yaml.77.tmp"
    unfinished.parent.mkdir()
    unfinished.write_text("data: ")
    done(*words)
    assert not unfinished.exists()


def test_what_a_kill_leaves_of_what_was_done_is_removed(tmp_path: Path) -> None:
    """In the middle of a look whether a folder can be written to; and before a run that has ended drops its state."""
    words = ("train", write_table(tmp_path / "t.npz"), "--method", "single", "--epochs", 1, "--out", tmp_path / "out")
    done(*words)
    before = set(below(tmp_path))
    (tmp_path / "out" / ".metaux-12345678.tmp").mkdir()
    for name in (".metaux-12345678.tmp/file", "checkpoint.pt", "checkpoint.before.pt"):
        (tmp_path / "out" / name).touch()
    done(*words)
    assert set(below(tmp_path)) == before


@pytest.mark.parametrize("command", ["train", "compare", "recommend"])
def test_a_full_disk_is_seen_before_anything_is_done(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    said = metaux(command, "iris", "--out", tmp_path / "out")
    assert (said.code, said.err.count("\n"), "can't be (No space left on device); give" in said.err) == (2, 1, True)
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_where_nothing_was_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wrong"), sole_writer(tmp_path / "a" / "b", QUIET):
        raise InputError("wrong")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["[" * 100_000, '{"process": 1}', "1", "\0"])
def test_what_others_wrote_there_is_no_trouble(text: str, tmp_path: Path) -> None:
    (tmp_path / WRITER).write_text(text)
    with sole_writer(tmp_path, QUIET):
        assert json.loads((tmp_path / WRITER).read_text())["process"] == os.getpid()
