"""How far runs are and how long they still take, read from what they record: in any process, on any machine."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    """How far a run is: epochs done, and the last accuracy that may be looked at, with the part that it is of."""

    epochs: int = 0
    accuracy: float | None = None
    part: str = ""


def read_state(folder: Path, evaluate_on: str = "test") -> State:
    """Read how far the run in a folder is.

    Args:
        folder: the run's.
        evaluate_on: as `Settings.evaluate_on`. Accuracy is that on validation data; where there is none, that in
            training. Test data is for the end.
    """
    try:
        records = read_records(folder / RECORDS)
    except FileNotFoundError:
        return State()
    of_validation = "test_accuracy" if evaluate_on == "validation" else "validation_accuracy"
    for key, part in ((of_validation, "validation"), ("train_accuracy", "training")):
        if measured := [record[key] for record in records if key in record]:
            return State(len(records), measured[-1], part)
    return State(len(records))


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
    """Return the latest accuracy of each method in per cent, the mean over its runs that have one, and its part.

    >>> from metaux.settings import Settings
    >>> trials = [Trial(Settings(), "maxl", seed) for seed in range(3)]
    >>> accuracies(zip(trials, [State(2, 0.9, "validation"), State(1, 0.8, "validation"), State()]))
    'validation accuracy so far: maxl 85.0'
    """
    known: dict[str, list[float]] = {}
    parts: dict[str, None] = {}
    for trial, state in found:
        if state.accuracy is not None:
            known.setdefault(trial.method, []).append(100 * state.accuracy)
            parts[state.part] = None
    each = "  ".join(f"{method} {sum(own) / len(own):.1f}" for method, own in known.items())
    return f"{' and '.join(parts)} accuracy so far: {each}" if known else ""


@contextmanager
def shown(todo: Mapping[Path, Trial], expected: float | None, console: "Console", after: float = 0.0) -> Iterator[None]:
    """Show how far runs are, in units of what they cost, while the block works on them.

    Nothing is shown where the output isn't a terminal. Accuracies are shown where all runs have the same settings, and
    so the same task.

    Args:
        todo: the runs by their folders.
        expected: the seconds that all of it is expected to take, if that is known.
        console: the terminal.
        after: how many of these are for what follows the runs.
    """
    epochs = {folder: trial.protocol.epochs for folder, trial in todo.items()}
    alike = len({trial.settings for trial in todo.values()}) == 1
    start, before = time.monotonic(), {folder: read_state(folder).epochs for folder in todo}
    total = sum(trial.seconds * (epochs[folder] - before[folder]) for folder, trial in todo.items())
    of_runs = 1 - after / expected if expected else 1.0

    def view() -> "RenderableType":
        states = {folder: read_state(folder, trial.settings.evaluate_on) for folder, trial in todo.items()}
        done = sum(trial.seconds * (states[folder].epochs - before[folder]) for folder, trial in todo.items())
        share = of_runs * (done / total if total else 1.0)
        told = accuracies(zip(todo.values(), states.values(), strict=True)) if alike else ""
        return _view("training", share, time_left(expected, time.monotonic() - start, share), told)

    with _live(view, console):
        yield


@contextmanager
def finishing(what: str, seconds: float, elapsed: float, console: "Console") -> Iterator[None]:
    """Show the end of the same bar while the block does what follows the runs.

    Args:
        what: it does.
        seconds: that it is expected to take.
        elapsed: the seconds that the runs took.
        console: the terminal.
    """
    start = time.monotonic()

    def view() -> "RenderableType":
        left = max(seconds - (time.monotonic() - start), seconds / 10)
        return _view(what, 1 - left / (elapsed + seconds), left)

    with _live(view, console):
        yield


@contextmanager
def _live(view: Callable[[], "RenderableType"], console: "Console") -> Iterator[None]:
    """Show what a function returns, anew every second, while the block works; nothing off a terminal."""
    if not console.is_terminal:
        yield
        return
    from rich.live import Live

    with Live(view(), get_renderable=view, refresh_per_second=1, console=console, transient=True):
        yield


def _view(what: str, share: float, left: float | None, told: str = "") -> "RenderableType":
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 1))
    far = f"{100 * share:.0f} %" + ("" if left is None else f", about {duration(left)} left")
    line.add_row(what, ProgressBar(total=1.0, completed=share, width=24), far)
    return Group(line, Text(told)) if told else line
