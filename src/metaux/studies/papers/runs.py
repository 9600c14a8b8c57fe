"""The runs behind the experiments: each is trained once, whichever experiments need it, and found again by content."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from metaux.runs import pool
from metaux.runs.record import Run
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.studies.papers.datasets import Bed
from metaux.studies.papers.estimate import Clock


@dataclass(frozen=True)
class Need:
    """One line of an experiment: a method under one configuration, to be run with every seed.

    Args:
        panel: the part of the figure that it belongs to.
        label: what the figure calls it.
        method: the label source's name.
        settings: everything else.
        bed: the data that the settings name.
    """

    panel: str
    label: str
    method: str
    settings: Settings
    bed: Bed


def trials_of(needs: Iterable[Need], seeds: int, clock: Clock | None = None) -> list[Trial]:
    """Return the runs, seed by seed: what is stopped halfway has whole seeds. Within a seed, long runs come first."""
    found = []
    for need in needs:
        trial = Trial(need.settings, need.method, 0)
        seconds = clock.epoch(need.settings, need.method, need.bed.samples, need.bed.shape) if clock else 1.0
        found += [replace(trial, seed=seed, seconds=seconds) for seed in range(seeds)]
    return sorted(found, key=lambda t: (t.seed, t.settings.data, -t.seconds * t.protocol.epochs if clock else 0))


def train_missing(needs: Sequence[Need], seeds: int, out: Path, jobs: int, clock: Clock, console: Console) -> list[str]:
    """Train what is missing, side by side; return for each run that could not be finished, why.

    Raises:
        InputError: if a finished run is on data that has changed since.
    """
    return pool.train(trials_of(needs, seeds, clock), Store(out), jobs, console, start=pool.START_OF_A_PROCESS)


def finished(needs: Iterable[Need], seeds: int, out: Path) -> dict[str, list[Run]]:
    """Return the finished runs of each panel under the labels of the figure, in the order of the needs."""
    panels: dict[str, list[Run]] = {}
    for need in needs:
        for trial in trials_of([need], seeds):
            if (run := Store(out).find(trial)) is not None:
                panels.setdefault(need.panel, []).append(run.labelled(need.label))
    return panels
