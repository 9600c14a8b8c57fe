"""The same name in two forms of Unicode, as two systems write it, is one name."""

from pathlib import Path

from metaux.data.sources import load
from metaux.settings import Settings
from written import write_rows

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_groups(tmp_path: Path) -> None:
    both = (COMPOSED, DECOMPOSED)
    rows = [f"{row},{both[row % 2] if row < 10 else f'g{row}'},{'ab'[row // 2 % 2]}" for row in range(40)]
    data = load(Settings(data=str(write_rows(tmp_path / "t.csv", "x,group,label", rows))))
    group_of = dict[int, int]()
    for part in (data.train, data.test):
        assert part.groups is not None
        assert part.ids is not None
        group_of |= dict(zip(part.ids.tolist(), part.groups.tolist(), strict=True))
    assert len({group_of[row] for row in range(10)}) == 1
    assert len(set(group_of.values())) == 31


def test_given_labels(tmp_path: Path) -> None:
    rows = [f"{row},{(COMPOSED, DECOMPOSED, 'bar')[row % 3]},{'ab'[row % 2]}" for row in range(30)]
    data = load(Settings(data=str(write_rows(tmp_path / "t.csv", "x,place,label", rows)), given="place"))
    assert data.train.given_names == ("bar", COMPOSED)


def test_a_hierarchy_file(tmp_path: Path) -> None:
    hierarchy = write_rows(tmp_path / "h.csv", "kind,name", [f"place,{DECOMPOSED}", "place,bar", "thing,cup"])
    rows = [f"{row},{(COMPOSED, 'bar', 'cup')[row % 3]}" for row in range(30)]
    data = load(Settings(data=str(write_rows(tmp_path / "t.csv", "x,label", rows)), hierarchy=str(hierarchy)))
    assert data.hierarchy.class_names == ("place", "thing")
    assert data.hierarchy.subclass_names == (COMPOSED, "bar", "cup")
