"""Many runs side by side: in this process, or in several that end with it."""

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from metaux.settings import Settings
from metaux.training.devices import device_of
from metaux.words import counted, duration

Load = Callable[[Settings], LabelledData]
START_OF_A_PROCESS = 5.0  # seconds, most of them torch's import
_KILLED = "a process was killed from outside (too little memory?); the same command goes on, with fewer --jobs"


def default_workers(settings: Settings) -> int:
    """Return how many runs fit side by side: their threads fill the CPU's cores.

    One, if a run has several processes of its own, or another device than the CPU.
    """
    from joblib import cpu_count

    if settings.processes > 1 or device_of(settings).type != "cpu":
        return 1
    return max(1, int(cpu_count()) // settings.threads)


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
    jobs: int,
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
        jobs: runs side by side; 0 for as many as suit the machine.
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
        TrainingError: if a process was killed, or the store's folder is gone, so that some runs were not tried at all.
    """
    finished = ((trial, run) for trial in trials if (run := store.find(trial)) is not None)
    check_all_unchanged(((trial.settings, run) for trial, run in finished), load)
    todo = store.missing(trials)
    if not todo:
        return []
    check_in_place(store.out)
    (store.out / "runs").mkdir(exist_ok=True)
    workers = min(jobs or default_workers(trials[0].settings), len(todo))
    seconds = None if start is None else expected(todo, workers) + (start if workers > 1 else 0) + after
    if what is not None:
        line = f"{counted(len(todo), 'run')}{f' ({what})' if what else ''}, {workers} at a time"
        console.print(line + ("" if seconds is None else f": about {duration(seconds)}"), soft_wrap=True)
    with shown(todo, seconds, console, after):
        return [text for text in _outcomes(todo, workers, partial(_work, log=log, curve=curve), load) if text]


def expected(todo: Mapping[Path, Trial], workers: int) -> float:
    """Return the seconds that runs take, given to the workers in their order."""
    busy = [0.0] * workers
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


def _outcomes(todo: Mapping[Path, Trial], workers: int, work: Callable[..., str], load: Load) -> Iterable[str]:
    if workers == 1:
        yield from (work(folder, trial, load=load) for folder, trial in todo.items())
        return
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import BrokenProcessPool

    parallel = Parallel(
        n_jobs=workers,
        return_as="generator_unordered",
        batch_size=1,
        initializer=_prepare_process,
        initargs=(os.getpid(),),
    )
    with _interrupts_held_back():
        results = parallel(delayed(work)(folder, trial) for folder, trial in todo.items())
    try:
        yield from results
    except BrokenProcessPool:
        raise TrainingError(_KILLED) from None


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


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Start processes that Ctrl-C and the like don't reach: it is this one that ends them, and says how to go on."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_process(parent: int) -> None:
    """Make a process end when the one that started it is gone, so that nothing works on in a folder unseen."""
    warnings.simplefilter("ignore")  # they would end up in the middle of the progress

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
