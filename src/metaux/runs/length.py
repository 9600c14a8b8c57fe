"""`--epochs auto`: as many epochs as validation data gains from; what follows is trained on all training samples."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from rich.console import Console

from metaux.errors import InputError, TrainingError
from metaux.files import OURS, write_json
from metaux.protocols import resolve
from metaux.runs.loading import load_once
from metaux.runs.pool import summarise_failures, train
from metaux.runs.reading import read_kept
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.runs.workers import Workers
from metaux.settings import Settings
from metaux.words import counted, percent

CHOSEN = f"{OURS}-epochs.json"
DOUBLINGS = 4  # up to 16 times the protocol's epochs


class Reached(NamedTuple):
    """What runs of one length reach on validation data: mean accuracy and mean log loss."""

    accuracy: float
    loss: float


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
    store, reached = Store(place), dict[int, Reached]()
    epochs = resolve(base).epochs
    for length in (epochs * 2**doubling for doubling in range(DOUBLINGS + 1)):
        trials = [Trial(replace(base, epochs=length), method, seed) for seed in seeds]
        what = f"{method} on validation data, {counted(length, 'epoch')}"
        if failures := train(trials, store, workers, console, what, curve=False):
            raise TrainingError(summarise_failures(failures))
        runs = store.found(trials)
        last = [run.epochs[-1] for run in runs]
        reached[length] = Reached(*(fmean(record[f"test_{name}"] for record in last) for name in ("accuracy", "loss")))
        if not last_gains([*reached.values()]):
            break
    chosen = best_length(reached)
    write_json(out / CHOSEN, {"epochs": chosen, "reached": {n: own._asdict() for n, own in reached.items()}})
    shutil.rmtree(place)
    told = ", ".join(f"{percent(own.accuracy)} % in {counted(length, 'epoch')}" for length, own in reached.items())
    console.print(
        f"On validation data, {method} reaches {told}: {counted(chosen, 'epoch')}, on all training samples.",
        soft_wrap=True,
    )
    return replace(settings, epochs=chosen)


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
    return max(reached, key=lambda length: (reached[length].accuracy, -reached[length].loss))
