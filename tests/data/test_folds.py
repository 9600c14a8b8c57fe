"""Cross-validation: every sample is measured once, in the balance of the classes, and groups are never divided."""

from pathlib import Path

import numpy as np
import pytest

from metaux.data.samples import LabelledData
from metaux.data.sources import load
from metaux.settings import Settings
from shell import metaux


def measured_ids(parts: list[LabelledData]) -> list[int]:
    return sorted(int(id_) for part in parts if part.test.ids is not None for id_ in part.test.ids)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    x, y = np.arange(60.0).reshape(30, 2), np.arange(30) % 3
    np.savez(tmp_path / "a.npz", x=x, y=y)
    return tmp_path / "a.npz"


def test_every_sample_is_measured_once(file: Path) -> None:
    parts = [load(Settings(str(file), folds=5, fold=fold)) for fold in range(5)]
    assert measured_ids(parts) == list(range(30))
    for part in parts:
        assert part.test.primary.bincount().tolist() == [2, 2, 2]
        assert len(part.train) == 24
        assert part.train.ids is not None
        assert set(measured_ids([part])).isdisjoint(part.train.ids.tolist())


def test_for_validation_the_test_part_stays_apart(file: Path) -> None:
    whole = load(Settings(str(file)))
    parts = [load(Settings(str(file), folds=4, fold=fold, evaluate_on="validation")) for fold in range(4)]
    assert whole.train.ids is not None
    assert measured_ids(parts) == whole.train.ids.tolist()


def test_groups_are_not_divided(tmp_path: Path) -> None:
    rows = [f"{row},{row % 7},g{row // 3},{'ab'[row % 2]}" for row in range(30)]
    (tmp_path / "a.csv").write_text("\n".join(["x,z,group,label", *rows]))
    data = load(Settings(str(tmp_path / "a.csv"), folds=5, fold=1))
    assert data.test.groups is not None
    assert data.train.groups is not None
    assert len(data.test) == 6
    assert set(data.test.groups.tolist()).isdisjoint(data.train.groups.tolist())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--folds", 11), "expected 11 samples or more of every class for --folds 11, found 10 of '0'"),
        (("--folds", 5, "--fold", 5), "expected 2 folds or more and one of them, from 0, found --folds 5 and --fold 5"),
        (("--folds", 1), "expected 2 folds or more"),
    ],
)
def test_folds_that_there_cannot_be_are_told(file: Path, words: tuple[object, ...], says: str) -> None:
    for command in ("train", "recommend"):
        said = metaux(command, file, *words, "--device", "cpu", "--out", file.parent / "out")
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert says in said.err
    assert not (file.parent / "out").exists()
