"""Images in memory: arrays of numbers to uint8 tensors, and all of them to one size and number of channels."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from metaux.errors import InputError

Array = np.ndarray[Any, Any]
LARGEST = 8 * 2**30
"""The bytes that all images, or a table, may take."""


class ImageFormat(NamedTuple):
    """What images are to be brought to; None leaves it to the images.

    `size` is (height, width) in pixels, `channels` 1 (greyscale) or 3 (RGB).
    """

    size: tuple[int, int] | None = None
    channels: int | None = None


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
        resized = allocate(len(images), channels, wanted.size)
        for target, part in zip(torch.split(resized, 1000), torch.split(images, 1000), strict=True):
            target.copy_(
                torch.nn.functional.interpolate(part.contiguous(), wanted.size, mode="bilinear", antialias=True)
            )
        images = resized
    return images.contiguous()


def image_tensor(name: str, x: Array, unit: bool | None = None) -> tuple[Tensor, bool]:
    """Return an array of images as uint8 `[n, channels, h, w]`, and whether its values go to 1 rather than 255.

    Args:
        name: what to call it in errors.
        x: (n, h, w) or (n, h, w, channels): whole numbers from 0 to 255, or floats from 0 to 1 or to 255.
        unit: whether the values go to 1; by default, whether none is above 1.

    Raises:
        InputError: for another shape, and values that are NaN, infinite or out of range.
    """
    check_numbers(name, x)
    small = x.dtype.kind == "b" or (x.dtype.kind == "f" and float(x.max(initial=0)) <= 1)
    if unit is False and small and x.dtype.kind == "f" and not (x == np.round(x)).all():
        raise InputError(f"expected image values from 0 to 255 in {name}, as before, found 0 to 1; multiply by 255")
    unit = small if unit is None else unit
    if x.ndim == 3:
        x = x[..., None]
    if x.shape[3] > 4 and x.shape[1] <= 4:
        raise InputError(f"expected {name} of shape (n, h, w, channels), found {x.shape}; move the channels to the end")
    low, high, top = x.min(), x.max(), 1 if unit else 255
    if low < 0 or high > top:
        raise InputError(f"expected image values from 0 to {top} in {name}, found {low} to {high}; rescale them")
    # A copy, for the same strides whatever the array's own: convolutions choose their arithmetic by them.
    pixels = np.empty((len(x), x.shape[3], *x.shape[1:3]), np.uint8)
    for start in range(0, len(x), 1000):  # all at once, float64 may take eight times the memory
        part = x[start : start + 1000]
        whole = part if part.dtype == np.uint8 else np.round(part.astype(np.float64) * (255 if unit else 1))
        pixels[start : start + 1000] = whole.transpose(0, 3, 1, 2)
    return torch.from_numpy(pixels), unit


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
