"""How far runs are and how long they still take, read from what they record: in any process, on any machine."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from metaux.runs.record import RECORDS, read_records
from metaux.settings import Settings
from metaux.words import duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


@dataclass(frozen=True)
class Job:
    """One run to be done.

    Args:
        settings: what it is made of.
        method: the label source's name.
        seed: of everything random.
        folder: where it is recorded.
        epochs: how many it takes.
        seconds: what an epoch is expected to take.
        log: tensorboard or wandb, for a log of every epoch in the folder.
        curve: measure on the way too, not only at the end.
    """

    settings: Settings
    method: str
    seed: int
    folder: Path
    epochs: int
    seconds: float
    log: str | None = None
    curve: bool = True


class State(NamedTuple):
    """How far a run is: epochs done, and the last test accuracy, if any was measured."""

    epochs: int = 0
    accuracy: float | None = None


def read_state(folder: Path) -> State:
    """Read how far the run in a folder is."""
    try:
        records = read_records(folder / RECORDS)
    except FileNotFoundError:
        return State()
    measured = (record["test_accuracy"] for record in reversed(records) if "test_accuracy" in record)
    return State(len(records), next(measured, None))


def time_left(expected: float | None, elapsed: float, share: float) -> float | None:
    """Return the seconds left: as expected at first, and ever more as measured; None if not known yet.

    Args:
        expected: the seconds that all was expected to take, if it was.
        elapsed: the seconds that have passed.
        share: the part that is done, 0 to 1.

    >>> time_left(100, 30, 0), time_left(100, 40, 0.5), time_left(100, 90, 1)
    (70, 45.0, 0.0)
    """
    if share <= 0:
        return None if expected is None else max(expected - elapsed, expected / 10)
    measured = elapsed / share
    return (1 - share) * (measured if expected is None else (1 - share) * expected + share * measured)


def accuracies(jobs: Sequence[Job], states: Sequence[State]) -> str:
    """Return the latest test accuracy of each method in per cent, the mean over its runs that have one.

    >>> jobs = [Job(Settings(), "maxl", seed, Path(), 2, 1.0) for seed in range(3)]
    >>> accuracies(jobs, [State(2, 0.9), State(1, 0.8), State()])
    'maxl 85.0'
    """
    found: dict[str, list[float]] = {}
    for job, state in zip(jobs, states, strict=True):
        if state.accuracy is not None:
            found.setdefault(job.method, []).append(100 * state.accuracy)
    return "  ".join(f"{method} {sum(own) / len(own):.1f}" for method, own in found.items())


@contextmanager
def shown(jobs: Sequence[Job], expected: float | None, console: "Console", accuracy: bool = True) -> Iterator[None]:
    """Show how far the jobs are while the block runs; nothing where the output isn't a terminal.

    Args:
        jobs: what is being done.
        expected: the seconds that all of it is expected to take, if that is known.
        console: the terminal.
        accuracy: show each method's too, where all jobs have the same task.
    """
    if not console.is_terminal:
        yield
        return
    from rich.live import Live

    start, before = time.monotonic(), [read_state(job.folder) for job in jobs]
    total = sum(job.seconds * (job.epochs - state.epochs) for job, state in zip(jobs, before, strict=True))

    def view() -> "RenderableType":
        states = [read_state(job.folder) for job in jobs]
        done = sum(
            job.seconds * (state.epochs - first.epochs) for job, state, first in zip(jobs, states, before, strict=True)
        )
        left = time_left(expected, time.monotonic() - start, done / total if total else 1.0)
        return _view(
            sum(s.epochs for s in states),
            sum(job.epochs for job in jobs),
            left,
            accuracies(jobs, states) if accuracy else "",
        )

    stop = threading.Event()
    with Live(view(), console=console, transient=True, auto_refresh=False) as live:

        def watch() -> None:
            while not stop.wait(1):
                live.update(view(), refresh=True)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()


def _view(epochs: int, total: int, left: float | None, accuracy: str) -> "RenderableType":
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 1))
    far = f"epoch {epochs} of {total}" + ("" if left is None else f", about {duration(left)} left")
    line.add_row("training", ProgressBar(total=total, completed=epochs, width=24), far)
    return Group(line, Text(f"test accuracy so far: {accuracy}")) if accuracy else line
