"""Results on one test set, or in cross-validation on parts of one: side by side, a column for each sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaux.runs.record import Run

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


def folds_of(settings: Mapping[str, Any]) -> int | None:
    """Return in how many parts the samples of a run were divided; None without cross-validation."""
    folds = settings.get("folds")
    return None if folds is None else int(folds)


def overlap_of(settings: Mapping[str, Any]) -> float:
    """Return the test samples per training sample of cross-validation; 0 without it."""
    folds = folds_of(settings)
    return 0.0 if folds is None else 1 / (folds - 1)


def ids_of(run: Run) -> Whole | None:
    """Return which samples a run was measured on; None where all runs are measured on the same."""
    return None if folds_of(run.settings) is None else run.output("test_ids")


def side_by_side(values: Sequence[Array], ids: Sequence[Whole | None]) -> Array:
    """Return `[runs, n]`: a row per run, NaN where it was not measured on a sample, which are ascending by their id.

    Args:
        values: of each run, one per test sample.
        ids: of the test samples; None if they are the same for all.

    >>> side_by_side([np.array([1.0, 0.0]), np.array([1.0])], [np.array([2, 0]), np.array([1])]).tolist()
    [[0.0, nan, 1.0], [nan, 1.0, nan]]
    """
    own = [each for each in ids if each is not None]
    if not own:
        return np.stack(values)
    places = np.unique(np.concatenate(own))
    found = np.full((len(values), len(places)), np.nan)
    for row, (each, of_run) in enumerate(zip(values, own, strict=True)):
        found[row, np.searchsorted(places, of_run)] = each
    return found


def of_samples(runs: Sequence[Run], name: str) -> Whole:
    """Return an output that every test sample has once, such as its class: int64 `[n]`, the order of `side_by_side`."""
    if ids_of(runs[0]) is None:
        return runs[0].output(name)
    found = side_by_side([run.output(name).astype(np.float64) for run in runs], [ids_of(run) for run in runs])
    whole: Whole = np.nanmax(found, axis=0).astype(np.int64)
    return whole


def groups_of(runs: Sequence[Run]) -> Whole | None:
    """Return the group of each test sample; None where the data has no groups."""
    return of_samples(runs, "test_groups") if runs and runs[0].test_groups is not None else None
