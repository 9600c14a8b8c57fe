"""Results on parts of one test set: what cross-validation says of a difference."""

import numpy as np
import pytest

from metaux.evidence.comparison import difference
from metaux.evidence.contender import Result
from metaux.evidence.folds import side_by_side
from metaux.evidence.statistics import mean_over_seeds


def result(seed: int, correct: list[float], ids: list[int]) -> Result:
    return Result(seed, float(np.mean(correct)), 0.0, np.array(correct), 1.0, 1.0, np.array(ids), overlap=0.25)


def test_a_difference_is_over_all_samples_that_are_measured() -> None:
    ids = [[5 * part + place for place in range(5)] for part in range(2)]
    own = [result(part, [1.0] * 5, ids[part]) for part in range(2)]
    others = [result(0, [1.0, 0.0, 1.0, 1.0, 1.0], ids[0]), result(1, [0.0, 0.0, 1.0, 1.0, 1.0], ids[1])]
    found = difference(own, others)
    assert found is not None
    assert found.by_seed == pytest.approx((0.2, 0.4))
    assert found.test.mean == pytest.approx(0.3)
    assert found.seeds == mean_over_seeds(found.by_seed, overlap=0.25)
    assert 0 < found.floor < 0.3


def test_overlap_makes_the_interval_wider() -> None:
    """By hand: with n = 5 the variance is that of one times 1/5 + 1/4 in place of 1/5."""
    values = [0.1, 0.2, 0.3, 0.4, 0.5]
    plain, wider = mean_over_seeds(values), mean_over_seeds(values, overlap=0.25)
    assert plain.low is not None
    assert wider.low is not None
    assert (wider.mean - wider.low) / (plain.mean - plain.low) == pytest.approx((0.45 / 0.2) ** 0.5)


def test_repeated_cross_validation_has_a_row_for_each_run() -> None:
    found = side_by_side(
        [np.array([1.0]), np.array([0.0]), np.array([0.5])], [np.array([3]), np.array([1]), np.array([3])]
    )
    assert np.nanmean(found, axis=0).tolist() == [0.0, 0.75]
