"""The door to all data: `load` for training, `load_for_evaluation` to measure a finished run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from metaux.data.arrays import read_arrays
from metaux.data.assemble import assemble, primary_names
from metaux.data.csv_data import read_csv
from metaux.data.folder import read_folder
from metaux.data.hub import read_hub
from metaux.data.hub_parts import HUB
from metaux.data.images import AS_FOUND, ImageFormat
from metaux.data.known import NAMES, read_known
from metaux.data.raw import RawData
from metaux.data.samples import LabelledData, Samples
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError, nearest
from metaux.files import Progress
from metaux.settings import Settings


def load(settings: Settings, progress: Progress | None = None) -> LabelledData:
    """Read the data that the settings name, with everything checked before training starts.

    Args:
        settings: `data`, `root`, `hierarchy`, `primary`, `auxiliary`, `given`, `subclasses`, `train_size` (only
            checked) and `image_size` are used.
        progress: is told how many of the images have been read.

    Raises:
        InputError: for data that can't be read or learned from.

    >>> digits = load(Settings())
    >>> digits.train.inputs[0].shape, len(digits.test)
    (torch.Size([1438, 1, 8, 8]), 359)
    >>> digits.hierarchy.class_names, digits.hierarchy.slots
    (('even', 'odd'), (5, 5))
    """
    return assemble(read(settings, progress), settings)


def read(settings: Settings, progress: Progress | None = None) -> RawData:
    """Read the samples that the settings name (see `for_reading`), before classes and splits are decided.

    Raises:
        InputError: for data that can't be read.
    """
    size = settings.image_size
    if size is not None and size < 1:
        raise InputError(f"expected an image size of 1 pixel or more, found {size}; correct --image-size")
    if settings.given is not None and Path(settings.data).suffix.lower() != ".csv":
        raise InputError(
            f"expected a CSV file for --given {settings.given}, found '{settings.data}'; leave --given out (an .npz "
            "file has its given labels in the array y_given)"
        )
    return _read(settings, AS_FOUND if size is None else ImageFormat((size, size)), progress)


def for_reading(settings: Settings) -> Settings:
    """Return only those settings that `read` depends on: equal ones read the same.

    Of a CSV file or a hub data set, the levels may name label columns, which are then no features; nor is the column
    of given labels.
    """
    own = Settings(data=settings.data, root=settings.root, image_size=settings.image_size, given=settings.given)
    if settings.data.startswith(HUB) or Path(settings.data).suffix.lower() == ".csv":
        return replace(own, primary=settings.primary, auxiliary=settings.auxiliary)
    return own


def load_for_evaluation(
    settings: Settings,
    class_names: Sequence[str],
    preprocessing: Preprocessing,
    data: str,
    progress: Progress | None = None,
    hierarchy: str | None = None,
) -> tuple[Samples, Literal["test", "all"]]:
    """Read samples of other data than its own to measure a finished run on.

    Of data with a test part, these are the test samples; of any other, all samples. Images are brought to the run's
    size and channels.

    Args:
        settings: the finished run's; its hierarchy, if any, translates finer labels to the run's classes.
        class_names: the run's primary classes.
        preprocessing: the run's, for the format of its inputs.
        data: other data than the run's, named as `Settings.data` is.
        progress: is told how many of the images have been read.
        hierarchy: a hierarchy file to translate the labels with, in place of the run's.

    Returns:
        Samples whose `primary` counts the run's classes, and which part they are: `all` of data without a test part.

    Raises:
        InputError: for data that can't be read, or with labels that aren't among the run's classes.
    """
    if hierarchy is not None:
        settings = replace(settings, hierarchy=hierarchy)
    wanted = ImageFormat(preprocessing.image_size, preprocessing.channels)
    wanted = wanted if preprocessing.kind == "image" else AS_FOUND
    raw = _read(replace(settings, data=data, given=None), wanted, progress, preprocessing)
    if raw.kind != preprocessing.kind or (raw.kind == "table" and raw.inputs.shape[1] != preprocessing.channels):
        raise InputError(
            f"expected data like the run's ({preprocessing.describe()}), found {raw.kind} inputs of shape "
            f"{tuple(raw.inputs.shape[1:])}; give data of that form"
        )
    part: Literal["test", "all"] = "all" if raw.parts is None or "test" not in raw.parts else "test"
    if part == "test":
        raw = _part(raw, "test")
    number = {name: index for index, name in enumerate(class_names)}
    primary = torch.tensor([number[name] for name in primary_names(raw, settings, class_names)])
    return Samples((raw.inputs,), primary, names=raw.names), part


def is_own(data: str, settings: Settings) -> bool:
    """Return whether this is the data of these settings, under another path perhaps."""
    own = settings.data
    if data in NAMES or own in NAMES or data.startswith(HUB):
        return data == own
    return Path(data).expanduser().resolve() == Path(own).expanduser().resolve()


def _read(
    settings: Settings, wanted: ImageFormat, progress: Progress | None, like: Preprocessing | None = None
) -> RawData:
    data, path = settings.data, Path(settings.data).expanduser()
    levels = (settings.primary, settings.auxiliary)
    if data in NAMES:
        return read_known(data, Path(settings.root).expanduser(), wanted, progress)
    if data.startswith(HUB):
        return read_hub(data.removeprefix(HUB), wanted, progress, levels, like)
    if path.is_dir():
        return read_folder(path, wanted, progress)
    if path.is_file() and path.suffix.lower() == ".csv":
        return read_csv(path, wanted, progress, levels, like, settings.given)
    if path.is_file() and path.suffix.lower() == ".npz":
        return read_arrays(path, wanted, fitting=like is None)
    found = "a file of another kind" if path.exists() else "nothing there"
    raise InputError(
        f"expected a known name ({', '.join(NAMES)}), {HUB}NAME, a folder, a .csv or an .npz file, found '{data}' "
        f"({found}){nearest(data, NAMES)}; check the path"
    )


def _part(raw: RawData, part: str) -> RawData:
    rows = [row for row, name in enumerate(raw.parts or ()) if name == part]
    return replace(
        raw,
        inputs=raw.inputs[rows],
        labels={column: tuple(labels[row] for row in rows) for column, labels in raw.labels.items()},
        parts=None,
        names=tuple(raw.names[row] for row in rows) if raw.names else (),
        groups=None,
        given=None,
    )
