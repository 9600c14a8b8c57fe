"""Images in memory: arrays of numbers to uint8 tensors, and all of them to one size and number of channels."""

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from metaux.errors import InputError

Array = np.ndarray[Any, Any]
Range = tuple[float, float]
LARGEST = 8 * 2**30
"""The bytes that all images, or a table, may take."""


class ImageFormat(NamedTuple):
    """What images are to be brought to; None leaves it to the images.

    `size` is (height, width) in pixels, `channels` 1 (greyscale) or 3 (RGB); `resize` says whether images of other
    proportions are cropped or stretched; `pixel_range` is what black and white are, where they aren't 0 and 255.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    resize: Literal["crop", "stretch"] = "crop"
    pixel_range: Range | None = None


AS_FOUND = ImageFormat()


def allocate(count: int, channels: int, size: tuple[int, int]) -> Tensor:
    """Return uint8 images without content, `[count, channels, height, width]`.

    Raises:
        InputError: if they are more than memory should hold.
    """
    if count * channels * size[0] * size[1] > LARGEST:
        raise InputError(
            f"expected images that fit in memory, found {count} of {size[0]}x{size[1]} pixels, together "
            f"more than {LARGEST // 2**30} GiB; give a smaller --image-size"
        )
    return torch.empty(count, channels, *size, dtype=torch.uint8)


def conform(images: Tensor, wanted: ImageFormat) -> Tensor:
    """Bring uint8 images `[n, channels, height, width]` to a format.

    Raises:
        InputError: if they can't be turned into that many channels.

    >>> conform(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), ImageFormat((4, 4), 3)).shape
    torch.Size([2, 3, 4, 4])
    """
    channels = wanted.channels or images.shape[1]
    if images.shape[1] != channels:
        if (images.shape[1], channels) == (1, 3):
            images = images.expand(-1, 3, -1, -1)
        elif (images.shape[1], channels) == (3, 1):
            luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
            images = torch.cat(
                [(part * luma).sum(1, keepdim=True).round().byte() for part in torch.split(images, 1000)]
            )
        else:
            raise InputError(f"expected images of {channels} channels, found {images.shape[1]}; convert them")
    if wanted.size and tuple(images.shape[-2:]) != wanted.size:
        if wanted.resize == "crop":
            images = _middle(images, *wanted.size)
        resized = allocate(len(images), channels, wanted.size)
        for target, part in zip(torch.split(resized, 1000), torch.split(images, 1000), strict=True):
            target.copy_(
                torch.nn.functional.interpolate(part.contiguous(), wanted.size, mode="bilinear", antialias=True)
            )
        images = resized
    return images.contiguous()


def _middle(images: Tensor, height: int, width: int) -> Tensor:
    """Return the largest part of images around their middle that has the proportions height : width."""
    own_height, own_width = images.shape[-2:]
    kept = min(own_height, round(own_width * height / width)), min(own_width, round(own_height * width / height))
    top, left = (own_height - kept[0]) // 2, (own_width - kept[1]) // 2
    return images[..., top : top + kept[0], left : left + kept[1]]


class Pixels(NamedTuple):
    """Images, uint8 `[n, channels, height, width]`; what black and white were; and what was guessed of that."""

    images: Tensor
    pixel_range: Range
    notices: tuple[str, ...] = ()


def image_tensor(name: str, x: Array, pixel_range: Range | None = None) -> Pixels:
    """Return an array of images as bytes.

    Args:
        name: what to call it in errors.
        x: (n, h, w) or (n, h, w, channels): whole numbers from 0 to 255, or floats from 0 to 1, or of a range that is
            stated.
        pixel_range: the values of black and white. Without it, fractions above 1 are refused.

    Raises:
        InputError: for another shape, and values that are NaN, infinite or out of range.

    >>> image_tensor("x", np.zeros((5, 8, 8))).pixel_range
    (0, 1)
    """
    check_numbers(name, x)
    notices: tuple[str, ...] = ()
    largest, whole = float(x.max(initial=0)), x.dtype.kind != "f" or bool((x == np.round(x)).all())
    if pixel_range is None:
        pixel_range = (0, 1) if x.dtype.kind == "b" or (x.dtype.kind == "f" and largest <= 1) else (0, 255)
        if not whole and largest > 1:
            raise InputError(
                f"expected image values in {name} that are whole numbers from 0 to 255 or fractions from 0 to 1, found "
                f"fractions up to {largest:g}; say what black and white are, such as --pixel-range 0 {largest:g} "
                "(pixel_range in Python)"
            )
        if x.dtype.kind == "f" or (x.dtype.kind != "b" and largest <= 1):  # a mask of 0 and 1, taken for black
            kind = "whole numbers" if whole else "fractions"
            notices = (
                f"the images in {name} are {kind} up to {largest:g}, taken as {pixel_range[0]} (black) to "
                f"{pixel_range[1]} (white); --pixel-range states another range",
            )
    elif pixel_range == (0, 255) and not whole and largest <= 1:
        raise InputError(f"expected image values from 0 to 255 in {name}, as before, found 0 to 1; multiply by 255")
    if x.ndim == 3:
        x = x[..., None]
    if x.shape[3] > 4 and x.shape[1] <= 4:
        raise InputError(f"expected {name} of shape (n, h, w, channels), found {x.shape}; move the channels to the end")
    # A copy, for the same strides whatever the array's own: convolutions choose their arithmetic by them.
    pixels = np.empty((len(x), x.shape[3], *x.shape[1:3]), np.uint8)
    for start in range(0, len(x), 1000):  # all at once, float64 may take eight times the memory
        part = x[start : start + 1000]
        if part.dtype != np.uint8 or pixel_range != (0, 255):
            part = to_bytes(part.astype(np.float64), pixel_range, name)
        pixels[start : start + 1000] = part.transpose(0, 3, 1, 2)
    return Pixels(torch.from_numpy(pixels), pixel_range, notices)


def to_bytes(values: Array, pixel_range: Range, name: str) -> Array:
    """Return values between those of black and white as whole numbers from 0 to 255.

    Raises:
        InputError: for a value outside of them, and a range that is none.
    """
    black, white = pixel_range
    if black == white:
        raise InputError(f"expected two values for the range of pixels, found {black:g} twice; correct --pixel-range")
    low, high, (first, last) = values.min(), values.max(), sorted(pixel_range)
    if low < first or high > last:
        raise InputError(
            f"expected image values from {first:g} to {last:g} in {name}, found {low:g} to {high:g}; rescale them, or "
            "state their range with --pixel-range"
        )
    return np.round((values - black) * 255 / (white - black)).astype(np.uint8)


def check_unmasked(name: str, values: object) -> None:
    """Raise `InputError` for a masked array with something masked: NumPy and scikit-learn would take what is below."""
    if isinstance(values, np.ma.MaskedArray) and (hidden := int(np.sum(values.mask))):
        raise InputError(
            f"expected a value for everything in {name}, found {hidden:,} masked; fill them in ({name}.filled), or "
            "leave the samples out"
        )


def check_numbers(name: str, x: Array) -> None:
    """Raise `InputError` unless an array has the shape of a table or of images, and finite numbers alone."""
    if x.dtype.kind not in "fiub":
        raise InputError(f"expected numbers in {name}, found {x.dtype}; convert it")
    if x.ndim not in (2, 3, 4) or x.size == 0:
        raise InputError(
            f"expected {name} of shape (n, features), (n, h, w) or (n, h, w, channels), found {x.shape}; reshape it"
        )
    bad = np.argwhere(~np.isfinite(x)) if x.dtype.kind == "f" else np.empty((0, x.ndim))
    if len(bad):
        row, *rest = (int(index) for index in bad[0])
        place = f"column {rest[0]}" if x.ndim == 2 else f"pixel {tuple(rest)}"
        raise InputError(
            f"expected finite numbers in {name}, found {x[tuple(bad[0])]} in row {row}, {place} ({len(bad)} "
            "in all); fill in or remove them"
        )
