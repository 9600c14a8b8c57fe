"""A folder that is moved away or removed while a command works in it: one line, and nothing trained into the void."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metaux.runs.record import Run
from metaux.training import loop
from shell import below, done, metaux, write_table

FAST = ("--epochs", 3, "--backbone", "mlp")
LOST = "to stay in its place while the command works, found it moved away or removed; move it back and repeat"


@pytest.fixture
def after_the_first_epoch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Do something once, when the second epoch of a run has been learned."""

    def plan(act: Callable[[], Any]) -> None:
        def train_epoch(*arguments: Any, whole: Any = loop.train_epoch) -> Any:
            record = whole(*arguments)
            if record["epoch"] == 2:
                monkeypatch.undo()
                act()
            return record

        monkeypatch.setattr(loop, "train_epoch", train_epoch)

    return plan


def test_a_run_goes_on_where_its_folder_was_moved(after_the_first_epoch: Any, tmp_path: Path) -> None:
    words = ("train", write_table(tmp_path / "t.npz"), *FAST, "--method", "single")
    done(*words, "--out", tmp_path / "whole")
    after_the_first_epoch(lambda: (tmp_path / "out").rename(tmp_path / "moved"))
    said = metaux(*words, "--out", tmp_path / "out")
    assert (said.code, said.err.count("\n"), LOST in said.err) == (1, 1, True), said
    assert not (tmp_path / "out").exists()
    assert len((tmp_path / "moved" / "records.jsonl").read_text().splitlines()) == 1
    done(*words, "--out", tmp_path / "moved")
    files = [tmp_path / name / "weights.safetensors" for name in ("whole", "moved")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_no_run_of_a_comparison_follows(after_the_first_epoch: Any, tmp_path: Path) -> None:
    methods = ("--methods", "single", "uniform", "--seeds", 2, "--jobs", 1)
    words = ("compare", write_table(tmp_path / "t.npz"), *FAST, *methods, "--no-report", "--out")
    after_the_first_epoch(lambda: (tmp_path / "out").rename(tmp_path / "moved"))
    said = metaux(*words, tmp_path / "out")
    assert (said.code, said.err.count("\n"), LOST in said.err) == (1, 1, True), said
    assert not (tmp_path / "out").exists()
    done(*words, tmp_path / "moved")
    assert len([*(tmp_path / "moved" / "runs").iterdir()]) == 4


def test_a_folder_that_was_removed_stays_so(after_the_first_epoch: Any, tmp_path: Path) -> None:
    words = ("train", write_table(tmp_path / "t.npz"), *FAST, "--method", "maxl", "--out", tmp_path / "out")
    after_the_first_epoch(lambda: shutil.rmtree(tmp_path / "out"))
    assert metaux(*words).code == 1
    assert list(below(tmp_path)) == ["t.npz"]
    # A file written while others were being removed keeps the folder, but without what defines the run.
    after_the_first_epoch(lambda: (tmp_path / "out" / "settings.yaml").unlink())
    said = metaux(*words)
    assert (said.code, "settings.yaml' to stay in its place" in said.err) == (1, True)
    done(*words[:-1], tmp_path / "new")
    assert len(Run.read(tmp_path / "new").epochs) == 3
