from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metaux.errors import InputError
from metaux.evidence.statistics import (
    Estimate,
    floor_of_test_interval,
    mean_over_samples,
    mean_over_seeds,
    over_groups,
    seeds_needed,
)

numbers = st.floats(-1, 1).map(lambda value: round(value, 4))


def test_student_interval_by_hand() -> None:
    # Mean 10, deviation sqrt(2.5), t(4) = 2.776445: half width 2.776445 * 1.581139 / sqrt(5) = 1.963243.
    estimate = mean_over_seeds([8.0, 9.0, 10.0, 11.0, 12.0])
    assert estimate.low is not None
    assert estimate.high is not None
    assert (estimate.mean, estimate.low, estimate.high) == pytest.approx((10.0, 8.036757, 11.963243), abs=1e-6)


def test_one_seed_has_no_interval_and_equal_seeds_have_no_width() -> None:
    assert mean_over_seeds([0.5]) == Estimate(0.5)
    assert not mean_over_seeds([0.5]).above
    assert not mean_over_seeds([-0.5]).below
    assert mean_over_seeds([0.5, 0.5]) == Estimate(0.5, 0.5, 0.5)
    assert not mean_over_seeds([1e-9, 1e-9]).above


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0, float("inf")]])
def test_no_numbers(values: list[float]) -> None:
    for mean in (mean_over_seeds, mean_over_samples):
        with pytest.raises(InputError, match="expected at least one number, all of them finite"):
            mean(values)


@settings(deadline=None)
@given(st.lists(numbers, min_size=2, max_size=9))
def test_student_interval_is_scipys(values: list[float]) -> None:
    ours = mean_over_seeds(values)
    error = float(np.std(values, ddof=1)) / np.sqrt(len(values))
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=max(error, 1e-300))
    assert ours.low == pytest.approx(low, abs=1e-12)
    assert ours.high == pytest.approx(high, abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=2, max_size=8))
def test_a_paired_difference_ignores_what_a_seed_adds_to_both(
    values: list[tuple[float, float, float]],
) -> None:
    ours, theirs, seed = np.array(values).T
    plain = mean_over_seeds(ours - theirs)
    shifted = mean_over_seeds((ours + seed) - (theirs + seed))
    swapped = mean_over_seeds(theirs - ours)
    assert plain.low is not None
    assert plain.high is not None
    assert (shifted.mean, shifted.low, shifted.high) == pytest.approx((plain.mean, plain.low, plain.high), abs=1e-9)
    assert (-swapped.mean, swapped.high, swapped.low) == pytest.approx((plain.mean, -plain.low, -plain.high), abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.sampled_from([-1.0, -2 / 3, -1 / 3, 0.0, 1 / 3, 1.0]), min_size=5, max_size=60), st.randoms())
def test_bootstrap_interval(values: list[float], random: Random) -> None:
    estimate = mean_over_samples(values, resamples=2000)
    assert estimate.low is not None
    assert estimate.high is not None
    assert min(values) - 1e-6 <= estimate.low <= estimate.mean + 1e-6
    assert estimate.mean - 1e-6 <= estimate.high <= max(values) + 1e-6
    shuffled = random.sample(values, len(values))
    again = mean_over_samples(shuffled, resamples=2000)
    assert (again.low, again.high) == (estimate.low, estimate.high)


def test_a_few_samples_have_no_interval() -> None:
    assert mean_over_samples([1.0] * 4) == Estimate(1.0)
    assert not mean_over_samples([1.0] * 4).above
    assert mean_over_samples([1.0] * 5).above


def test_bootstrap_is_scipys() -> None:
    values = np.random.default_rng(3).choice([-1.0, 0.0, 1.0], 400, p=[0.05, 0.85, 0.1])
    ours = mean_over_samples(values, resamples=50_000)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=20_000,
        batch=2000,
        method="percentile",
        random_state=np.random.default_rng(0),
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=3e-3)
    assert ours.high == pytest.approx(theirs.high, abs=3e-3)


def test_bootstrap_of_many_different_values() -> None:
    values = np.random.default_rng(0).normal(0.1, 1, 3000)
    estimate = mean_over_samples(values, resamples=1500)
    assert estimate.low is not None
    # The standard error of the mean is 1 / sqrt(3000).
    assert estimate.mean - estimate.low == pytest.approx(1.96 / np.sqrt(3000), rel=0.15)


# G*Power 3.1, t test of matched pairs, two-sided, alpha 0.05, power 0.8.
@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10), (2.0, 5)])
def test_seeds_needed(effect: float, seeds: int) -> None:
    assert seeds_needed(1.0, effect) == seeds
    assert seeds_needed(0.004, effect * 0.004) == seeds


@pytest.mark.parametrize(("effect", "power"), [(0.9, 0.9), (1.0, 0.5), (3.25, 0.8)])
def test_seeds_needed_are_the_fewest_of_the_t_test_s_power(effect: float, power: float) -> None:
    seeds = seeds_needed(1.0, effect, power)
    found = [
        stats.nct.sf(stats.t.ppf(0.975, count - 1), count - 1, effect * np.sqrt(count)) for count in (seeds - 1, seeds)
    ]
    assert found[0] < power <= found[1]


def test_seeds_needed_at_the_ends() -> None:
    assert seeds_needed(0.0, 0.005) == 2
    assert seeds_needed(1e-9, 1.0) == 2
    for deviation, effect in [(1.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0)]:
        with pytest.raises(InputError, match="expected a standard deviation of 0 or more and an effect above 0"):
            seeds_needed(deviation, effect)


def test_floor_is_what_seeds_cannot_average_out() -> None:
    generator = np.random.default_rng(0)
    steady = generator.normal(0, 1, 2000)
    noise = generator.normal(0, 2, (40, 2000))
    expected = 1.96 / np.sqrt(2000)
    assert floor_of_test_interval(steady + noise) == pytest.approx(expected, rel=0.1)
    assert floor_of_test_interval(noise) < expected / 2
    assert floor_of_test_interval(np.stack([steady])) == pytest.approx(expected, rel=0.1)
    assert floor_of_test_interval(np.ones((3, 4))) == np.inf


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_student_interval_covers_as_often_as_it_says(seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    draws = 5000
    covered = 0
    for values in generator.normal(0.01, 0.005, (draws, seeds)):
        estimate = mean_over_seeds(values)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 0.01 <= estimate.high
    assert covered / draws == pytest.approx(0.95, abs=0.012)


@pytest.mark.slow
def test_bootstrap_interval_covers_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    draws = 2000
    covered = 0
    for _ in range(draws):
        values = generator.choice([-1.0, 0.0, 1.0], 1000, p=[0.04, 0.9, 0.06])
        estimate = mean_over_samples(values, resamples=2000)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 0.02 <= estimate.high
    assert covered / draws == pytest.approx(0.95, abs=0.02)


@pytest.mark.slow
def test_the_seeds_needed_have_the_power_promised() -> None:
    generator = np.random.default_rng(0)
    seeds = seeds_needed(1.0, 1.0)
    found = [mean_over_seeds(values).above for values in generator.normal(1.0, 1.0, (5000, seeds))]
    assert np.mean(found) == pytest.approx(0.8, abs=0.02)


def test_where_nothing_differs_the_test_set_still_has_a_floor() -> None:
    """If none of 60 samples differs, up to one in twenty may do so elsewhere."""
    assert floor_of_test_interval(np.zeros((3, 60))) == pytest.approx(3 / 60, rel=0.01)
    assert floor_of_test_interval(np.zeros((3, 10_000))) < 0.005


def test_related_samples_count_as_one() -> None:
    random = np.random.default_rng(0)
    each = random.normal(0.1, 1.0, 40)
    values, groups = np.repeat(each, 25), np.repeat(np.arange(40), 25)
    alone, together = mean_over_samples(values), mean_over_samples(over_groups(values, groups))
    assert alone.mean == pytest.approx(together.mean)
    assert alone.low is not None
    assert together.low is not None
    assert (together.mean - together.low) / (alone.mean - alone.low) == pytest.approx(5, rel=0.2)  # sqrt(25)
    assert mean_over_samples(over_groups(values, np.arange(1000))) == alone
    assert over_groups(values, None).tolist() == values.tolist()


def test_groups_of_unequal_sizes() -> None:
    groups = np.repeat(np.arange(30), np.tile([1, 5, 50], 10))
    certain = mean_over_samples(over_groups(np.full(len(groups), 0.3), groups))
    assert (certain.low, certain.high) == pytest.approx((0.3, 0.3))
    random = np.random.default_rng(0)
    values = (random.random(len(groups)) < 0.9).astype(float)
    found = mean_over_samples(over_groups(values, groups))
    drawn = [random.choice(30, 30) for _ in range(4000)]
    sums, sizes = np.bincount(groups, values), np.bincount(groups)
    ratios = [sums[own].sum() / sizes[own].sum() for own in drawn]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(ratios, [0.025, 0.975])), abs=0.01)
    assert floor_of_test_interval(over_groups(np.full((3, len(groups)), 0.3), groups)) == pytest.approx(0)
