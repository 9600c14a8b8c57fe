"""Comparing from the command line: what is there is used, what is missing is added, whatever happens on the way."""

import json
import os
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from metaux.labels.sources import CLASSICAL
from metaux.runs.loading import load_once
from metaux.runs.plan import too_short
from metaux.runs.progress import accuracies, finishing, read_state, shown, time_left
from metaux.runs.record import Run, read_runs
from metaux.runs.store import LOCK
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.studies.compare import default_methods
from metaux.training.timing import Cost
from metaux.words import duration
from shell import (
    PATIENCE,
    below,
    done,
    metaux,
    session,
    start,
    wait_for_records,
    wait_for_the_end,
    write_images,
    write_table,
)

FAST = ("--epochs", 2, "--backbone", "mlp", "--jobs", 1)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Two methods on two seeds, and what the comparison printed."""
    path = tmp_path_factory.mktemp("compared")
    words = ("compare", write_table(path / "t.npz"), *FAST, "--methods", "single", "maxl", "--seeds", 2)
    return path, done(*words, "--out", path / "out")


def again(path: Path, *changes: Any, out: str = "out") -> str:
    return done("compare", path / "t.npz", *FAST, *changes, "--out", path / out)


def runs(path: Path) -> dict[str, int]:
    return {name: time for name, time in below(path / "out" / "runs").items() if time}


def methods_in(path: Path) -> list[tuple[str, int]]:
    rows = json.loads((path / "out" / "comparison.json").read_text())["rows"]
    return [(row["method"], len(row["seeds"])) for row in rows]


def test_prints_estimate_table_and_verdict(compared: tuple[Path, str]) -> None:
    path, said = compared
    assert "4 runs (2 methods, 2 seeds, 2 epochs), 1 at a time: about" in said
    assert "t: 48 training samples, 12 test samples, 2 epochs" in said
    assert "No conclusion without uniform and frozen" in " ".join(said.split())
    assert f"Records, figures and trained weights: {path / 'out'}" in said


def test_default_epochs_that_are_few_steps_are_told() -> None:
    digits = load_once(Settings())
    assert too_short(Settings(train_size=200, epochs=1), digits) == []
    assert too_short(Settings(), digits) == []  # 15 batches, 300 steps
    [note] = too_short(Settings(train_size=200), digits)
    assert note.startswith("20 epochs are 40 steps on 200 samples")
    assert "--epochs 150" in note


def test_output_that_is_no_terminal_has_no_control_characters(compared: tuple[Path, str]) -> None:
    _, said = compared
    assert "\x1b" not in said
    assert "\r" not in said
    assert max(map(len, said.splitlines()[:-1])) <= 80


def test_leaves_records_figures_settings_and_weights(compared: tuple[Path, str]) -> None:
    path, _ = compared
    figures = {f"{name}.{kind}" for name in ("differences", "learning-curves") for kind in ("png", "svg")}
    found = {file.name for file in (path / "out").iterdir()}
    assert found == {*figures, "comparison.json", "comparison.csv", "settings.yaml", "report.html", "runs", LOCK}
    names = {"settings.yaml", "records.jsonl", "result.json", "outputs.safetensors", "weights.safetensors"}
    names.add("manifest.json")
    for name in ("single-0", "single-1", "maxl-0", "maxl-1"):
        assert {file.name for file in (path / "out" / "runs" / name).iterdir()} == names


def test_extends_and_selects_without_touching_what_is_there(compared: tuple[Path, str]) -> None:
    path, _ = compared
    before = runs(path)
    again(path, "--methods", "maxl", "single", "maxl", "--seeds", 2, "--no-report")
    assert runs(path) == before
    again(path, "--methods", "single", "uniform", "--seeds", 3, "--no-report")
    after = runs(path)
    assert {name: after[name] for name in before} == before
    assert {name.partition("/")[0] for name in set(after) - set(before)} == {
        "single-2",
        *(f"uniform-{s}" for s in range(3)),
    }
    assert methods_in(path) == [("single", 3), ("uniform", 3)]
    again(path, "--methods", "maxl", "single", "--seeds", 1)
    assert methods_in(path) == [("single", 1), ("maxl", 1)]
    assert runs(path) == after


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("--learning-rate", 0.01), "expected learning-rate its default as of the earlier runs"),
        (("--class-weights", "balanced"), "expected class-weights none as of the earlier runs"),
        (("--threads", 2), "threads 1"),
    ],
)
def test_refuses_another_configuration(change: tuple[Any, ...], named: str, compared: tuple[Path, str]) -> None:
    path, _ = compared
    before = below(path)
    result = metaux("compare", path / "t.npz", *FAST, *change, "--methods", "single", "--out", path / "out")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert named in result.err
    assert below(path) == before


def test_refuses_the_folder_of_a_single_run_and_the_other_way_round(compared: tuple[Path, str]) -> None:
    path, _ = compared
    result = metaux("compare", path / "t.npz", *FAST, "--out", path / "out" / "runs" / "maxl-0")
    assert "expected the folder of a comparison" in result.err
    result = metaux("train", path / "t.npz", "--epochs", 2, "--backbone", "mlp", "--out", path / "out")
    assert "expected the folder of a single run" in result.err


def test_its_settings_reproduce_it(compared: tuple[Path, str]) -> None:
    path, _ = compared
    again(path, "--methods", "single", "maxl", "--seeds", 2)
    content = yaml.safe_load((path / "out" / "settings.yaml").read_text())
    assert (content["methods"], content["seeds"]) == (["single", "maxl"], 2)
    done("compare", "--config", path / "out" / "settings.yaml", "--jobs", 1, "--no-report", "--out", path / "new")
    for name in ("single-0", "single-1", "maxl-0", "maxl-1"):
        weights = [path / out / "runs" / name / "weights.safetensors" for out in ("out", "new")]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    rows = [json.loads((path / out / "comparison.json").read_text())["rows"] for out in ("out", "new")]
    for row in (*rows[0], *rows[1]):
        del row["seconds_per_epoch"], row["cost"]
    assert rows[0] == rows[1]


def test_a_run_that_fails_is_named_and_the_others_are_compared(tmp_path: Path) -> None:
    write_table(tmp_path / "t.npz")
    words = ("compare", tmp_path / "t.npz", *FAST, "--methods", "single", "uniform", "--seeds", 2)
    done(*words[:-1], 1, "--no-report", "--out", tmp_path / "out")
    broken = tmp_path / "out" / "runs" / "uniform-1"
    broken.mkdir()
    data = Run.read(broken.with_name("uniform-0")).result["data"]
    torch.save({"data": data, "network": {}}, broken / "checkpoint.pt")  # of another network
    result = metaux(*words, "--out", tmp_path / "out")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "uniform with seed 1: expected this run's checkpoint" in result.err
    assert "single" in result.out
    assert methods_in(tmp_path) == [("single", 2), ("uniform", 1)]


def test_an_unfinished_run_that_can_not_go_on_is_found_before_others_are_trained(tmp_path: Path) -> None:
    write_table(tmp_path / "t.npz")
    words = ("compare", tmp_path / "t.npz", *FAST, "--methods", "single", "uniform", "--out", tmp_path / "out")
    done(*words, "--seeds", 1, "--no-report")
    kept = tmp_path / "out" / "runs" / "uniform-1" / "checkpoint.pt"
    kept.parent.mkdir()
    for content, found in ((b"no checkpoint", "expected this run's checkpoint"), (None, "found that it has changed")):
        if content is None:
            torch.save({"data": "another digest"}, kept)
        else:
            kept.write_bytes(content)
        result = metaux(*words, "--seeds", 2)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert found in result.err
        assert not (kept.parent.parent / "single-1").exists()


def test_runs_of_different_versions_are_told(tmp_path: Path) -> None:
    write_table(tmp_path / "t.npz")
    words = ("compare", tmp_path / "t.npz", *FAST, "--methods", "single", "uniform", "--seeds", 1, "--out")
    assert "versions" not in done(*words, tmp_path / "out", "--no-report")
    path = tmp_path / "out" / "runs" / "single-0" / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps({**result, "versions": {**result["versions"], "torch": "1.0"}}))
    (path.parent / "manifest.json").unlink()
    assert "the runs are of different versions" in done(*words, tmp_path / "out")


def test_numbers_that_are_not_finite_stop_every_run_in_one_line(tmp_path: Path) -> None:
    write_table(tmp_path / "t.npz")
    words = ("compare", tmp_path / "t.npz", *FAST, "--methods", "single", "uniform", "--seeds", 1)
    result = metaux(*words, "--learning-rate", 1e30, "--out", tmp_path / "out")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "single with seed 0: the network's outputs for test samples are not finite in epoch 1" in result.err
    assert result.err.endswith("likewise: uniform with seed 0\n")
    assert "Traceback" not in result.out


def test_default_methods_are_those_that_suit(tmp_path: Path) -> None:
    table = Settings(data=str(write_table(tmp_path / "t.npz")))
    classical = ("logistic-regression", "gradient-boosting")
    labels = ("single", "uniform", "random", "frozen", "kmeans", "maxl")
    assert default_methods(table, load_once(table)) == labels + classical
    fine = Settings(data=str(write_table(tmp_path / "f.npz", fine=True)), protocol="iclr")
    found = default_methods(fine, load_once(fine))
    assert found[5:] == ("human", "maxl", "single-split", "uniform-split", "frozen-split", *classical)
    digits = Settings(data="digits")
    found = default_methods(digits, load_once(digits))
    assert found[5:] == ("human", "maxl", "transformation", "transformed", "linear-probe")


class TestProgress:
    def test_durations(self) -> None:
        assert time_left(100, 30, 0) == 70
        assert time_left(None, 30, 0) is None
        assert time_left(None, 30, 0.75) == 10
        assert time_left(10, 30, 0.75) == pytest.approx(0.25 * (0.25 * 10 + 0.75 * 40))
        assert duration(0) == "1 second"

    def test_shows_epochs_accuracy_and_time_on_a_terminal_only(self, tmp_path: Path) -> None:
        import io

        from rich.console import Console

        (tmp_path / "records.jsonl").write_text('{"epoch": 1, "test_accuracy": 0.9, "validation_accuracy": 0.5}\n')
        trial = Trial(Settings(epochs=4), "maxl", 0)
        assert accuracies([(trial, read_state(tmp_path))]) == "validation accuracy so far: maxl 50.0"
        for terminal in (True, False):
            file = io.StringIO()
            with shown({tmp_path: trial}, 60, Console(file=file, force_terminal=terminal, width=80)):
                pass
            assert ("0 %, about 60 seconds left" in file.getvalue()) == terminal
            assert ("validation accuracy so far: maxl 50.0" in file.getvalue()) == terminal
            assert bool(file.getvalue()) == terminal

    def test_the_accuracy_of_test_data_is_for_the_end(self, tmp_path: Path) -> None:
        (tmp_path / "records.jsonl").write_text('{"epoch": 1, "test_accuracy": 0.9, "train_accuracy": 0.7}\n')
        assert read_state(tmp_path) == (1, 0.7, "training")
        assert read_state(tmp_path, "validation") == (1, 0.9, "validation")

    def test_the_bar_is_of_costs_and_leaves_room_for_the_report(self, tmp_path: Path) -> None:
        import io

        from rich.console import Console

        todo = {tmp_path / name: Trial(Settings(epochs=4), name, 0, seconds) for name, seconds in (("a", 3), ("b", 1))}
        for folder in todo:
            folder.mkdir()
        file = io.StringIO()
        with shown(todo, 20, Console(file=file, force_terminal=True, width=80), after=4):
            (tmp_path / "a" / "records.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n')
            time.sleep(1.2)
        assert "30 %, about" in file.getvalue()  # six of sixteen units, of the 80 % that are training
        file = io.StringIO()
        with finishing("writing the report", 4, 16, Console(file=file, force_terminal=True, width=80)):
            pass
        assert "writing the report" in file.getvalue()
        assert "80 %, about 4 seconds left" in file.getvalue()

    def test_is_silent_about_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        assert read_state(tmp_path) == (0, None, "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at /proc")
class TestInterruption:
    WORDS = ("--methods", "single", "maxl", "--seeds", 1, "--epochs", 60, "--backbone", "mlp", "--jobs", 2)

    def test_killed_at_any_moment_it_ends_in_the_same_bits(self, tmp_path: Path) -> None:
        words = ("compare", write_table(tmp_path / "t.npz", 400), *self.WORDS)
        done(*words, "--out", tmp_path / "whole")
        for epochs in (1, 45):
            process = start(*words, "--out", tmp_path / "out")
            wait_for_records(process, tmp_path / "out", epochs)
            process.kill()
            process.communicate()
            wait_for_the_end(process.pid)
            assert not (tmp_path / "out" / "comparison.json").exists()
        done(*words, "--out", tmp_path / "out")
        for method in ("single", "maxl"):
            first, second = (Run.read(tmp_path / out / "runs" / f"{method}-0") for out in ("whole", "out"))
            assert (first.folder / "weights.safetensors").read_bytes() == (
                second.folder / "weights.safetensors"
            ).read_bytes()
            assert first.accuracy == second.accuracy
            assert [record["epoch"] for record in second.epochs] == list(range(1, 61))

    @pytest.mark.parametrize(("jobs", "sent"), [(1, signal.SIGINT), (2, signal.SIGINT), (2, signal.SIGHUP)])
    def test_ctrl_c_says_how_to_go_on_and_leaves_no_process(
        self, jobs: int, sent: signal.Signals, tmp_path: Path
    ) -> None:
        words = ("compare", write_table(tmp_path / "t.npz", 400), *self.WORDS[:-1], jobs, "--out", tmp_path / "out")
        process = start(*words)
        wait_for_records(process, tmp_path / "out", 1)
        os.killpg(process.pid, sent)
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 128 + sent
        again = shlex.join(["metaux", *map(str, words)])
        assert err == f"metaux: interrupted; to go on from the last epoch that each run kept: {again}\n"
        wait_for_the_end(process.pid)
        done(*words)

    def test_ctrl_c_while_workers_start(self, tmp_path: Path) -> None:
        words = ("compare", write_table(tmp_path / "t.npz", 400), *self.WORDS, "--out", tmp_path / "out")
        process = start(*words)
        deadline = time.monotonic() + PATIENCE
        while len(session(process.pid)) < 3:  # a worker is there, and imports
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err.count("\n")) == (130, 1), err
        wait_for_the_end(process.pid)


def test_a_method_is_timed_as_its_first_missing_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[tuple[str, int]] = []

    def rehearse(trial: Trial, data: Any) -> Any:
        timed.append((trial.method, trial.seed))
        return Cost(0.1, 0.1), ""

    monkeypatch.setattr("metaux.studies.compare.rehearse", rehearse)
    words = ("compare", write_table(tmp_path / "t.npz"), "--epochs", 1, "--backbone", "mlp", "--no-report", "--jobs", 1)
    done(*words, "--methods", "single", "--seeds", 1, "--out", tmp_path / "out")
    done(*words, "--methods", "single", "uniform", "--seeds", 3, "--out", tmp_path / "out")
    assert timed == [("single", 0), ("uniform", 0), ("single", 1)]


def test_data_that_changed_is_not_compared_with_what_was_there(tmp_path: Path) -> None:
    photos = write_images(tmp_path / "photos", count=10)
    words = ("compare", photos, "--epochs", 1, "--seeds", 1, "--no-report", "--out", tmp_path / "out", "--methods")
    done(*words, "single")
    write_images(tmp_path / "photos", ("dog",), count=20)
    said = metaux(*words, "single", "uniform")
    assert said.code == 2
    assert "found that it has changed; give another --out" in said.err


def test_contents_that_changed_under_the_same_labels(tmp_path: Path) -> None:
    words = ("compare", write_table(tmp_path / "t.npz"), "--epochs", 1, "--no-report", "--out", tmp_path / "out")
    done(*words, "--methods", "single", "--seeds", 1)
    with np.load(tmp_path / "t.npz") as found:
        np.savez(tmp_path / "t.npz", x=found["x"] * 2, y=found["y"])
    assert "found that it has changed; give another --out" in metaux(*words, "--methods", "single", "--seeds", 2).err


def test_a_method_that_refuses_the_data_is_left_out_unless_it_was_asked_for(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    np.savez(tmp_path / "t.npz", x=random.normal(size=(64, 3)), y=np.repeat(["a", "b", "rare"], (30, 30, 4)))
    words = (
        "compare",
        tmp_path / "t.npz",
        "--epochs",
        1,
        "--seeds",
        1,
        "--jobs",
        1,
        "--no-report",
        "--out",
        tmp_path / "out",
    )
    said = " ".join(done(*words).split())
    assert "kmeans: not run: class 'rare' has 3 training samples, too few for 5 clusters" in said
    trained = {run.method for run in read_runs(tmp_path / "out")}
    assert trained - CLASSICAL.keys() == {"single", "uniform", "random", "frozen", "maxl"}
    assert "too few for 5 clusters" in metaux(*words[:-1], tmp_path / "other", "--methods", "single", "kmeans").err
    assert "subclasses" in metaux(*words[:-1], tmp_path / "third", "--subclasses", 0).err
    assert "too few for 5 clusters" in metaux(*words[:-1], tmp_path / "fourth", "--features", "autoencoder").err


def test_related_test_samples_are_drawn_together(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    cells = [f"{random.normal() + row % 2:.3f},{row % 2},{row // 4}" for row in range(160)]
    (tmp_path / "t.csv").write_text("\n".join(["a,label,group", *cells]))
    brief = ("--epochs", 1, "--seeds", 2, "--jobs", 1, "--no-report", "--out", tmp_path / "out")
    said = " ".join(done("compare", tmp_path / "t.csv", "--methods", "single", "kmeans", *brief).split())
    run = Run.read(tmp_path / "out" / "runs" / "single-0")
    assert run.test_groups is not None
    number = len(np.unique(run.test_groups))
    assert number == len(run.test_groups) / 4 >= 5
    assert f"under them, over {number} groups of test samples (bootstrap)" in said
    done("export", run.folder, "--to", "safetensors", "--out", tmp_path / "card")
    card = (tmp_path / "card" / "README.md").read_text(encoding="utf-8")
    assert f"in brackets, the 95 % interval over the {number} groups of related samples (bootstrap)" in card
