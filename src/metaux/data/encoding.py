"""Cells and texts to numbers, by what is learned of them from training samples and kept with the run."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from torch import Tensor

from metaux.data import columns as tables
from metaux.data import texts
from metaux.data.columns import Columns
from metaux.data.find_columns import learn_columns
from metaux.data.reader import RawData
from metaux.data.transforms import Preprocessing

if TYPE_CHECKING:
    from pandas import DataFrame


class Encoded(NamedTuple):
    """The inputs of all samples as a network takes them, what they were made by, and what a user should know of it."""

    inputs: Tensor
    columns: Columns = ()
    tokenizer: str = ""
    notices: tuple[str, ...] = ()


def encode_by(raw: RawData, train: Tensor, primary: Tensor) -> Encoded:
    """Learn from the training samples how cells or texts become numbers, and do it.

    Args:
        raw: all samples.
        train: the rows of the training samples, int64.
        primary: the class of each sample, int64 `[n]`.

    Raises:
        InputError: for a cell that isn't of its column's kind, columns that say nothing, or texts without a word.
    """
    if isinstance(raw.inputs, Tensor):
        return Encoded(raw.inputs, raw.columns)
    return encode_cells(raw.inputs, train, primary, raw.separator)


def encode_cells(cells: "DataFrame | tuple[str, ...]", train: Tensor, primary: Tensor, separator: str = ",") -> Encoded:
    """Do what `encode_by` does with the tidy cells of a table, or with texts.

    Args:
        cells: of all samples.
        train: as of `encode_by`, like `primary`.
        primary: likewise.
        separator: of the columns in the table's file.
    """
    rows = train.numpy()
    if isinstance(cells, tuple):
        tokenizer = texts.learn_tokens([cells[row] for row in rows])
        inputs = texts.encode(cells, tokenizer)
        return Encoded(inputs, tokenizer=tokenizer, notices=texts.told(cells, tokenizer, inputs.shape[1]))
    columns, learned = learn_columns(cells.iloc[rows], rows, primary[train].numpy(), separator)
    new = np.ones(len(cells), bool)
    new[rows] = False
    inputs, said = tables.encode_columns(cells, columns, new)
    return Encoded(inputs, columns, notices=(*learned, *said))


def encode_like(raw: RawData, like: Preprocessing) -> Encoded:
    """Make numbers of samples as a finished run learned it.

    Raises:
        InputError: for samples that aren't like the run's.
    """
    if isinstance(raw.inputs, tuple) and like.kind == "text":
        inputs = texts.encode(raw.inputs, like.tokenizer, like.channels)
        found = Encoded(inputs, notices=texts.told(raw.inputs, like.tokenizer, like.channels))
    elif isinstance(raw.inputs, Tensor):
        found = Encoded(raw.inputs)
    else:
        if isinstance(raw.inputs, tuple) or not like.columns:
            raise like.refusal(f"{raw.kind} inputs")
        inputs, said = tables.encode_columns(raw.inputs, like.columns)
        found = Encoded(inputs, notices=said)
    like.check(raw.kind, found.inputs)
    return found
