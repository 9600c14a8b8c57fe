"""Runs that are known by their content, trained side by side where they are not there yet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from metaux.errors import TrainingError
from metaux.protocols import resolve
from metaux.runs.loading import check_all_unchanged
from metaux.runs.pool import KILLED, work_through, workers_for
from metaux.runs.progress import Job, shown
from metaux.runs.record import Run, is_finished
from metaux.runs.store import folder_by_content
from metaux.settings import Settings


@dataclass(frozen=True)
class Trial:
    """One run.

    Args:
        settings: what it is made of.
        method: the label source's name.
        seed: of everything random.
        cost: seconds of an epoch, as far as they are known; in any unit that all have in common.
    """

    settings: Settings
    method: str
    seed: int
    cost: float = 1.0

    def changed(self, **values: Any) -> "Trial":
        """Return the trial with other settings."""
        return replace(self, settings=replace(self.settings, **values))

    def folder(self, out: Path) -> Path:
        """Return where it is recorded."""
        return folder_by_content(self.settings, self.method, self.seed, out)

    def run(self, out: Path) -> Run | None:
        """Return the finished run; None if there is none."""
        folder = self.folder(out)
        return Run.read(folder) if is_finished(folder) else None


def train(trials: Sequence[Trial], what: str, out: Path, jobs: int, console: Console) -> list[str]:
    """Train what is missing; interrupted runs go on.

    Args:
        trials: the runs, those on the same data one after the other.
        what: they are, in words; empty to say nothing.
        out: where they are recorded.
        jobs: runs side by side; 0 for as many as suit the machine.
        console: for progress.

    Returns:
        For each run that could not be finished, why.

    Raises:
        InputError: if a finished run is on data that has changed since.
        TrainingError: if a process was killed, so that some were not tried at all.
    """
    check_all_unchanged((trial.settings, run) for trial in trials if (run := trial.run(out)) is not None)
    by_folder = {trial.folder(out): trial for trial in trials}
    todo = [
        Job(trial.settings, trial.method, trial.seed, folder, resolve(trial.settings).epochs, trial.cost, curve=False)
        for folder, trial in by_folder.items()
        if not is_finished(folder)
    ]
    if not todo:
        return []
    # A process reads data once, as long as it is asked for no other. Then long runs first, so that none is waited for.
    order = list(dict.fromkeys(trial.settings.data for trial in trials))
    todo.sort(key=lambda job: (order.index(job.settings.data), -job.seconds * job.epochs, job.seed))
    workers = workers_for(todo, jobs)
    if what:
        console.print(f"{what}: {len(todo)} of {len(by_folder)} runs to do, {workers} at a time")
    with shown(todo, None, console, accuracy=False):
        failures = work_through(todo, workers)
    if KILLED in failures:
        raise TrainingError(KILLED)
    return failures
