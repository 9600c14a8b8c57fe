"""How long the runs of a search are: longer than the default, as long as single task gains from it."""

from collections.abc import Callable

from metaux.studies.search.affordable import LEAST_SEEDS, Candidate
from metaux.studies.search.halving import Halving
from metaux.words import counted, percent

# Of the seconds that are left: for the runs that try twice as many epochs.
LENGTH = 0.4


def lengthened(
    search: Halving, single: Candidate, epochs: int, left: Callable[[], float], missed: Callable[[str, float], None]
) -> int:
    """Return the epochs of whole runs: twice as many, and twice that, as long as single task gains on validation data.

    Args:
        search: trains on validation data.
        single: single task with the default configuration.
        epochs: the default.
        left: the seconds that there are for everything.
        missed: takes what there was no time for, and the seconds that would be enough.
    """
    reached: list[str] = []
    seeds = next((count for count in (LEAST_SEEDS, 2) if _fits(search, single, 2 * epochs, count, left())), 1)

    def accuracy(count: int) -> float:
        search.train([single], count, seeds, f"{single.row.name}, {counted(count, 'epoch')}")
        search.record(single, count, seeds)
        found, _ = search.accuracy(single, count, seeds)
        reached.append(f"{percent(found)} % in {counted(count, 'epoch')}")
        return found

    last = None
    while _fits(search, single, 2 * epochs, seeds, left()):
        last = accuracy(epochs) if last is None else last
        twice = accuracy(2 * epochs)
        if twice <= last:
            break
        last, epochs = twice, 2 * epochs
    else:
        longer = search.expected(*search.estimated([single.row.name], 2 * epochs)) / LENGTH
        missed(f"runs of {2 * epochs} epochs", longer)
    if reached:
        search.console.print(
            f"On validation data, single task reaches {', '.join(reached)}, {counted(seeds, 'seed')}: runs of "
            f"{counted(epochs, 'epoch')}.",
            soft_wrap=True,
        )
    return epochs


def _fits(search: Halving, single: Candidate, epochs: int, seeds: int, seconds: float) -> bool:
    return search.fits([single], epochs, seeds, LENGTH * seconds)
