"""How long the runs of a search are: longer than the protocol's, where single task gains from it."""

import math
import statistics
from collections.abc import Callable
from dataclasses import replace

from metaux.studies.benchmark.rules import SINGLE
from metaux.studies.search.affordable import GRID, LEAST_SEEDS, ROWS, TIMING, Affordable, Candidate, needed
from metaux.studies.search.halving import Halving
from metaux.words import counted, percent

# Longer runs have to leave time for so many seeds in the test. They show a gain of one point where differences vary by
# 0.58 points from seed to seed or less, as on all of the benchmark's data sets but wine.
TESTED = 5


def lengthened(search: Halving, left: Callable[[], float]) -> Affordable:
    """Return the search with twice the epochs, and twice that, as long as single task gains from it on validation data.

    It grows only where all methods with all configurations, and a test with `TESTED` seeds, still fit.

    Args:
        search: as planned.
        left: the seconds that there are for all of it.
    """
    epochs, reached = search.plan.epochs, dict[int, float]()
    while _needed(search, 2 * epochs) <= left():
        for count in (epochs, 2 * epochs):
            if count not in reached:
                reached[count] = accuracy(search, count)
        if reached[2 * epochs] <= reached[epochs]:
            break
        epochs *= 2
    if reached:
        found = ", ".join(f"{percent(accuracy)} % in {counted(own, 'epoch')}" for own, accuracy in reached.items())
        search.console.print(
            f"On validation data, single task reaches {found}: runs of up to {counted(epochs, 'epoch')}.",
            soft_wrap=True,
        )
    return replace(search.plan, epochs=epochs)


def minutes_for_longer(search: Halving) -> int:
    """Return the minutes that pay for runs twice as long as they are."""
    return math.ceil(_needed(search, 2 * search.plan.epochs) / (1 - TIMING) / 60)


def _needed(search: Halving, epochs: int) -> float:
    """Return the seconds for all methods that were timed, with all configurations, and a thorough test."""
    return needed(search.costs, [*search.costs][1:], epochs, GRID, search.workers, TESTED)


def accuracy(search: Halving, epochs: int) -> float:
    """Return what single task reaches on validation data, as a mean over seeds; 0 where it diverges."""
    candidate = Candidate(ROWS[SINGLE], {})
    search.train([candidate], epochs, LEAST_SEEDS, f"single task, {counted(epochs, 'epoch')}")
    runs = search.runs(candidate, epochs, LEAST_SEEDS)
    return statistics.fmean(run.accuracy for run in runs) if runs else 0.0
