"""What may be handed over: nothing that is below the default single task on validation data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key
from typing import Any

from metaux.settings import Settings
from metaux.studies.benchmark.rules import SINGLE
from metaux.studies.search.affordable import DEFAULT, LEAST_SEEDS, ROWS, Candidate, make_grid
from metaux.studies.search.halving import Halving
from metaux.words import counted


@dataclass(frozen=True)
class Choice:
    """A candidate, and how long it is trained."""

    candidate: Candidate
    epochs: int


def default_run(settings: Settings, epochs: int) -> Choice:
    """Return single task as `metaux train` has it, which is the floor of a search."""
    values: dict[str, Any] = {**make_grid(settings)[0], "augment": settings.augment}
    return Choice(Candidate(replace(ROWS[SINGLE], name=DEFAULT), values), epochs)


def confirm(search: Halving, choices: Sequence[Choice], seconds: float) -> None:
    """Train what may be chosen with as many seeds on validation data as the floor, as far as there is time."""
    for own in choices:
        for seeds in (1,) if own.candidate.row.classical else (LEAST_SEEDS, 1):
            if search.fits([own.candidate], own.epochs, seeds, seconds):
                row = own.candidate.row
                length = "" if row.classical else f", {counted(own.epochs, 'epoch')}"
                search.train([own.candidate], own.epochs, seeds, f"{row.name}{length}, {counted(seeds, 'seed')}")
                search.record(own.candidate, own.epochs, seeds)
                break


def best_single(search: Halving, floor: Choice, others: Sequence[Choice]) -> Choice:
    """Return the best single task on validation data: the floor, unless another is above it."""
    best = floor
    for other in others:
        if _compared(search, other, best) > 0:
            best = other
    return best


def best_first(search: Halving, floor: Choice, choices: Mapping[str, Choice]) -> list[str]:
    """Return the rows that are not below the floor on validation data, the best first; of equal ones the first."""

    def order(first: str, second: str) -> int:
        return -_compared(search, choices[first], choices[second])

    above = [name for name, own in choices.items() if _compared(search, own, floor) >= 0]
    return sorted(above, key=cmp_to_key(order))


def _compared(search: Halving, own: Choice, other: Choice) -> int:
    """Return 1 if the first is more accurate, on the seeds that both have; of equal ones if it has the lower loss."""
    for seeds in range(LEAST_SEEDS, 0, -1):
        pair = [(each.candidate, each.epochs, seeds) for each in (own, other)]
        if all(search.runs(*each) for each in pair):
            first, second = (search.accuracy(*each) for each in pair)
            return (first > second) - (first < second)
    return -1
