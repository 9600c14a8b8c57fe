"""Who does runs side by side: processes of this machine; `metaux.runs.cluster` has others."""

import os
import signal
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from metaux.errors import InputError, TrainingError
from metaux.runs.record import is_finished
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.devices import device_of
from metaux.words import counted, few, listed

Todo = Mapping[Path, Trial]
Work = Callable[[Path, Trial], str]
"""Does one run; returns why it could not be finished, if so. It must be of a module, so that it can travel."""
_KILLED = "killed from outside (too little memory?)"


class Workers(ABC):
    """Does runs side by side, until it is closed.

    Args:
        jobs: runs at a time; 0 for as many as suit.

    Raises:
        InputError: for fewer.
    """

    def __init__(self, jobs: int = 0):
        if jobs < 0:
            raise InputError(
                f"expected at least 1 job, or 0 for as many as suit the machine, found {jobs}; correct --jobs"
            )
        self.jobs = jobs
        self.again: list[str] = []  # the runs that were dispatched once more

    def count(self, settings: Settings) -> int:
        """Return how many runs with these settings are done at a time."""
        fitting = self.fitting(settings)
        return self.jobs or max(1, fitting)

    @abstractmethod
    def fitting(self, settings: Settings) -> int:
        """Return how many runs with these settings fit side by side."""

    def one_by_one(self) -> "Workers":
        """Return this process, to do one run after another without the start of another one."""
        return Processes(1)

    def are_here(self, count: int) -> bool:  # noqa: ARG002
        """Return whether so many at a time are no process but this one."""
        return False

    @abstractmethod
    def attempts(self, work: Work, waiting: Todo, count: int) -> Iterator[tuple[Path, str | None]]:
        """Yield for each run what `work` returns of it, or None if its worker died.

        Args:
            work: does a run in any process.
            waiting: the runs by their folders. Each that is yielded is taken out of it meanwhile, or waits again.
            count: how many at a time.

        Raises:
            TrainingError: if runs were not tried at all.
        """

    def outcomes(self, work: Work, todo: Todo, count: int, tell: Callable[[str], None]) -> Iterator[str]:
        """Yield what `work` returns of each run. A run whose worker dies is dispatched once more, and the user told.

        Args:
            work: does a run in any process.
            todo: the runs by their folders.
            count: how many at a time.
            tell: the user in a line.

        Raises:
            TrainingError: if runs were not tried at all; in the end, if the worker of a run died twice.
        """
        waiting, died, lost = dict(todo), set[Path](), list[str]()
        while waiting:
            for folder, found in self.attempts(work, waiting, count):
                name = f"{todo[folder].method} with seed {todo[folder].seed}"
                if found is None and folder not in died:
                    died.add(folder)
                    self.again.append(name)
                    tell(f"{name}: its worker was {_KILLED}; the run is dispatched once more, and goes on")
                    continue
                del waiting[folder]
                if found is None:
                    lost.append(name)
                else:
                    yield found
        if lost:
            raise TrainingError(
                f"the worker of {listed(lost)} was twice {_KILLED}; the same command goes on, with fewer --jobs"
            )

    def told_at_the_end(self) -> list[str]:
        """Return what a user should know of all that was done: how many runs were dispatched once more, and which."""
        if not self.again:
            return []
        runs = counted(len(self.again), "run was", "runs were")
        return [f"{runs} dispatched once more, after a worker was {_KILLED}: {few(self.again)}"]

    def close(self) -> None:  # noqa: B027
        """Stop what was started."""

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Processes(Workers):
    """Processes of this machine; this one, for one run at a time."""

    def fitting(self, settings: Settings) -> int:
        """Return as many as the CPU has cores for; one for runs of several processes, or on another device."""
        from joblib import cpu_count

        if settings.processes > 1 or device_of(settings).type != "cpu":
            return 1
        return int(cpu_count()) // settings.threads

    def are_here(self, count: int) -> bool:
        """Return whether it is one at a time."""
        return count == 1

    def attempts(self, work: Work, waiting: Todo, count: int) -> Iterator[tuple[Path, str | None]]:
        """Do them in loky's processes. If one of these is killed, the others end with it."""
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import BrokenProcessPool

        left = dict(waiting)
        parallel = Parallel(
            n_jobs=count,
            return_as="generator_unordered",
            batch_size=1,
            initializer=_prepare_process,
            initargs=(os.getpid(),),
        )
        try:
            with _interrupts_held_back():
                results = parallel(delayed(_named)(work, folder, trial) for folder, trial in [*left.items()])
            for folder, text in results:
                del left[folder]
                yield folder, text
        except BrokenProcessPool:
            unfinished = [folder for folder in left if not is_finished(folder)]
            yield from ((folder, "") for folder in left if folder not in unfinished)
            yield from ((folder, None) for folder in unfinished[:count])  # they are begun in their order


def _named(work: Work, folder: Path, trial: Trial) -> tuple[Path, str]:
    return folder, work(folder, trial)


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
