"""How long the runs of a search are: longer than the default, as long as single task gains from it."""

from dataclasses import replace

from metaux.runs.length import Reached, best_length, by_length, in_words
from metaux.studies.search.affordable import LEAST_SEEDS, Candidate
from metaux.studies.search.budget import Budget
from metaux.studies.search.halving import Halving
from metaux.words import counted

# Of the seconds that are left: for the runs that try twice as many epochs.
LENGTH = 0.4


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
