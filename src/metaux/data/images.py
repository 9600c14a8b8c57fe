"""Image files to one uint8 tensor: all of one size, and RGB unless every image is greyscale."""

import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from statistics import median_low
from typing import NamedTuple, TypeVar

from torch import Tensor

from metaux.data.decoding import FORMATS, GREY, RANGED, ImageFile, Survey, content, decode, survey
from metaux.data.mapped import room
from metaux.data.pixels import AS_FOUND, ImageFormat
from metaux.errors import InputError
from metaux.files import Progress
from metaux.words import counted, few

THUMBNAILS = ("@eadir", "__macosx", "thumbnails", "thumbs", "__pycache__")
"""Folders of what programs made of the images, in lower case; those that begin with a dot are hidden anyway."""
LEAST, MOST = 32, 224
"""Pixels a side that images of different sizes are brought to."""
CUT_OFF = 0.02
"""How much proportions may differ without a word."""
T = TypeVar("T")


class FoundImages(NamedTuple):
    """What lies below a folder: images, other files, and images among thumbnails or hidden."""

    images: list[Path]
    others: list[Path]
    thumbnails: list[Path]

    def notices(self, where: Path) -> tuple[str, ...]:
        """Say what was left out below a folder."""
        others = counted(len(self.others), "file that isn't an image was", "files that aren't images were")
        hidden = counted(len(self.thumbnails), "hidden image or thumbnail was", "hidden images or thumbnails were")
        return tuple(
            f"{told} skipped below '{where}'{':' if len(files) == 1 else ', among them'} '{files[0]}'"
            for files, told in ((self.others, others), (self.thumbnails, hidden))
            if files
        )


class ReadImages(NamedTuple):
    """Images, uint8 `[n, channels, height, width]`; which of the files they are; and what was changed."""

    images: Tensor
    kept: list[int]
    notices: tuple[str, ...]


@cache
def extensions() -> tuple[str, ...]:
    """Return what the names of image files end in, in lower case: all that Pillow knows for `FORMATS`."""
    from PIL import Image

    return tuple(sorted(end for end, name in Image.registered_extensions().items() if name in FORMATS))


def is_image(name: str) -> bool:
    """Return whether a file is called as an image file is.

    >>> is_image("cat.JPG"), is_image("cat.txt")
    (True, False)
    """
    return name.lower().endswith(extensions())


def find_images(folder: Path) -> FoundImages:
    """Return the image files anywhere below a folder, and what else there is; links are followed but upwards."""
    found = FoundImages([], [], [])
    visited = {os.path.realpath(above) for above in Path(os.path.realpath(folder)).parents}
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in visited:  # a link to a folder above would go round, and take what is beside this folder
            folders.clear()
            continue
        visited.add(real)
        folders.sort()
        inside = Path(place).relative_to(folder).parts
        left_out = any(part.startswith(".") or part.lower() in THUMBNAILS for part in inside)
        for name in sorted(files):
            files_of = found.images if is_image(name) else found.others
            if left_out or name.startswith("."):
                files_of = found.thumbnails if is_image(name) else []
            files_of.append(Path(place, name))
    return found


def read_files(
    files: Sequence[ImageFile],
    wanted: ImageFormat = AS_FOUND,
    skip_damaged: bool = False,
    progress: Progress | None = None,
) -> ReadImages:
    """Read image files.

    Images of different sizes become squares of the median of their shorter sides, from 32 to 224 pixels, unless a size
    is wanted; they keep their proportions, and what is over is cut off. Larger ones are smoothed as they shrink.
    Photographs are turned upright as their camera says, what is transparent becomes white, 16 bits per channel become
    8, and of several frames the first is read. All of that is said.

    Args:
        files: of images.
        wanted: their size, channels, and range of values.
        skip_damaged: leave out what can't be read.
        progress: called now and then with how many have been read, and how many there are.

    Raises:
        InputError: naming the files that are missing, no plain files, no images of `FORMATS` or of more pixels than
            `LARGEST_IMAGE`; for fractions without a range; or if they fit neither in memory nor on disk.
    """
    with warnings.catch_warnings(action="ignore"):  # Pillow's remarks on harmless oddities of single files
        damaged = dict[int, InputError]()
        surveys = dict(_each(files, range(len(files)), partial(survey, wanted=wanted), damaged))
        _check_damaged(files, damaged, skip_damaged)
        size, channels = common = _common(surveys, wanted)
        images, told = room("images", (len(surveys), channels, *size))
        array, row, rows, most, clear = images.numpy(), 0, list[int](), 0, 0
        act = partial(decode, wanted=wanted._replace(size=size, channels=channels))
        threads = max(math.prod(found.size) for found in surveys.values()) >= 256 * 256
        for number, (pixels, largest, see_through) in _each(files, list(surveys), act, damaged, threads):
            array[row] = pixels if channels == 1 else pixels.transpose(2, 0, 1)
            rows.append(number)
            row, most, clear = row + 1, max(most, largest), clear + see_through
            if progress is not None and (row % 100 == 0 or row == len(surveys)):
                progress(row, len(surveys))
        _check_damaged(files, damaged, skip_damaged)
    own = {number: surveys[number] for number in rows}
    if _common(own, wanted) != common:  # a damaged image was of another size
        del images, array
        again = read_files([files[number] for number in rows], wanted, skip_damaged, progress)
        kept = [rows[number] for number in again.kept]
        return ReadImages(again.images, kept, (*again.notices, _left_out(damaged, len(files))))
    notices = [*told, *_told_size(own, size, wanted), *_told(files, own, channels, wanted, most, clear)]
    if damaged:
        notices.append(_left_out(damaged, len(files)))
    if clear and len({_digest(image.data) for image in array[:row]}) < len(
        {_digest(content(files[number])) for number in rows}
    ):
        notices.append("different files are the same image now; is what tells them apart in what was transparent?")
    return ReadImages(images[:row], rows, tuple(notices))


def _digest(of: bytes | memoryview) -> bytes:
    return blake2b(of, digest_size=16).digest()


def _each(
    files: Sequence[ImageFile],
    rows: Sequence[int],
    act: Callable[[ImageFile], T],
    damaged: dict[int, InputError],
    threads: bool = False,
) -> Iterator[tuple[int, T]]:
    """Yield what comes of each file, in order; note the ones that can't be read.

    Threads pay only for large images, for small ones Python is the bottleneck.
    """

    def attempt(row: int) -> T | InputError:
        try:
            return act(files[row])
        except InputError as error:
            return error

    workers = (os.cpu_count() or 1) if threads else 1
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(rows), 16 * workers):
            part = rows[start : start + 16 * workers]
            for row, found in zip(part, pool.map(attempt, part) if threads else map(attempt, part), strict=True):
                if isinstance(found, InputError):
                    damaged[row] = found
                else:
                    yield row, found


def _check_damaged(files: Sequence[ImageFile], damaged: dict[int, InputError], skip: bool) -> None:
    if len(damaged) == 1 and not skip:
        raise next(iter(damaged.values()))
    if damaged and not skip:
        raise InputError(
            f"expected images, found {len(damaged):,} of {len(files):,} files that can't be read: {_reasons(damaged)}; "
            "repair or remove them, or go on without them: --skip-damaged"
        )
    if len(damaged) == len(files):
        raise InputError(f"expected images, found none that can be read: {_reasons(damaged)}; name others")


def _left_out(damaged: dict[int, InputError], total: int) -> str:
    return f"{len(damaged):,} of {total:,} images left out, since they can't be read: {_reasons(damaged)}"


def _reasons(damaged: dict[int, InputError]) -> str:
    return few(
        [str(error).removeprefix("expected an image, found ").partition(";")[0] for error in damaged.values()], 20
    )


def _common(surveys: dict[int, Survey], wanted: ImageFormat) -> tuple[tuple[int, int], int]:
    """Return the height and width that images are brought to, and their channels."""
    sizes = [found.size for found in surveys.values()]
    side = min(max(median_low(map(min, sizes)), LEAST), MOST)
    size = wanted.size or (sizes[0] if len(set(sizes)) == 1 else (side, side))
    return size, wanted.channels or (1 if all(found.mode in GREY for found in surveys.values()) else 3)


def _told_size(surveys: dict[int, Survey], size: tuple[int, int], wanted: ImageFormat) -> Iterator[str]:
    sizes = [found.size for found in surveys.values()]
    resized, total = sum(found != size for found in sizes), len(sizes)
    if resized and wanted.size is None:
        low, high = min(sizes), max(sizes)
        cost = round(size[0] * size[1] / LEAST**2)
        yield (
            f"{resized:,} of {total:,} images were resized to {size[0]}x{size[1]} pixels because their sizes differ "
            f"({low[0]}x{low[1]} to {high[0]}x{high[1]}); it is the median of their short sides, from {LEAST} to {MOST}"
            + (f", and costs about {cost} times what {LEAST}x{LEAST} does" if cost > 1 else "")
            + "; --image-size chooses another size"
        )
    elif resized:
        yield f"{resized:,} of {total:,} images were resized to {size[0]}x{size[1]} pixels"
    other = sum(abs(height * size[1] / (width * size[0]) - 1) > CUT_OFF for height, width in sizes)
    if other:
        how = "keep their proportions, and what is over is cut off on both sides (--resize stretch keeps all of it)"
        if wanted.resize == "stretch":
            how = "are stretched (--resize crop keeps their proportions)"
        yield f"{other:,} of {total:,} images have other proportions than {size[0]}x{size[1]}: they {how}"


def _told(
    files: Sequence[ImageFile],
    surveys: dict[int, Survey],
    channels: int,
    wanted: ImageFormat,
    most: int,
    clear: int,
) -> Iterator[str]:
    total = len(surveys)
    greys = sum(found.mode in GREY for found in surveys.values())
    if channels == 3 and greys:
        yield f"{greys:,} of {total:,} images are greyscale and were turned into RGB"
    if channels == 1 and greys < total:
        yield f"{total - greys:,} of {total:,} images are in colour and were turned grey"
    if clear:
        yield f"{clear:,} of {total:,} images are transparent in places, and were laid on white"
    if (deep := sum(found.deep for found in surveys.values())) and wanted.pixel_range is None:
        few_bits = (
            f"; none of them is above {most:,}, so if that is white: --pixel-range 0 {2 ** most.bit_length() - 1}"
        )
        yield (
            f"{deep:,} of {total:,} images have 16 bits, of which the upper 8 are kept; state the range that they use "
            "with --pixel-range if it is less" + (few_bits if 0 < most < 2**15 else "")
        )
    plain = sum(not found.mode.startswith(RANGED) for found in surveys.values())
    if plain and wanted.pixel_range is not None:
        yield f"{plain:,} of {total:,} images have 8 bits, or colours, to which --pixel-range does not apply"
    several = [number for number, found in surveys.items() if found.frames > 1]
    if several:
        frames = surveys[several[0]].frames
        yield (
            f"{len(several):,} of {total:,} images have several frames or pages, of which the first is read, such as "
            f"'{files[several[0]]}' ({frames})"
        )
