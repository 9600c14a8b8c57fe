"""How long the runs of a search are: longer than the default, as long as single task gains from it."""

from dataclasses import replace

from metaux.studies.search.affordable import LEAST_SEEDS, Candidate
from metaux.studies.search.budget import Budget
from metaux.studies.search.halving import Halving
from metaux.words import counted, percent

# Of the seconds that are left: for the runs that try twice as many epochs.
LENGTH = 0.4


def lengthened(search: Halving, single: Candidate, budget: Budget) -> int:
    """Return the epochs of whole runs: twice as many, and twice that, as long as single task gains on validation data.

    Args:
        search: trains on validation data.
        single: single task with the default configuration and epochs.
        budget: for everything.
    """
    reached: list[str] = []

    def fits(own: Candidate, seeds: int) -> bool:
        return search.fits([own], seeds, LENGTH * budget.left)

    def accuracy(own: Candidate) -> float:
        length = counted(own.epochs, "epoch")
        search.train([own], seeds, f"{own.row.name}, {length}")
        search.record(own, seeds)
        found, _ = search.accuracy(own, seeds)
        reached.append(f"{percent(found)} % in {length}")
        return found

    last, longer = None, replace(single, epochs=2 * single.epochs)
    seeds = next((count for count in (LEAST_SEEDS, 2) if fits(longer, count)), 1)
    while fits(longer, seeds):
        last = accuracy(single) if last is None else last
        if (twice := accuracy(longer)) <= last:
            break
        last, single, longer = twice, longer, replace(longer, epochs=2 * longer.epochs)
    else:
        budget.missed(f"runs of {longer.epochs} epochs", search.expected(*search.estimated([longer])) / LENGTH)
    if reached:
        search.console.print(
            f"On validation data, single task reaches {', '.join(reached)}, {counted(seeds, 'seed')}: runs of "
            f"{counted(single.epochs, 'epoch')}.",
            soft_wrap=True,
        )
    return single.epochs
