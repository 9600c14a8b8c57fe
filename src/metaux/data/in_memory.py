"""Samples that a program has in memory: arrays, frames, tensors, texts, names of files and map-style Datasets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_array
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from metaux.data.columns import Columns, check_resolution, tidy
from metaux.data.encoding import Encoded, encode, learn_encoding
from metaux.data.images import is_image, read_files
from metaux.data.pixels import Array, ImageFormat, Range, check_unmasked, image_tensor
from metaux.errors import InputError


@dataclass(frozen=True)
class Form:
    """What samples are made of: learned when fitting, expected when predicting.

    Args:
        kind: `image`, `table`, `text` or `other` (passed to the network as it is), as in `LabelledData`.
        shapes: of each input of one sample.
        pixel_range: what black and white were in an array of images.
        columns: of a data frame with more than numbers in it, as its training samples had them.
        tokenizer: of texts, as its training samples made it.
        types: of tensors that are passed on as they are, as torch calls them.
    """

    kind: Literal["image", "table", "text", "other"]
    shapes: tuple[tuple[int, ...], ...]
    pixel_range: Range | None = None
    columns: Columns = ()
    tokenizer: str = ""
    types: tuple[str, ...] = ()

    def check(self, found: "Form") -> None:
        """Raise `InputError` unless samples of the form that was found fit this one."""
        same = (found.kind, len(found.shapes)) == (self.kind, len(self.shapes))
        # Of other inputs (texts of another length) only the network knows what fits.
        if not same or (self.kind != "other" and found.shapes != self.shapes):
            raise self.refusal(found)

    def refusal(self, found: "Form") -> InputError:
        """Return the error for samples of another form."""
        return InputError(
            f"expected inputs like those that were fitted ({self}), found {found}; give inputs of that form"
        )

    def __str__(self) -> str:
        shapes = " and ".join(str(list(shape)) for shape in self.shapes)
        if self.kind == "text":
            return "texts"
        names = {"image": "images of", "table": "a table with rows of", "other": "tensors with samples of"}
        return f"{names[self.kind]} shape {shapes}"


@dataclass(frozen=True)
class InMemory:
    """What was found: inputs as in `Samples`, their form, the labels where a Dataset brings them, and what to say.

    `cells` are the tidy ones of a data frame, or texts, that are still to be encoded; then there are no inputs.
    """

    inputs: tuple[Tensor, ...]
    form: Form
    labels: list[Any] | None = None
    notices: tuple[str, ...] = ()
    cells: pd.DataFrame | tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.inputs[0]) if self.cells is None else len(self.cells)

    def encoded(self, train: Tensor, primary: Tensor) -> "InMemory":
        """Learn from the training samples how cells or texts become numbers, and do it, as `learn_encoding` does."""
        return self if self.cells is None else self._of(learn_encoding(self.cells, train, primary))

    def encoded_as(self, form: Form) -> "InMemory":
        """Make numbers of cells or texts as the form has learned it."""
        if self.cells is None:
            return self
        if self.form.kind != form.kind:
            raise form.refusal(self.form)
        return self._of(encode(self.cells, form.columns, form.tokenizer, form.shapes[0][0]))

    def _of(self, found: Encoded) -> "InMemory":
        shapes = (tuple(found.inputs.shape[1:]),)
        form = replace(self.form, shapes=shapes, columns=found.columns, tokenizer=found.tokenizer)
        return InMemory((found.inputs,), form, self.labels, found.notices)


def read_samples(
    samples: Any, form: Form | None, labelled: bool, image: ImageFormat, check_table: Callable[..., Array]
) -> InMemory:
    """Read what a program has: a table, a data frame, images, texts, names of image files, tensors or a Dataset.

    Args:
        samples: as `MetauxClassifier` describes them.
        form: what the samples that were fitted are made of; None to fit these.
        labelled: items of a Dataset end in a label.
        image: what images are brought to that are read from files; its range is that of arrays too.
        check_table: scikit-learn's checks of a table, which return it in float32; with `skip_check_array`, of its
            columns' names alone.

    Raises:
        InputError: for samples of another form.
        ValueError: as scikit-learn says it.
    """
    tensors, labels = [samples] if isinstance(samples, Tensor) else [], None
    if isinstance(samples, Dataset):
        tensors, labels = read_dataset(samples, None if form is None else len(form.shapes), labelled)
    if len(tensors) == 1 and tensors[0].dim() <= 2 and tensors[0].is_floating_point():
        table = tensors.pop().detach().cpu()
        samples = (table.float() if table.dtype == torch.bfloat16 else table).numpy()  # NumPy has no bfloat16
    check_unmasked("X", samples)
    if tensors:
        found = read_tensors(tensors)
    elif (strings := as_strings(samples)) is not None:
        found = _read_strings(strings, form, image)
    elif isinstance(samples, np.ndarray | list | tuple) and (array := _as_array(samples)).ndim > 2:
        known = image.pixel_range if form is None or form.kind != "image" else form.pixel_range
        images, known, _ = image_tensor("X", array, known)  # what values they may have, the estimator says itself
        found = InMemory((images,), Form("image", (tuple(images.shape[1:]),), known))
    elif form is not None and form.kind != "table":
        raise form.refusal(Form("table", (tuple(np.shape(samples)[1:]),)))
    elif form.columns if form is not None else _has_more_than_numbers(samples):
        check_table(samples, skip_check_array=True)
        found = _read_frame(samples, form)
    else:
        with np.errstate(over="ignore"):  # what float32 can't hold is refused by name
            x = check_table(samples, dtype=np.float32)
        if form is None:
            names = list(samples) if isinstance(samples, pd.DataFrame) else range(x.shape[1])
            wide = check_array(samples, dtype=[np.float64, np.float32])
            check_resolution(wide, [f"X, column {name}" for name in names])
        found = InMemory((torch.tensor(x),), Form("table", (x.shape[1:],)))
    if form is not None:
        found = found.encoded_as(form)
        form.check(found.form)
    return replace(found, labels=labels)


def _has_more_than_numbers(samples: Any) -> bool:
    """Return whether samples are a data frame with words, dates or missing values in it."""
    if not isinstance(samples, pd.DataFrame):
        return False
    return any(kind.kind not in "fiub" for kind in samples.dtypes) or bool(samples.isna().to_numpy().any())


def _read_frame(samples: Any, form: Form | None) -> InMemory:
    if form is not None and not isinstance(samples, pd.DataFrame):
        samples = pd.DataFrame(np.asarray(samples, dtype=object), columns=[column.name for column in form.columns])
    frame = tidy(samples)
    frame.index = pd.Index([f"row {row}" for row in range(len(frame))])
    return InMemory((), Form("table", ((frame.shape[1],),)), cells=frame)


def as_strings(samples: Any) -> list[str | Path] | None:
    """Return samples that are texts or paths, one each; None for samples of another kind.

    Raises:
        InputError: where only some of them are.

    >>> as_strings(np.array(["good", "bad"])), as_strings([[1.0, 2.0]])
    (['good', 'bad'], None)
    """
    if not isinstance(samples, list | tuple | pd.Series | np.ndarray) or getattr(samples, "ndim", 1) != 1:
        return None
    values = list(samples)
    odd = [row for row, value in enumerate(values) if not isinstance(value, str | PathLike)]
    if len(odd) == len(values):
        return None
    if odd:
        raise InputError(
            f"expected a text, or an image file, for every sample in X, found {values[odd[0]]!r} in row {odd[0]}; fill "
            "it in, or leave the sample out"
        )
    return [str(value) if isinstance(value, str) else Path(value) for value in values]


def _read_strings(strings: Sequence[str | Path], form: Form | None, image: ImageFormat) -> InMemory:
    # Paths, or strings that all end as the names of images do.
    if all(isinstance(value, Path) or is_image(value) for value in strings):
        if form is not None and form.kind == "image":
            channels, height, width = form.shapes[0]
            image = image._replace(size=(height, width), channels=channels)
        images, _, notices = read_files([Path(value).expanduser() for value in strings], image)
        return InMemory((images,), Form("image", (tuple(images.shape[1:]),)), notices=notices)
    return InMemory((), Form("text", ((0,),)), cells=tuple(map(str, strings)))


def _as_array(samples: Any) -> Array:
    """Return a sequence of samples as an array; `InputError` for samples of different shapes."""
    try:
        return np.asarray(samples)
    except ValueError:
        raise InputError("expected samples of one shape, found different ones; bring them to one size") from None


def read_tensors(tensors: Sequence[Tensor]) -> InMemory:
    """Take tensors as the network's inputs; one of uint8 `[n, channels, h, w]` is images.

    Other tensors are passed on as they are (floats as float32), for the network or the program to normalise.

    Raises:
        InputError: for values that are not finite, no samples, or images whose channels come last.
    """
    inputs = tuple(tensor.detach().cpu() for tensor in tensors)
    if any(tensor.dim() == 0 or tensor.numel() == 0 or len(tensor) != len(inputs[0]) for tensor in inputs):
        found = " and ".join(str(list(tensor.shape)) for tensor in inputs)
        raise InputError(f"expected tensors of one sample or more, found shape {found}; give samples")
    inputs = tuple(tensor.float() if tensor.is_floating_point() else tensor for tensor in inputs)
    # A copy, for the same strides whatever the tensor's own: convolutions choose their arithmetic by them.
    inputs = tuple(tensor.clone(memory_format=torch.contiguous_format) for tensor in inputs)
    for tensor in inputs:
        if tensor.is_floating_point() and not tensor.isfinite().all():
            row = int((~tensor.isfinite()).flatten(1).any(1).nonzero()[0])
            raise InputError(
                f"expected finite numbers in X, found NaN, infinity or a value too large for float32 in row {row}; "
                "fill in or remove them"
            )
    image = len(inputs) == 1 and inputs[0].dtype == torch.uint8 and inputs[0].dim() == 4
    shapes = tuple(tuple(tensor.shape[1:]) for tensor in inputs)
    if image and shapes[0][-1] <= 4 < shapes[0][0]:
        raise InputError(
            f"expected images [n, channels, height, width], found {list(inputs[0].shape)}; move the channels to the "
            "front, or make them floats for a network of your own"
        )
    types = () if image else tuple(str(tensor.dtype).removeprefix("torch.") for tensor in inputs)
    return InMemory(inputs, Form("image" if image else "other", shapes, types=types))


def read_dataset(dataset: Dataset[Any], inputs: int | None, labelled: bool) -> tuple[list[Tensor], list[Any] | None]:
    """Read every item of a map-style Dataset once; return its inputs, each `[n, ...]`, and the labels if there are any.

    Args:
        dataset: of items (input, ..., label), or without label: a tensor, or a tuple of them.
        inputs: how many inputs a sample has, where that is known; an item's label is then recognised.
        labelled: items end in a label, where the number of inputs is not known.

    Raises:
        InputError: for an iterable Dataset, no items, and items that can't be stacked.
    """
    if isinstance(dataset, IterableDataset):
        raise InputError("expected a map-style Dataset (one with a length), found an iterable one; list its items")
    items = [dataset[index] for index in range(len(dataset))]  # type: ignore[arg-type]
    rows = [tuple(item) if isinstance(item, tuple | list) else (item,) for item in items]
    widths = {len(row) for row in rows}
    if inputs is not None:
        labelled = widths == {inputs + 1}
    least = 2 if labelled else 1
    if len(widths) != 1 or min(widths) < least:
        form = "(input, label)" if labelled else "inputs"
        raise InputError(
            f"expected a Dataset of items {form}, found {sorted(widths) or 'no'} values per item; correct its items"
        )
    labels = None
    if labelled:
        labels = [label.item() if isinstance(label, Tensor | np.generic) else label for *_, label in rows]
    columns = list(zip(*(row[:-1] if labelled else row for row in rows), strict=True))
    return [_stack(column) for column in columns], labels


def _stack(values: Sequence[Any]) -> Tensor:
    for value in values:
        if not isinstance(value, Tensor | np.ndarray | np.generic | int | float):
            raise InputError(
                f"expected tensors as the inputs of a Dataset, found {type(value).__name__}; "
                "convert them in the Dataset (its transform)"
            )
    tensors = [torch.as_tensor(value) for value in values]
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        first, second = sorted(shapes)[:2]
        raise InputError(
            f"expected inputs of one shape in the Dataset, found {list(first)} and {list(second)}; pad or resize them"
        )
    return torch.stack(tensors)
