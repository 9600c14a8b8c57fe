"""What fits into the minutes that a search is given."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from metaux.data.samples import LabelledData
from metaux.errors import InputError
from metaux.protocols import resolve
from metaux.runs.launch import rehearse
from metaux.settings import Settings
from metaux.studies.benchmark.plan import on_validation
from metaux.studies.benchmark.rules import ENTRANTS, SINGLE, Entrant, Rules
from metaux.training.timing import Cost
from metaux.words import duration

# It takes dozens of trainings: it is tried last, where the budget allows.
_DEAR = "unrolled"
# Those of the benchmark, labels that none of its data sets has, and a method too dear for it.
ROWS = {row.name: row for row in (*ENTRANTS, Entrant("given", "given", role="outside"), Entrant(_DEAR, _DEAR))}
# In the order in which they are tried where time is short: the order of their results in the benchmark, where they were
# run there; of tables, the cheap one of two that did alike first. A person's labels come before, where there are some.
PRIOR = {
    "image": ("transformation", "transformation apart", "kmeans", "maxl", "distilled", "balanced"),
    "table": ("kmeans", "maxl", "balanced", "leaves"),
    "text": ("kmeans", "maxl", "balanced"),
}
GRID = Rules((0.02, 0.05, 0.1), (5e-4, 2e-3)).grid
# Where a method does not fit with all of it: one weight decay.
SHORT_GRID = Rules((0.02, 0.05, 0.1), (5e-4,)).grid
# Of the epochs of a whole run. Where that leaves time, whole runs are repeated with so many seeds.
RUNGS, REPEATED = (0.25, 0.5, 1.0), (2, 4)
# Of the budget: for timing a few steps of each method.
TIMING = 0.1
# Of the budget: for the search, repetitions included, and the most that it may become; the rest is for test data.
SEARCH, MOST_SEARCH = 0.4, 0.6
LEAST_SEEDS = 3


@dataclass(frozen=True)
class Candidate:
    """A row with one configuration."""

    row: Entrant
    values: Mapping[str, float]


def suitable(data: LabelledData) -> list[Entrant]:
    """Return the methods that can run on this data, in the order in which they are tried."""
    labels = {"human": data.train.human, "given": data.train.given}
    people = [name for name, own in labels.items() if own is not None]
    return [ROWS[name] for name in (*people, *PRIOR.get(data.kind, ("maxl",)), _DEAR)]


def time_epochs(data_set: Settings, rows: Sequence[Entrant], data: LabelledData, seconds: float) -> dict[str, Cost]:
    """Time a few steps of each row, as far as the seconds for it go; single task and one method are always timed."""
    found: dict[str, Cost] = {}
    rehearse(on_validation(data_set, rows[0]), data, curve=False)  # pays for what a process sets up once
    start = time.perf_counter()
    for row in rows:
        # Features that are trained before a method's run may take as long as a run of single task.
        ahead = (
            found[SINGLE].of(resolve(data_set).epochs)
            if len(found) > 1 and data_set.features != Settings().features
            else 0
        )
        if len(found) > 1 and time.perf_counter() - start + ahead > seconds:
            break
        trial = on_validation(data_set, row)
        try:
            found[row.name], _ = rehearse(trial, data, curve=False)
        except InputError:  # not for data like this
            if row.name == SINGLE:
                raise
    return found


@dataclass(frozen=True)
class Affordable:
    """What fits the budget.

    Args:
        epochs: of a whole run.
        methods: that are tried, besides single task.
        grid: the configurations of each.
    """

    epochs: int
    methods: tuple[str, ...]
    grid: tuple[dict[str, float], ...]

    def candidates(self) -> list[Candidate]:
        """Return every configuration of single task and the methods: the same for all."""
        return [Candidate(ROWS[name], values) for name in (SINGLE, *self.methods) for values in self.grid]


def affordable(data_set: Settings, costs: Mapping[str, Cost], seconds: float, workers: int) -> Affordable:
    """Return the longest runs, then the most methods, then the most configurations, that there is time for.

    The time is that of a search, and of a test with few seeds.

    Args:
        data_set: its settings; its epochs are the most.
        costs: of single task and of each method, in the order in which they are tried.
        seconds: the budget.
        workers: runs side by side.

    Raises:
        InputError: if there is no method, or not even runs of one epoch fit.
    """
    methods = [*costs][1:]
    if not methods:
        raise InputError(
            "expected data that a method can be trained on, found that each that was tried refuses it; give --method "
            "maxl to `metaux train`, which says why, or --method single to do without"
        )
    epochs = resolve(data_set).epochs
    while epochs:
        # One with many controls may be too much where the next one is not; without the first, runs are shorter instead.
        fitting = [name for name in methods if needed(costs, [name], epochs, SHORT_GRID, workers) <= seconds]
        for count, grid in product(range(len(fitting), 0, -1), (GRID, SHORT_GRID)):
            if methods[0] in fitting and needed(costs, fitting[:count], epochs, grid, workers) <= seconds:
                return Affordable(epochs, tuple(fitting[:count]), grid)
        epochs //= 2
    least = needed(costs, methods[:1], 1, SHORT_GRID, workers)
    raise InputError(
        f"expected time for runs of at least one epoch, about {duration(least)}, found {duration(seconds)}; give "
        f"--minutes {max(1, round(2 * least / 60))} or more, or a smaller --train-size"
    )


def needed(
    costs: Mapping[str, Cost],
    methods: Sequence[str],
    epochs: int,
    grid: Sequence[Mapping[str, float]],
    workers: int,
    seeds: int = LEAST_SEEDS,
) -> float:
    """Return the seconds of a budget whose share for the search, and whose rest for a test, are enough."""
    search = 0.0
    for rung, share in enumerate(RUNGS):
        each = [costs[name].of(max(1, int(epochs * share))) for name in (SINGLE, *methods)]
        search += side_by_side(len(grid) * 0.5**rung * sum(each), max(each), workers)
    single = costs[SINGLE].of(epochs)
    # The method, its own controls and single task for the same time; single task, uniform, frozen and shuffled labels.
    dearest = max((2 + len(ROWS[name].controls)) * costs[name].of(epochs) for name in methods)
    longest = max(costs[name].of(epochs) for name in methods) + single  # shuffled labels wait for the method's
    test = side_by_side(seeds * (dearest + 4 * single), longest, workers)
    return max(search / SEARCH, test / (1 - MOST_SEARCH))


def side_by_side(together: float, longest: float, workers: int) -> float:
    """Return the seconds that runs take: workers share them, but not a single one.

    Args:
        together: the seconds of all of them.
        longest: those of the longest.
        workers: runs side by side.

    >>> side_by_side(100.0, 30.0, 2), side_by_side(100.0, 30.0, 10)
    (50.0, 30.0)
    """
    return max(together / workers, longest)
