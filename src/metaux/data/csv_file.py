"""A CSV file of images, texts or a table; which of them, its columns say."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from metaux.data.columns import read_cells
from metaux.data.images import read_images
from metaux.data.reader import PARTS, RawData, Request, missing_path
from metaux.data.table import Table, read_csv
from metaux.errors import InputError

RESERVED = ("label", "split", "group")

missing = missing_path


def takes(data: str) -> bool:
    """Return whether the data is named as a CSV file is."""
    return Path(data).suffix.lower() == ".csv"


def read(request: Request) -> RawData:
    """Read a CSV file of samples, one per row.

    With a column `file` (relative to the CSV file) it is a manifest of images; with a column `text`, a set of texts;
    otherwise a table. All have a column `label`, and `split` (train, val or test) and `group` if wanted. Every other
    column of a manifest or of texts is a finer label. In a table, finer labels are the columns called `..._label` and
    the request's `label_columns`; what remains are its features: numbers as they are, words as one column per category.
    The column of given labels is neither a feature nor, unless it is among the `label_columns`, a finer label.

    Raises:
        InputError: naming the line, for a missing column, an incomplete row, a value that can't be taken, and an image
            that is missing, broken or listed twice.
    """
    table = read_csv(request.path)
    if not request.labelled:
        return _read_inputs(table, request)
    if request.given is not None:
        table.require((request.given,))
    source = next((name for name in ("file", "text") if name in table), None)
    own = [] if source is None else [source]
    table.require([*own, "label"])
    table.require_cells([*own, "split"], words=("label", "group"))
    if not len(table):
        raise InputError(f"expected one row per sample in '{table.name}', found only a header; add the samples")
    columns = [name for name in table.names if name != request.given or name in request.label_columns]
    if source is None:
        finer = [name for name in columns if name.endswith("_label") or name in request.label_columns]
        inputs = [name for name in columns if name not in (*RESERVED, *finer)]
    else:
        finer, inputs = [name for name in columns if name not in (source, *RESERVED)], own
    if not inputs:
        raise InputError(f"expected columns beside the labels in '{table.name}', found none; add the features")
    parts = _parts(table)
    if source == "file":
        _check_files(table, request.path.parent)
    raw = _read(table, inputs, source, request)
    return replace(
        raw,
        labels={name: table.column(name) for name in dict.fromkeys(("label", *finer))},
        parts=parts,
        groups=table.column("group") if "group" in table else None,
        notices=(*raw.notices, *_misspelled(inputs)),
        given=None if request.given is None else table.column(request.given),
    )


def _read_inputs(table: Table, request: Request) -> RawData:
    """Read the rows as a finished run takes its inputs; other columns are not looked at."""
    like = request.like
    assert like is not None
    source = {"image": "file", "text": "text"}.get(like.kind)
    inputs = [source] if source else [name for name, *_ in like.columns]
    if not inputs:
        raise InputError(f"expected inputs like the run's ({like.describe()}), found the CSV file '{table.name}'")
    table.require(inputs)
    table.require_cells([source] if source else [])
    if not len(table):
        raise InputError(f"expected one row per sample in '{table.name}', found none; add the samples")
    return _read(table, inputs, source, request)


def _read(table: Table, inputs: Sequence[str], source: str | None, request: Request) -> RawData:
    if source != "file":
        return read_cells(table.cells[inputs], source, request.like)
    names = table.column("file")
    images, notices = read_images([request.path.parent / name for name in names], request.image, request.progress)
    return RawData(images, "image", {}, names=names, augmentation="crop-flip", notices=notices)


def _check_files(table: Table, folder: Path) -> None:
    files = table.cells["file"].map(lambda name: folder / name)
    for place, file in files[files.duplicated()].items():
        first = files.index[files == file][0]
        raise InputError(f"expected each file once, found '{file}' in {first} and {place}; remove one of the rows")
    for place, file in files.items():
        if not file.exists():
            raise InputError(f"expected an image file, found nothing at '{file}' ({place}); correct it")


def _parts(table: Table) -> tuple[str, ...] | None:
    if "split" not in table:
        return None
    parts = table.cells["split"].str.lower().map(PARTS)
    for place, cell in table.cells["split"][parts.isna()].items():
        raise InputError(f"expected the split train, val or test in {place}, found '{cell}'; correct it")
    return tuple(parts)


def _misspelled(inputs: Sequence[str]) -> tuple[str, ...]:
    """Say which features are called almost as the columns that are none."""
    meanings = {"split": "which part a sample is of", "group": "which samples belong together"}
    return tuple(
        f"the column '{name}' is a feature like others; if it says {meanings[name.lower()]}, call it '{name.lower()}'"
        for name in inputs
        if name.lower() in meanings
    )
