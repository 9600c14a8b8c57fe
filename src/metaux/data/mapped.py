"""Room for what is large: in memory, or in a temporary file from which the system fetches what is used.

The file is mapped, so that a tensor in it is like any other: but for `fetch`, nothing else needs to know. It has no
name, and goes when its tensor does or its process ends, however that ends. The alternative, to decode each image anew
in every epoch, costs a multiple of what an image from the file does (docs/performance.md).
"""

import math
import mmap
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from metaux import allocation
from metaux.errors import InputError, reason

SHARE_OF_DISK = 0.9
"""How much of a disk's free space the file may take."""
AT_ONCE = 500  # rows that are copied at once
# The files of this process, by the address of their content: a tensor does not say where it lies.
_files: "WeakValueDictionary[int, mmap.mmap]" = WeakValueDictionary()


class Room(NamedTuple):
    """A tensor without content, and what a user should know of where it lies."""

    tensor: Tensor
    notices: tuple[str, ...] = ()


def room(what: str, shape: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> Room:
    """Return room for a tensor: in a file if it would take more than a quarter of the free memory.

    Args:
        what: will be in it, in the plural, for the user.
        shape: of the tensor.
        dtype: its type.

    Raises:
        InputError: for a disk that is too small, or a folder that can't be written to.

    >>> room("images", (2, 3, 8, 8)).tensor.shape
    torch.Size([2, 3, 8, 8])
    """
    size, memory = math.prod(shape) * dtype.itemsize, allocation.free_memory()
    if size <= allocation.SHARE_OF_MEMORY * memory:
        return Room(torch.empty(shape, dtype=dtype))
    needed = f"{_gigabytes(size)} of disk for {what}, which are too large for the memory ({_gigabytes(memory)} free)"
    remedy = "name another folder in the environment's TMPDIR, or give fewer or smaller images (--image-size)"
    place = _folder()
    try:
        if size > SHARE_OF_DISK * (free := shutil.disk_usage(place).free):
            raise InputError(f"expected {needed}, found {_gigabytes(free)} free in '{place}'; {remedy}")
        with tempfile.TemporaryFile(prefix="metaux-", dir=place) as file:
            # Taken now: a disk that fills up later would end the process without a word.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            content = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise InputError(
            f"expected {needed}, found that a file in '{place}' can't be made ({reason(error)}); {remedy}"
        ) from None
    notice = (
        f"the {what} take {_gigabytes(size)}, more than a quarter of the free memory: they lie in a temporary file in "
        f"'{place}' (the environment's TMPDIR names another folder), which goes when the process ends"
    )
    tensor = torch.frombuffer(content, dtype=dtype).view(shape)
    _files[tensor.data_ptr()] = content
    return Room(tensor, (notice,))


def fetch(tensor: Tensor, rows: Tensor) -> None:
    """Let the system fetch rows of a tensor from its file, all at once, without waiting; in memory, do nothing.

    Left to itself, it would fetch one row after another when it is read, each with megabytes of what lies beside it.

    Args:
        tensor: rows of any shape, one after another, as `room` made it.
        rows: int64 `[m]`.

    >>> fetch(torch.zeros(3, 4), torch.tensor([2, 0]))
    """
    content = _files.get(tensor.untyped_storage().data_ptr())
    if content is None or not hasattr(mmap, "MADV_WILLNEED"):
        return
    size = tensor[:1].nbytes
    for row in rows.tolist():
        start = row * size // mmap.PAGESIZE * mmap.PAGESIZE
        content.madvise(mmap.MADV_WILLNEED, start, (row + 1) * size - start)


def taken(tensor: Tensor, rows: Tensor) -> Tensor:
    """Return a copy of some rows, int64 `[m]`, of a tensor `[n, ...]`, in memory; from a file they are fetched."""
    fetch(tensor, rows)
    return tensor.index_select(0, rows)  # five times as fast as [rows] where rows are short


def rows_of(tensor: Tensor, rows: Tensor) -> Room:
    """Return room as `room` decides it, with a copy of some rows, int64 `[m]`, of a tensor `[n, ...]`."""
    found = room("samples that are left", (len(rows), *tensor.shape[1:]), tensor.dtype)
    for target, part in zip(found.tensor.split(AT_ONCE), rows.split(AT_ONCE), strict=True):
        target.copy_(taken(tensor, part))
    return found


def _folder() -> Path:
    """Return the folder for temporary files that is on a disk: where `/tmp` lies in memory, `/var/tmp` does not."""
    named = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    usual = Path("/var/tmp")
    return usual if not named and os.access(usual, os.W_OK) else Path(tempfile.gettempdir())


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
