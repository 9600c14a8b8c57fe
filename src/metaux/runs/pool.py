"""Many runs side by side."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from metaux.data.samples import LabelledData
from metaux.errors import InputError, LostFolderError, TrainingError
from metaux.files import check_in_place
from metaux.runs.launch import run
from metaux.runs.loading import check_all_unchanged, load_once
from metaux.runs.progress import read_state, shown
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.runs.workers import Workers
from metaux.settings import Settings
from metaux.terminal import print_notes
from metaux.words import counted, duration

Load = Callable[[Settings], LabelledData]
START_OF_A_PROCESS = 5.0  # seconds, most of them torch's import


def longest_first(trials: Iterable[Trial]) -> list[Trial]:
    """Return trials in an order in which no worker waits long for the last run, those on the same data together.

    A process reads data once, as long as it is asked for no other.
    """
    trials = list(trials)
    order = list(dict.fromkeys(trial.settings.data for trial in trials))
    return sorted(
        trials,
        key=lambda trial: (order.index(trial.settings.data), -trial.seconds * trial.protocol.epochs, trial.seed),
    )


def train(
    trials: Sequence[Trial],
    store: Store,
    workers: Workers,
    console: Console,
    what: str | None = "",
    start: float | None = None,
    log: str | None = None,
    curve: bool = True,
    load: Load = load_once,
    after: float = 0.0,
) -> list[str]:
    """Train what is missing, in the order given; runs that were interrupted go on.

    Args:
        trials: the runs.
        store: where they are recorded.
        workers: who does them.
        console: for one line on what is to be done, and progress.
        what: the runs are, in words; None where a line has said so.
        start: the seconds that several processes take before their first run, where the trials' seconds are estimates
            from which the time for all is to be told; else None.
        log: tensorboard or wandb, for a log of every epoch in the folder of its run.
        curve: measure test samples and labels on the way too, not only at the end.
        load: where this process has a run's data from; others read it themselves.
        after: the seconds of what follows the runs, for the estimate and the bar.

    Returns:
        For each run that could not be finished, why.

    Raises:
        InputError: if a finished run is on data that has changed since.
        TrainingError: if processes were killed, or the store's folder is gone, so that some runs were not tried at all.
    """
    finished = ((trial, run) for trial in trials if (run := store.find(trial)) is not None)
    check_all_unchanged(((trial.settings, run) for trial, run in finished), load)
    todo = store.missing(trials)
    if not todo:
        return []
    check_in_place(store.out)
    (store.out / "runs").mkdir(exist_ok=True)
    count = min(workers.count(trials[0].settings), len(todo))
    seconds = None if start is None else expected(todo, count) + (start if count > 1 else 0) + after
    if what is not None:
        line = f"{counted(len(todo), 'run')}{f' ({what})' if what else ''}, {count} at a time"
        console.print(line + ("" if seconds is None else f": about {duration(seconds)}"), soft_wrap=True)
    with shown(todo, seconds, console, after):
        work = partial(_work, log=log, curve=curve)
        if workers.are_here(count):
            found: Iterable[str] = (work(folder, trial, load=load) for folder, trial in todo.items())
        else:
            found = workers.outcomes(work, todo, count, lambda line: print_notes([line], console))
        return [text for text in found if text]


def expected(todo: Mapping[Path, Trial], count: int) -> float:
    """Return the seconds that runs take, given to so many workers in their order."""
    busy = [0.0] * count
    for folder, trial in todo.items():
        next_free = busy.index(min(busy))
        busy[next_free] += trial.seconds * (trial.protocol.epochs - read_state(folder).epochs)
    return max(busy)


def summarise_failures(failures: Sequence[str]) -> str:
    """Return one line on the runs that failed: the first in full, the others by name.

    >>> summarise_failures(["maxl with seed 1: diverged", "maxl with seed 0: diverged"])
    'maxl with seed 0: diverged; likewise: maxl with seed 1'
    """
    first, *others = sorted(failures)
    names = ", ".join(text.partition(":")[0] for text in others)
    return f"{first}; likewise: {names}" if others else first


def _work(folder: Path, trial: Trial, log: str | None, curve: bool, load: Load = load_once) -> str:
    """Do one run; return why it could not be finished, if so."""
    check_in_place(folder.parent)
    try:
        run(trial, load(trial.settings), folder, log=log, curve=curve)
    except LostFolderError:
        raise
    except (TrainingError, InputError) as error:
        return f"{trial.method} with seed {trial.seed}: {error}"
    return ""
