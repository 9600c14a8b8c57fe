import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metaux import Hierarchy, InputError

PSI = st.lists(st.integers(1, 6), min_size=1, max_size=6)


@given(PSI)
def test_masks_partition_the_subclasses(psi: list[int]) -> None:
    hierarchy = Hierarchy(psi)
    masks = hierarchy.mask(torch.arange(len(psi)))
    assert masks.sum(0).eq(1).all()
    assert masks.sum(1).tolist() == psi


@given(PSI)
def test_flat_and_slot_are_inverse(psi: list[int]) -> None:
    hierarchy = Hierarchy(psi)
    flat = torch.arange(hierarchy.size)
    assert hierarchy.flat(hierarchy.parent, hierarchy.slot(flat)).equal(flat)
    assert hierarchy.mask(hierarchy.parent).diagonal().all()


@pytest.mark.parametrize("slots", [[], [2, 0], [2, -1], [1.5], ["2"], [None], [{}]])
def test_refuses_counts_below_one(slots: list[int]) -> None:
    with pytest.raises(InputError, match="at least one sub-class for every primary class"):
        Hierarchy(slots)


def test_refuses_a_subclass_of_two_classes() -> None:
    with pytest.raises(InputError, match="'pug' stands under both 'cat' and 'dog'"):
        Hierarchy.from_labels(["cat", "dog"], ["pug", "pug"])


def test_refuses_names_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="2 different class names"):
        Hierarchy([1, 1], ["a", "a"])
    with pytest.raises(InputError, match="expected 3 sub-class names, found 1"):
        Hierarchy([1, 2], ["a", "b"], ["x"])


def test_whole_numbers_of_any_type() -> None:
    for given_slots in ([2.0, 3], np.array([2, 3]), torch.tensor([2, 3]), (n for n in (2, 3))):
        assert Hierarchy(given_slots).slots == (2, 3)  # type: ignore[arg-type]
    for slots in ([2.5, 1], [float("nan"), 1], [0, 1], []):
        with pytest.raises(InputError, match="at least one sub-class for every primary class"):
            Hierarchy(slots)  # type: ignore[arg-type]
