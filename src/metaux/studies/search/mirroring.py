"""Whether images of one's own are mirrored in training: decided on validation data, since left and right may matter."""

from dataclasses import replace

from metaux.studies.benchmark.rules import SINGLE
from metaux.studies.search.affordable import LEAST_SEEDS, TIMING
from metaux.studies.search.halving import Halving
from metaux.studies.search.length import accuracy
from metaux.words import percent


def with_mirroring(search: Halving, seconds: float) -> str:
    """Return the augmentation with which single task does better on validation data: as it is, or crop-flip.

    Both are tried only where they take a small part of the time.

    Args:
        search: as planned.
        seconds: that there are for all of it.
    """
    plain, epochs = search.data_set, search.plan.epochs
    if 2 * LEAST_SEEDS * search.costs[SINGLE].of(epochs) / search.workers > TIMING * seconds:
        return plain.augment
    reached = {}
    for augment in (plain.augment, "crop-flip"):
        search.data_set = replace(plain, augment=augment)
        reached[augment] = accuracy(search, epochs)
    search.data_set = plain
    best = max(reached, key=lambda augment: reached[augment])  # as it is, where both do alike
    search.console.print(
        f"On validation data, single task reaches {percent(reached['crop-flip'])} % with mirrored images and "
        f"{percent(reached[plain.augment])} % without: they are {'' if best == 'crop-flip' else 'not '}mirrored.",
        soft_wrap=True,
    )
    return best
