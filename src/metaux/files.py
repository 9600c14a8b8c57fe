"""Files: read only if they are plain ones; written so that they are there in full or not at all."""

import csv
import io
import json
import math
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaux.errors import InputError, LostFolderError

if TYPE_CHECKING:
    from torch import Tensor

KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
# A cell that a spreadsheet takes for a formula, which can fetch and run things; a number is none.
_FORMULA = re.compile(r"'*(?=[=+\-@\t\r\n＝＋－＠])(?![+-]\d+(\.\d*)?(e[+-]?\d+)?\Z)", re.IGNORECASE)

OURS = ".metaux"
"""What the names begin with of files that a command keeps for itself in the folder that it writes into."""
UNFINISHED = ".tmp"
"""What they end with where a killed command leaves what is of no use."""

Progress = Callable[[int, int], None]
"""Called now and then with how many samples have been read, and how many there are."""


def check_file(path: Path, what: str = "a file") -> None:
    """Check, without opening it, that a file is there that can be read to its end.

    A named pipe or a device may keep its reader waiting for ever, and so may a file that the system makes up (`/proc`,
    `/sys`), behind a link too.

    Args:
        path: of the file.
        what: what is expected there, for the error.

    Raises:
        InputError: if there is nothing, or something else than a plain file.
    """
    try:
        found = path.stat()
    except PermissionError:
        raise
    except (OSError, ValueError):  # too long a name, links in a circle, a name with a zero byte
        raise InputError(f"expected {what}, found nothing at '{path}'; check the path") from None
    if found.st_dev in _made_up():
        kind = "file of the system"
    elif stat.S_ISREG(found.st_mode):
        return
    else:
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "thing that is no file")
    raise InputError(f"expected {what}, found the {kind} '{path}'; remove it, or give a plain file")


def check_not_packed(path: Path) -> None:
    """Check of an archive that it is no longer when it is unpacked: those of torch and skops are not packed.

    Raises:
        ValueError: if not: a small one could fill the memory.
        zipfile.BadZipFile: if it is no archive.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > path.stat().st_size:
        raise ValueError(f"an archive that unpacks to {size:,} bytes")


@cache
def _made_up() -> frozenset[int]:
    """The devices of the file systems whose files the system makes up."""
    return frozenset(place.stat().st_dev for place in map(Path, ("/proc", "/sys")) if place.is_mount())


def check_in_place(path: Path) -> None:
    """Check that a folder, or a file, is still there.

    Raises:
        LostFolderError: if not.
    """
    if not path.exists():
        raise LostFolderError(
            f"expected '{path}' to stay in its place while the command works, found it moved away or removed; move it "
            "back and repeat the command to go on, or give another --out to start anew"
        )


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Write the file into its folder; until all of it is on disk, an older one stays in place.

    Raises:
        LostFolderError: if the folder isn't there: it is made where the work begins, and never again.
    """
    check_in_place(path.parent)
    # In the same folder, since only a move within one file system is atomic.
    unfinished = path.with_name(f"{OURS}-{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync(path.parent)
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = str(path)  # a full disk doesn't say for what
        raise


def remove_unfinished(folder: Path) -> None:
    """Remove the files and folders that a command left unfinished below a folder when it was killed."""
    for path in [*folder.rglob(f"{OURS}-*{UNFINISHED}")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Wait until the names of a folder's files are on disk, where the system can be asked for that."""
    if os.name == "nt":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def write_text_atomic(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_bytes_atomic` does, with line ends as they are in `text`.

    The bytes of a file's name that are no UTF-8 are written as escapes, which JSON and YAML read back.
    """
    write_bytes_atomic(path, text.encode(errors="backslashreplace"))


def to_json(value: object, indent: int | None = None) -> str:
    """Return strict JSON: what is not finite becomes null, tuples become lists.

    >>> to_json({"a": (1.0, float("nan"))})
    '{"a": [1.0, null]}'
    """
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows, all with the same keys, as CSV under a header; None is empty.

    Text that a spreadsheet would take for a formula gets an apostrophe before it; `cell_text` takes it away.

    >>> to_csv([{"a": 1, "b": None}])
    'a,b\\n1,\\n'
    >>> to_csv([{"class": "=1+1", "gain": -0.5}])
    "class,gain\\n'=1+1,-0.5\\n"
    """
    names = list(rows[0]) if rows else []
    return _csv_line(names) + "".join(_csv_line([row[name] for name in names]) for row in rows)


def cell_text(cell: str) -> str:
    """Return the text of a cell that `to_csv` wrote, without the apostrophe before what looks like a formula.

    >>> [cell_text(cell) for cell in ("'=1+1", "cat", "'tis", "-1")]
    ['=1+1', 'cat', "'tis", '-1']
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _csv_line(cells: Sequence[object]) -> str:
    line = io.StringIO()
    # A cell is quoted for a character of the line's end only, so that is both of them at first.
    csv.writer(line, lineterminator="\r\n").writerow(
        f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell for cell in cells
    )
    return line.getvalue().removesuffix("\r\n") + "\n"


def write_json(path: Path, value: object) -> None:
    """Write `to_json` of the value, indented, as `write_bytes_atomic` does."""
    write_text_atomic(path, to_json(value, indent=2) + "\n")


def write_tensors(path: Path, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name as safetensors, as `write_bytes_atomic` does; shared ones are written in full.

    Args:
        path: the file.
        tensors: any shapes and types, on any device.
        metadata: what a reader should find beside them.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_bytes_atomic(path, save(plain, dict(metadata) if metadata else None))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
