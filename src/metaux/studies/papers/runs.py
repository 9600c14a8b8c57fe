"""The runs behind the experiments: each is trained once, whichever experiments need it, and found again by content."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from metaux.protocols import resolve
from metaux.runs.loading import check_all_unchanged
from metaux.runs.pool import START_OF_A_PROCESS, expected, work_through, workers_for
from metaux.runs.progress import Job, shown
from metaux.runs.record import Run, is_finished
from metaux.runs.store import folder_by_content
from metaux.settings import Settings
from metaux.studies.papers.datasets import Bed
from metaux.studies.papers.estimate import Clock
from metaux.words import duration


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


def folder_of(need: Need, seed: int, out: Path) -> Path:
    """Return where the run of this line and seed lies."""
    return folder_by_content(need.settings, need.method, seed, out)


def distinct(needs: Sequence[Need], seeds: int, out: Path) -> dict[Path, tuple[Need, int]]:
    """Return the runs by their folders, seed by seed; lines that are the same run have one."""
    return {folder_of(need, seed, out): (need, seed) for seed in range(seeds) for need in needs}


def missing(needs: Sequence[Need], seeds: int, out: Path) -> dict[Path, tuple[Need, int]]:
    """Return those of the runs that are not finished."""
    return {folder: run for folder, run in distinct(needs, seeds, out).items() if not is_finished(folder)}


def check_runs(needs: Sequence[Need], seeds: int, out: Path) -> None:
    """Check that the finished runs learned from the data as it is now.

    Raises:
        InputError: naming the first that didn't.
    """
    runs = distinct(needs, seeds, out).items()
    check_all_unchanged((need.settings, Run.read(folder)) for folder, (need, _) in runs if is_finished(folder))


def train_missing(needs: Sequence[Need], seeds: int, out: Path, jobs: int, clock: Clock, console: Console) -> list[str]:
    """Train what is missing, side by side; return for each run that could not be finished, why."""
    todo = [
        Job(
            need.settings,
            need.method,
            seed,
            folder,
            resolve(need.settings).epochs,
            clock.epoch(need.settings, need.method, need.bed.samples, need.bed.shape),
        )
        for folder, (need, seed) in missing(needs, seeds, out).items()
    ]
    if not todo:
        return []
    # Early seeds first: what is stopped halfway has whole seeds. Within a seed, long runs first.
    todo.sort(key=lambda job: (job.seed, job.settings.data, -job.seconds * job.epochs))
    workers = workers_for(todo, jobs)
    seconds = expected(todo, workers) + (START_OF_A_PROCESS if workers > 1 else 0)
    console.print(f"{len(todo)} runs, {workers} at a time: about {duration(seconds)}")
    with shown(todo, seconds, console, accuracy=False):
        return work_through(todo, workers)


def finished(needs: Iterable[Need], seeds: int, out: Path) -> dict[str, list[Run]]:
    """Return the finished runs of each panel under the labels of the figure, in the order of the needs."""
    panels: dict[str, list[Run]] = {}
    for need in needs:
        for seed in range(seeds):
            folder = folder_of(need, seed, out)
            if is_finished(folder):
                panels.setdefault(need.panel, []).append(Run.read(folder).labelled(need.label))
    return panels
