"""Data for runs: read once, and checked to be what earlier runs learned from."""

from collections.abc import Callable, Iterable
from functools import lru_cache

from metaux.data.assemble import assemble
from metaux.data.reader import RawData
from metaux.data.samples import LabelledData
from metaux.data.sources import for_reading, read
from metaux.errors import InputError
from metaux.runs.record import Run
from metaux.settings import Settings


def load_once(settings: Settings) -> LabelledData:
    """Read the data, and keep what was read until other data is asked for."""
    return assemble(_read_once(for_reading(settings)), settings)


@lru_cache(maxsize=1)
def _read_once(settings: Settings) -> RawData:
    return read(settings)


def check_all_unchanged(
    runs: Iterable[tuple[Settings, Run]], load: Callable[[Settings], LabelledData] = load_once
) -> None:
    """Check that runs, given with their settings, learned from the data as it is now; each data set is read once.

    Raises:
        InputError: naming the first that didn't.
    """
    by_data: dict[tuple[object, ...], list[tuple[Settings, Run]]] = {}
    for settings, run in runs:
        levels = settings.hierarchy, settings.primary, settings.auxiliary, settings.subclasses
        by_data.setdefault((for_reading(settings), *levels, settings.evaluate_on, settings.fold), []).append(
            (settings, run)
        )
    for own in by_data.values():
        check_unchanged([run for _, run in own], load(own[0][0]))


def is_of(run: Run, data: LabelledData) -> bool:
    """Return whether the run learned from this data, and was measured on it."""
    return bool(run.result.get("data") == data.digest)


def check_unchanged(runs: Iterable[Run], data: LabelledData) -> None:
    """Check that earlier runs are on the data as it is now: others cannot be compared with what comes.

    Raises:
        InputError: naming the first that isn't.
    """
    for run in runs:
        if not is_of(run, data):
            raise InputError(
                f"expected the data that {run.folder} was trained on, found that it has changed; give another --out to "
                "start anew"
            )
        now, before = run.trial.protocol.initialisation, run.result.get("initialisation", "pytorch")
        if now != before:
            raise InputError(
                f"expected networks that start as the protocol says ({now}), found that those of {run.folder}, which "
                f"an earlier version trained, started otherwise ({before}); give another --out to start anew"
            )
