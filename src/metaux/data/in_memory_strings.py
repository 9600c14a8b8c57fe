"""Texts, and names of image files, that a program has in memory."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from metaux.data.images import is_image
from metaux.errors import InputError


def as_strings(samples: Any) -> list[str | Path] | None:
    """Return samples that are texts or paths, one each; None for samples of another kind.

    Raises:
        InputError: where only some of them are.

    >>> as_strings(np.array(["good", "bad"])), as_strings([[1.0, 2.0]])
    (['good', 'bad'], None)
    """
    import pandas as pd

    if not isinstance(samples, list | tuple | pd.Series | np.ndarray) or getattr(samples, "ndim", 1) != 1:
        return None
    values = list(samples)
    odd = [row for row, value in enumerate(values) if not isinstance(value, str | PathLike)]
    if len(odd) == len(values):
        return None
    if odd:
        raise InputError(
            f"expected a text, or an image file, for every sample in X, found {values[odd[0]]!r} in row {odd[0]}; fill "
            "it in, or leave the sample out"
        )
    return [str(value) if isinstance(value, str) else Path(value) for value in values]


def name_images(values: Sequence[str | Path]) -> bool:
    """Return whether strings are names of image files: paths, or strings that all end as the names of images do."""
    return all(isinstance(value, Path) or is_image(value) for value in values)
