"""Reading any data: `load` for training, `load_for_evaluation` and `read_unlabelled` for finished runs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from metaux.data import folder, hub, npz_file, published, scikit_sets, table_file, torchvision_sets
from metaux.data.assemble import assemble
from metaux.data.classes import primary_names
from metaux.data.encoding import encode_like
from metaux.data.frames import TEXT, TYPED
from metaux.data.images import find_images
from metaux.data.reader import RawData, Reader, Request
from metaux.data.samples import LabelledData, Samples
from metaux.data.spelling import places
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError, nearest
from metaux.files import Progress
from metaux.settings import Settings

NAMES = (*scikit_sets.NAMES, *torchvision_sets.NAMES, *published.NAMES)
READERS: tuple[Reader, ...] = (scikit_sets, torchvision_sets, published, hub, folder, table_file, npz_file)
"""The readers of all kinds of data sources; the first that takes the data reads it."""
_OF_READING = (
    *("data", "root", "image_size", "resize", "pixel_range", "skip_damaged"),
    *("header", "label", "ignore", "group", "split", "given"),
)


def load(settings: Settings, progress: Progress | None = None) -> LabelledData:
    """Read the data that the settings name, with everything checked before training starts.

    Args:
        settings: `data`, `root`, `hierarchy`, `primary`, `auxiliary`, `given`, `subclasses`, `train_size` (only
            checked) and `image_size` are used.
        progress: called now and then with how many images have been read, and how many there are.

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
    _check_columns(settings)
    return _read(Request(settings, progress=progress))


def _check_columns(settings: Settings) -> None:
    """Raise `InputError` for options that name columns, of data that has none."""
    own, fixed = for_reading(settings), Settings()
    if table_file.takes(settings.data):
        return
    for name in ("given", "label", "ignore", "group", "split", "header"):
        if getattr(own, name) != getattr(fixed, name) and not (name == "label" and hub.takes(settings.data)):
            more = " (an .npz file has its given labels in the array y_given)" if name == "given" else ""
            option = f"--{name}" if own.header else "--no-header"
            raise InputError(
                f"expected a file of a table for {option}, found '{settings.data}'; leave {option} out{more}"
            )


def for_reading(settings: Settings) -> Settings:
    """Return only those settings that `read` depends on: equal ones read the same.

    Of a CSV file or a hub data set, the levels may name label columns, which are then no features; nor is the column
    of given labels.
    """
    own = Settings(**{name: getattr(settings, name) for name in _OF_READING})
    if hub.takes(settings.data) or table_file.takes(settings.data):
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
        progress: called now and then with how many images have been read, and how many there are.
        hierarchy: a hierarchy file to translate the labels with, in place of the run's.

    Returns:
        Samples whose `primary` counts the run's classes, and which part they are: `all` of data without a test part.

    Raises:
        InputError: for data that can't be read, or with labels that aren't among the run's classes.
    """
    if hierarchy is not None:
        settings = replace(settings, hierarchy=hierarchy)
    raw = _read(Request(replace(settings, data=data, given=None), preprocessing, progress=progress))
    part: Literal["test", "all"] = "test" if "test" in (raw.parts or ()) else "all"
    if part == "test":
        raw = raw.take([row for row, name in enumerate(raw.parts or ()) if name == part])
    found = encode_like(raw, preprocessing)
    names, notices = primary_names(raw, settings, class_names)
    primary = places(names, class_names)
    notices = (*raw.notices, *notices, *found.notices)
    return Samples((found.inputs,), primary, names=raw.names, notices=notices), part


def read_unlabelled(
    paths: Sequence[Path],
    preprocessing: Preprocessing,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Samples:
    """Read image files, folders of images, one .npz with `x`, or one file of a table, as a finished run takes them.

    A table of images has a column `file`, relative to itself.

    Args:
        paths: as `metaux predict` has them; a pattern such as `*.jpg` that no shell has replaced is replaced here.
        preprocessing: the run's.
        settings: the run's, for how files are read.
        progress: called now and then with how many images have been read, and how many there are.

    Returns:
        Samples with names (files, or row numbers); their `primary` is 0 throughout and means nothing.

    Raises:
        InputError: for nothing to read, or inputs that the run did not learn from.
    """
    paths = [found for path in paths for found in _matching(path)]
    data = str(paths[0]) if len(paths) == 1 else ""
    request = Request(replace(settings or Settings(), data=data), preprocessing, labelled=False, progress=progress)
    if table_file.takes(data) or npz_file.takes(data):
        raw = _read(request)
        found = encode_like(raw, preprocessing)
        inputs, notices = found.inputs, (*raw.notices, *found.notices)
        names = raw.names or tuple(map(str, range(len(raw))))
    elif preprocessing.kind != "image":
        raise InputError(
            f"expected one .npz or .csv file of inputs like the run's ({preprocessing.describe()}), found "
            f"{' and '.join(map(str, paths)) or 'none'}; give one"
        )
    else:
        files, left = list[Path](), tuple[str, ...]()
        for path in paths:
            images, said = _image_files(path)
            files += images
            left += said
        if not files:
            raise InputError("expected image files, folders of images, one .npz or one CSV file, found none; name some")
        inputs, kept, notices = request.read_images(files)
        names, notices = tuple(str(files[row]) for row in kept), (*left, *notices)
    return Samples((inputs,), torch.zeros(len(inputs), dtype=torch.int64), names=names, notices=notices)


def _matching(path: Path) -> Sequence[Path]:
    """Return the files that a pattern stands for, or the path itself."""
    if path.exists() or not any(sign in path.name for sign in "*?"):
        return [path]
    found = sorted(path.parent.glob(path.name))
    if not found:
        raise InputError(f"expected files like '{path}', found none; name others")
    return found


def availability(data: str, root: Path) -> str | None:
    """Say in one line what is missing of data, without opening a file; None if nothing is.

    Args:
        data: named as `Settings.data` is.
        root: the folder of the published data sets.

    Raises:
        InputError: for data of no known kind.

    >>> availability("iris", Path("nowhere")) is None
    True
    >>> availability("svhn", Path("nowhere"))
    "found nothing at 'nowhere/train_32x32.mat', nor 1 more of its files"
    """
    return _reader_of(data).missing(data, root)


class Located(NamedTuple):
    """How `Settings.data` names a data set, and what is missing of it, in one line: nothing where it is there."""

    data: str
    missing: str = ""


def located(name: str, root: str) -> Located:
    """Look for a known data set; a folder of class folders `root/name/train`, `root/name/test` serves too."""
    folder = Path(root).expanduser()
    if (folder / name / "train").is_dir():
        return Located(str(Path(root) / name))
    return Located(name, availability(name, folder) or "")


def is_known(data: str) -> bool:
    """Return whether data is named by a known name, or as one of the hub: not by a path."""
    return data in NAMES or hub.takes(data)


def is_own(data: str, settings: Settings) -> bool:
    """Return whether this is the data of these settings, under another path perhaps."""
    own = settings.data
    if is_known(data) or is_known(own):
        return data == own
    return Path(data).expanduser().resolve() == Path(own).expanduser().resolve()


def _read(request: Request) -> RawData:
    raw = _reader_of(request.data).read(request).composed()
    if request.image.size is not None and raw.kind != "image":
        raise InputError(
            f"expected images, found a {raw.kind} in '{request.data}'; give images (an image size is for images alone)"
        )
    return raw


def _reader_of(data: str) -> Reader:
    for reader in READERS:
        if reader.takes(data):
            return reader
    files = ", ".join((*TEXT, *TYPED, ".npz"))
    found = "a file of another kind" if Path(data).expanduser().exists() else "nothing there"
    raise InputError(
        f"expected a known name ({', '.join(NAMES)}), {hub.HUB}NAME, a folder or a file ({files}), found '{data}' "
        f"({found}){nearest(data, NAMES)}; check the path"
    )


def _image_files(path: Path) -> tuple[Sequence[Path], tuple[str, ...]]:
    if not path.is_dir():
        return [path], ()
    found = find_images(path)
    if not found.images:
        raise InputError(f"expected images in the folder '{path}', found none; name another")
    return found.images, found.notices(path)
