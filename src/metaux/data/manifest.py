"""A CSV manifest: one row per image file, with its label and optionally finer labels, split and group."""

from pathlib import Path

from metaux.data.csv_file import Csv
from metaux.data.images import AS_FOUND, ImageFormat, read_images
from metaux.data.raw import RawData
from metaux.errors import InputError
from metaux.files import Progress


def read_manifest(csv: Csv, wanted: ImageFormat = AS_FOUND, progress: Progress | None = None) -> RawData:
    """Read the images that a manifest lists.

    The header has `file` (relative to the manifest) and `label`; `split` (train, val or test) and `group` if
    wanted. Every other column is a finer label, under the column's name.

    Raises:
        InputError: naming the line, for a missing column, an incomplete row, or a file that is missing, not
            an image, or listed twice.
    """
    csv.require(("file", "label"))
    csv.require_cells(("file", "label", "split", "group"))
    columns, path = csv.columns, csv.path
    if not csv.lines:
        raise InputError(f"expected one row per image in '{path}', found only a header; add the images")
    parts = csv.parts()
    files = [path.parent / name for name in columns["file"]]
    first: dict[Path, int] = {}
    for line, file in zip(csv.lines, files, strict=True):
        if first.setdefault(file, line) != line:
            raise InputError(f"expected each file once in '{path}', found '{file}' in lines {first[file]} and {line}")
        if not file.is_file():
            raise InputError(f"expected an image file, found nothing at '{file}' (line {line} of '{path}'); correct it")
    images, notices = read_images(files, wanted, progress)
    finer = {name: cells for name, cells in columns.items() if name not in ("file", "label", "split", "group")}
    return RawData(
        images,
        {"label": columns["label"], **finer},
        "image",
        parts,
        columns["file"],
        columns.get("group"),
        augmentation="crop-flip",
        notices=notices,
    )
