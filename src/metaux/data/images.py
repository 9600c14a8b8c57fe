"""Image files to one uint8 tensor: all of one size, and RGB unless every image is greyscale."""

import os
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from torch import Tensor

from metaux.data.pixels import AS_FOUND, Array, ImageFormat, allocate
from metaux.errors import InputError
from metaux.files import Progress, check_file

if TYPE_CHECKING:
    from PIL import Image

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")
# Those that Pillow decodes itself, the vague ones last. It hands PostScript to Ghostscript, which runs it as a program.
FORMATS = (
    *("PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000", "QOI", "SGI", "ICO", "PCX", "TGA"),
)
DEFAULT_SIZE = 32
LARGEST_IMAGE = 2**30 // 12
"""The pixels that one image may have: RGB ones of that many take a quarter of a GiB."""
GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N")
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error, zlib.error)

ImageFile = Path | IO[bytes]
"""A file by its path, or one in memory whose `str` says where it came from."""


def find_images(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the image files anywhere below a folder, and the other files, both sorted; none hidden, links followed."""
    images: list[Path] = []
    others: list[Path] = []
    visited = set[str]()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in visited:  # a link to a folder above would go round for ever
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                (images if name.lower().endswith(EXTENSIONS) else others).append(Path(place, name))
    return images, others


def read_images(
    files: Sequence[ImageFile], wanted: ImageFormat = AS_FOUND, progress: Progress | None = None
) -> tuple[Tensor, tuple[str, ...]]:
    """Read image files.

    Images of different sizes become 32x32 unless a size is wanted; larger ones are smoothed as they shrink,
    and the shape is stretched rather than cropped. Photographs are turned upright as their camera says,
    transparency is dropped, 16-bit greyscale becomes 8-bit, and of an animation the first frame is read.

    Returns:
        uint8 `[n, channels, height, width]` in the order of the files, and notices about what was changed.

    Raises:
        InputError: naming the first file that is missing, no plain file, no image of `FORMATS` or of more pixels than
            `LARGEST_IMAGE`; or if they don't fit in memory.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on harmless oddities of single files
        surveys = [_survey(file) for file in files]
        sizes, greys = [size for size, _ in surveys], sum(mode in GREY for _, mode in surveys)
        deep = sum(mode.startswith("I") for _, mode in surveys)
        size = wanted.size or (sizes[0] if len(set(sizes)) == 1 else (DEFAULT_SIZE, DEFAULT_SIZE))
        channels = wanted.channels or (1 if greys == len(files) else 3)
        notices = []
        resized = sum(found != size for found in sizes)
        if resized and wanted.size is None:
            low, high = min(sizes), max(sizes)
            what = f"{low[0]}x{low[1]} to {high[0]}x{high[1]}"
            notices.append(
                f"{resized} of {len(files)} images were resized to {size[0]}x{size[1]} pixels because their "
                f"sizes differ ({what}); --image-size chooses another size"
            )
        if channels == 3 and greys and wanted.channels is None:
            notices.append(f"{greys} of {len(files)} images are greyscale and were turned into RGB")
        if deep:
            notices.append(
                f"{deep} of {len(files)} images have 16 bits, of which the upper 8 are kept; rescale them before if "
                "they use less than the whole range"
            )
        images = allocate(len(files), channels, size)
        array = images.numpy()
        for row, pixels in enumerate(_decode_all(files, channels, size, sizes)):
            array[row] = pixels if channels == 1 else pixels.transpose(2, 0, 1)
            if progress is not None and (row % 100 == 99 or row + 1 == len(files)):
                progress(row + 1, len(files))
    return images, tuple(notices)


@contextmanager
def _open(file: ImageFile) -> "Iterator[Image.Image]":
    """Open an image file for the block. Every image is opened here, and a broken one becomes an `InputError` here."""
    from PIL import Image

    try:
        if isinstance(file, Path):
            check_file(file, "an image file")
        with Image.open(file, formats=_formats()) as image:
            if image.width * image.height > LARGEST_IMAGE:
                raise Image.DecompressionBombError
            yield image
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(
            f"expected images of at most {LARGEST_IMAGE // 10**6} million pixels, found more in '{file}'; make it "
            "smaller, or remove it"
        ) from None
    except BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"expected an image, found '{file}' that can't be read as one ({reason}); repair or remove it"
        ) from None


@cache
def _formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this version of Pillow knows."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _survey(file: ImageFile) -> tuple[tuple[int, int], str]:
    """Return the (height, width) of an image file and its Pillow mode, from its header."""
    with _open(file) as image:
        # 5 to 8 are the orientations that swap height and width
        turned = image.format in ("JPEG", "MPO", "WEBP") and image.getexif().get(0x0112, 1) >= 5
        if image.mode == "F":
            raise InputError(f"expected whole numbers for pixels, found fractions in '{file}'; convert it to 8 bits")
        return (image.size if turned else image.size[::-1]), image.mode


def _decode_all(
    files: Sequence[ImageFile], channels: int, size: tuple[int, int], sizes: Iterable[tuple[int, int]]
) -> Iterator[Array]:
    """Decode in order; threads pay only for large images, for small ones Python is the bottleneck."""
    if max(height * width for height, width in sizes) < 256 * 256:
        yield from (_decode(file, channels, size) for file in files)
        return
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(files), 16 * workers):
            yield from pool.map(_decode, files[start : start + 16 * workers], repeat(channels), repeat(size))


def _decode(file: ImageFile, channels: int, size: tuple[int, int]) -> Array:
    """Return the pixels of an image file, uint8 `[height, width]` or `[height, width, 3]`."""
    from PIL import Image, ImageOps

    with _open(file) as opened:
        image = opened
        if image.format in ("JPEG", "MPO", "WEBP"):
            # a JPEG decodes several times faster at a fraction of its size
            image.draft(None, (2 * max(size), 2 * max(size)))
            image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            deep = np.asarray(image).astype(np.float64)
            if deep.min() < 0 or deep.max() > 65535:
                raise InputError(
                    f"expected pixels of up to 16 bits, found {deep.min():.0f} to {deep.max():.0f} in '{file}'; "
                    "convert it to 8 bits"
                )
            image = Image.fromarray((deep / 257).round().astype(np.uint8))
        elif image.mode == "P":
            image = image.convert("RGBA")  # straight to RGB, Pillow warns about some transparent palettes
        mode = "L" if channels == 1 else "RGB"
        if image.mode != mode:
            image = image.convert(mode)
        if image.size != size[::-1]:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(image)
