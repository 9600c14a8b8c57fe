"""One image file to pixels: what its header says, and how it is decoded."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from metaux.data.pixels import Array, ImageFormat, to_bytes
from metaux.errors import InputError, explained
from metaux.files import check_file

if TYPE_CHECKING:
    from PIL import Image

# Those that Pillow decodes itself, the vague ones last. It hands PostScript to Ghostscript, which runs it as a program.
FORMATS = (
    *("PNG", "JPEG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "AVIF", "JPEG2000", "QOI", "SGI", "ICO", "PCX", "TGA"),
)
LARGEST_IMAGE = 2**30 // 12
"""The pixels that one image may have: RGB ones of that many take a quarter of a GiB."""
GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")
RANGED = ("F", "I")
"""What the modes of images begin with whose numbers are more than bytes: a range of pixels says what they mean."""

ImageFile = Path | BytesIO
"""A file by its path, or one in memory whose `str` says where it came from."""


class Survey(NamedTuple):
    """What the header of an image file says; `deep` are bits per channel beyond 8."""

    size: tuple[int, int]
    mode: str
    frames: int
    deep: bool
    transparent: bool


def content(file: ImageFile) -> bytes:
    """Return the bytes of an image file."""
    return file.read_bytes() if isinstance(file, Path) else file.getvalue()


@contextmanager
def _open(file: ImageFile) -> "Iterator[Image.Image]":
    """Open an image file for the block. Every image is opened here, and a broken one becomes an `InputError` here."""
    from PIL import Image

    remedy = "repair or remove it, or go on without it: --skip-damaged"
    with explained(f"expected an image, found '{file}' that can't be read as one", remedy):
        try:
            if isinstance(file, Path):
                check_file(file, "an image file")
            with Image.open(file, formats=_formats()) as image:
                if image.width * image.height > LARGEST_IMAGE:
                    raise Image.DecompressionBombError
                yield image
        except Image.DecompressionBombError:
            raise InputError(
                f"expected images of at most {LARGEST_IMAGE // 10**6} million pixels, found more in '{file}'; make it "
                "smaller, or remove it"
            ) from None


@cache
def _formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this version of Pillow knows."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def survey(file: ImageFile, wanted: ImageFormat) -> Survey:
    """Return what the header of an image file says, from (height, width) on."""
    with _open(file) as image:
        if image.mode == "F" and wanted.pixel_range is None:
            raise InputError(
                f"expected whole numbers for pixels, found fractions in '{file}'; say what black and white are, such "
                "as --pixel-range 0 1"
            )
        # Pillow reads 16 bits of colour as 8 without a word. It forgets the tiles when it reads a PNG's orientation.
        packed = any("16" in str(part) for tile in getattr(image, "tile", ()) for part in tile[3:])
        frames = int(getattr(image, "n_frames", 1))
        size = image.size if _is_turned(image, file) else image.size[::-1]
        return Survey(size, image.mode, frames, image.mode.startswith("I") or packed, image.has_transparency_data)


def _is_turned(image: "Image.Image", file: ImageFile) -> bool:
    """Return whether an image is to be turned so that width and height change places, without decoding it."""
    if image.format == "TIFF":  # Pillow tells the size that it will have
        return False
    # To look for it behind the pixels, Pillow decodes a PNG; most have none.
    if image.format == "PNG" and not re.search(b"eXIf|Raw profile type", content(file)):
        return False
    return bool(image.getexif().get(0x0112, 1) >= 5)


def decode(file: ImageFile, wanted: ImageFormat) -> tuple[Array, int, bool]:
    """Return the pixels of an image file, uint8 `[height, width]` or `[height, width, 3]`, its largest value where it
    has more than 8 bits, and whether any of it was transparent."""
    from PIL import Image, ImageOps

    assert wanted.size is not None
    with _open(file) as opened:
        image, largest, clear = opened, 0, False
        # a JPEG decodes several times faster at a fraction of its size
        image.draft(None, (2 * max(wanted.size), 2 * max(wanted.size)))
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith(RANGED):
            deep = np.asarray(image).astype(np.float64)
            largest = int(deep.max())
            image = Image.fromarray(to_bytes(deep, wanted.pixel_range or (0, 65535), f"'{file}'"))
        elif image.has_transparency_data:
            image = image.convert("RGBA")
            clear = image.getchannel("A").getextrema() != (255, 255)
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image)
        elif image.mode == "P":
            image = image.convert("RGB")
        mode = "L" if wanted.channels == 1 else "RGB"
        if image.mode != mode:
            image = image.convert(mode)
        if image.size != wanted.size[::-1]:
            image = _resized(image, wanted)
        return np.asarray(image), largest, clear


def _resized(image: "Image.Image", wanted: ImageFormat) -> "Image.Image":
    """Return an image of the size that is wanted: the middle of it, unless it is to be stretched."""
    from PIL import Image

    assert wanted.size is not None
    (height, width), box = wanted.size, None
    if wanted.resize == "crop":
        scale = min(image.height / height, image.width / width)
        left, top = (image.width - scale * width) / 2, (image.height - scale * height) / 2
        box = (left, top, image.width - left, image.height - top)
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box)
