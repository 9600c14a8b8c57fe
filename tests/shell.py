"""The command line called in this process, and small data to call it on."""

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from metaux.cli.main import main


class Result(NamedTuple):
    code: int
    out: str
    err: str


def metaux(*words: object) -> Result:
    """Call the command line; returns its exit status and what it said."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n", write_through=True) for _ in range(2))
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
