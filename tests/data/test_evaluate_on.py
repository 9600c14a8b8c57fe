"""What accuracy is measured on: the test part, or a validation part in its place."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from metaux.data.assemble import assemble
from metaux.data.reader import RawData
from metaux.data.samples import LabelledData, Samples
from metaux.data.sources import load
from metaux.runs.launch import run
from metaux.runs.plan import make_plan
from metaux.runs.record import Run
from metaux.runs.trial import Trial
from metaux.settings import Settings

TEST, VALIDATION = Settings(), Settings(evaluate_on="validation")


def source(**sizes: int) -> RawData:
    """A table whose parts have that many samples, half of them of either class."""
    parts = tuple(part for part, count in sizes.items() for _ in range(count))
    labels = tuple("ab"[row % 2] for row in range(len(parts)))
    return RawData(torch.arange(len(parts)).float()[:, None], "table", {"label": labels}, parts)


def ids(samples: Samples | None) -> set[int]:
    assert samples is not None
    assert samples.ids is not None
    return set(samples.ids.tolist())


def used(data: LabelledData) -> set[int]:
    return ids(data.train) | ids(data.test) | (ids(data.validation) if data.validation else set())


def test_a_fifth_of_the_training_samples_takes_the_place_of_the_test_part() -> None:
    raw = source(train=100, test=40)
    data = assemble(raw, VALIDATION)
    assert (len(data.train), len(data.test), data.validation) == (80, 20, None)
    assert data.test.primary.bincount().tolist() == [10, 10]
    assert used(data) == set(range(100))
    assert ids(assemble(raw, VALIDATION).test) == ids(data.test)
    assert ids(assemble(raw, TEST).test) == set(range(100, 140))


def test_the_datas_own_validation_part_is_used() -> None:
    data = assemble(source(train=60, val=20, test=20), VALIDATION)
    assert ids(data.train) == set(range(60))
    assert ids(data.test) == set(range(60, 80))
    assert data.validation is None


def test_what_would_be_the_test_part_is_left_out() -> None:
    on_test, on_validation = (assemble(source(train=100), settings) for settings in (TEST, VALIDATION))
    assert used(on_test) == set(range(100))
    assert used(on_validation) == ids(on_test.train)
    assert (len(on_validation.train), len(on_validation.test)) == (64, 16)


def test_groups_are_not_divided() -> None:
    raw = source(train=100)
    raw = replace(raw, groups=tuple(str(row // 4) for row in range(100)))
    data = assemble(raw, VALIDATION)
    assert data.train.groups is not None
    assert data.test.groups is not None
    assert not set(data.train.groups.tolist()) & set(data.test.groups.tolist())


def test_a_run_records_validation_accuracy_alone(tmp_path: Path) -> None:
    settings = Settings(evaluate_on="validation", train_size=100, epochs=1, backbone="mlp")
    data = load(settings)
    run(Trial(settings, "single", 0), data, tmp_path / "run")
    made = Run.read(tmp_path / "run")
    assert made.output("test_primary").tolist() == data.test.primary.tolist()
    assert made.result["accuracy"] == pytest.approx(made.epochs[-1]["test_accuracy"])
    assert "validation_accuracy" not in made.epochs[-1]


def test_a_train_seed_draws_the_same_samples_whatever_the_seed() -> None:
    settings = Settings(train_size=100)
    data = load(settings)
    drawn = [ids(make_plan(Trial(settings, "single", seed), data).train) for seed in (0, 1)]
    fixed = [ids(make_plan(Trial(replace(settings, train_seed=0), "single", seed), data).train) for seed in (0, 1)]
    assert drawn[0] != drawn[1]
    assert fixed == [drawn[0], drawn[0]]
