from collections.abc import Sequence
from itertools import combinations

import pytest

from metaux.data.classes import assign, choose_columns
from metaux.data.levels import Levels
from metaux.errors import InputError

CIFAR = Levels.cifar100()
PAIRS = list(combinations(("3", "10", "20", "100"), 2))


@pytest.mark.parametrize(("primary", "auxiliary"), PAIRS)
@pytest.mark.parametrize("level", ["3", "10", "20", "100"])
def test_every_pair_with_labels_of_every_level(primary: str, auxiliary: str, level: str) -> None:
    labels = CIFAR.classes(level)
    if int(level) < int(primary):
        with pytest.raises(InputError, match=f"no finer than the data's labels of level '{level}'"):
            assign(CIFAR, labels, primary, auxiliary)
        return
    found = assign(CIFAR, labels, primary, auxiliary)
    names = found.hierarchy.class_names

    assert [names[label] for label in found.primary] == [CIFAR.above(level, primary)[name] for name in labels]
    if int(level) < int(auxiliary):
        assert found.human is None
    else:
        assert found.human is not None
        assert found.hierarchy.parent[found.human].equal(found.primary)
        below = [found.hierarchy.subclass_names[flat] for flat in found.human]
        assert below == [CIFAR.above(level, auxiliary)[name] for name in labels]


@pytest.mark.parametrize(
    ("level", "primary", "auxiliary", "expected"),
    [
        ("100", None, None, (20, 100)),
        ("20", None, None, (20, 100)),
        ("10", None, None, (10, 20)),
        ("20", None, "100", (20, 100)),
        ("100", None, "100", (20, 100)),
        ("100", None, "10", (3, 10)),
        ("100", "3", None, (3, 100)),
        ("20", "20", None, (20, 100)),
        ("100", "100", None, (100, 500)),
    ],
)
def test_default_levels(level: str, primary: str | None, auxiliary: str | None, expected: tuple[int, int]) -> None:
    hierarchy = assign(CIFAR, CIFAR.classes(level), primary, auxiliary).hierarchy
    assert (hierarchy.classes, hierarchy.size) == expected


def test_subclasses_replace_the_auxiliary_level_and_nothing_else() -> None:
    found = assign(CIFAR, CIFAR.classes("100"), subclasses=(3,))
    assert found.hierarchy.slots == (3,) * 20
    assert found.human is None
    with pytest.raises(InputError, match="expected either an auxiliary level or a number of sub-classes"):
        assign(CIFAR, CIFAR.classes("100"), auxiliary="100", subclasses=(3,))


@pytest.mark.parametrize("subclasses", [(0,), (1, 2, 3), (), (2, -1)])
def test_bad_counts_of_subclasses(subclasses: Sequence[int]) -> None:
    with pytest.raises(InputError, match=r"one for each of the 2 classes, each at least 1, found .*--subclasses"):
        assign(Levels(("label",), (("a",), ("b",))), ["a", "b"], subclasses=subclasses)


def test_one_count_per_class() -> None:
    found = assign(Levels(("label",), (("a",), ("b",))), ["b", "a"], subclasses=(2, 3))
    assert found.hierarchy.slots == (2, 3)
    assert found.primary.tolist() == [1, 0]


def test_classes_without_samples_are_left_out_and_said() -> None:
    found = assign(CIFAR, ["oak_tree", "bee", "crab"], "10", "100")
    assert found.hierarchy.class_names == ("invertebrates", "vegetations")
    assert found.hierarchy.subclass_names == ("bee", "crab", "oak_tree")
    assert found.notices == ("97 classes of level '100' have no sample and are left out",)


def test_the_coarsest_level_cannot_be_auxiliary() -> None:
    with pytest.raises(InputError, match="an auxiliary level with a coarser one above it, found '3'"):
        assign(CIFAR, CIFAR.classes("100"), auxiliary="3")


def test_columns() -> None:
    columns = {"label": ["a"], "breed": ["b"]}
    assert choose_columns(columns, None, None, True) == ("label", "breed")
    assert choose_columns(columns, None, None, False) == ("label", None)
    assert choose_columns({**columns, "colour": ["c"]}, None, None, True) == ("label", None)
    assert choose_columns({**columns, "colour": ["c"]}, None, "colour", True) == ("label", "colour")
    with pytest.raises(InputError, match=r"unknown level 'bred'; did you mean 'breed'.*or give --hierarchy"):
        choose_columns(columns, None, "bred", True)
