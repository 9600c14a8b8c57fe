"""What a reader finds in a data source, before anything is decided about classes and splits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from metaux.data.levels import Levels
from metaux.data.samples import Columns


@dataclass(frozen=True)
class RawData:
    """Every sample of a data source, one row each, whatever its part.

    Args:
        inputs: uint8 images `[n, channels, height, width]`, a float32 table `[n, features]`, or the words of texts,
            int64 `[n, length]`.
        labels: a class name per sample under the name of each label column; the first column is the data's
            own.
        kind: `image`, `table` or `text`.
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
    labels: Mapping[str, tuple[str, ...]]
    kind: Literal["image", "table", "text"]
    parts: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    levels: Levels | None = None
    augmentation: str = "none"
    notices: tuple[str, ...] = ()
    columns: Columns = ()
    given: tuple[str, ...] | None = None
