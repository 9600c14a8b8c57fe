"""An interrupted run goes on to the same bits; a checkpoint of anything else is refused."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from metaux.errors import InputError
from metaux.labels.sources import SOURCES
from metaux.optimizer_state import OF_EACH_NUMBER
from metaux.training.callbacks import Callback, Training
from metaux.training.checkpoint import Checkpoint
from metaux.training.evaluate import Record
from metaux.training.learner import make_learner
from metaux.training.loop import Fitted, fit
from metaux.training.plan import Plan
from properties import assert_same_weights
from small import cpu, digits, plan, trained


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def after_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a checkpoint after each epoch, as for epochs that take ten times as long as the writing."""
    monkeypatch.setattr("metaux.training.pace.REST", 0)


def going_on(plan: Plan, folder: Path, stop_after: int = 0) -> Fitted:
    """Train from the checkpoint in a folder, if there is one; stop after an epoch."""

    class Stop(Callback):
        def on_epoch_end(self, training: Training) -> None:
            if len(training.records) == stop_after:
                raise Stopped

    checkpoint = Checkpoint(folder / "checkpoint.pt", plan.data.digest)
    return fit(make_learner(plan, cpu(), checkpoint.read()), checkpoint, callbacks=[Stop()])


def untimed(fitted: Fitted) -> list[Record]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in fitted.records]


@pytest.mark.parametrize("method", ["maxl", "vector", "random", "given", "prototypical"])
def test_an_interrupted_run_ends_in_the_same_bits(method: str, tmp_path: Path) -> None:
    expected = trained(SOURCES[method], epochs=3)
    with pytest.raises(Stopped):
        going_on(plan(SOURCES[method], epochs=3), tmp_path, stop_after=2)
    found = going_on(plan(SOURCES[method], epochs=3), tmp_path)
    assert_same_weights(found.network, expected.network)
    assert found.test_correct.equal(expected.test_correct)
    assert untimed(found) == untimed(expected)


def test_a_finished_run_is_only_measured_again(tmp_path: Path) -> None:
    first, again = (going_on(plan(SOURCES["maxl"]), tmp_path) for _ in range(2))
    assert first.records == again.records
    assert first.test_logits.equal(again.test_logits)
    assert first.test_correct.equal(again.test_correct)


@pytest.mark.parametrize(
    ("method", "work"),
    [
        ("kmeans", "metaux.labels.kmeans.clusters_within"),
        ("distilled", "metaux.training.preparation.pretrain"),
        ("self-distilled", "metaux.training.preparation.pretrain"),
    ],
)
def test_what_was_learned_before_the_training_is_not_learned_again(
    method: str, work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, expected = plan(SOURCES[method]), trained(SOURCES[method])
    with pytest.raises(Stopped):
        going_on(begun, tmp_path, stop_after=1)
    kept = Checkpoint(tmp_path / "checkpoint.pt", begun.data.digest).read()
    monkeypatch.delattr(work)
    assert make_learner(begun, cpu(), kept).preparation > 0.99 * kept["preparation"] > 0
    assert_same_weights(going_on(begun, tmp_path).network, expected.network)


def test_what_a_kill_leaves_of_a_run_goes_on(tmp_path: Path) -> None:
    begun, killed = plan(SOURCES["maxl"]), tmp_path / "killed"

    class Keep(Callback):
        """Keeps what is on the disk at this moment, as a kill would."""

        def on_epoch_end(self, training: Training) -> None:
            if len(training.records) == 1:
                shutil.copytree(tmp_path / "whole", killed)

    (tmp_path / "whole").mkdir()
    checkpoint = Checkpoint(tmp_path / "whole" / "checkpoint.pt", begun.data.digest)
    whole = fit(make_learner(begun, cpu()), checkpoint, callbacks=[Keep()])
    found = going_on(begun, killed)
    assert len(found.records) == 2
    assert_same_weights(found.network, whole.network)
    assert {path.name for path in killed.iterdir()} == {"checkpoint.pt", "checkpoint.before.pt"}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense"])
def test_refuses_a_damaged_checkpoint(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(InputError, match="expected this run's checkpoint"):
        going_on(plan(SOURCES["single"]), tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="expected the checkpoint of a run, found the named pipe"):
        Checkpoint(tmp_path / "checkpoint.pt", "").read()


def test_refuses_that_of_another_network(tmp_path: Path) -> None:
    going_on(plan(SOURCES["single"], epochs=1), tmp_path)
    with pytest.raises(InputError, match=r"expected this run's checkpoint .* delete the file to start the run anew"):
        going_on(plan(SOURCES["uniform"], epochs=1), tmp_path)


def moments_of_another_shape(state: dict[str, Any]) -> None:
    own = state["state"][0]
    own[next(name for name in OF_EACH_NUMBER if name in own)] = torch.ones(3)


def complex_steps(state: dict[str, Any]) -> None:
    state["state"][0]["step"] = torch.tensor(1j)


def steps_below_none(state: dict[str, Any]) -> None:
    state["state"][0]["step"] = torch.tensor(-1000.0)


@pytest.mark.parametrize("place", ["network", "generator"])
@pytest.mark.parametrize("spoil", [moments_of_another_shape, complex_steps, steps_below_none])
def test_refuses_an_optimizer_that_does_not_fit(
    place: str, spoil: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        going_on(plan(SOURCES["maxl"]), tmp_path, stop_after=1)
    state = torch.load(tmp_path / "checkpoint.pt")
    spoil(state["optimizer"] if place == "network" else state["source"]["_extra_state"])
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match=r"expected this run's checkpoint .* delete the file to start the run anew"):
        going_on(plan(SOURCES["maxl"]), tmp_path)


def test_the_options_of_an_optimizer_are_the_run_s_own(tmp_path: Path) -> None:
    expected = trained(SOURCES["maxl"])
    with pytest.raises(Stopped):
        going_on(plan(SOURCES["maxl"]), tmp_path, stop_after=1)
    state = torch.load(tmp_path / "checkpoint.pt")
    for own in (state["optimizer"], state["source"]["_extra_state"]):
        own["param_groups"][0].update(weight_decay=0.9, betas=(-2.0, 5.0), momentum="much")
    torch.save(state, tmp_path / "checkpoint.pt")
    assert_same_weights(going_on(plan(SOURCES["maxl"]), tmp_path).network, expected.network)


def test_a_pickle_with_code_is_never_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "exploded"),))

    torch.save({"network": Bomb()}, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="expected this run's checkpoint"):
        going_on(plan(SOURCES["single"]), tmp_path)
    assert not (tmp_path / "exploded").exists()


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    going_on(plan(SOURCES["single"], epochs=1), tmp_path)
    data = digits()
    changed = replace(data, train=replace(data.train, stored=(255 - data.train.inputs[0],)))
    with pytest.raises(InputError, match=r"expected the data that the run in .* began with, found that it has changed"):
        going_on(plan(SOURCES["single"], data=changed), tmp_path)


def test_a_damaged_checkpoint_costs_one_epoch(tmp_path: Path) -> None:
    expected = trained(SOURCES["maxl"], epochs=4)
    with pytest.raises(Stopped):
        going_on(plan(SOURCES["maxl"], epochs=4), tmp_path, stop_after=3)
    path = tmp_path / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    checkpoint = Checkpoint(path, digits().digest)
    assert "the run goes on from the epoch before" in checkpoint.notice
    assert len(checkpoint.read()["records"]) == 2
    found = going_on(plan(SOURCES["maxl"], epochs=4), tmp_path)
    assert_same_weights(found.network, expected.network)
    assert untimed(found) == untimed(expected)
    assert not checkpoint.notice
    checkpoint.delete()
    assert not checkpoint.notice
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_initialisation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        going_on(plan(SOURCES["single"], "iclr", initialisation="pytorch"), tmp_path, stop_after=1)
    with pytest.raises(
        InputError, match=r"expected networks that start as the protocol says \(xavier-uniform\), found"
    ):
        going_on(plan(SOURCES["single"], "iclr"), tmp_path)
