"""As many epochs as validation data gains from."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from metaux.errors import InputError
from metaux.files import OURS
from metaux.protocols import resolve
from metaux.runs import length
from metaux.runs.length import CHOSEN, Reached, best_length, choose_length, known_length
from metaux.runs.pool import train
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.runs.workers import Processes
from metaux.settings import Settings
from shell import metaux

QUIET = Console(quiet=True)


def test_the_best_length_is_found_on_validation_data_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(length, "DOUBLINGS", 1)
    settings = Settings(data="iris", epochs="auto")
    assert known_length(settings, tmp_path) == settings
    chosen = choose_length(settings, "single", [0], Processes(1), tmp_path, QUIET)
    kept = json.loads((tmp_path / CHOSEN).read_text())
    reached = {int(epochs): Reached(**own) for epochs, own in kept["reached"].items()}
    assert [*reached] == [20, 40]
    assert chosen == replace(settings, epochs=best_length(reached)) == known_length(settings, tmp_path)
    assert not (tmp_path / f"{OURS}-lengths").exists()
    # The same run by hand, on the validation part.
    store = Store(tmp_path / "by hand")
    trial = Trial(replace(settings, epochs=20, evaluate_on="validation"), "single", 0)
    store.out.mkdir()
    train([trial], store, Processes(1), QUIET)
    run = store.find(trial)
    assert run is not None
    assert run.accuracy == pytest.approx(reached[20].accuracy)


def test_what_is_given_stays(tmp_path: Path) -> None:
    settings = Settings(data="iris", epochs=7)
    left = tmp_path / f"{OURS}-lengths" / "runs"  # by a choice that was killed once it was recorded
    left.mkdir(parents=True)
    assert choose_length(settings, "single", [0], Processes(1), tmp_path, QUIET) is settings
    assert not list(tmp_path.iterdir())


def test_refuses_validation_data_that_is_looked_at_twice(tmp_path: Path) -> None:
    settings = Settings(data="iris", epochs="auto", evaluate_on="validation")
    with pytest.raises(InputError, match="a number of epochs with --evaluate-on validation, found auto"):
        choose_length(settings, "single", [0], Processes(1), tmp_path, QUIET)
    with pytest.raises(InputError, match="which only metaux train and metaux compare take"):
        resolve(settings)


def test_a_command_goes_on_with_what_it_chose(tmp_path: Path) -> None:
    """No run of another length is trained again: there is a choice, and nobody looks at its numbers."""
    out = tmp_path / "run"
    out.mkdir()
    (out / CHOSEN).write_text('{"epochs": 2, "reached": {}}')
    done = metaux("train", "iris", "--epochs", "auto", "--out", str(out))
    assert done.code == 0, done.err
    assert json.loads((out / "result.json").read_text())["epochs"] == 2
    assert "validation" not in done.out
