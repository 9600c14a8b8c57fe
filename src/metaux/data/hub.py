"""Hugging Face data sets: of the hub by name, or a local folder in their format; images, texts or tables."""

import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from metaux.data.columns import tidy
from metaux.data.decoding import ImageFile
from metaux.data.pixels import conform, image_tensor
from metaux.data.reader import PARTS, RawData, Request
from metaux.errors import InputError, explained, reason
from metaux.files import check_file
from metaux.words import few

HUB = "hf:"
OWN = ("label", "labels")
FINER = ("coarse_label", "fine_label")
TEXTS = ("text", "sentence", "content")
PATIENCE = 10.0  # seconds, for the hub's first answer


def takes(data: str) -> bool:
    """Return whether the data is named as a data set of the hub is."""
    return data.startswith(HUB)


def missing(_data: str, _root: Path) -> str | None:
    """Say what to install where the package datasets is missing; whether the hub has the data, only reading tells."""
    from importlib.util import find_spec

    return None if find_spec("datasets") else "found no package datasets; pip install 'metaux[hub]'"


def read(request: Request) -> RawData:
    """Read a data set of the Hugging Face hub, NAME or NAME:CONFIGURATION, or a local folder that `datasets` wrote or
    can load.

    Its labels are the features of type ClassLabel, the columns called label, labels, or ..._label, and the request's
    `label_columns`; coarse_label and fine_label are two levels. The inputs are its column of images; else its column
    of texts; else its other columns, as a table.

    Raises:
        InputError: if `datasets` isn't installed, the hub can't be reached, there is no such data set, or it has no
            labels or no inputs of these kinds.
    """
    where = request.data
    parts, notices = _load_parts(where.removeprefix(HUB))
    features = next(iter(parts.values())).features
    own = request.settings.label
    labels = _label_columns(features, [*filter(None, [own]), *request.label_columns])
    if own in labels:
        labels = list(dict.fromkeys([own, *labels]))
    if not labels:
        raise InputError(
            f"expected a column of labels (label, labels, or one of type ClassLabel) in '{where}', found "
            f"{', '.join(features)}; name one with --primary"
        )
    for column in labels:  # before a value is asked for: datasets decodes images, with all that Pillow can open
        if _dtype(features[column]) is None or str(_dtype(features[column])).startswith("float"):
            raise InputError(
                f"expected classes in column '{column}' of '{where}', found {features[column]}; choose another column"
            )
    notices += _drop_unlabelled(parts, features, labels)
    partial = [column for column in features if any(column not in rows.column_names for rows in parts.values())]
    if partial:
        features = {column: feature for column, feature in features.items() if column not in partial}
        notices += (f"the columns {', '.join(partial)} are not in every part, and are not used",)
    classes = {
        column: tuple(value for part in parts.values() for value in _names(part, column, where)) for column in labels
    }
    inputs = {column: feature for column, feature in features.items() if column not in labels}
    images = [column for column, feature in inputs.items() if _is(feature, "Image")]
    arrays = [column for column, feature in inputs.items() if _is(feature, "Array2D") or _is(feature, "Array3D")]
    part_of = tuple(part for part, rows in parts.items() for _ in range(len(rows)))
    if images:
        raw, kept = _read_images(parts, images[0], request)
        if len(kept) < len(part_of):
            part_of = tuple(part_of[row] for row in kept)
            classes = {column: tuple(labels[row] for row in kept) for column, labels in classes.items()}
    else:
        raw = _read_arrays(parts, arrays[0], request) if arrays else _read_cells(parts, inputs, request)
    if (used := (*images, *arrays)[:1]) and (others := [f"'{column}'" for column in inputs if column not in used]):
        notices += (f"the images are in column '{used[0]}'; not used: {few(others)}",)
    return replace(raw, labels=classes, parts=part_of if len(parts) > 1 else None, notices=(*notices, *raw.notices))


def _read_arrays(parts: Mapping[str, Any], column: str, request: Request) -> RawData:
    """Read a column of arrays of one shape, which are images."""
    values = np.concatenate([np.asarray(rows.with_format("numpy")[column]) for rows in parts.values()])
    found = image_tensor(f"column '{column}'", values, request.array_range)
    images = conform(found.images, request.image)
    return RawData(images, "image", {}, augmentation="crop", notices=found.notices, pixel_range=found.pixel_range)


def _read_images(parts: Mapping[str, Any], column: str, request: Request) -> tuple[RawData, list[int]]:
    import datasets

    files = [
        _image(value, f"{request.data}, {place}")
        for part, rows in parts.items()
        for place, value in zip(
            _places(part, rows), rows.cast_column(column, datasets.Image(decode=False))[column], strict=True
        )
    ]
    pixels, kept, notices = request.read_images(files)
    return RawData(pixels, "image", {}, augmentation="crop", notices=notices), kept


def _read_cells(parts: Mapping[str, Any], inputs: Mapping[str, Any], request: Request) -> RawData:
    import pandas as pd

    tokens = [column for column, feature in inputs.items() if _is_of_words(feature)]
    texts = [column for column in inputs if _dtype(inputs[column]) in ("string", "large_string")]
    named = [column for column in TEXTS if column in texts] or tokens
    text = named[0] if named else texts[0] if len(texts) == len(inputs) == 1 else None
    wrong = [column for column, feature in inputs.items() if _dtype(feature) is None]
    if text is None and wrong:
        raise InputError(
            f"expected images, texts, numbers or words in column '{wrong[0]}' of '{request.data}', found "
            f"{inputs[wrong[0]]}; take the column out (datasets: remove_columns), or turn it into images or text"
        )
    used = list(inputs) if text is None else [text]
    frame = pd.concat([rows.select_columns(used).to_pandas() for rows in parts.values()], ignore_index=True)
    frame.index = [place for part, rows in parts.items() for place in _places(part, rows)]
    if text is None:
        return RawData(tidy(frame), "table", {})
    if text in tokens:
        frame[text] = [" ".join(words) if words is not None else "" for words in frame[text]]
    others = [f"'{column}'" for column in inputs if column != text]
    notices = (f"the texts are in column '{text}'; not used: {few(others)}",) if others else ()
    return RawData(tuple(map(str, tidy(frame)[text])), "text", {}, notices=notices)


def _is_of_words(feature: Any) -> bool:
    """Return whether a column holds lists of words."""
    return _is(feature, "List") and _dtype(feature.feature) in ("string", "large_string")


def _places(part: str, rows: Any) -> list[str]:
    return [f"row {row} of {part}" for row in range(len(rows))]


def _label_columns(features: Mapping[str, Any], wanted: Sequence[str]) -> list[str]:
    """Return the label columns, the data's own first, coarse before fine."""
    found = [
        column
        for column, feature in features.items()
        if _is(feature, "ClassLabel")
        or column in (*OWN, *wanted)
        or (column.endswith("_label") and not str(_dtype(feature)).startswith("float"))
    ]
    order = [*(column for column in OWN if column in found), *(column for column in FINER if column in found)]
    return list(dict.fromkeys([*order, *found]))


def _drop_unlabelled(parts: dict[str, Any], features: Mapping[str, Any], labels: Sequence[str]) -> tuple[str, ...]:
    """Take out the parts whose labels were never published: the hub marks such labels by -1, or there is no column."""
    unpublished = {-1} if _is(features[labels[0]], "ClassLabel") else None
    empty = [
        part
        for part, rows in parts.items()
        if part != "train" and (not set(labels) <= set(rows.column_names) or set(rows[labels[0]]) == unpublished)
    ]
    for part in empty:
        del parts[part]
    return (f"the parts {', '.join(empty)} have no labels and are not used",) if empty else ()


def _names(rows: Any, column: str, where: str) -> list[str]:
    feature, values = rows.features[column], list(rows[column])
    missing = (None, -1) if _is(feature, "ClassLabel") else (None,)
    for row, value in enumerate(values):
        if value in missing:
            raise InputError(f"expected a label in column '{column}' of '{where}', found none in row {row}; fill it in")
    if _is(feature, "ClassLabel"):
        return [feature.names[value] for value in values]
    return list(map(str, values))


class _ImageBytes(io.BytesIO):
    """The bytes of an image file, called in errors by where they came from."""

    def __init__(self, content: bytes, name: str):
        super().__init__(content)
        self.place = name

    def __str__(self) -> str:
        return self.place


def _image(value: Any, place: str) -> ImageFile:
    if value is None or (value["bytes"] is None and value["path"] is None):
        raise InputError(f"expected an image in {place}, found none; remove the row")
    return Path(value["path"]) if value["bytes"] is None else _ImageBytes(value["bytes"], place)


def _is(feature: Any, kind: str) -> bool:
    return type(feature).__name__ == kind


def _dtype(feature: Any) -> str | None:
    """Return the type of a column of plain values, None for any other column."""
    return feature.dtype if _is(feature, "Value") or _is(feature, "ClassLabel") else None


def _load_parts(name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Load a data set of the hub or of a folder.

    Args:
        name: a folder, or NAME or NAME:CONFIGURATION on the hub.

    Returns:
        The rows of each part (train, val, test), and notices about what was left out.

    Raises:
        InputError: if `datasets` isn't installed, the hub can't be reached, or there is no such data set.
    """
    try:
        import datasets
    except ImportError:
        raise InputError(
            f"expected the package datasets to read '{HUB}{name}', found none; pip install 'metaux[hub]'"
        ) from None
    if not name:
        raise InputError(f"expected a name or a folder after {HUB}, found nothing; give one")
    path = Path(name).expanduser()
    local = path.is_dir()
    if local:
        for place, _, files in os.walk(path):
            for file in files:
                check_file(Path(place, file))
    else:
        _ask(name)
    title, _, configuration = (name, "", "") if local else name.partition(":")
    with _quiet(datasets):
        try:
            if local and any((path / file).is_file() for file in ("dataset_dict.json", "state.json")):
                loaded = datasets.load_from_disk(str(path))
            else:
                loaded = datasets.load_dataset(str(path) if local else title, configuration or None)
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, datasets.exceptions.DatasetsError) as error:
            raise InputError(
                f"expected a data set at '{HUB}{name}', found none that can be loaded ({reason(error, 300)}); check it"
            ) from None
    if not isinstance(loaded, datasets.DatasetDict):
        return {"train": loaded}, ()
    if len(loaded) == 1:
        return {"train": next(iter(loaded.values()))}, ()
    parts, others = dict[str, Any](), list[str]()
    for split, rows in loaded.items():
        if len(rows) and split in PARTS and PARTS[split] not in parts:
            parts[PARTS[split]] = rows
        else:
            others.append(split)
    if "train" not in parts:
        raise InputError(f"expected a part train in '{HUB}{name}', found {', '.join(loaded)}; choose another data set")
    notices = (f"the parts {', '.join(others)} are not used",) if others else ()
    return parts, notices


def _ask(name: str) -> None:
    """Find out within seconds whether the hub knows a name; `load_dataset` itself tries for half a minute."""
    import huggingface_hub

    if huggingface_hub.constants.HF_HUB_OFFLINE:  # what is in the cache is loaded from there
        return
    expected = f"expected a data set '{name}' on the Hugging Face hub or a folder of that name, found neither"
    remedy = "check the name and the network (HF_HUB_OFFLINE=1 takes an earlier download)"
    with explained(expected, remedy, 300):
        huggingface_hub.HfApi().dataset_info(name.partition(":")[0], timeout=PATIENCE)


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """Keep the package's bars and remarks off the terminal, within the block."""
    bars, level = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        datasets.logging.set_verbosity(level)
        if not bars:
            datasets.enable_progress_bars()
