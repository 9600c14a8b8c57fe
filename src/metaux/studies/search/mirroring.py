"""Whether images of one's own are mirrored in training: decided on validation data, since left and right may matter."""

from dataclasses import replace

from metaux.studies.search.affordable import LEAST_SEEDS, TIMING, Candidate
from metaux.studies.search.halving import Halving
from metaux.words import percent


def with_mirroring(search: Halving, single: Candidate, seconds: float) -> str:
    """Return the augmentation with which single task does better on validation data: as it is, or crop-flip.

    Both are tried only where they take a small part of the time.

    Args:
        search: trains on validation data.
        single: single task with the default configuration and epochs.
        seconds: that there are for all of it.
    """
    plain, found = search.data_set, {}
    if 2 * LEAST_SEEDS * search.costs[single.row.name].of(single.epochs) / search.count > TIMING * seconds:
        return plain.augment
    for augment in (plain.augment, "crop-flip"):
        search.data_set = replace(plain, augment=augment)
        search.train([single], LEAST_SEEDS, f"single task, --augment {augment}")
        found[augment] = search.reached(single, LEAST_SEEDS)
    search.data_set = plain
    best = max(found, key=lambda augment: found[augment])  # as it is, where both do alike
    without, mirrored = (percent(found[augment].accuracy) for augment in (plain.augment, "crop-flip"))
    search.console.print(
        f"On validation data, single task reaches {mirrored} % with mirrored images and {without} % without: they are "
        f"{'' if best == 'crop-flip' else 'not '}mirrored.",
        soft_wrap=True,
    )
    return best
