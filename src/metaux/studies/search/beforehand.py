"""What is decided before a search begins: whether every sample is measured, and how single task is trained best.

Images of one's own are mirrored, and runs are longer than the default, if validation data says so of single task.
"""

from dataclasses import replace

import torch

from metaux.runs.length import Reached, best_length, by_length, in_words
from metaux.runs.loading import load_once
from metaux.settings import Settings
from metaux.studies.search.affordable import LEAST_SEEDS, TIMING, Candidate
from metaux.studies.search.budget import Budget
from metaux.studies.search.halving import Halving
from metaux.words import counted, percent

# Of fewer samples, every one is measured, in so many parts.
SMALL, FOLDS = 1000, 5
# Of the seconds that are left: for the runs that try twice as many epochs.
LENGTH = 0.4


def choose_folds(settings: Settings) -> int | None:
    """Return the parts of cross-validation: those asked for, or `FOLDS` where there are few samples of every class."""
    data = load_once(settings)  # refuses folds that there can't be
    if settings.folds is not None:
        return settings.folds
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    counts = torch.cat([part.primary for part in parts]).bincount()
    small = sum(map(len, parts)) < SMALL and int(counts.min()) >= FOLDS
    return FOLDS if small and data.train.groups is None and settings.train_size is None else None


def with_mirroring(search: Halving, single: Candidate, seconds: float) -> str:
    """Return the augmentation with which single task does better on validation data: as it is, or crop-flip.

    Both are tried only where they take a small part of the time.

    Args:
        search: trains on validation data.
        single: single task with the default configuration and epochs.
        seconds: that there are for all of it.
    """
    plain, found = search.data_set, {}
    if 2 * LEAST_SEEDS * search.costs[single.row.name].of(single.epochs) / search.count > TIMING * seconds:
        return plain.augment
    for augment in (plain.augment, "crop-flip"):
        search.data_set = replace(plain, augment=augment)
        search.train([single], LEAST_SEEDS, f"single task, --augment {augment}")
        found[augment] = search.reached(single, LEAST_SEEDS)
    search.data_set = plain
    best = max(found, key=lambda augment: found[augment])  # as it is, where both do alike
    without, mirrored = (percent(found[augment].accuracy) for augment in (plain.augment, "crop-flip"))
    search.console.print(
        f"On validation data, single task reaches {mirrored} % with mirrored images and {without} % without: they are "
        f"{'' if best == 'crop-flip' else 'not '}mirrored.",
        soft_wrap=True,
    )
    return best


def lengthened(search: Halving, single: Candidate, budget: Budget) -> int:
    """Return the epochs of whole runs: those that are best for single task on validation data, by `by_length`.

    Args:
        search: trains on validation data.
        single: single task with the default configuration and epochs.
        budget: for everything.
    """

    def of(epochs: int) -> Candidate:
        return replace(single, epochs=epochs)

    def fits(epochs: int) -> bool:
        found = search.fits([of(epochs)], seeds, LENGTH * budget.left)
        if not found:
            budget.missed(f"runs of {epochs} epochs", search.expected(*search.estimated([of(epochs)])) / LENGTH)
        return found

    def measure(epochs: int) -> Reached:
        search.train([of(epochs)], seeds, f"{single.row.name}, {counted(epochs, 'epoch')}")
        search.record(of(epochs), seeds)
        return search.reached(of(epochs), seeds)

    longer = 2 * single.epochs
    several = (LEAST_SEEDS, 2)
    seeds = next((count for count in several if search.fits([of(longer)], count, LENGTH * budget.left)), 1)
    if not fits(longer):
        return single.epochs
    reached = by_length(single.epochs, measure, fits)
    chosen = best_length(reached)
    search.console.print(
        f"On validation data, single task reaches {in_words(reached)}, {counted(seeds, 'seed')}: runs of "
        f"{counted(chosen, 'epoch')}.",
        soft_wrap=True,
    )
    return chosen
