"""One run: equal configuration, equal bits; it goes on; several processes; precision; what is recorded."""

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from metaux.data.sources import load
from metaux.errors import InputError, TrainingError
from metaux.labels.sources import SOURCES
from metaux.protocols import TUNED
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.plan import make_plan
from metaux.runs.process import CHECKPOINT
from metaux.runs.record import Run
from metaux.runs.store import claim
from metaux.runs.trial import Trial
from metaux.settings import Settings
from shell import PATIENCE, below, done, metaux, start, wait_for_records, wait_for_the_end, write_table

FAST = Settings(epochs=2, train_size=100, backbone="mlp")


def train(settings: Settings, folder: Path, method: str = "maxl", seed: int = 0) -> Run:
    run(Trial(settings, method, seed), load_once(replace(settings, epochs=None)), folder)
    return Run.read(folder)


# The protocol has no meta split, and the data neither given labels nor a run's: for those that need them see
# test_features.py, labels/test_given.py and labels/test_recorded.py.
HERE = [
    name for name, known in SOURCES.items() if known.asks not in ("given", "run") and not known.needs_meta_split(TUNED)
]


@pytest.mark.parametrize("method", HERE)
def test_equal_configuration_gives_equal_bits(method: str, tmp_path: Path) -> None:
    first, second = (train(FAST, tmp_path / name, method) for name in ("a", "b"))
    files = ["weights.safetensors", "outputs.safetensors", "settings.yaml"]
    assert all((first.folder / name).read_bytes() == (second.folder / name).read_bytes() for name in files)
    assert first.accuracy == second.accuracy
    assert not (first.folder / CHECKPOINT).exists()


def test_another_seed_gives_another_network_on_the_same_test_set(tmp_path: Path) -> None:
    first, second = (train(FAST, tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert not (first.output("train_ids") == second.output("train_ids")).all()
    assert (first.output("test_primary") == second.output("test_primary")).all()
    assert (first.folder / "weights.safetensors").read_bytes() != (second.folder / "weights.safetensors").read_bytes()


def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    train(FAST, tmp_path / "run")
    before = below(tmp_path)
    train(FAST, tmp_path / "run")
    assert below(tmp_path) == before


def test_records_what_a_report_needs(tmp_path: Path) -> None:
    found = train(FAST, tmp_path / "run")
    count = len(found.output("test_primary"))
    assert found.output("test_probabilities").shape == (count, 2)
    assert found.output("test_probabilities").sum(-1) == pytest.approx(1, abs=1e-5)
    assert found.output("train_labels").shape == (100, 5)
    assert found.output("test_features").shape == (count, 128)
    assert found.result["train_size"] == 100
    assert {"test_accuracy", "label_entropy", "gradient_cosine", "meta_gradient_norm"} <= set(found.epochs[-1])


def test_a_split_control_has_nine_tenths_and_the_others_all(tmp_path: Path) -> None:
    settings = replace(FAST, protocol="iclr")
    data = load_once(settings)
    sizes = {name: len(make_plan(Trial(settings, name, 0), data).train) for name in ("single", "single-split", "maxl")}
    assert sizes == {"single": 100, "single-split": 90, "maxl": 90}


def test_features_of_another_run_are_what_k_means_clusters(tmp_path: Path) -> None:
    train(FAST, tmp_path / "single", "single")
    pixels = train(FAST, tmp_path / "pixels", "kmeans")
    features = train(replace(FAST, features=str(tmp_path / "single")), tmp_path / "features", "kmeans")
    assert features.output("train_labels").sum() == 100
    assert not (pixels.output("train_labels") == features.output("train_labels")).all()


def test_maxl_learns_in_half_precision(tmp_path: Path) -> None:
    settings = replace(FAST, precision="bf16-mixed", backbone="small-cnn", epochs=3)
    found = train(settings, tmp_path / "run")
    weights = found.weights()
    assert all(value.isfinite().all() for value in weights.values())
    assert {value.dtype for value in weights.values()} <= {torch.float32, torch.int64}
    assert found.epochs[-1]["train_loss"] < found.epochs[0]["train_loss"]
    assert found.epochs[-1]["meta_gradient_norm"] > 0
    whole = train(replace(settings, precision="32-true"), tmp_path / "whole")
    name = "network.trunk.0.weight"
    assert not weights[name].equal(whole.weights()[name])
    torch.testing.assert_close(weights[name], whole.weights()[name], atol=0.05, rtol=0.5)


@pytest.mark.parametrize("rate", [1e3, 1e8, 1e30])
def test_numbers_that_are_not_finite_say_what_when_and_what_is_kept(rate: float, tmp_path: Path) -> None:
    settings = replace(FAST, learning_rate=rate, epochs=20)
    with pytest.raises(TrainingError, match=r"samples are not finite in epoch \d+; .* kept( in \S+)?; use a smaller"):
        train(settings, tmp_path / "run", "single")
    assert "settings.yaml" in below(tmp_path / "run")
    with pytest.raises(TrainingError):  # the same command goes on to the same end
        train(settings, tmp_path / "run", "single")


def test_weights_that_are_no_numbers_after_the_last_step_are_no_result(tmp_path: Path) -> None:
    settings = replace(FAST, learning_rate=1e30, epochs=1, batch_size=1000)  # one step, after the only loss
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"test samples are not finite in epoch 1; .*; use a smaller learning"):
            train(settings, tmp_path / "run", "single")


def test_a_test_sample_far_out_of_the_range_is_told_before_the_training_goes_on(tmp_path: Path) -> None:
    rows = ["x,label,split", *(f"{row / 1000},{row % 2},train" for row in range(40)), "1e38,0,test", "0,1,test"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    said = r"^test samples are not finite once they are normalised in epoch 1; nothing is kept; give data of another"
    with pytest.raises(TrainingError, match=said):
        train(Settings(str(tmp_path / "t.csv"), epochs=20), tmp_path / "run", "single")


def test_a_run_that_another_process_has_finished_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(FAST, tmp_path / "run")
    before = below(tmp_path)
    shutil.move(tmp_path / "run", tmp_path / "other")

    def finish(folder: Path, *_: object) -> None:
        shutil.copytree(tmp_path / "other", folder, dirs_exist_ok=True)

    monkeypatch.setattr("metaux.runs.process.write_records", finish)
    with pytest.raises(TrainingError, match=r"another process has finished the run in .*run; its results are there"):
        train(FAST, tmp_path / "run")
    shutil.rmtree(tmp_path / "other")
    assert below(tmp_path) == before


def test_bad_input_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a seed"):
        train(FAST, tmp_path / "run", seed=-1)
    with pytest.raises(InputError, match="unknown method"):
        train(FAST, tmp_path / "run", "maxx")
    assert below(tmp_path) == {}


def test_a_claim_changes_nothing(tmp_path: Path) -> None:
    train(FAST, tmp_path / "run")
    before = below(tmp_path)
    claim(tmp_path / "run", FAST, {"method": "maxl", "seed": 0})
    claim(tmp_path / "new", FAST)
    for settings, rest, named in (
        (replace(FAST, epochs=3), {"method": "maxl", "seed": 0}, "expected epochs 2 as of the earlier runs"),
        (FAST, {"method": "single", "seed": 0}, "expected method maxl as of the earlier runs"),
        (FAST, {"method": "maxl", "seed": 1}, "expected seed 0"),
        (FAST, None, "expected the folder of a comparison"),
    ):
        with pytest.raises(InputError, match=named):
            claim(tmp_path / "run", settings, rest)
    assert below(tmp_path) == before


@pytest.mark.slow
class TestProcesses:
    """Two data-parallel processes on one table, as `metaux train --processes 2` starts them."""

    WORDS = ("--method", "maxl", "--epochs", 3, "--backbone", "mlp")

    def test_give_about_the_weights_of_one(self, tmp_path: Path) -> None:
        words = ("train", write_table(tmp_path / "t.npz", 400), *self.WORDS)
        done(*words, "--out", tmp_path / "one")
        done(*words, "--processes", 2, "--out", tmp_path / "two")
        one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
        assert one.keys() == two.keys()
        for name in one:
            torch.testing.assert_close(two[name], one[name], atol=1e-3, rtol=1e-2)
        assert len((tmp_path / "two" / "records.jsonl").read_text().splitlines()) == 3
        assert not (tmp_path / "two" / CHECKPOINT).exists()

    def test_go_on_to_the_same_bits(self, tmp_path: Path) -> None:
        words = ("train", "digits", "--processes", 2, "--method", "maxl", "--epochs", 4, "--train-size", 400)
        done(*words, "--out", tmp_path / "whole")
        process = start(*words, "--out", tmp_path / "out")
        wait_for_records(process, tmp_path / "out", 1)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        wait_for_the_end(process.pid)
        done(*words, "--out", tmp_path / "out")
        files = [tmp_path / name / "weights.safetensors" for name in ("whole", "out")]
        assert files[0].read_bytes() == files[1].read_bytes()

    def test_tell_in_one_line_that_the_loss_is_no_number(self, tmp_path: Path) -> None:
        words = ("train", write_table(tmp_path / "t.npz", 400), *self.WORDS, "--processes", 2, "--learning-rate", 1e30)
        result = metaux(*words, "--out", tmp_path / "out")
        assert (result.code, result.err.count("\n")) == (1, 1), result
        assert "training loss became" in result.err

    def test_ctrl_c_ends_all_of_them(self, tmp_path: Path) -> None:
        process = start(*("train", "digits", "--processes", 2, "--method", "maxl"), "--out", tmp_path / "out")
        wait_for_records(process, tmp_path / "out", 1)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err.count("\n")) == (130, 1), err
        wait_for_the_end(process.pid)
        assert json.loads((tmp_path / "out" / "records.jsonl").read_text().splitlines()[0])["epoch"] == 1


def test_read_once_is_read_alike(tmp_path: Path) -> None:
    """Levels that name columns of a table make them labels, not features, in every process."""
    rows = [f"{kind},{kind}{number % 2},{number}" for kind in ("cat", "dog") for number in range(10)]
    (tmp_path / "pets.csv").write_text("\n".join(["label,breed,weight", *rows]))
    settings = Settings(data=str(tmp_path / "pets.csv"), primary="label", auxiliary="breed")
    once, direct = load_once(settings), load(settings)
    assert once.train.inputs[0].shape[1] == 1
    assert torch.equal(once.train.inputs[0], direct.train.inputs[0])
    assert once.hierarchy == direct.hierarchy
