"""The interface of all readers: what they are asked, and what they return before classes and splits are decided.

A reader is a module with the three functions of `Reader`. There is one for each kind of data source;
`metaux.data.sources` lists them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Union

import torch
from torch import Tensor

from metaux.data.columns import Columns
from metaux.data.decoding import ImageFile
from metaux.data.images import ReadImages, read_files
from metaux.data.levels import Levels
from metaux.data.mapped import rows_of
from metaux.data.pixels import ImageFormat, Range
from metaux.data.spelling import composed
from metaux.data.transforms import Preprocessing
from metaux.files import Progress
from metaux.settings import Settings

if TYPE_CHECKING:
    from pandas import DataFrame

PARTS = {"train": "train", "training": "train", "trn": "train", "test": "test", "testing": "test", "tst": "test"}
PARTS |= dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val")
"""The names of parts that folders, columns and the hub use, and what they mean."""


def part_of(name: str) -> str | None:
    """Return the part that a name means, in whatever case and beside other words; None for another name.

    >>> part_of("Testing"), part_of("seg_train"), part_of("testimony")
    ('test', 'train', None)
    """
    found = {PARTS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in PARTS}
    return found.pop() if len(found) == 1 else None


Inputs = Union[Tensor, "DataFrame", tuple[str, ...]]
"""Numbers as a network takes them; or the tidy cells of a table, or texts, that are still to become numbers."""


@dataclass(frozen=True)
class RawData:
    """Every sample of a data source, one row each, whatever its part.

    Args:
        inputs: uint8 images `[n, channels, height, width]`, a float32 table `[n, features]`, a tidy table of cells (see
            `metaux.data.columns`), or texts. Of the last two, how they become numbers is learned from training samples.
        kind: `image`, `table` or `text`.
        labels: a class name per sample under the name of each label column; the first column is the data's
            own. Empty where no labels were asked for.
        parts: `train`, `val` or `test` for each sample, where the source says so.
        names: the file of each sample, where it has one.
        groups: the group of each sample, where the source says so.
        levels: the hierarchy that comes with the source.
        augmentation: what `--augment auto` means for the source.
        notices: what a user should know about how it was read.
        columns: the columns of a table of numbers, where their names are known.
        given: the given label of each sample, of any kind, where the source has them; empty for a sample without.
        separator: of the columns in the file of a table of cells.
        pixel_range: what black and white were in an array of images.
    """

    inputs: Inputs
    kind: Literal["image", "table", "text"]
    labels: Mapping[str, tuple[str, ...]]
    parts: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    levels: Levels | None = None
    augmentation: str = "none"
    notices: tuple[str, ...] = ()
    columns: Columns = ()
    given: tuple[str, ...] | None = None
    separator: str = ","
    pixel_range: Range | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def place(self, row: int) -> str:
        """Return what to call a sample in errors."""
        return f"sample {row} ({self.names[row] if self.names else 'counted from 0'})"

    def composed(self) -> "RawData":
        """Return the samples with labels, given labels and groups in one form of Unicode: equal ones are equal."""
        labels = {column: composed(labels) for column, labels in self.labels.items()}
        given, groups = (None if values is None else composed(values) for values in (self.given, self.groups))
        return replace(self, labels=labels, given=given, groups=groups)

    def take(self, rows: list[int]) -> "RawData":
        """Return the samples at these rows."""

        def chosen(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(values[row] for row in rows)

        inputs, told = self.inputs, tuple[str, ...]()
        if isinstance(inputs, tuple):
            inputs = chosen(inputs)
        elif isinstance(inputs, Tensor):
            inputs, told = rows_of(inputs, torch.tensor(rows))
        else:
            inputs = inputs.iloc[rows]
        return replace(
            self,
            inputs=inputs,
            notices=(*self.notices, *told),
            labels={column: chosen(labels) for column, labels in self.labels.items()},
            names=self.names and chosen(self.names),
            parts=self.parts and chosen(self.parts),
            groups=self.groups and chosen(self.groups),
            given=self.given and chosen(self.given),
        )


@dataclass(frozen=True)
class Request:
    """What a reader is asked for.

    Args:
        settings: where the data is and how it is read (see `metaux.data.sources.for_reading`).
        like: what a finished run takes: images get its size and channels, texts its length, words its categories.
        labelled: whether labels are needed; if not, they are not looked at.
        progress: called now and then with how many images have been read, and how many there are.
    """

    settings: Settings
    like: Preprocessing | None = None
    labelled: bool = True
    progress: Progress | None = None

    def of(self, data: str | Path) -> "Request":
        """Return the same request of other data."""
        return replace(self, settings=replace(self.settings, data=str(data)))

    @property
    def data(self) -> str:
        """The source, by its name or path."""
        return self.settings.data

    @property
    def path(self) -> Path:
        """The file or folder that the data is."""
        return Path(self.data).expanduser()

    @property
    def root(self) -> Path:
        """The folder of the published data sets."""
        return Path(self.settings.root).expanduser()

    @property
    def label_columns(self) -> list[str]:
        """Columns that are labels beside the class; names that the source doesn't have are left out."""
        return [level for level in (self.settings.primary, self.settings.auxiliary) if level is not None]

    @property
    def image(self) -> ImageFormat:
        """The format that images are to be brought to."""
        own, like = self.settings, self.like
        if like is not None and like.kind == "image":
            return ImageFormat(like.image_size, like.channels, own.resize, own.pixel_range)
        size = None if own.image_size is None else (own.image_size, own.image_size)
        return ImageFormat(size, None, own.resize, own.pixel_range)

    def read_images(self, files: Sequence[ImageFile]) -> ReadImages:
        """Read image files as they are asked for (see `metaux.data.images.read_files`)."""
        return read_files(files, self.image, self.settings.skip_damaged, self.progress)

    @property
    def array_range(self) -> Range | None:
        """The values of black and of white in arrays of images: those that a finished run has learned, if it has."""
        if self.like is not None and self.like.pixel_range is not None:
            return self.like.pixel_range
        return self.settings.pixel_range


class Reader(Protocol):
    """Three questions about one kind of data source."""

    def takes(self, data: str) -> bool:
        """Return whether the data is of this kind, by its name alone."""

    def missing(self, data: str, root: Path) -> str | None:
        """Say in one line what is not there, without opening a file; None if nothing is missing."""

    def read(self, request: Request) -> RawData:
        """Read the samples; raise `InputError` for what is missing or wrong, and where."""


def missing_path(data: str, _root: Path) -> str | None:
    """Answer `Reader.missing` for a file or folder."""
    return None if Path(data).expanduser().exists() else f"found nothing at '{data}'"
