"""A CSV file of images, texts or a table; which of them, its columns say."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from metaux.data.columns import encode_columns, find_columns
from metaux.data.csv_file import Csv, read_csv_file
from metaux.data.images import AS_FOUND, ImageFormat
from metaux.data.manifest import read_manifest
from metaux.data.raw import RawData
from metaux.data.texts import cut_off, encode
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.files import Progress

NOT_INPUTS = ("label", "split", "group")


def read_csv(
    path: Path,
    wanted: ImageFormat = AS_FOUND,
    progress: Progress | None = None,
    label_columns: Sequence[str | None] = (),
    like: Preprocessing | None = None,
    given: str | None = None,
) -> RawData:
    """Read a CSV file of labelled samples, one per row.

    With a column `file` it is a manifest of images; with a column `text`, a set of texts; otherwise a table. All have
    a column `label`, and `split` (train, val or test) and `group` if wanted. Every other column of a manifest or of
    texts is a finer label. In a table, finer labels are the columns called `..._label` and the `label_columns`; what
    remains are its features: numbers as they are, words as one column per category.

    Args:
        path: the file.
        wanted: the format of images.
        progress: is told how many of the images have been read.
        label_columns: further columns of a table that are labels; names that it doesn't have are left out.
        like: what a finished run takes; texts get its length, words its categories.
        given: the column of given labels, if there is one; it is neither a feature nor, unless it is among the
            `label_columns`, a finer label.

    Raises:
        InputError: naming the line, for what is missing or wrong.
    """
    csv = read_csv_file(path)
    given_labels = None
    if given is not None:
        csv.require((given,))
        given_labels = csv.columns[given]
        if given not in (*NOT_INPUTS, "file", "text", *label_columns):
            del csv.columns[given]
    if "file" in csv.columns:
        return replace(read_manifest(csv, wanted, progress), given=given_labels)
    csv.require(("label",))
    csv.require_cells(("label", "split", "group", "text"))
    if not csv.lines:
        raise InputError(f"expected one row per sample in '{path}', found only a header; add the samples")
    if wanted.size:
        raise InputError(f"expected images, found none in '{path}'; give images (an image size is for images alone)")
    parts, groups = csv.parts(), csv.columns.get("group")
    if "text" in csv.columns:
        labels = {name: cells for name, cells in csv.columns.items() if name not in ("text", "label", "split", "group")}
        labels = {"label": csv.columns["label"], **labels}
        length = like.channels if like is not None and like.kind == "text" else None
        texts = csv.columns["text"]
        return RawData(
            encode(texts, length),
            labels,
            "text",
            parts,
            groups=groups,
            notices=cut_off(texts, length),
            given=given_labels,
        )
    finer = [name for name in csv.columns if name.endswith("_label") or name in label_columns]
    labels = {name: csv.columns[name] for name in dict.fromkeys(("label", *finer))}
    cells = {name: column for name, column in csv.columns.items() if name not in (*NOT_INPUTS, *finer)}
    if not cells:
        raise InputError(f"expected columns beside the labels in '{path}', found none; add the features")
    columns = like.columns if like is not None and like.columns else find_columns(cells, _places(csv))
    table = encode_columns(cells, columns, _places(csv))
    notices = tuple(
        f"the column '{name}' is a feature like others; if it says {what}, call it '{name.lower()}'"
        for name in cells
        for word, what in (("split", "which part a sample is of"), ("group", "which samples belong together"))
        if name.lower() == word
    )
    return RawData(table, labels, "table", parts, groups=groups, notices=notices, columns=columns, given=given_labels)


def read_csv_inputs(path: Path, preprocessing: Preprocessing) -> Tensor:
    """Read the rows of a CSV file as a finished run takes its inputs; labels are not needed and not looked at.

    Raises:
        InputError: for missing columns, values that the run could not take, and a run that wasn't trained on a CSV
            file's kind of data.
    """
    csv = read_csv_file(path)
    if not csv.lines:
        raise InputError(f"expected one row per sample in '{path}', found none; add the samples")
    if preprocessing.kind == "text":
        csv.require(("text",))
        csv.require_cells(("text",))
        return encode(csv.columns["text"], preprocessing.channels)
    if preprocessing.kind != "table" or not preprocessing.columns:
        raise InputError(f"expected inputs like the run's ({preprocessing.describe()}), found the CSV file '{path}'")
    csv.require(name for name, *_ in preprocessing.columns)
    return encode_columns(csv.columns, preprocessing.columns, _places(csv))


def _places(csv: Csv) -> list[str]:
    return [f"line {line} of '{csv.path}'" for line in csv.lines]
