"""Whether runs can be compared: one task, one test set, and settings that differ in nothing else."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from metaux.errors import InputError
from metaux.labels.sources import CLASSICAL
from metaux.runs.record import Run
from metaux.settings import Settings, to_mapping


def check_alike(runs: Sequence[Run], vary: Collection[str]) -> None:
    """Check that runs differ in method and seed only, and in the settings `vary`.

    Raises:
        InputError: for no run, one method and seed twice, or runs that differ in anything else.
    """
    if not runs:
        raise InputError("expected finished runs to compare, found none; train some first")
    first = runs[0]
    primary = first.output("test_primary")
    seen: dict[tuple[str, int], Run] = {}
    for run in runs:
        if other := seen.get((run.method, run.seed)):
            raise InputError(
                f"expected one run of {run.method} with seed {run.seed}, found {other.folder} "
                f"and {run.folder}; compare the runs of one output folder"
            )
        seen[run.method, run.seed] = run
        if differs := _differing(first.settings, run.settings, vary):
            raise InputError(
                f"expected runs that differ in method and seed only, found {differs} of {first.folder} and "
                f"{run.folder}; compare the runs of one output folder"
            )
        alike = len(run.epochs) == len(first.epochs) or CLASSICAL.keys() & {run.method, first.method}
        if not alike or not np.array_equal(primary, run.output("test_primary")):
            raise InputError(
                f"expected runs of equal length on one test set, found {first.folder} "
                f"({len(first.epochs)} epochs, {len(primary)} test samples) and {run.folder} "
                f"({len(run.epochs)} epochs, {len(run.output('test_primary'))} test samples), or other "
                "labels; compare the runs of one output folder"
            )


def _differing(first: Mapping[str, Any], other: Mapping[str, Any], vary: Collection[str]) -> str:
    """Return the first setting that differs, with both values, and nothing if none does.

    A run of an earlier version has the defaults of settings that came later.
    """
    first, other = ({**to_mapping(Settings()), **settings} for settings in (first, other))
    for key in {**first, **other}:
        if key not in ("method", "seed", *vary) and first.get(key) != other.get(key):
            return f"'{key}' {first.get(key)} and {other.get(key)}"
    return ""
