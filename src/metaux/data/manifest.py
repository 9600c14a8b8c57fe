"""A CSV manifest: one row per image file, with its label and optionally finer labels, split and group."""

import csv
from pathlib import Path

from metaux.data.folder import PARTS
from metaux.data.images import AS_FOUND, ImageFormat, read_images
from metaux.data.raw import Progress, RawData
from metaux.errors import InputError, nearest


def read_manifest(path: Path, wanted: ImageFormat = AS_FOUND, progress: Progress | None = None) -> RawData:
    """Read a manifest and the images it lists.

    The header has `file` (relative to the manifest) and `label`; `split` (train, val or test) and `group` if
    wanted. Every other column is a finer label, under the column's name.

    Raises:
        InputError: naming the line, for a missing column, an incomplete row, or a file that is missing, not
            an image, or listed twice.
    """
    header, lines, rows = _table(path)
    columns = {name: tuple(row[index] for row in rows) for index, name in enumerate(header)}
    for name in ("file", "label", "split"):
        for line, cell in zip(lines, columns.get(name, ()), strict=False):
            if not cell:
                raise InputError(f"expected a {name} in line {line} of '{path}', found nothing; fill it in")
    parts = None
    if "split" in columns:
        for line, cell in zip(lines, columns["split"], strict=True):
            if cell.lower() not in PARTS:
                raise InputError(f"expected the split train, val or test in line {line} of '{path}', found '{cell}'")
        parts = tuple(PARTS[cell.lower()] for cell in columns["split"])
    files = [path.parent / name for name in columns["file"]]
    first: dict[Path, int] = {}
    for line, file in zip(lines, files, strict=True):
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
        tuple(map(str, files)),
        columns.get("group"),
        augmentation="crop-flip",
        notices=notices,
    )


def _table(path: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """Return the header, and the line number and stripped cells of each row."""
    if not path.is_file():
        raise InputError(f"expected a CSV manifest, found nothing at '{path}'; check the path")
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text)
            numbered = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"expected a CSV manifest, found '{path}' that isn't one ({error}); save it as UTF-8"
        ) from None
    header = numbered[0][1] if numbered else []
    for name in ("file", "label"):
        if name not in header:
            found = ", ".join(header) or "nothing"
            raise InputError(
                f"expected the columns file and label in the first line of '{path}', found {found}"
                f"{nearest(name, header)}; add '{name}'"
            )
    if len(set(header)) != len(header) or not all(header):
        raise InputError(f"expected different column names in '{path}', found {', '.join(header)}; rename one")
    for line, row in numbered[1:]:
        if len(row) != len(header):
            raise InputError(f"expected {len(header)} cells in line {line} of '{path}', found {len(row)}; correct it")
    if len(numbered) == 1:
        raise InputError(f"expected one row per image in '{path}', found only a header; add the images")
    return header, [line for line, _ in numbered[1:]], [row for _, row in numbered[1:]]
