"""Inputs without labels, to predict on."""

from collections.abc import Sequence
from pathlib import Path

import torch

from metaux.data.arrays import read_rows
from metaux.data.csv_data import read_csv_inputs
from metaux.data.csv_file import read_csv_file
from metaux.data.images import find_images
from metaux.data.samples import Samples
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError


def read_unlabelled(paths: Sequence[Path], preprocessing: Preprocessing) -> Samples:
    """Read image files, folders of images, one .npz with `x`, or one CSV file, as a finished run takes them.

    A CSV file of images has a column `file`, relative to itself.

    Returns:
        Samples with names (files, or row numbers); their `primary` is 0 throughout and means nothing.

    Raises:
        InputError: for nothing to read, or inputs that the run did not learn from.
    """
    readers = {".npz": read_rows} if preprocessing.kind == "image" else {".npz": read_rows, ".csv": read_csv_inputs}
    listed: tuple[str, ...] = ()
    if preprocessing.kind == "image" and len(paths) == 1 and paths[0].suffix.lower() == ".csv":
        listed, folder = _listed(paths[0]), paths[0].parent
        paths = [folder / name for name in listed]
    if len(paths) == 1 and paths[0].suffix.lower() in readers:
        inputs = readers[paths[0].suffix.lower()](paths[0], preprocessing)
        names = [str(row) for row in range(len(inputs))]
    elif preprocessing.kind != "image":
        raise InputError(
            f"expected one .npz or .csv file of inputs like the run's ({preprocessing.describe()}), found "
            f"{' and '.join(map(str, paths)) or 'none'}; give one"
        )
    else:
        files = [file for path in paths for file in ([path] if listed else _files(path))]
        if not files:
            raise InputError("expected image files, folders of images, one .npz or one CSV file, found none; name some")
        inputs, names = preprocessing.read_images(files), list(listed) or [str(file) for file in files]
    return Samples((inputs,), torch.zeros(len(inputs), dtype=torch.int64), names=tuple(names))


def _listed(path: Path) -> tuple[str, ...]:
    """Return the files that a CSV file lists, relative to it."""
    csv = read_csv_file(path)
    csv.require(("file",))
    csv.require_cells(("file",))
    return csv.columns["file"]


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    images = find_images(path)[0]
    if not images:
        raise InputError(f"expected images in the folder '{path}', found none; name another")
    return images
