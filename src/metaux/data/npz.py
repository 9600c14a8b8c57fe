"""The arrays of an .npz file, whose sizes are checked before anything is unpacked.

What is read may take 8 GiB, and no more than 100 times the size of its file unless that is below 256 MiB: a small file
must not fill the memory. What is not asked for stays packed.
"""

import math
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO

import numpy as np

from metaux.data.pixels import LARGEST, Array
from metaux.errors import InputError
from metaux.files import check_file

MOST_PACKED = 100
"""How many times its own size a file may unpack to."""
UNSUSPICIOUS = 2**28
"""The bytes that any file may unpack to."""


class ObjectArrayError(ValueError):
    """An array of Python objects, which only a pickle holds; `array` is its name."""

    def __init__(self, array: str):
        super().__init__(f"{array} holds objects")
        self.array = array


def read_arrays(path: Path, wanted: Collection[str]) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Read arrays of an .npz file by their names.

    Args:
        path: the file.
        wanted: the names of the arrays to read; what the file doesn't have is left out.

    Returns:
        The arrays, in the file's order, and the names of the other ones.

    Raises:
        InputError: if there is no plain file, or the arrays are too large.
        Exception: if the file isn't an .npz file, or an array that is wanted is damaged or of objects; those of NumPy,
            zip and Python's own tokens have no base in common.
    """
    check_file(path, "an .npz file")
    with path.open("rb") as file:
        if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
            raise ValueError("a single array")
        with zipfile.ZipFile(file) as packed:
            members = {member.filename.removesuffix(".npy"): member for member in packed.infolist()}
            if len(members) != len(packed.infolist()):
                raise ValueError("two arrays of one name")
            found = {name: member for name, member in members.items() if name in wanted}
            check_total(sum(member.file_size for member in found.values()), path)
            arrays = {}
            for name, member in found.items():
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{name} packed as NumPy doesn't")
                with packed.open(member) as opened:
                    if _check_header(opened, member.file_size, path):
                        raise ObjectArrayError(name)
                with packed.open(member) as opened:
                    arrays[name] = _checked(np.lib.format.read_array(opened, allow_pickle=False))
    return arrays, tuple(name for name in members if name not in found)


def read_array(path: Path) -> Array:
    """Read an .npy file; raises as `read_arrays` does."""
    check_file(path, "an .npy file")
    with path.open("rb") as file:
        _check_header(file, path.stat().st_size, path)
        file.seek(0)
        return _checked(np.lib.format.read_array(file, allow_pickle=False))


def _checked(array: Array) -> Array:
    """Return an array of which each character, if it has such, is one of Unicode: NumPy makes texts of others too."""
    if array.dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).view(array.dtype.byteorder + "u4")
        if (codes > sys.maxunicode).any():
            raise ValueError("text with characters that are none")
    return array


def _check_header(file: IO[bytes], size: int, path: Path) -> bool:
    """Check that an array takes no more than is there of it, in bytes, by its header alone; is it one of objects?"""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"an array of format {version[0]}.{version[1]}")
    shape, _, kind = read(file)
    if min(shape, default=1) < 0 or max(shape, default=1) > 2**62 or not kind.itemsize:
        raise ValueError(f"an array of {kind} and shape {shape}")
    check_total(math.prod(shape) * kind.itemsize, path)
    if math.prod(shape) * kind.itemsize > size and not kind.hasobject:
        raise ValueError(f"an array of shape {shape} that is cut off")
    return bool(kind.hasobject)


def check_total(
    claimed: int, path: Path, remedy: str = "leave samples out, or if so many are there, save them with numpy.savez"
) -> None:
    """Raise `InputError`, with what to do, for more bytes than such a file should unpack to."""
    size = path.stat().st_size
    most = min(LARGEST, max(UNSUSPICIOUS, MOST_PACKED * size))
    if claimed > most:
        raise InputError(
            f"expected arrays of at most {most / 2**20:,.0f} MiB together in '{path}' of {size:,} bytes, found "
            f"{claimed / 2**20:,.0f} MiB; {remedy}"
        )
