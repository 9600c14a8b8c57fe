"""Hugging Face data sets: of the hub by name, or a local folder in their format; images, texts or tables."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metaux.data.columns import encode_columns, find_columns
from metaux.data.hub_parts import HUB, load_parts
from metaux.data.images import AS_FOUND, ImageFile, ImageFormat, read_images
from metaux.data.raw import RawData
from metaux.data.texts import cut_off, encode
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.files import Progress

OWN = ("label", "labels")
FINER = ("coarse_label", "fine_label")
TEXTS = ("text", "sentence", "content")


def read_hub(
    name: str,
    wanted: ImageFormat = AS_FOUND,
    progress: Progress | None = None,
    label_columns: Sequence[str | None] = (),
    like: Preprocessing | None = None,
) -> RawData:
    """Read a data set of the Hugging Face hub, or a local folder that `datasets` wrote or can load.

    Its labels are the features of type ClassLabel and the columns called label, labels, or ..._label; coarse_label
    and fine_label are two levels. The inputs are its column of images; else its column of texts; else its other
    columns, as a table.

    Args:
        name: a folder, or NAME or NAME:CONFIGURATION on the hub.
        wanted: the format of images.
        progress: is told how many of the images have been read.
        label_columns: further columns that are labels; names that it doesn't have are left out.
        like: what a finished run takes; texts get its length, words its categories.

    Raises:
        InputError: if `datasets` isn't installed, the hub can't be reached, there is no such data set, or it has no
            labels or no inputs of these kinds.
    """
    parts, notices = load_parts(name)
    features = next(iter(parts.values())).features
    labels = _label_columns(features, label_columns)
    if not labels:
        raise InputError(
            f"expected a column of labels (label, labels, or one of type ClassLabel) in '{HUB}{name}', found "
            f"{', '.join(features)}; name one with --primary"
        )
    notices += _drop_unlabelled(parts, features, labels)
    partial = [column for column in features if any(column not in rows.column_names for rows in parts.values())]
    if partial:
        features = {column: feature for column, feature in features.items() if column not in partial}
        notices += (f"the columns {', '.join(partial)} are not in every part, and are not used",)
    classes = {
        column: tuple(value for part in parts.values() for value in _names(part, column, f"{HUB}{name}"))
        for column in labels
    }
    split = tuple(part for part, rows in parts.items() for _ in range(len(rows))) if len(parts) > 1 else None
    places = [f"row {row} of {part}" for part, rows in parts.items() for row in range(len(rows))]
    images = [column for column, feature in features.items() if _is(feature, "Image")]
    texts = [column for column, feature in features.items() if _dtype(feature) in ("string", "large_string")]
    texts = [column for column in texts if column not in labels]
    chosen = next((column for column in TEXTS if column in texts), None)
    if images:
        files = zip(places, _images(parts, images[0]), strict=True)
        inputs = [_image(value, f"{HUB}{name}, {place}") for place, value in files]
        pixels, more = read_images(inputs, wanted, progress)
        return RawData(pixels, classes, "image", split, augmentation="crop-flip", notices=(*notices, *more))
    if wanted.size:
        raise InputError(
            f"expected images, found none in '{HUB}{name}'; give images (an image size is for images alone)"
        )
    cells = {
        column: [_cell(value) for rows in parts.values() for value in rows[column]]
        for column, feature in features.items()
        if column not in labels and _dtype(feature) is not None
    }
    if chosen is not None or len(texts) == len(cells) == 1:
        words = cells[chosen or texts[0]]
        length = like.channels if like is not None and like.kind == "text" else None
        return RawData(
            encode(words, length),
            classes,
            "text",
            split,
            notices=(*notices, *cut_off(words, length)),
        )
    if not cells:
        raise InputError(f"expected images, texts, numbers or words in '{HUB}{name}', found {', '.join(features)}")
    columns = like.columns if like is not None and like.columns else find_columns(cells, places)
    return RawData(encode_columns(cells, columns, places), classes, "table", split, notices=notices, columns=columns)


def _label_columns(features: Mapping[str, Any], wanted: Sequence[str | None]) -> list[str]:
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
    if _dtype(feature) is None or str(_dtype(feature)).startswith("float"):
        raise InputError(f"expected classes in column '{column}' of '{where}', found {feature}; choose another column")
    return list(map(str, values))


def _images(parts: Mapping[str, Any], column: str) -> Iterator[Any]:
    import datasets

    for rows in parts.values():
        yield from rows.cast_column(column, datasets.Image(decode=False))[column]


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


def _cell(value: Any) -> str:
    return "" if value is None else str(int(value) if isinstance(value, bool) else value).strip()
