"""Cells and texts to numbers, by what is learned of them from training samples and kept with the run."""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from metaux.data import columns as tables
from metaux.data import texts
from metaux.data.columns import Columns
from metaux.data.find_columns import learn_columns
from metaux.data.reader import Inputs, RawData
from metaux.data.transforms import Preprocessing


class Encoded(NamedTuple):
    """The inputs of all samples as a network takes them, what they were made by, and what a user should know of it."""

    inputs: Tensor
    columns: Columns = ()
    tokenizer: str = ""
    notices: tuple[str, ...] = ()


def learn_encoding(inputs: Inputs, train: Tensor, primary: Tensor, separator: str = ",") -> Encoded:
    """Learn from the training samples how cells or texts become numbers, and do it; numbers stay as they are.

    Args:
        inputs: of all samples.
        train: the rows of the training samples, int64.
        primary: the class of each sample, int64 `[n]`.
        separator: of the columns in the table's file.

    Raises:
        InputError: for a cell that isn't of its column's kind, columns that say nothing, or texts without a word.
    """
    rows = train.numpy()
    if isinstance(inputs, Tensor):
        return Encoded(inputs)
    if isinstance(inputs, tuple):
        tokenizer = texts.learn_tokens([inputs[row] for row in rows])
        ids, said = texts.encode(inputs, tokenizer)
        return Encoded(ids, tokenizer=tokenizer, notices=said)
    columns, learned = learn_columns(inputs.iloc[rows], rows, primary[train].numpy(), separator)
    new = np.ones(len(inputs), bool)
    new[rows] = False
    table, said = tables.encode_columns(inputs, columns, new)
    return Encoded(table, columns, notices=(*learned, *said))


def encode(inputs: Inputs, columns: Columns, tokenizer: str, length: int) -> Encoded:
    """Make numbers of cells or texts as it was learned; numbers stay as they are.

    Args:
        inputs: of all samples.
        columns: as they were learned, of a table.
        tokenizer: likewise, of texts.
        length: of texts.

    Raises:
        InputError: for a column that is missing, or a cell that isn't of its column's kind.
    """
    if isinstance(inputs, Tensor):
        return Encoded(inputs)
    if isinstance(inputs, tuple):
        found, said = texts.encode(inputs, tokenizer, length)
    else:
        found, said = tables.encode_columns(inputs, columns)
    return Encoded(found, columns, tokenizer, said)


def encode_like(raw: RawData, like: Preprocessing) -> Encoded:
    """Make numbers of samples as a finished run learned it.

    Raises:
        InputError: for samples that aren't like the run's.
    """
    if not isinstance(raw.inputs, Tensor) and (raw.kind != like.kind or not (like.columns or like.tokenizer)):
        raise like.refusal(f"{raw.kind} inputs")
    found = encode(raw.inputs, like.columns, like.tokenizer, like.channels)
    like.check(raw.kind, found.inputs)
    return found
