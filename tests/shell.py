"""The command line, called in this process or started in one of its own, and small data to call it on."""

import contextlib
import io
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from metaux.cli.main import main

PATIENCE = 300.0
"""Seconds after which what another process was to do is said to hang, on a machine that may be busy."""


class Result(NamedTuple):
    code: int
    out: str
    err: str


def metaux(*words: object) -> Result:
    """Call the command line; returns its exit status and what it said."""
    out, err = (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors, newline="\n", write_through=True)
        for errors in ("strict", "backslashreplace")  # as those of a process are
    )
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([*map(str, words)])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Result(code, *(file.buffer.getvalue().decode() for file in (out, err)))


def done(*words: object) -> str:
    """Call the command line, which has to succeed without a word on stderr; returns what it printed."""
    result = metaux(*words)
    assert (result.code, result.err) == (0, ""), result
    return result.out


def assert_refused(result: Result, *parts: str) -> None:
    """Assert that a call ended with status 2 and one line, which has these parts."""
    assert (result.code, result.err.count("\n")) == (2, 1), result
    assert all(part in result.err for part in parts), result.err


@contextlib.contextmanager
def own_time() -> Iterator[None]:
    """Count the processor's time in this process as the time that passes: what else the machine does takes none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "perf_counter", time.process_time)
        yield


def start(*words: object) -> subprocess.Popen[str]:
    """Start the command line as a shell would, in a process group of its own."""

    def as_in_a_shell() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-m", "metaux", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=as_in_a_shell,
    )


def wait_for_records(process: subprocess.Popen[str], out: Path, epochs: int) -> None:
    """Wait until that many epochs of any runs are recorded, while the command still works."""
    deadline = time.monotonic() + PATIENCE
    while sum(len(file.read_text().splitlines()) for file in out.rglob("records.jsonl")) < epochs:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def session(leader: int) -> list[str]:
    """Return the processes that are left of a session, without those that only wait to be buried."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = place.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of) == leader and state != "Z":
            found.append((place.parent / "cmdline").read_text())
    return found


def wait_for_the_end(leader: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while left := session(leader):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def write_table(path: Path, count: int = 60, classes: tuple[str, ...] = ("cat", "dog"), fine: bool = False) -> Path:
    """Write an .npz of four columns of which the first tells the class; with finer labels if wanted."""
    random = np.random.default_rng(0)
    label = np.arange(count) % len(classes)
    x = random.normal(size=(count, 4)).astype(np.float32)
    x[:, 0] += 2 * label
    arrays = {"x": x, "y": np.array(classes)[label]}
    if fine:
        arrays["y_fine"] = np.array([f"{classes[row]} {sub}" for row, sub in zip(label, x[:, 1] > 0, strict=True)])
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def write_images(folder: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 6, size: int = 8) -> Path:
    """Write a folder of grey images, brighter from class to class."""
    from PIL import Image

    random = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for place in range(count):
            pixels = random.integers(0, 60, (size, size)) + 60 * number
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{place}.png")
    return folder


def below(folder: Path) -> dict[str, int]:
    """Return every file and folder below one, files with the time of their last change."""
    found = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns if path.is_file() else 0 for path in found}
