"""Tables and texts through every command, from a CSV file to a prediction."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from shell import below, done, metaux, write_images
from written import sentence, write_animals, write_rows, write_texts

TEXT_EPOCHS, TABLE_EPOCHS = ("--epochs", 4), ("--epochs", 10)


def table_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts")
    done("train", write_texts(path / "t.csv"), "--method", "maxl", *TEXT_EPOCHS, "--out", path / "run")
    return path


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("animals")
    done("train", write_animals(path / "t.csv"), "--method", "maxl", *TABLE_EPOCHS, "--out", path / "run")
    return path


def accuracy(said: str) -> float:
    line = next(line for line in said.splitlines() if "accuracy" in line and "balanced" not in line)
    return float(line.split()[3])


def test_texts_are_learned(texts: Path) -> None:
    assert accuracy(done("evaluate", texts / "run")) > 95
    assert accuracy(done("evaluate", texts / "run", texts / "t.csv")) > 95


def test_new_texts_are_predicted(texts: Path, tmp_path: Path) -> None:
    import numpy as np

    random = np.random.default_rng(1)
    rows = [f'"{sentence(random, row < 5)}"' for row in range(10)]
    said = table_of(done("predict", texts / "run", write_rows(tmp_path / "new.csv", "text", rows)))
    assert [row["file"] for row in said] == list(map(str, range(10)))
    assert [row["class"] for row in said] == ["praise"] * 5 + ["complaint"] * 5


def test_labels_of_texts_and_tables(texts: Path, animals: Path) -> None:
    assert len(table_of(done("labels", texts / "run"))) == 192
    assert {row["subclass"] for row in table_of(done("labels", animals / "run"))} <= {
        "cat/0",
        "cat/1",
        "dog/0",
        "dog/1",
    }


def test_tables_are_learned(animals: Path) -> None:
    assert accuracy(done("evaluate", animals / "run", animals / "t.csv")) > 80


def test_new_rows_are_predicted(animals: Path, tmp_path: Path) -> None:
    new = write_rows(tmp_path / "new.csv", "colour,height", ["brown,20", "white,80"])
    assert [row["class"] for row in table_of(done("predict", animals / "run", new))] == ["cat", "dog"]


@pytest.mark.parametrize("write", [write_texts, write_animals])
def test_compare_with_every_method(tmp_path: Path, write: Any) -> None:
    done("compare", write(tmp_path / "t.csv", 60), "--seeds", 1, "--epochs", 1, "--jobs", 1, "--out", tmp_path / "out")
    found = {path.name for path in (tmp_path / "out" / "runs").iterdir()}
    assert {"single-0", "uniform-0", "random-0", "frozen-0", "kmeans-0", "maxl-0"} <= found
    assert ("human-0" in found) == (write is write_animals)


def refused(where: Path, *words: Any) -> str:
    before = below(where)
    result = metaux(*words)
    assert (result.code, result.err.count("\n")) == (2, 1), result
    assert "Traceback" not in result.out + result.err
    assert below(where) == before
    return result.err


def test_bad_files(texts: Path, animals: Path, tmp_path: Path) -> None:
    missing = write_rows(tmp_path / "m.csv", "height,label", ["1,a", "2,b", "3,a", "4,b", "?,a", "five,b", "6,a"])
    out = ("--out", tmp_path / "out")
    assert "found 'five' in line 7" in refused(tmp_path, "train", missing, *out)
    assert "text-cnn for texts" in refused(tmp_path, "train", texts / "t.csv", "--backbone", "mlp", *out)
    assert "takes texts" in refused(tmp_path, "train", animals / "t.csv", "--backbone", "text-cnn", *out)
    assert "the augmentation crop" in refused(tmp_path, "train", texts / "t.csv", "--augment", "crop", *out)
    assert "add 'text'" in refused(tmp_path, "predict", texts / "run", missing, *out)
    assert "add 'colour'" in refused(tmp_path, "predict", animals / "run", missing, *out)
    assert "found text inputs" in refused(tmp_path, "evaluate", animals / "run", texts / "t.csv")
    for name in ("cinic10", "imagenet32", "ucf101", "cifar10.1"):
        assert "found nothing at" in refused(tmp_path, "train", name, "--root", tmp_path / "none", *out)


def test_finer_labels_of_other_data_are_translated(tmp_path: Path) -> None:
    """As a run on the name cifar100 is measured on a class folder of its 100 fine names."""
    done("train", write_images(tmp_path / "own"), "--epochs", 1, "--method", "single", "--out", tmp_path / "run")
    other = write_images(tmp_path / "other", ("tabby", "pug"))
    levels = write_rows(tmp_path / "pets.csv", "kind,breed", ["cat,tabby", "dog,pug"])
    assert "give --hierarchy" in refused(tmp_path, "evaluate", tmp_path / "run", other)
    assert "12 samples" in done("evaluate", tmp_path / "run", other, "--hierarchy", levels)
    assert "name DATA after the run" in refused(tmp_path, "evaluate", tmp_path / "run", "--hierarchy", levels)
    assert "found nothing at" in refused(
        tmp_path, "evaluate", tmp_path / "run", other, "--hierarchy", tmp_path / "n.csv"
    )
    assert "outside of level" in refused(tmp_path, "evaluate", tmp_path / "run", other, "--hierarchy", "cifar100")
