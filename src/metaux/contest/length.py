"""How long the runs of a search are: longer than the protocol's, where single task gains from it."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from metaux.contest.race import GRID, LEAST_SEEDS, Affordable, Candidate, Race, needed, single_task
from metaux.contest.rules import SINGLE
from metaux.contest.trials import train
from metaux.experiment.wording import counted, percent

# Longer runs have to leave time for so many in the test: differences that vary by a point show a gain of one with ten.
TESTED = 10


def lengthened(race: Race, left: Callable[[], float]) -> Affordable:
    """Return the search with twice the epochs, and twice that, as long as single task gains from it on validation data.

    It grows only where all methods with all configurations, and a test with `TESTED` seeds, still fit.

    Args:
        race: the search as planned.
        left: the seconds that there are for all of it.
    """
    epochs, reached = race.plan.epochs, dict[int, float]()
    while needed(race.costs, [*race.costs][1:], 2 * epochs, GRID, race.workers, TESTED) <= left():
        for count in (epochs, 2 * epochs):
            if count not in reached:
                reached[count] = _accuracy(race, count)
        if reached[2 * epochs] <= reached[epochs]:
            break
        epochs *= 2
    if reached:
        found = ", ".join(f"{percent(accuracy)} % in {counted(own, 'epoch')}" for own, accuracy in reached.items())
        race.console.print(
            f"On validation data, single task reaches {found}: runs of up to {counted(epochs, 'epoch')}.",
            soft_wrap=True,
        )
    return replace(race.plan, epochs=epochs)


def _accuracy(race: Race, epochs: int) -> float:
    """Return what single task reaches on validation data, as a mean over seeds; 0 where it diverges."""
    cost = race.costs[SINGLE]
    first = Candidate(single_task(), {}).trial(race.bed, epochs, cost.epoch)
    trials = [replace(first, seed=seed) for seed in range(LEAST_SEEDS)]
    estimated = sum(trial.run(race.out) is None for trial in trials) * cost.of(epochs), cost.of(epochs)
    begin = time.perf_counter()
    train(trials, f"single task, {epochs} epochs", race.out, race.workers_for(*estimated), race.console)
    if estimated[0]:
        race.took(time.perf_counter() - begin, *estimated)
    runs = [run for trial in trials if (run := trial.run(race.out)) is not None]
    return statistics.fmean(run.accuracy for run in runs) if len(runs) == len(trials) else 0.0
