"""An .npz file of arrays: images or a table, with labels."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metaux.data.columns import check_resolution
from metaux.data.images import AS_FOUND, ImageFormat, conform
from metaux.data.raw import RawData
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError

Array = np.ndarray[Any, Any]
KNOWN = ("x", "y", "y_fine", "y_given", "x_test", "y_test", "y_fine_test")


def read_arrays(path: Path, wanted: ImageFormat = AS_FOUND, fitting: bool = True) -> RawData:
    """Read an .npz file with `x`, `y` and optionally `y_fine` (finer labels), `y_given` (labels of another kind, of
    `x` only), `x_test`, `y_test`, `y_fine_test`.

    `x` is a table (n, features), or images (n, h, w) or (n, h, w, channels). Image values are whole numbers
    from 0 to 255, or floats: from 0 to 1 if none in `x` is above 1, else from 0 to 255. Labels are whole
    numbers or strings.

    Args:
        path: the file.
        wanted: the format of images.
        fitting: whether the data are to be learned from; then float32 must be able to tell a table's numbers apart.

    Raises:
        InputError: for a file that isn't one, missing or superfluous arrays, shapes that don't fit, and
            values that are NaN, infinite or out of range, with their place.
    """
    arrays = _load(path)
    try:
        raw = _interpret(arrays, wanted)
        if fitting and raw.kind == "table":
            check_resolution(arrays["x"], [f"x, column {column}" for column in range(arrays["x"].shape[1])])
        return raw
    except InputError as error:
        raise InputError(f"{error} (in '{path}')") from None


def read_rows(path: Path, preprocessing: Preprocessing) -> Tensor:
    """Read `x` of an .npz file as a finished run takes its inputs; labels are not needed and not looked at.

    Raises:
        InputError: as `read_arrays`, and for inputs unlike the run's.
    """
    arrays = _load(path)
    image = preprocessing.kind == "image"
    wanted = ImageFormat(preprocessing.image_size, preprocessing.channels) if image else AS_FOUND
    if "x" not in arrays:
        raise InputError(f"expected the array x in '{path}', found {', '.join(arrays) or 'none'}; add it")
    x = np.atleast_1d(arrays["x"])
    if image and preprocessing.channels > 1 and x.shape == (*(preprocessing.image_size or ()), preprocessing.channels):
        raise InputError(
            f"expected images (n, h, w, channels) in '{path}', found one image {x.shape}; give it an axis: x[None]"
        )
    try:
        raw = _interpret({"x": x, "y": np.zeros(len(x), dtype=np.int64)}, wanted)
    except InputError as error:
        raise InputError(f"{error} (in '{path}')") from None
    if raw.kind != preprocessing.kind or raw.inputs.shape[1] != preprocessing.channels:
        raise InputError(
            f"expected inputs like the run's ({preprocessing.describe()}), found a {raw.kind} of shape "
            f"{tuple(raw.inputs.shape[1:])} in '{path}'; give inputs of that form"
        )
    return raw.inputs


def image_tensor(name: str, x: Array, unit: bool | None = None) -> tuple[Tensor, bool]:
    """Return an array of images as uint8 `[n, channels, h, w]`, and whether its values go to 1 rather than 255.

    Args:
        name: what to call it in errors.
        x: (n, h, w) or (n, h, w, channels).
        unit: whether the values go to 1, where that is known.

    Raises:
        InputError: for another shape, and values that are NaN, infinite or out of range.
    """
    _check_finite(name, x)
    found = _in_unit_range(x)
    if unit is False and found and x.dtype.kind == "f" and not (x == np.round(x)).all():
        raise InputError(f"expected image values from 0 to 255 in {name}, as before, found 0 to 1; multiply by 255")
    unit = found if unit is None else unit
    return _images(name, x, unit), unit


def _load(path: Path) -> dict[str, Array]:
    if not path.is_file():
        raise InputError(f"expected an .npz file, found nothing at '{path}'; check the path")
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                raise ValueError("a single array")
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"expected an .npz file of plain number or string arrays, found '{path}' that isn't one "
            f"({reason}); save it with numpy.savez"
        ) from None


def _interpret(arrays: Mapping[str, Array], wanted: ImageFormat) -> RawData:
    for name in ("x", "y"):
        if name not in arrays:
            found = ", ".join(arrays) or "none"
            raise InputError(f"expected the arrays x and y, found {found}; add '{name}'")
    for name in KNOWN:
        if name in arrays and arrays[name].ndim == 0:
            raise InputError(f"expected one entry per sample in {name}, found a single value; correct it")
    for first, second in (("x_test", "y_test"), ("y_test", "x_test"), ("y_fine_test", "x_test")):
        if first in arrays and second not in arrays:
            raise InputError(f"expected {first} and {second} together, found only {first}; add {second}")
    if "x_test" in arrays and ("y_fine" in arrays) != ("y_fine_test" in arrays):
        raise InputError("expected y_fine and y_fine_test together, found only one; add the other or leave out both")
    suffixes = ("", "_test") if "x_test" in arrays else ("",)
    for suffix in suffixes:
        for name in ("y", "y_fine", "y_given"):
            if name + suffix in arrays and len(arrays[name + suffix]) != len(arrays["x" + suffix]):
                raise InputError(
                    f"expected one label in {name}{suffix} per row of x{suffix}, found "
                    f"{len(arrays[name + suffix])} for {len(arrays['x' + suffix])}; correct one of them"
                )
    names = {"label": "y"} | ({"fine": "y_fine"} if "y_fine" in arrays else {})
    labels = {
        column: tuple(label for suffix in suffixes for label in _labels(name + suffix, arrays[name + suffix]))
        for column, name in names.items()
    }
    x = arrays["x"]
    for suffix in suffixes:
        if arrays["x" + suffix].shape[1:] != x.shape[1:]:
            raise InputError(
                f"expected rows of shape {x.shape[1:]} in x_test as in x, found "
                f"{arrays['x_test'].shape[1:]}; make them alike"
            )
    if x.ndim == 2:
        if wanted.size:
            raise InputError(
                f"expected images, found a table {x.shape} in x; give images (an image size is for images alone)"
            )
        for suffix in suffixes:
            _check_finite("x" + suffix, arrays["x" + suffix])
        inputs = torch.cat([_table("x" + suffix, arrays["x" + suffix]) for suffix in suffixes])
    else:
        unit, images = None, list[Tensor]()
        for suffix in suffixes:
            part, unit = image_tensor("x" + suffix, arrays["x" + suffix], unit)
            images.append(part)
        inputs = conform(torch.cat(images), wanted)
    given = None
    if "y_given" in arrays:
        given = (*_labels("y_given", arrays["y_given"]), *[""] * (len(inputs) - len(x)))
    unknown = [name for name in arrays if name not in KNOWN]
    return RawData(
        inputs,
        labels,
        "table" if x.ndim == 2 else "image",
        tuple("test" if suffix else "train" for suffix in suffixes for _ in arrays["x" + suffix])
        if len(suffixes) == 2
        else None,
        notices=(f"the arrays {', '.join(unknown)} are not used",) if unknown else (),
        given=given,
    )


def _labels(name: str, y: Array) -> list[str]:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    whole = y.dtype.kind == "f" and bool(np.isfinite(y).all()) and bool((y == np.round(y)).all())
    if y.ndim != 1 or not (y.dtype.kind in "iubU" or whole):
        raise InputError(
            f"expected one whole number or string per row in {name}, found {y.dtype} of shape {y.shape}; convert it"
        )
    return list(map(str, (y.astype(np.int64) if y.dtype.kind in "fb" else y).tolist()))


def _check_finite(name: str, x: Array) -> None:
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


def _table(name: str, x: Array) -> Tensor:
    with np.errstate(over="ignore"):
        table = x.astype(np.float32)
    if not np.isfinite(table).all():
        row, column = (int(index) for index in np.argwhere(~np.isfinite(table))[0])
        raise InputError(
            f"expected numbers in {name} that float32 can hold, found {x[row, column]} in row {row}, column "
            f"{column}; rescale it"
        )
    return torch.from_numpy(table)


def _in_unit_range(x: Array) -> bool:
    return x.dtype.kind == "b" or (x.dtype.kind == "f" and float(x.max(initial=0)) <= 1)


def _images(name: str, x: Array, unit: bool) -> Tensor:
    if x.ndim == 3:
        x = x[..., None]
    if x.shape[3] > 4 and x.shape[1] <= 4:
        raise InputError(f"expected {name} of shape (n, h, w, channels), found {x.shape}; move the channels to the end")
    low, high, top = x.min(), x.max(), 1 if unit else 255
    if low < 0 or high > top:
        raise InputError(f"expected image values from 0 to {top} in {name}, found {low} to {high}; rescale them")
    pixels = x if x.dtype == np.uint8 else np.round(x.astype(np.float64) * (255 if unit else 1)).astype(np.uint8)
    # A copy, for the same strides whatever the array's own: convolutions choose their arithmetic by them.
    return torch.from_numpy(np.array(pixels.transpose(0, 3, 1, 2), order="C"))
