"""What fits into the minutes that a search is given."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from metaux.data.samples import LabelledData
from metaux.errors import InputError
from metaux.protocols import resolve
from metaux.runs.launch import rehearse
from metaux.settings import Settings
from metaux.studies.benchmark.rules import ENTRANTS, SINGLE, Entrant
from metaux.training.timing import Cost

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
# Single task as `metaux train` has it, where it is not what is chosen.
DEFAULT = f"{SINGLE}, default"
# What learning rate and weight decay are multiplied with; where time is short, the decay by the first alone.
RATES, DECAYS = (1.0, 0.4, 2.0), (1.0, 4.0)
# Of the epochs of a whole run. Where that leaves time, whole runs are repeated with so many seeds.
RUNGS, REPEATED = (0.25, 0.5, 1.0), (2, 4)
# Of the budget: for timing a few steps of each method.
TIMING = 0.1
# Of the budget: for the search, repetitions included, and the most that it may become; the rest is for test data.
SEARCH, MOST_SEARCH = 0.4, 0.6
LEAST_SEEDS = 3


@dataclass(frozen=True)
class Candidate:
    """A row with one configuration, and the epochs that it is trained."""

    row: Entrant
    values: Mapping[str, Any]
    epochs: int


def make_grid(settings: Settings, short: bool = False) -> tuple[dict[str, float], ...]:
    """Return the configurations of every row around the one that these settings have, which is the first.

    >>> [tuple(values.values()) for values in make_grid(Settings(), short=True)]
    [(0.05, 0.0005), (0.02, 0.0005), (0.1, 0.0005)]
    """
    own = resolve(settings)
    pairs = product(DECAYS[:1] if short else DECAYS, RATES)
    found = [
        (float(f"{own.learning_rate * rate:.6g}"), float(f"{own.weight_decay * decay:.6g}")) for decay, rate in pairs
    ]
    return tuple({"learning_rate": rate, "weight_decay": decay} for rate, decay in dict.fromkeys(found))


def suitable(data: LabelledData) -> list[Entrant]:
    """Return the methods that can run on this data, in the order in which they are tried."""
    labels = {"human": data.train.human, "given": data.train.given}
    people = [name for name, own in labels.items() if own is not None]
    return [ROWS[name] for name in (*people, *PRIOR.get(data.kind, ("maxl",)), _DEAR)]


def time_epochs(
    data_set: Settings, rows: Sequence[Entrant], data: LabelledData, single: Cost, seconds: float
) -> dict[str, Cost]:
    """Time a few steps of each row, as far as the seconds for it go; one is always timed.

    Args:
        data_set: its settings.
        rows: in the order in which they are tried; those that refuse the data are left out.
        data: read.
        single: what single task costs.
        seconds: for all of it.
    """
    found: dict[str, Cost] = {}
    start = time.perf_counter()
    # Features that are trained before a method's run may take as long as a run of single task.
    ahead = single.of(resolve(data_set).epochs) if data_set.features != Settings().features else 0
    for row in rows:
        if found and time.perf_counter() - start + ahead > seconds:
            break
        try:
            found[row.name], _ = rehearse(row.on_validation(data_set), data, curve=False)
        except InputError:  # not for data like this
            continue
    return found


@dataclass(frozen=True)
class Affordable:
    """What fits the budget.

    Args:
        epochs: of a whole run.
        methods: that are tried, besides single task.
        grid: the configurations of each; none where there is no time to try any.
    """

    epochs: int
    methods: tuple[str, ...]
    grid: tuple[dict[str, float], ...]

    def candidates(self) -> list[Candidate]:
        """Return every configuration of single task and the methods: the same for all."""
        return [Candidate(ROWS[name], values, self.epochs) for name in (SINGLE, *self.methods) for values in self.grid]


def affordable(settings: Settings, costs: Mapping[str, Cost], epochs: int, seconds: float, workers: int) -> Affordable:
    """Return the most methods, then the most configurations, that there is time for with runs of this length.

    The time is that of a search, and of a test with few seeds.

    Args:
        settings: of which the configurations are made.
        costs: of single task and of each method, in the order in which they are tried.
        epochs: of a whole run.
        seconds: that are left.
        workers: runs side by side.
    """
    grids = [make_grid(settings, short) for short in (False, True)]
    # One with many controls may be too much where the next one is not.
    methods = [name for name in costs if name != SINGLE]
    fitting = [name for name in methods if needed(costs, [name], epochs, grids[1], workers) <= seconds]
    for count, grid in product(range(len(fitting), -1, -1), grids):
        if needed(costs, fitting[:count], epochs, grid, workers) <= seconds:
            return Affordable(epochs, tuple(fitting[:count]), grid)
    return Affordable(epochs, (), ())


def needed(
    costs: Mapping[str, Cost], methods: Sequence[str], epochs: int, grid: Sequence[Mapping[str, float]], workers: int
) -> float:
    """Return the seconds of a budget whose share for the search, and whose rest for a test, are enough."""
    search = 0.0
    for rung, share in enumerate(RUNGS):
        each = [costs[name].of(max(1, int(epochs * share))) for name in (SINGLE, *methods)]
        search += side_by_side(len(grid) * 0.5**rung * sum(each), max(each), workers)
    single = costs[SINGLE].of(epochs)
    # The method, its own controls and single task for the same time; single task, uniform, frozen and shuffled labels.
    dearest = max(((2 + len(ROWS[name].controls)) * costs[name].of(epochs) for name in methods), default=0.0)
    longest = max((costs[name].of(epochs) for name in methods), default=0.0) + single  # shuffled labels wait for others
    test = side_by_side(LEAST_SEEDS * (dearest + (4 if methods else 2) * single), longest, workers)
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
