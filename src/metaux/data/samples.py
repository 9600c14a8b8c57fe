"""The tensors that every data source ends in."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from hashlib import blake2b
from math import prod
from typing import Literal

import torch
from torch import Tensor

from metaux.data.columns import Columns
from metaux.data.mapped import fetch, taken
from metaux.data.pixels import Range
from metaux.hierarchy import Hierarchy

# As many as fit beside each other wherever a batch fits that is learned from; or fewer, of colour images with more than
# 64 pixels a side.
AT_ONCE, VALUES_AT_ONCE = 500, 500 * 3 * 64 * 64


@dataclass(frozen=True)
class Samples:
    """Labelled samples, one row each.

    Args:
        stored: what the network takes, one tensor per argument, each `[n, ...]`: images are uint8
            `[n, channels, height, width]`, tables float32 `[n, features]`, texts int64 `[n, length]`, anything else is
            passed on as it is. All samples that were taken from others share it (see `rows`).
        primary: the primary class, int64 `[n]`.
        human: the flat index of the human-defined sub-class, int64 `[n]`, where the data has finer labels; -1 for a
            sample without one.
        names: what to call each sample (its file), in order of `ids`; empty if samples have no names.
        ids: the row of each sample in the data source, int64 `[n]`; it survives every selection and shuffle.
        groups: samples of one group never straddle a split, int64 `[n]`.
        given: the place of each sample's given label among `given_names`, int64 `[n]`, where the data has labels of
            another kind; -1 for none, or one that no training sample has.
        given_names: the different given labels of all training samples that the data has.
        notices: what a user should know about how samples for a finished run were read.
        weight: a factor on each sample's losses, float32 `[n]`; None where all count alike.
        rows: where the samples lie in `stored`, int64 `[n]`; None for all of it, in its order.
    """

    stored: tuple[Tensor, ...]
    primary: Tensor
    human: Tensor | None = None
    names: tuple[str, ...] = ()
    ids: Tensor | None = None
    groups: Tensor | None = None
    given: Tensor | None = None
    given_names: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    weight: Tensor | None = None
    rows: Tensor | None = None

    def __post_init__(self) -> None:
        if self.ids is None:
            object.__setattr__(self, "ids", torch.arange(len(self.primary)))

    def __len__(self) -> int:
        return len(self.primary)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What the network takes, one tensor per argument, each `[n, ...]`; of samples that were taken, a copy."""
        return self.stored if self.rows is None else self.at(torch.arange(len(self)))

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each input of one sample."""
        return tuple(tuple(tensor.shape[1:]) for tensor in self.stored)

    def at(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the inputs of the samples at these rows, int64 `[m]`."""
        own = self._stored_at(rows)
        return tuple(taken(tensor, own) for tensor in self.stored)

    def expect(self, rows: Tensor) -> None:
        """Let the system fetch the inputs at these rows, int64 `[m]`, which are needed soon, if they lie in a file."""
        own = self._stored_at(rows)
        for tensor in self.stored:
            fetch(tensor, own)

    def _stored_at(self, rows: Tensor) -> Tensor:
        return rows if self.rows is None else self.rows.index_select(0, rows)

    def in_parts(self) -> tuple[Tensor, ...]:
        """Return all rows in order, in parts that are small enough to be computed with at once."""
        values = max(1, sum(map(prod, self.shapes)))
        parts: tuple[Tensor, ...] = torch.arange(len(self)).split(max(1, min(AT_ONCE, VALUES_AT_ONCE // values)))
        return parts

    def take(self, rows: Tensor) -> "Samples":
        """Return the samples at these rows, int64 `[m]`, without a copy of their inputs."""
        chosen: dict[str, object] = {
            field.name: value[rows] for field in fields(self) if isinstance(value := getattr(self, field.name), Tensor)
        }
        chosen.setdefault("rows", rows)
        chosen["names"] = tuple(self.names[row] for row in rows.tolist()) if self.names else ()
        return replace(self, **chosen)  # type: ignore[arg-type]


@dataclass(frozen=True)
class LabelledData:
    """A data set ready for training: samples of each part, and the structure of its classes.

    Args:
        train: the samples to learn from.
        test: the samples that only measure; the same for every seed. There may be none.
        validation: samples that a data set names as such; measured, never trained on.
        hierarchy: the primary classes and how many sub-classes each has.
        kind: `image` (uint8, augmented and normalised per channel), `table` (normalised per column), `text` (ids of
            words) or `other`; the last two are passed to the network as they are.
        augmentation: what `--augment auto` means for this data set: `none`, `crop` or `crop-flip`.
        notices: what a user should know about how the data was read (images resized, files skipped).
        columns: the columns of a table, where they are known.
        texts: of a set of texts, each by its id.
        tokenizer: what makes ids of texts.
        pixel_range: what black and white were in an array of images.
    """

    train: Samples
    test: Samples
    hierarchy: Hierarchy
    kind: Literal["image", "table", "text", "other"]
    validation: Samples | None = None
    augmentation: str = "none"
    notices: tuple[str, ...] = ()
    columns: Columns = ()
    texts: tuple[str, ...] = ()
    tokenizer: str = ""
    pixel_range: Range | None = None

    @cached_property
    def digest(self) -> str:
        """A digest of the samples to learn from and to measure on, with their labels: equal ones are the same data."""
        found = blake2b(repr(self.hierarchy.class_names).encode(), digest_size=16)
        for part in (self.train, self.test):
            for number, stored in enumerate(part.stored):
                found.update(f"{stored.dtype} {(len(part), *stored.shape[1:])}".encode())
                for rows in part.in_parts():
                    found.update(_bytes(part.at(rows)[number]))
            for tensor in (part.primary, part.human, part.given, part.groups):
                if tensor is not None:
                    found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
                    found.update(_bytes(tensor))
        return found.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data
