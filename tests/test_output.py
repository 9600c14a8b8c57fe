"""For scripts: --quiet prints nothing but errors, --json one object and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from metaux.runs.record import Run
from shell import done, metaux, write_table

FAST = ("--epochs", 1, "--backbone", "mlp")
COMPARE = ("--methods", "single", "uniform", "--seeds", 1, "--jobs", 1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("said")
    write_table(path / "t.npz")
    return path


def test_quiet_says_nothing(place: Path) -> None:
    assert done("compare", place / "t.npz", *FAST, *COMPARE, "--out", place / "out", "--quiet") == ""
    assert done("train", place / "t.npz", *FAST, "--out", place / "run", "--quiet") == ""


def test_json_is_the_comparison(place: Path) -> None:
    said = json.loads(done("compare", place / "t.npz", *FAST, *COMPARE, "--out", place / "out", "--json"))
    assert any("no test part" in note for note in said.pop("notices"))
    assert said == json.loads((place / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert [row["method"] for row in said["rows"]] == ["single", "uniform"]


def test_json_is_the_run_s_result(place: Path) -> None:
    said = json.loads(done("train", place / "t.npz", *FAST, "--out", place / "noted", "--json", "--quiet"))
    assert any("no test part" in note for note in said.pop("notices"))
    assert said == Run.read(place / "noted").result


def test_json_is_what_evaluate_measures(place: Path) -> None:
    done("train", place / "t.npz", *FAST, "--out", place / "run")
    said: dict[str, Any] = json.loads(done("evaluate", place / "run", "--json"))
    assert said["accuracy"] == pytest.approx(Run.read(place / "run").accuracy)
    assert sum(map(sum, said["confusion"])) == said["samples"]
    assert said["class_names"] == ["cat", "dog"]


@pytest.mark.parametrize("word", ["--quiet", "--json"])
def test_errors_are_said_all_the_same(word: str, place: Path) -> None:
    result = metaux("compare", place / "nothing.npz", *FAST, word)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


def test_train_follows_the_verdict_of_a_comparison_with_the_same_settings(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    assert "method single, for data of kind table" in done("train", "t.npz", *FAST, "--out", "before")
    done("compare", "t.npz", *FAST, *COMPARE, "--no-report")
    [verdict] = place.glob("metaux-runs/*/comparison.json")
    verdict.write_text(verdict.read_text().replace('"row": "single"', '"row": "uniform"'))
    said = " ".join(done("train", "t.npz", *FAST, "--out", "after").split())
    assert f"method uniform, as {verdict.relative_to(place)} says" in said.replace("- ", "-")
    assert Run.read(place / "after").method == "uniform"
