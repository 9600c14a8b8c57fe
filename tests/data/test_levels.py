from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from metaux.data.levels import Levels
from metaux.errors import InputError

PETS = Levels(("kind", "breed"), (("cat", "tabby"), ("dog", "pug"), ("dog", "boxer")))


def test_csv_and_yaml_say_the_same(tmp_path: Path) -> None:
    table, nested = tmp_path / "pets.csv", tmp_path / "pets.yaml"
    table.write_text("kind, breed\ncat,tabby\n\ndog,pug\ndog,boxer\n")
    nested.write_text("levels: [kind, breed]\nclasses:\n  cat: [tabby]\n  dog: [pug, boxer]\n")
    assert Levels.read(table) == Levels.read(nested) == PETS


def test_yaml_names_are_taken_as_written(tmp_path: Path) -> None:
    path = tmp_path / "names.yml"
    path.write_text("levels: [answer]\nclasses: [no, 1, 2.50, ~]\n")
    assert Levels.read(path).classes("answer") == ("no", "1", "2.50", "~")


def test_yaml_nests_to_any_depth(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("levels: [a, b, c]\nclasses:\n  x:\n    y: [z, w]\n    v: [u]\n")
    assert Levels.read(path).rows == (("x", "y", "z"), ("x", "y", "w"), ("x", "v", "u"))


def test_cifar100_has_the_classes_of_the_table() -> None:
    levels = Levels.read("cifar100")
    assert levels.names == ("3", "10", "20", "100")
    assert [len(levels.classes(name)) for name in levels.names] == [3, 10, 20, 100]
    assert set(Counter(levels.above("100", "20").values()).values()) == {5}
    assert levels.hierarchy("3", "100").slots == (50, 15, 35)
    assert levels.hierarchy("10", "20").slots == (3, 2, 2, 2, 1, 3, 3, 1, 1, 2)
    for name in (
        "apple",
        "aquarium_fish",
        "orchid",
        "oak_tree",
        "lawn_mower",
        "sweet_pepper",
        "pickup_truck",
    ):
        assert name in levels.classes("100")


@pytest.mark.parametrize(("primary", "auxiliary"), list(combinations(("3", "10", "20", "100"), 2)))
def test_all_six_pairs_of_cifar100(primary: str, auxiliary: str) -> None:
    hierarchy = Levels.cifar100().hierarchy(primary, auxiliary)
    assert (hierarchy.classes, hierarchy.size) == (int(primary), int(auxiliary))
    above = Levels.cifar100().above(auxiliary, primary)
    parents = [hierarchy.class_names[parent] for parent in hierarchy.parent.tolist()]
    assert parents == [above[name] for name in hierarchy.subclass_names]


def test_a_name_may_stand_in_two_levels() -> None:
    levels = Levels.cifar100()
    assert levels.level_of(levels.classes("20")) == "20"
    assert levels.level_of(levels.classes("10")) == "10"
    with pytest.raises(InputError, match="found that they match '10', '20'; give the classes different names"):
        levels.level_of(["people"])


def test_columns_sort_numbers_by_value() -> None:
    assert Levels.from_columns({"y": ["10", "9", "-1", "b", "a", "10"]}).classes("y") == (*("-1", "9", "10", "a", "b"),)


@pytest.mark.parametrize(
    ("names", "rows", "message"),
    [
        ((), (), "needs at least one level and one class, found 0 levels and 0 classes"),
        (("a",), (), "found 1 levels and 0 classes"),
        (("a", "a"), (("x", "y"),), "expected different names for the levels, found 'a', 'a'"),
        (("a", "b"), (("x", "y"), ("x",)), "one name for each of the levels 'a', 'b', found 'x' for class 2"),
        (("a", "b"), (("x", ""),), "found 'x', '' for class 1"),
        (("a", "b"), (("x", "z"), ("y", "z")), "found 'z' of level 'b' under both 'x' and 'y'; rename"),
        (("a", "b"), (("x", "z"), ("x", "z")), "found 'z' of level 'b' 2 times; remove or rename it"),
    ],
)
def test_bad_levels(names: tuple[str, ...], rows: tuple[tuple[str, ...], ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Levels(names, rows)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("h.txt", b"", "expected a hierarchy file ending in .csv, .yaml or .yml"),
        ("h.csv", b"", r"found 0 levels and 0 classes; .* \(in '.*h.csv'\)"),
        ("h.csv", b"\xff\xfe\x00", "expected a CSV file, found .*save it as UTF-8"),
        ("h.yaml", b"\xff\xfe\x00", "expected text in the hierarchy file"),
        ("h.csv", b"a,b\nx,y\nx,y,z\n", r"expected 2 cells in line 3 of '.*h.csv', .*found more"),
        ("h.yaml", b"a: [", "found what isn't YAML"),
        ("h.yaml", b"- a\n", "found something else"),
        ("h.yaml", b"kinds: 1\n", r"expected 'levels: .* found the keys \['kinds'\]"),
        ("h.yaml", b"levels: a\nclasses: [b]\n", "found levels that aren't a list of names"),
        ("h.yaml", b"levels: [a, b]\nclasses:\n  x: [y]\n  x: [z]\n", "found 'x' twice; rename"),
        ("h.yaml", b"levels: [a, b]\nclasses:\n  x: [y]\n  w:\n", "found 'w' for class 2"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        Levels.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found nothing at"):
        Levels.read(tmp_path / "none.csv")


def test_unknown_or_unordered_levels() -> None:
    with pytest.raises(InputError, match="unknown level 'bred'; did you mean 'breed'"):
        PETS.hierarchy("kind", "bred")
    with pytest.raises(InputError, match="expected an auxiliary level finer than the primary level 'breed'"):
        PETS.hierarchy("breed", "kind")
    with pytest.raises(InputError, match="found 'pugg' outside of level 'breed'; did you mean 'pug'"):
        PETS.level_of(["tabby", "pugg"])
