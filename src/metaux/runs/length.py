"""`--epochs auto`: as many epochs as validation data gains from; what follows is trained on all training samples."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from rich.console import Console

from metaux.errors import InputError, TrainingError
from metaux.files import OURS, write_json
from metaux.protocols import resolve
from metaux.runs.loading import load_once
from metaux.runs.pool import summarise_failures, train
from metaux.runs.reading import read_kept
from metaux.runs.record import Run
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.runs.workers import Workers
from metaux.settings import Settings
from metaux.words import counted, percent

CHOSEN = f"{OURS}-epochs.json"
DOUBLINGS = 4  # up to 16 times the protocol's epochs


@dataclass(frozen=True)
class Reached:
    """What runs reach, as means over them. One is more than another if more accurate, or as accurate at less loss."""

    accuracy: float
    loss: float

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Reached":
        """Return the mean accuracy of some runs, and their mean log loss after the last epoch."""
        return cls(fmean(run.accuracy for run in runs), fmean(run.epochs[-1]["test_loss"] for run in runs))

    def __lt__(self, other: "Reached") -> bool:
        return (self.accuracy, -self.loss) < (other.accuracy, -other.loss)


def known_length(settings: Settings, out: Path) -> Settings:
    """Return settings with the epochs that an earlier call chose in this folder; as they are, where none did."""
    if settings.epochs != "auto":
        return settings
    chosen = read_kept(out / CHOSEN, epochs=int)
    return replace(settings, epochs=chosen["epochs"]) if chosen else settings


def choose_length(
    settings: Settings, method: str, seeds: Sequence[int], workers: Workers, out: Path, console: Console
) -> Settings:
    """Return settings with the epochs that do best on validation data; as they are, unless they are auto.

    Each length is twice the one before, with its whole schedule, as long as accuracy or log loss gains from it.

    Args:
        settings: of what is trained afterwards.
        method: what is trained to find out.
        seeds: likewise, each of them; their mean counts.
        workers: who does the runs.
        out: where the choice is recorded; the runs are kept there until it is made.
        console: for progress, and what each length reaches.

    Raises:
        InputError: for a measurement on validation data, which is then looked at twice.
        TrainingError: if a run could not be finished.
    """
    place = out / f"{OURS}-lengths"
    if settings.epochs != "auto":
        shutil.rmtree(place, ignore_errors=True)  # of a choice that was made, where it was not removed any more
        return settings
    if settings.evaluate_on == "validation":
        raise InputError(
            "expected a number of epochs with --evaluate-on validation, found auto, which would choose them by the "
            "same data; give a number"
        )
    base = replace(settings, epochs=None, evaluate_on="validation")
    least = load_once(replace(base, train_size=None))
    base = replace(base, train_size=settings.train_size and min(settings.train_size, len(least.train)))
    place.mkdir(exist_ok=True)
    store = Store(place)

    def measure(epochs: int) -> Reached:
        trials = [Trial(replace(base, epochs=epochs), method, seed) for seed in seeds]
        what = f"{method} on validation data, {counted(epochs, 'epoch')}"
        if failures := train(trials, store, workers, console, what, curve=False):
            raise TrainingError(summarise_failures(failures))
        return Reached.of(store.found(trials))

    reached = by_length(resolve(base).epochs, measure)
    chosen = best_length(reached)
    write_json(out / CHOSEN, {"epochs": chosen, "reached": {n: asdict(own) for n, own in reached.items()}})
    shutil.rmtree(place)
    console.print(
        f"On validation data, {method} reaches {in_words(reached)}: {counted(chosen, 'epoch')}, on all training "
        "samples.",
        soft_wrap=True,
    )
    return replace(settings, epochs=chosen)


def by_length(
    first: int, measure: Callable[[int], Reached], fits: Callable[[int], bool] = lambda _: True
) -> dict[int, Reached]:
    """Return what runs of several lengths reach, each twice the one before, as long as they gain from it.

    Args:
        first: the shortest length, in epochs.
        measure: trains runs of a length.
        fits: whether there is time for a length.

    >>> by_length(20, {20: Reached(0.8, 0.5), 40: Reached(0.9, 0.6), 80: Reached(0.8, 0.7)}.__getitem__)
    {20: Reached(accuracy=0.8, loss=0.5), 40: Reached(accuracy=0.9, loss=0.6), 80: Reached(accuracy=0.8, loss=0.7)}
    """
    reached = {first: measure(first)}
    for length in (first * 2**doubling for doubling in range(1, DOUBLINGS + 1)):
        if not last_gains([*reached.values()]) or not fits(length):
            break
        reached[length] = measure(length)
    return reached


def last_gains(reached: Sequence[Reached]) -> bool:
    """Return whether the last length is more accurate than all before, or its log loss less than theirs.

    >>> last_gains([Reached(0.8, 0.5), Reached(0.8, 0.4)]), last_gains([Reached(0.8, 0.5), Reached(0.8, 0.6)])
    (True, False)
    """
    *before, last = reached
    return all(last.accuracy > own.accuracy for own in before) or all(last.loss < own.loss for own in before)


def best_length(reached: Mapping[int, Reached]) -> int:
    """Return the most accurate length, of equally accurate ones that with the least log loss.

    >>> best_length({20: Reached(0.8, 0.5), 40: Reached(0.8, 0.4), 80: Reached(0.7, 0.3)})
    40
    """
    return max(reached, key=lambda length: reached[length])


def in_words(reached: Mapping[int, Reached]) -> str:
    """Return what each length reaches.

    >>> in_words({20: Reached(0.8, 0.5), 40: Reached(0.812, 0.4)})
    '80.0 % in 20 epochs, 81.2 % in 40 epochs'
    """
    return ", ".join(f"{percent(own.accuracy)} % in {counted(length, 'epoch')}" for length, own in reached.items())
