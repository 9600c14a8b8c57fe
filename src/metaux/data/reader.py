"""The interface of all readers: what they are asked, and what they return before classes and splits are decided.

A reader is a module with the three functions of `Reader`. There is one for each kind of data source;
`metaux.data.sources` lists them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from torch import Tensor

from metaux.data.levels import Levels
from metaux.data.pixels import AS_FOUND, ImageFormat
from metaux.data.samples import Columns
from metaux.data.transforms import Preprocessing
from metaux.files import Progress

PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
PARTS |= dict.fromkeys(("val", "valid", "validation", "dev"), "val")
"""The names of parts that folders, columns and the hub use, and what they mean."""


@dataclass(frozen=True)
class RawData:
    """Every sample of a data source, one row each, whatever its part.

    Args:
        inputs: uint8 images `[n, channels, height, width]`, a float32 table `[n, features]`, or the words of texts,
            int64 `[n, length]`.
        kind: `image`, `table` or `text`.
        labels: a class name per sample under the name of each label column; the first column is the data's
            own. Empty where no labels were asked for.
        parts: `train`, `val` or `test` for each sample, where the source says so.
        names: the file of each sample, where it has one.
        groups: the group of each sample, where the source says so.
        levels: the hierarchy that comes with the source.
        augmentation: what `--augment auto` means for the source.
        notices: what a user should know about how it was read.
        columns: the name and categories of each column of a table, where they are known (see `metaux.data.columns`).
        given: the given label of each sample, of any kind, where the source has them; empty for a sample without.
    """

    inputs: Tensor
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

    def place(self, row: int) -> str:
        """Return what to call a sample in errors."""
        return f"sample {row} ({self.names[row] if self.names else 'counted from 0'})"

    def of_part(self, part: str) -> "RawData":
        """Return the inputs, labels and names of the samples of one part."""
        rows = [row for row, name in enumerate(self.parts or ()) if name == part]
        return replace(
            self,
            inputs=self.inputs[rows],
            labels={column: tuple(labels[row] for row in rows) for column, labels in self.labels.items()},
            parts=None,
            names=tuple(self.names[row] for row in rows) if self.names else (),
            groups=None,
            given=None,
        )


@dataclass(frozen=True)
class Request:
    """What a reader is asked for.

    Args:
        data: the source, named as `Settings.data` is.
        root: the folder of the published data sets.
        image_size: the height and width that images are to have; by default they stay as they are.
        label_columns: further columns that are labels; names that the source doesn't have are left out.
        given: the column of given labels, where there is one.
        like: what a finished run takes: images get its size and channels, texts its length, words its categories.
        labelled: whether labels are needed; if not, they are not looked at.
        progress: called now and then with how many images have been read, and how many there are.
    """

    data: str
    root: Path = Path("data")
    image_size: int | None = None
    label_columns: Sequence[str] = ()
    given: str | None = None
    like: Preprocessing | None = None
    labelled: bool = True
    progress: Progress | None = None

    @property
    def path(self) -> Path:
        """The file or folder that the data is."""
        return Path(self.data).expanduser()

    @property
    def image(self) -> ImageFormat:
        """The format that images are to be brought to."""
        if self.like is not None and self.like.kind == "image":
            return ImageFormat(self.like.image_size, self.like.channels)
        return AS_FOUND if self.image_size is None else ImageFormat((self.image_size, self.image_size))


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
