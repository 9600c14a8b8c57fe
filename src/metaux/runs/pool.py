"""Many runs side by side: in this process, or in several that end with it."""

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from metaux.data.samples import LabelledData
from metaux.errors import InputError, TrainingError
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.progress import Job, read_state
from metaux.settings import Settings
from metaux.training.devices import make_fabric

Load = Callable[[Settings], LabelledData]
START_OF_A_PROCESS = 5.0  # seconds, most of them torch's import
KILLED = "a process was killed from outside (too little memory?); the same command goes on, with fewer --jobs"


def default_workers(settings: Settings) -> int:
    """Return how many runs fit side by side: their threads fill the processors.

    One, if a run has several processes of its own, or another device than processors.
    """
    from joblib import cpu_count

    if settings.processes > 1 or make_fabric(settings).device.type != "cpu":
        return 1
    return max(1, int(cpu_count()) // settings.threads)


def workers_for(jobs: Sequence[Job], wanted: int) -> int:
    """Return how many runs to do side by side: as many as wanted, or for 0 as suit the machine."""
    return min(wanted or default_workers(jobs[0].settings), len(jobs))


def expected(jobs: Sequence[Job], workers: int) -> float:
    """Return the seconds that the jobs take, given to the workers in their order."""
    busy = [0.0] * workers
    for job in jobs:
        next_free = busy.index(min(busy))
        busy[next_free] += job.seconds * (job.epochs - read_state(job.folder).epochs)
    return max(busy)


def work_through(jobs: Sequence[Job], workers: int, load: Load = load_once) -> list[str]:
    """Do the jobs in their order.

    Args:
        jobs: the runs.
        workers: how many side by side; 1 is this process.
        load: where this process has the data of a job from; others read it themselves.

    Returns:
        For each run that could not be finished, why.
    """
    return [text for text in _outcomes(jobs, workers, load) if text]


def summarise_failures(failures: Sequence[str]) -> str:
    """Return one line on the runs that failed: the first in full, the others by name.

    >>> summarise_failures(["maxl with seed 1: diverged", "maxl with seed 0: diverged"])
    'maxl with seed 0: diverged; likewise: maxl with seed 1'
    """
    first, *others = sorted(failures)
    names = ", ".join(text.partition(":")[0] for text in others)
    return f"{first}; likewise: {names}" if others else first


def _outcomes(jobs: Sequence[Job], workers: int, load: Load) -> Iterable[str]:
    if workers == 1:
        yield from (_work(job, load) for job in jobs)
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
        results = parallel(delayed(_work)(job) for job in jobs)
    try:
        yield from results
    except BrokenProcessPool:
        yield KILLED


def _work(job: Job, load: Load = load_once) -> str:
    """Do one run; return why it could not be finished, if so."""
    try:
        run(job.settings, job.method, job.seed, load(job.settings), job.folder, log=job.log, curve=job.curve)
    except (TrainingError, InputError) as error:
        return f"{job.method} with seed {job.seed}: {error}"
    return ""


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: it is this one that ends them, and says how to go on."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
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
