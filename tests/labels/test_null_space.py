"""Null-space sub-classes: their directions, their targets, and what their controls keep."""

from functools import cache

import pytest
import torch
from torch import Tensor

from metaux import InputError
from metaux.labels.null_space import ignored_directions, random_frame, sides
from metaux.labels.sources import SOURCES
from metaux.rng import generator
from small import digits, learner


@cache
def targets(name: str) -> Tensor:
    made = learner(SOURCES[name], epochs=6)
    task = made.source.auxiliary(made.batches.train.load(torch.arange(200)))
    assert task is not None
    return task.target


def of_classes(target: Tensor) -> Tensor:
    classes: Tensor = target.reshape(-1, 2, 5).sum(-1)
    return classes


def within(target: Tensor) -> Tensor:
    return target.reshape(-1, 2, 5) / of_classes(target).unsqueeze(-1)


def test_a_step_along_an_ignored_direction_leaves_the_probabilities() -> None:
    drawn = torch.Generator().manual_seed(0)
    features, weight = (torch.randn(n, 12, generator=drawn, dtype=torch.float64) for n in (40, 3))
    directions = ignored_directions(features - features.mean(0), weight, 4)
    torch.testing.assert_close(directions.T @ directions, torch.eye(4, dtype=torch.float64))
    moved = features + 5 * directions.sum(1)
    torch.testing.assert_close((moved @ weight.T).softmax(-1), (features @ weight.T).softmax(-1))


def test_the_directions_are_those_of_the_largest_variance() -> None:
    """The head sees the first coordinate alone, so that the third and the second are left, by their variance."""
    features = torch.diag(torch.tensor([9.0, 2.0, 5.0, 1.0]).double())
    features = torch.cat([features, -features])
    weight = torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]).double()
    expected = torch.eye(4, dtype=torch.float64)[:, [2, 1]]
    torch.testing.assert_close(ignored_directions(features, weight, 2).abs(), expected)


def test_too_few_features_say_so() -> None:
    with pytest.raises(InputError, match="at least 5 features for 3 directions that the head ignores, found 4"):
        ignored_directions(torch.randn(9, 4).double(), torch.randn(3, 4).double(), 3)


def test_a_random_frame_has_columns_of_length_one_at_right_angles() -> None:
    frame = random_frame(7, 3, generator(0))
    torch.testing.assert_close(frame.T @ frame, torch.eye(3, dtype=torch.float64))


def test_a_direction_has_two_sides_and_the_last_of_an_odd_number_one() -> None:
    z = torch.tensor([[0.5, -0.25]])
    logits = torch.tensor([[1.0, -0.5, -1.0]])
    torch.testing.assert_close(sides(z, 3), logits.softmax(-1))


def test_the_classes_are_the_same_teachers_as_those_of_its_control() -> None:
    torch.testing.assert_close(of_classes(targets("null-space")), targets("self-distilled-cross"))


def test_shuffled_keeps_the_classes_and_each_class_its_sub_classes() -> None:
    own, shuffled, primary = targets("null-space"), targets("null-space-shuffled"), digits().train.primary
    torch.testing.assert_close(of_classes(shuffled), of_classes(own))
    assert not torch.allclose(shuffled, own)
    for class_ in (0, 1):
        before, after = (within(each)[primary == class_].flatten(1) for each in (own, shuffled))
        torch.testing.assert_close(before.sort(0).values, after.sort(0).values)


def test_no_sub_class_is_empty_and_the_controls_differ() -> None:
    own = within(targets("null-space"))
    assert 0.05 < own.mean((0, 1)).min() <= own.mean((0, 1)).max() < 0.5
    assert not torch.allclose(own, within(targets("null-space-random")), atol=0.1)


def test_records_the_shares_of_the_own_class() -> None:
    made = learner(SOURCES["null-space"], epochs=1)
    batch = made.batches.train.load(torch.arange(200))
    labels, task = made.source.labels(batch), made.source.auxiliary(batch)
    assert labels is not None
    assert task is not None
    own = within(task.target)[torch.arange(200), batch.primary]
    torch.testing.assert_close(labels.unflatten(-1, (2, 5))[torch.arange(200), batch.primary], own)
    torch.testing.assert_close(labels.sum(-1), torch.ones(200))
