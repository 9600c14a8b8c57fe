"""An .npz file of arrays: images or a table, with labels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metaux.data.columns import check_resolution
from metaux.data.npz import ObjectArrayError, read_arrays
from metaux.data.pixels import Array, check_numbers, conform, image_tensor
from metaux.data.reader import RawData, Request, missing_path
from metaux.errors import InputError, explained

PARTS = {"train": "", "val": "_val", "test": "_test"}
"""What the names of a part's arrays end in."""
KNOWN = ("y_given", *(name + suffix for suffix in PARTS.values() for name in ("x", "y", "y_fine")))
ALIASES = {"X": "x", "Y": "y", "x_train": "x", "y_train": "y", "X_train": "x", "Y_train": "y"}
ALIASES |= {f"{name.upper()}{suffix}": name + suffix for name in "xy" for suffix in ("_val", "_test")}
ALIASES |= {f"{part}_images": f"x{suffix}" for part, suffix in PARTS.items()}
ALIASES |= {f"{part}_labels": f"y{suffix}" for part, suffix in PARTS.items()}
"""What other programs, Keras and MedMNIST among them, call these arrays."""

missing = missing_path


def takes(data: str) -> bool:
    """Return whether the data is named as an .npz file is."""
    return Path(data).suffix.lower() == ".npz"


def read(request: Request) -> RawData:
    """Read an .npz file with `x`, `y` and optionally `y_fine` (finer labels), `y_given` (labels of another kind, of
    `x` only), `x_val`, `y_val`, `y_fine_val`, `x_test`, `y_test`, `y_fine_test`; without labels only `x` is looked at.
    Names that other programs give these arrays are understood, and said.

    `x` is a table (n, features), or images (n, h, w) or (n, h, w, channels). Image values are whole numbers from 0 to
    255, or fractions from 0 to 1, or of the request's range. Labels are whole numbers or strings. What is to be learned
    from must be numbers that float32 can tell apart.

    Raises:
        InputError: for a file that isn't one, missing or superfluous arrays, shapes that don't fit, and
            values that are NaN, infinite or out of range, with their place.
    """
    expected = f"expected an .npz file of plain number or string arrays, found '{request.path}' that isn't one"
    with explained(expected, "save it with numpy.savez", 200):
        try:
            wanted = KNOWN if request.labelled else ("x",)
            aliases = [name for name, own in ALIASES.items() if own in wanted]
            arrays, others = read_arrays(request.path, (*wanted, *aliases))
        except ObjectArrayError as error:
            raise InputError(
                f"expected plain number or string arrays, found Python objects in {error.array} of '{request.path}', "
                f"as pandas has them; save labels as strings: {error.array}.astype(str)"
            ) from None
    renamed = {name: ALIASES[name] for name in arrays if name in ALIASES}
    clashing = {own for own in renamed.values() if own in arrays or list(renamed.values()).count(own) > 1}
    renamed = {name: own for name, own in renamed.items() if own not in clashing}
    others = (*others, *(name for name in arrays if ALIASES.get(name) in clashing))
    arrays = {renamed.get(name, name): array for name, array in arrays.items() if name not in others}
    said = [f"the arrays {', '.join(renamed)} are taken for {', '.join(renamed.values())}"] if renamed else []
    try:
        raw = (_read_labelled if request.labelled else _read_inputs)(arrays, others, request)
        return replace(raw, notices=(*said, *raw.notices))
    except InputError as error:
        raise InputError(f"{error} (in '{request.path}')") from None


def _read_labelled(arrays: Mapping[str, Array], others: Sequence[str], request: Request) -> RawData:
    _check_names(arrays, others)
    parts = {part: suffix for part, suffix in PARTS.items() if "x" + suffix in arrays}
    for suffix in parts.values():
        _check_lengths(arrays, suffix)
    raw = _inputs({"x" + suffix: arrays["x" + suffix] for suffix in parts.values()}, request)
    labels = {
        column: tuple(label for suffix in parts.values() for label in _labels(name + suffix, arrays[name + suffix]))
        for column, name in (("label", "y"), ("fine", "y_fine"))
        if name in arrays
    }
    if request.like is None and raw.kind == "table":
        check_resolution(arrays["x"], [f"x, column {column}" for column in range(arrays["x"].shape[1])])
    given, measured = None, len(raw.inputs) - len(arrays["x"])
    if "y_given" in arrays:
        given = (*_labels("y_given", arrays["y_given"]), *[""] * measured)
    return replace(
        raw,
        labels=labels,
        parts=tuple(part for part, suffix in parts.items() for _ in arrays["x" + suffix]) if len(parts) > 1 else None,
        notices=(*raw.notices, *([f"the arrays {', '.join(others)} are not used"] if others else [])),
        given=given,
    )


def _read_inputs(arrays: Mapping[str, Array], others: Sequence[str], request: Request) -> RawData:
    if "x" not in arrays:
        raise InputError(f"expected the array x, found {', '.join(others) or 'none'}; add it")
    x, wanted = np.atleast_1d(arrays["x"]), request.image
    if wanted.channels is not None and wanted.channels > 1 and x.shape == (*(wanted.size or ()), wanted.channels):
        raise InputError(f"expected images (n, h, w, channels), found one image {x.shape}; give it an axis: x[None]")
    return _inputs({"x": x}, request)


def _check_names(arrays: Mapping[str, Array], others: Sequence[str]) -> None:
    for name in ("x", "y"):
        if name not in arrays:
            raise InputError(
                f"expected the arrays x and y, found {', '.join((*arrays, *others)) or 'none'}; add '{name}'"
            )
    for name in KNOWN:
        if name in arrays and arrays[name].ndim == 0:
            raise InputError(f"expected one entry per sample in {name}, found a single value; correct it")
    for suffix in list(PARTS.values())[1:]:
        x, y, fine = (name + suffix for name in ("x", "y", "y_fine"))
        for first, second in ((x, y), (y, x), (fine, x)):
            if first in arrays and second not in arrays:
                raise InputError(f"expected {first} and {second} together, found only {first}; add {second}")
    for suffix in PARTS.values():
        if "x" + suffix in arrays and ("y_fine" in arrays) != ("y_fine" + suffix in arrays):
            raise InputError(
                f"expected y_fine and y_fine{suffix} together, found only one; add the other or leave out both"
            )


def _check_lengths(arrays: Mapping[str, Array], suffix: str) -> None:
    x, count = arrays["x"], len(arrays["x" + suffix])
    for name in ("y" + suffix, "y_fine" + suffix, "y_given" + suffix):
        if name in arrays and len(arrays[name]) != count:
            raise InputError(
                f"expected one label in {name} per row of x{suffix}, found {len(arrays[name])} for {count}; correct "
                "one of them"
            )
    if arrays["x" + suffix].shape[1:] != x.shape[1:]:
        raise InputError(
            f"expected rows of shape {x.shape[1:]} in x{suffix} as in x, found {arrays['x' + suffix].shape[1:]}; make "
            "them alike"
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


def _inputs(arrays: Mapping[str, Array], request: Request) -> RawData:
    """Return the samples of all arrays, which have rows of one shape: a table, or images of one range."""
    if arrays["x"].ndim == 2:
        return RawData(torch.cat([_table(name, x) for name, x in arrays.items()]), "table", {})
    images, notices, pixel_range = list[Tensor](), dict[str, None](), request.array_range
    for name, x in arrays.items():
        found = image_tensor(name, x, pixel_range)
        pixel_range = found.pixel_range
        images.append(found.images)
        notices |= dict.fromkeys(found.notices)
    whole = torch.cat(images)
    if request.image.size not in (None, tuple(whole.shape[-2:])):
        notices[f"the images of {whole.shape[-2]}x{whole.shape[-1]} pixels were resized"] = None
    if request.image.channels not in (None, whole.shape[1]):
        notices["the images were turned " + ("grey" if request.image.channels == 1 else "into RGB")] = None
    return RawData(conform(whole, request.image), "image", {}, notices=tuple(notices), pixel_range=pixel_range)


def _table(name: str, x: Array) -> Tensor:
    check_numbers(name, x)
    with np.errstate(over="ignore"):
        table = x.astype(np.float32)
    if not np.isfinite(table).all():
        row, column = (int(index) for index in np.argwhere(~np.isfinite(table))[0])
        raise InputError(
            f"expected numbers in {name} that float32 can hold, found {x[row, column]} in row {row}, column "
            f"{column}; rescale it"
        )
    return torch.from_numpy(table)
