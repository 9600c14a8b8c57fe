"""What samples look like on the page: small pictures, or the cells of a row."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_PICTURE = 64
LARGEST_THUMBNAIL = 40
IN_A_ROW = 32
QUALITY = 85
LARGEST_LOSSLESS = 16


@dataclass(frozen=True)
class Samples:
    """Those samples of the runs' data that the page shows; a report reads no data itself.

    Args:
        kind: what they are; `none` where the data could not be read.
        train: of training samples by their id, and
        test: of test samples by their row: uint8 `[channels, height, width]` of an image, else the cells of a row.
        columns: what the cells are.
        missing: why there are none.
    """

    kind: Literal["image", "rows", "none"] = "none"
    train: Mapping[int, Any] = field(default_factory=dict)
    test: Mapping[int, Any] = field(default_factory=dict)
    columns: Sequence[str] = ()
    missing: str = ""


@dataclass(frozen=True)
class Sprite:
    """Many small pictures in one.

    Args:
        uri: the picture, as a data URI.
        edge: of one of them, in pixels.
        across: how many stand in a row.
        places: by sample, which of them it is.
    """

    uri: str
    edge: int
    across: int
    places: Mapping[int, int]


def picture(pixels: NDArray[Any]) -> str:
    """Return an image, made smaller if it is large, as a data URI.

    Args:
        pixels: uint8 `[channels, height, width]`.
    """
    return _uri(_image(pixels, LARGEST_PICTURE))


def sprite(pictures: Mapping[int, NDArray[Any]]) -> Sprite | None:
    """Return all pictures in one, which takes far less room than each by itself; None of none."""
    from PIL import Image

    if not pictures:
        return None
    small = {key: _image(pixels, LARGEST_THUMBNAIL) for key, pixels in pictures.items()}
    edge = max(max(each.size) for each in small.values())
    across = min(IN_A_ROW, len(small))
    sheet = Image.new("RGB", (edge * across, edge * math.ceil(len(small) / across)))
    for place, each in enumerate(small.values()):
        left, top = edge * (place % across), edge * (place // across)
        sheet.paste(each, (left + (edge - each.width) // 2, top + (edge - each.height) // 2))
    return Sprite(_uri(sheet), edge, across, {key: place for place, key in enumerate(small)})


def _image(pixels: NDArray[Any], largest: int) -> "Image":
    """Return an image of whatever channels, of more than three the first three, of two the first, made smaller."""
    from PIL import Image

    if len(pixels) >= 3:
        image = Image.fromarray(pixels[:3].transpose(1, 2, 0).copy())
    else:
        image = Image.fromarray(pixels[0].copy()).convert("RGB")
    image.thumbnail((largest, largest))
    return image


def _uri(image: "Image") -> str:
    content = io.BytesIO()
    # Of few pixels each one counts, and costs little.
    image.save(content, "WEBP", quality=QUALITY, method=4, lossless=max(image.size) <= LARGEST_LOSSLESS)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode()
