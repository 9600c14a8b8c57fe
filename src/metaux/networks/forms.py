"""What images a network of a library takes: as its weights were trained, and in patches for smaller ones."""

from math import gcd
from typing import NamedTuple

PATCHES = 7  # a side: what the largest patches in use (32 pixels) make of 224 pixels


class Form(NamedTuple):
    """The images that weights were trained on: `size` pixels a side, `mean` and `deviation` per channel (of 0 to 1)."""

    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def patch_size(size: tuple[int, ...], native: int) -> int:
    """Return the largest patch, up to the native one, that divides the image into at least 7 patches a side.

    Args:
        size: the image's height and width, in pixels.
        native: the patch size that the network is named for.

    >>> [patch_size((pixels, pixels), 16) for pixels in (8, 28, 32, 64, 224)]
    [1, 4, 4, 8, 16]
    """
    side = gcd(*size)
    return max(patch for patch in range(1, native + 1) if side % patch == 0 and (patch == 1 or side >= PATCHES * patch))
