"""What may be handed over: nothing that is below the default single task on validation data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cmp_to_key

from metaux.settings import Settings
from metaux.studies.benchmark.rules import SINGLE
from metaux.studies.search.affordable import DEFAULT, LEAST_SEEDS, ROWS, Candidate, make_grid
from metaux.studies.search.halving import Halving
from metaux.words import counted


def default_run(settings: Settings, epochs: int) -> Candidate:
    """Return single task as `metaux train` has it, which is the floor of a search."""
    values = {**make_grid(settings)[0], "augment": settings.augment}
    return Candidate(replace(ROWS[SINGLE], name=DEFAULT), values, epochs)


def confirm(search: Halving, choices: Sequence[Candidate], seconds: float) -> None:
    """Train what may be chosen with as many seeds on validation data as the floor, as far as there is time."""
    for own in choices:
        for seeds in (1,) if own.row.classical else (LEAST_SEEDS, 1):
            if search.fits([own], seeds, seconds):
                length = "" if own.row.classical else f", {counted(own.epochs, 'epoch')}"
                search.train([own], seeds, f"{own.row.name}{length}, {counted(seeds, 'seed')}")
                search.record(own, seeds)
                break


def best_single(search: Halving, floor: Candidate, others: Sequence[Candidate]) -> Candidate:
    """Return the best single task on validation data: the floor, unless another is above it."""
    best = floor
    for other in others:
        if _compared(search, other, best) > 0:
            best = other
    return best


def best_first(search: Halving, floor: Candidate, choices: Mapping[str, Candidate]) -> list[str]:
    """Return the rows that are not below the floor on validation data, the best first; of equal ones the first."""

    def order(first: str, second: str) -> int:
        return -_compared(search, choices[first], choices[second])

    above = [name for name, own in choices.items() if _compared(search, own, floor) >= 0]
    return sorted(above, key=cmp_to_key(order))


def _compared(search: Halving, own: Candidate, other: Candidate) -> int:
    """Return 1 if the first is more accurate, on the seeds that both have; of equal ones if it has the lower loss."""
    for seeds in range(LEAST_SEEDS, 0, -1):
        if search.runs(own, seeds) and search.runs(other, seeds):
            first, second = search.reached(own, seeds), search.reached(other, seeds)
            return (second < first) - (first < second)
    return -1
