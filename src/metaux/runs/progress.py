"""How far runs are and how long they still take, read from what they record: in any process, on any machine."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from metaux.runs.reading import read_records
from metaux.runs.record import RECORDS
from metaux.runs.trial import Trial
from metaux.words import duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


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


def accuracies(found: Iterable[tuple[Trial, State]]) -> str:
    """Return the latest test accuracy of each method in per cent, the mean over its runs that have one.

    >>> from metaux.settings import Settings
    >>> trials = [Trial(Settings(), "maxl", seed) for seed in range(3)]
    >>> accuracies(zip(trials, [State(2, 0.9), State(1, 0.8), State()]))
    'maxl 85.0'
    """
    known: dict[str, list[float]] = {}
    for trial, state in found:
        if state.accuracy is not None:
            known.setdefault(trial.method, []).append(100 * state.accuracy)
    return "  ".join(f"{method} {sum(own) / len(own):.1f}" for method, own in known.items())


@contextmanager
def shown(todo: Mapping[Path, Trial], expected: float | None, console: "Console") -> Iterator[None]:
    """Show how far runs are while the block works on them; nothing where the output isn't a terminal.

    Accuracies are shown where all runs have the same settings, and so the same task.

    Args:
        todo: the runs by their folders.
        expected: the seconds that all of it is expected to take, if that is known.
        console: the terminal.
    """
    if not console.is_terminal:
        yield
        return
    from rich.live import Live

    epochs = {folder: trial.protocol.epochs for folder, trial in todo.items()}
    alike = len({trial.settings for trial in todo.values()}) == 1
    start, before = time.monotonic(), {folder: read_state(folder).epochs for folder in todo}
    total = sum(trial.seconds * (epochs[folder] - before[folder]) for folder, trial in todo.items())

    def view() -> "RenderableType":
        states = {folder: read_state(folder) for folder in todo}
        done = sum(trial.seconds * (states[folder].epochs - before[folder]) for folder, trial in todo.items())
        left = time_left(expected, time.monotonic() - start, done / total if total else 1.0)
        told = accuracies(zip(todo.values(), states.values(), strict=True)) if alike else ""
        return _view(sum(state.epochs for state in states.values()), sum(epochs.values()), left, told)

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
