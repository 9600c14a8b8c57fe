import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from metaux.data.samples import Samples
from metaux.data.splits import draw, split
from metaux.errors import InputError

COUNTS = st.lists(st.integers(1, 30), min_size=2, max_size=6).filter(lambda counts: max(counts) > 1)


def labels(counts: list[int], seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts)))


def samples(primary: Tensor, groups: Tensor | None = None) -> Samples:
    return Samples((torch.arange(len(primary)).unsqueeze(1),), primary, groups=groups)


def rows(part: Samples | None) -> list[int]:
    assert part is not None
    assert part.ids is not None
    return part.ids.tolist()


@given(COUNTS, st.floats(0.05, 0.5), st.integers(0, 9))
def test_a_split_is_a_partition_in_balance(counts: list[int], fraction: float, seed: int) -> None:
    primary = labels(counts, seed)
    first, second = split(primary, None, fraction, np.random.default_rng(seed))
    assert sorted(first.tolist() + second.tolist()) == list(range(len(primary)))
    assert first.tolist() == sorted(first.tolist())
    assert second.tolist() == sorted(second.tolist())
    share = primary[second].bincount(minlength=len(counts))
    for count, part in zip(counts, share.tolist(), strict=True):
        assert min(1, count - 1) <= part <= max(0, count - 1)
        # each class gives its share, but for the rounding and what the smallest classes have to give
        assert abs(part - fraction * count) <= 1 + len(counts)


@given(COUNTS.filter(lambda counts: min(counts) >= 10), st.integers(0, 9))
def test_the_total_is_right(counts: list[int], seed: int) -> None:
    _, second = split(labels(counts), None, 0.2, np.random.default_rng(seed))
    assert len(second) == round(0.2 * sum(counts))


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 4), st.integers(6, 20), st.integers(1, 5), st.integers(0, 9))
def test_groups_never_straddle(classes: int, members: int, size: int, seed: int) -> None:
    groups = torch.arange(members).repeat_interleave(size)
    primary = groups % classes
    first, second = split(primary, groups, 0.2, np.random.default_rng(seed))
    assert not set(groups[first].tolist()) & set(groups[second].tolist())
    assert sorted(first.tolist() + second.tolist()) == list(range(len(primary)))
    assert len(second) > 0
    assert set(primary[first].tolist()) == set(range(classes))
    several = [label for label in range(classes) if len(set(groups[primary == label].tolist())) > 1]
    assert set(primary[second].tolist()) == set(several)


@given(COUNTS, st.integers(0, 5), st.data())
def test_a_draw_keeps_size_balance_and_order(counts: list[int], seed: int, data: st.DataObject) -> None:
    source = samples(labels(counts))
    size = data.draw(st.integers(len(counts), len(source)))
    train, meta = draw(source, seed, size, 0.0)
    assert meta is None
    assert len(train) == size
    assert rows(train) == sorted(set(rows(train)))
    assert train.primary.bincount(minlength=len(counts)).min() >= 1
    assert train.primary.equal(source.primary[train.ids])


def test_the_meta_split_is_taken_from_the_same_subset() -> None:
    source = samples(labels([50, 30, 20]))
    whole, _ = draw(source, 3, 40, 0.0)
    train, meta = draw(source, 3, 40, 0.1)
    assert meta is not None
    assert sorted(rows(train) + rows(meta)) == rows(whole)
    assert meta.primary.bincount().tolist() == [2, 1, 1]
    assert len(train) == 36


def test_every_class_is_in_both_parts() -> None:
    source = samples(labels([200, 2, 3, 1]))
    for seed in range(5):
        train, meta = draw(source, seed, None, 0.1)
        assert meta is not None
        assert set(meta.primary.tolist()) == {0, 1, 2}
        assert set(train.primary.tolist()) == {0, 1, 2, 3}


def test_a_seed_says_everything() -> None:
    source = samples(labels([50, 30, 20]))
    assert rows(draw(source, 1, 40, 0.1)[1]) == rows(draw(source, 1, 40, 0.1)[1])
    assert rows(draw(source, 1, 40, 0.1)[0]) != rows(draw(source, 2, 40, 0.1)[0])
    assert draw(source, 1, None, 0.0)[0] is source


@pytest.mark.parametrize("size", [1, 0, -5, 101])
def test_bad_training_sizes(size: int) -> None:
    with pytest.raises(InputError, match=rf"a training size from 3 .* to 100 \(all\), found {size}; correct"):
        draw(samples(labels([50, 30, 20])), 0, size, 0.0)


def test_mixed_groups_keep_every_class_in_both_parts() -> None:
    stream = np.random.default_rng(0)
    groups = torch.from_numpy(stream.integers(0, 40, 600))
    primary = torch.from_numpy(stream.choice(5, 600, p=[0.5, 0.3, 0.1, 0.06, 0.04]))
    first, second = split(primary, groups, 0.2, stream)
    assert not set(groups[first].tolist()) & set(groups[second].tolist())
    assert set(primary[first].tolist()) == set(primary[second].tolist()) == set(range(5))
    assert abs(len(second) - 120) <= 20


def test_two_groups_that_differ_in_their_rarest_class() -> None:
    primary, groups = torch.tensor([0, 0, 1, 0, 1, 1]), torch.tensor([0, 0, 0, 1, 1, 1])
    first, second = split(primary, groups, 0.2, np.random.default_rng(0))
    assert len(first) == len(second) == 3


def test_what_cannot_be_split() -> None:
    with pytest.raises(InputError, match="expected a class with two samples or more to split"):
        draw(samples(torch.arange(4)), 0, None, 0.1)
    primary = torch.tensor([0, 0, 0, 1, 1, 1])
    with pytest.raises(InputError, match="expected two groups or more to split, found 1"):
        draw(samples(primary, torch.zeros(6, dtype=torch.int64)), 0, None, 0.1)
    with pytest.raises(InputError, match="found a class that would be left out; add samples of other groups"):
        draw(samples(primary, primary), 0, None, 0.1)
