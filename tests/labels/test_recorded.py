"""Labels of a finished run learned anew, and permuted within the classes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metaux import InputError
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.plan import make_plan
from metaux.runs.record import Run
from metaux.runs.trial import Trial
from metaux.settings import Settings
from shell import done, metaux

FAST = Settings(epochs=1, train_size=200, backbone="mlp", subclasses=(3,))


def train(settings: Settings, folder: Path, method: str, seed: int = 0) -> Run:
    run(Trial(settings, method, seed), load_once(settings), folder)
    return Run.read(folder)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with soft labels."""
    return train(FAST, tmp_path_factory.mktemp("frozen") / "frozen-0", "frozen")


def test_recorded_labels_come_back(frozen: Run, tmp_path: Path) -> None:
    again = train(replace(FAST, labels=str(frozen.folder)), tmp_path / "run", "recorded")
    expected, found = (part.output("train_labels").astype(np.float32) for part in (frozen, again))
    assert expected.shape == (200, 3)
    assert len(np.unique(expected.round(3))) > 100  # soft, and each sample's own
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_shuffled_labels_are_those_of_other_samples_of_the_class(frozen: Run, tmp_path: Path) -> None:
    settings = replace(FAST, labels=str(frozen.folder))
    again = train(settings, tmp_path / "run", "shuffled")
    before, after = (part.output("train_labels").astype(np.float32) for part in (frozen, again))
    primary = frozen.output("train_primary")
    assert (primary == again.output("train_primary")).all()
    for class_ in range(2):
        first, second = (np.sort(labels[primary == class_], axis=0) for labels in (before, after))
        np.testing.assert_allclose(first, second, atol=1e-3)
    assert (abs(before - after).max(-1) < 1e-3).mean() < 0.2  # a few stay in their place by chance


def test_permuted_labels_are_as_sharp_but_on_other_slots(frozen: Run, tmp_path: Path) -> None:
    again = train(replace(FAST, labels=str(frozen.folder)), tmp_path / "run", "permuted")
    before, after = (part.output("train_labels").astype(np.float32) for part in (frozen, again))
    np.testing.assert_allclose(np.sort(after), np.sort(before), atol=1e-3)
    assert 0.05 < (abs(before - after).max(-1) < 1e-3).mean() < 0.4  # one order of three slots in six is the old one


def test_the_seed_decides_the_permutation_and_finds_its_run(frozen: Run, tmp_path: Path) -> None:
    settings = replace(FAST, train_size=None, labels=str(tmp_path / "frozen-{seed}"))
    for seed in (0, 1):
        train(replace(FAST, train_size=None), tmp_path / f"frozen-{seed}", "frozen", seed)
    first, second = (train(settings, tmp_path / f"shuffled-{seed}", "shuffled", seed) for seed in (0, 1))
    for found, seed in ((first, 0), (second, 1)):
        source = Run.read(tmp_path / f"frozen-{seed}").output("train_labels").astype(np.float32)
        np.testing.assert_allclose(np.sort(found.output("train_labels"), 0), np.sort(source, 0), atol=1e-3)


def test_unequal_numbers_of_sub_classes(tmp_path: Path) -> None:
    settings = replace(FAST, subclasses=(2, 4))
    source = train(settings, tmp_path / "random", "random")
    again = train(replace(settings, labels=str(tmp_path / "random")), tmp_path / "run", "recorded")
    assert (again.output("train_labels") == source.output("train_labels")).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"subclasses": (4,)},
            r"the same classes and sub-classes \(even of 4, odd of 4\), found even of 3, odd of 3",
        ),
        ({"train_size": 201}, r"on all of this run's 201 training samples, found [1-9]\d* without a label"),
        ({"labels": "nowhere"}, "expected the folder of a run at nowhere, found nothing"),
        ({"labels": None}, "expected the labels of a finished run for this method, found none; give .* --labels"),
    ],
)
def test_refuses_a_run_that_does_not_fit(frozen: Run, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    settings = replace(FAST, **{"labels": str(frozen.folder), **changes})
    with pytest.raises(InputError, match=said):
        train(settings, tmp_path / "run", "shuffled")
    assert not (tmp_path / "run").exists()


def test_labels_of_a_run_with_a_meta_split_are_shuffled_on_the_samples_that_have_one(tmp_path: Path) -> None:
    settings = replace(FAST, protocol="iclr")
    source = train(settings, tmp_path / "maxl", "maxl")
    settings = replace(settings, labels=str(source.folder))
    again = train(settings, tmp_path / "run", "shuffled-split")
    assert (again.output("train_ids") == source.output("train_ids")).all()
    assert len(again.output("train_ids")) == 180
    with pytest.raises(InputError, match=r"found 20 without a label .* gave up a meta split.* method shuffled-split"):
        train(settings, tmp_path / "other", "shuffled")


def test_refuses_other_data_with_the_same_rows(frozen: Run) -> None:
    settings = replace(FAST, labels=str(frozen.folder))
    data = load_once(settings)
    other = replace(data, train=replace(data.train, primary=data.train.primary.roll(1)))
    plan = make_plan(Trial(settings, "recorded", 0), other)
    with pytest.raises(InputError, match="without a label"):
        plan.recorded(plan.train)


def test_refuses_a_run_without_labels_on_the_command_line(tmp_path: Path) -> None:
    words = ("train", "digits", "--train-size", 100, "--epochs", 1, "--backbone", "mlp", "--out")
    done(*words, tmp_path / "single", "--method", "single")
    result = metaux(*words, tmp_path / "run", "--method", "recorded", "--labels", tmp_path / "single")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "expected --labels of a run with sub-class labels, found method single" in result.err
    done(*words, tmp_path / "uniform", "--method", "uniform")
    done(*words, tmp_path / "run", "--method", "recorded", "--labels", tmp_path / "uniform")
    assert torch.from_numpy(Run.read(tmp_path / "run").output("train_labels")).float().std() < 1e-3
