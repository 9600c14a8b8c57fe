"""What can be said from a few seeds and one test set: means, paired differences, intervals, power."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from metaux.errors import InputError

V = TypeVar("V")
# A bound nearer to zero than this is zero: accuracies are sums of float32 values.
ROUNDING = 1e-6
# To draw fewer from themselves says little of others: of one, nothing at all.
FEWEST_SAMPLES = 5


@dataclass(frozen=True)
class Estimate:
    """A mean and the bounds of its 95 % interval, which are None where there is none to be had.

    >>> Estimate(0.01, 0.002, 0.018).above
    True
    """

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def above(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.low is not None and self.low > ROUNDING

    @property
    def below(self) -> bool:
        """Whether the whole interval is below zero."""
        return self.high is not None and self.high < -ROUNDING


def mean_over_seeds(
    values: Sequence[float] | NDArray[np.float64], level: float = 0.95, overlap: float = 0.0
) -> Estimate:
    """Return the mean and its Student t interval, `mean -+ t(n - 1) * s * sqrt(1 / n + overlap)`.

    For a paired comparison, give the differences, seed by seed.

    Args:
        values: one per seed, `[n]`; of a single one there is no interval.
        level: of the interval.
        overlap: in cross-validation, test samples per training sample, since the parts learn from the same samples.

    Raises:
        InputError: for no value, or one that is not finite.

    Source: for overlap, Nadeau and Bengio (2003), Inference for the generalization error, Machine Learning 52.

    >>> estimate = mean_over_seeds([1.0, 2.0, 3.0])  # t(2) = 4.303, standard deviation 1
    >>> round(estimate.low, 3), round(estimate.high, 3)
    (-0.484, 4.484)
    """
    from scipy import special

    array = _checked(values)
    mean = float(array.mean())
    if len(array) == 1:
        return Estimate(mean)
    quantile = float(special.stdtrit(len(array) - 1, (1 + level) / 2))
    half = quantile * float(array.std(ddof=1)) * math.sqrt(1 / len(array) + overlap)
    return Estimate(mean, mean - half, mean + half)


def paired(own: Mapping[int, V], theirs: Mapping[int, V]) -> list[V]:
    """Return the differences of what both have for a seed, in the order of the first.

    >>> paired({0: 3, 1: 5}, {1: 4, 2: 0})
    [1]
    """
    return [value - theirs[seed] for seed, value in own.items() if seed in theirs]  # type: ignore[operator]


def mean_over_samples(
    values: Sequence[float] | NDArray[np.floating],
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Estimate:
    """Return the mean over test samples and its bootstrap percentile interval.

    For a paired comparison, give each sample's difference in correctness, averaged over the seeds.

    Args:
        values: one per test sample, or per group of them, `[n]`; of fewer than `FEWEST_SAMPLES` there is no interval.
        level: of the interval.
        resamples: how often n samples are drawn from the n, with replacement.
        seed: of the draws; the same values always have the same interval, in whatever order.

    Raises:
        InputError: for no value, or one that is not finite.

    >>> mean_over_samples([1.0] * 60 + [0.0] * 40)
    Estimate(mean=0.6, low=0.5, high=0.7)
    """
    array = _checked(values)
    if len(array) < FEWEST_SAMPLES:
        return Estimate(float(array.mean()))
    # Correctness averaged over seeds and epochs takes few different values, and to draw samples is to draw
    # how often each value occurs: the same bootstrap, with a few numbers per draw, not one per sample.
    distinct, occurrences = np.unique(np.round(array, 6), return_counts=True)
    share = occurrences / len(array)
    generator = np.random.default_rng(seed)
    at_once = max(1, 2_000_000 // len(distinct))
    means: list[NDArray[np.float64]] = []
    for start in range(0, resamples, at_once):
        counts = generator.multinomial(len(array), share, size=min(at_once, resamples - start))
        means.append(counts @ distinct / len(array))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(array.mean()), float(low), float(high))


def over_groups(values: NDArray[np.floating], groups: NDArray[np.integer] | None) -> NDArray[np.float64]:
    """Return one value per group of related samples, with the mean that the samples have, to draw in their place.

    Two pictures of one patient say less than two patients: intervals over single samples would be too narrow.

    Args:
        values: one per test sample, `[..., n]`.
        groups: the group of each sample, int64 `[n]`; None if each is one by itself.

    Returns:
        float64 `[..., groups]`: the mean of all, plus what the group adds to it. To draw these is to draw groups, to
        first order, also where groups have unequal sizes.

    >>> import numpy as np
    >>> over_groups(np.array([1.0, 0.0, 1.0]), np.array([7, 7, 3]))
    array([0.88888889, 0.44444444])
    """
    array = np.asarray(values, dtype=np.float64)
    if groups is None:
        return array
    _, place = np.unique(groups, return_inverse=True)
    sizes = np.bincount(place)
    sums = np.array([np.bincount(place, row) for row in array.reshape(-1, array.shape[-1])])
    mean = array.mean(axis=-1, keepdims=True)
    sums = sums.reshape(*array.shape[:-1], len(sizes))
    result: NDArray[np.float64] = mean + (sums - mean * sizes) * (len(sizes) / array.shape[-1])
    return result


def share_of_samples(values: NDArray[np.floating], groups: NDArray[np.integer] | None = None) -> Estimate:
    """Return a share and Wilson's interval for it, which is no point where all samples are right.

    Args:
        values: how often each test sample was right, 0 to 1, `[n]`; fewer than `FEWEST_SAMPLES` have no interval.
        groups: the group of each sample, int64 `[n]`, which counts as one sample; None if each is one by itself.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.

    >>> import numpy as np
    >>> found = share_of_samples(np.array([1.0] * 49 + [0.0] * 11))
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3)
    (0.817, 0.701, 0.894)
    """
    from scipy import special

    share = float(values.mean()) if len(values) else math.nan
    count = len(values) if groups is None else len(np.unique(groups))
    if count < FEWEST_SAMPLES:
        return Estimate(share)
    squared = float(special.ndtri(0.975)) ** 2
    centre = (share + squared / (2 * count)) / (1 + squared / count)
    half = math.sqrt(squared * (share * (1 - share) / count + squared / (4 * count**2))) / (1 + squared / count)
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def floor_of_test_interval(differences: NDArray[np.floating], level: float = 0.95) -> float:
    """Return half the width that the interval over test samples would keep with any number of seeds.

    A sample's mean difference varies from sample to sample by what the methods truly do differently there,
    and by the seeds' noise, which more seeds average out: the first part is the variance less the second. Where no
    sample differs, as many as -ln(1 - level) of n may still do so elsewhere (at 95 %, the rule of three).

    Args:
        differences: in correctness, one row per seed, `[seeds, n]`; with one seed the parts cannot be told
            apart, and nothing is taken off.
        level: of the interval.
    """
    from scipy import special

    seeds, samples = differences.shape
    if samples < FEWEST_SAMPLES:
        return math.inf
    if not differences.any():
        return float(-math.log(1 - level) / samples)
    variance = float(np.var(differences.mean(axis=0), ddof=1))
    noise = float(np.var(differences, axis=0, ddof=1).mean()) / seeds if seeds > 1 else 0.0
    return float(special.ndtri((1 + level) / 2)) * math.sqrt(max(variance - noise, 0.0) / samples)


def seeds_needed(standard_deviation: float, effect: float, power: float = 0.8, level: float = 0.95) -> int:
    """Return how many seeds show a difference of this size, by a paired two-sided t test.

    Args:
        standard_deviation: of the paired differences over seeds.
        effect: the difference to be shown, in the same unit.
        power: the probability to show it, if it is there.
        level: one less the probability to show one that is not there.

    Raises:
        InputError: unless the standard deviation is at least 0 and the effect above 0.

    >>> seeds_needed(standard_deviation=1.0, effect=1.0)
    10
    """
    from scipy import special

    if not (math.isfinite(standard_deviation) and standard_deviation >= 0 and math.isfinite(effect) and effect > 0):
        raise InputError(
            "expected a standard deviation of 0 or more and an effect above 0, found "
            f"{standard_deviation} and {effect}; give both in the same unit"
        )
    if standard_deviation == 0:
        return 2
    tail = (1 + level) / 2
    # Known standard deviation: a lower bound, from which the t test's own power is a few seeds away.
    normal = ((float(special.ndtri(tail)) + float(special.ndtri(power))) * standard_deviation / effect) ** 2
    count = max(2, math.floor(normal))
    while count < 10_000 and _power(count, effect / standard_deviation, tail) < power:
        count += 1
    return count


def _power(count: int, effect: float, tail: float) -> float:
    """Return how likely the t test of `count` differences finds an effect, in units of their standard deviation."""
    from scipy import special

    critical = float(special.stdtrit(count - 1, tail))
    return 1 - float(special.nctdtr(count - 1, effect * math.sqrt(count), critical))


def _checked(values: Sequence[float] | NDArray[np.floating]) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0 or not np.isfinite(array).all():
        raise InputError(f"expected at least one number, all of them finite, found {array.tolist()[:9]}")
    return array
