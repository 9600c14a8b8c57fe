"""A trained network read back: it says what training saw, of samples that it reads by itself."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from metaux.data.samples import Samples
from metaux.errors import InputError
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.model import Model
from metaux.runs.record import Run
from metaux.runs.trial import Trial
from metaux.settings import Settings

DATA = Settings()


@pytest.fixture(scope="module", params=["32-true", "bf16-mixed"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("model") / "run"
    run(Trial(Settings(epochs=2, train_size=300, precision=request.param), "maxl", 0), load_once(DATA), folder)
    return Run.read(folder)


@pytest.fixture(scope="module")
def test_samples() -> Samples:
    return load_once(DATA).test


def test_repeats_what_training_saw_to_the_bit(finished: Run, test_samples: Samples) -> None:
    logits, _ = Model.read(finished.folder).predict(test_samples)
    assert torch.from_numpy(finished.output("test_probabilities")).equal(logits.softmax(-1))


def test_sub_classes_belong_to_the_predicted_class(finished: Run, test_samples: Samples) -> None:
    model = Model.read(finished.folder)
    logits, subclasses = model.predict(test_samples)
    assert subclasses is not None
    assert model.hierarchy.parent[subclasses].equal(logits.argmax(-1))
    assert len(subclasses.unique()) > 1


def test_only_labels_of_persons_have_their_names(finished: Run, tmp_path: Path) -> None:
    assert Model.read(finished.folder).hierarchy.subclass_names[:2] == ("even/0", "even/1")
    run(Trial(Settings(epochs=1, train_size=100), "human", 0), load_once(DATA), tmp_path / "run")
    assert Model.read(tmp_path / "run").hierarchy.subclass_names[:2] == ("0", "2")


def test_features_are_those_of_the_trunk(finished: Run, test_samples: Samples) -> None:
    rows = torch.from_numpy(finished.output("test_feature_rows"))
    features = Model.read(finished.folder).features(test_samples.take(rows))
    if finished.settings["precision"] == "32-true":
        assert features.equal(torch.from_numpy(finished.output("test_features")))
    assert features.shape == (len(rows), 128)


def test_classes_and_sub_classes_come_from_one_pass(finished: Run, test_samples: Samples) -> None:
    model, passed = Model.read(finished.folder), []
    model.network.register_forward_hook(lambda module, inputs, outputs: passed.append(len(inputs[0])))
    logits, subclasses = model.predict(test_samples)
    assert sum(passed) == len(test_samples)
    auxiliary = model.auxiliary(test_samples)
    assert auxiliary is not None
    assert subclasses is not None
    own = auxiliary.masked_fill(~model.hierarchy.mask(logits.argmax(-1)), -torch.inf)
    assert own.argmax(-1).equal(subclasses)


def test_single_task_has_no_sub_classes(tmp_path: Path, test_samples: Samples) -> None:
    run(Trial(Settings(epochs=1, train_size=100, backbone="mlp"), "single", 0), load_once(DATA), tmp_path)
    assert Model.read(tmp_path).predict(test_samples).subclasses is None


def test_refuses_what_is_no_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="expected the folder of a run"):
            Model.read(folder)
    run(Trial(Settings(epochs=1, train_size=100, backbone="mlp"), "single", 0), load_once(DATA), tmp_path / "run")
    with pytest.raises(InputError, match="unknown device"):
        Model.read(tmp_path / "run", "tpu")
    settings = tmp_path / "run" / "settings.yaml"
    settings.write_text(settings.read_text() + "of_tomorrow: 1\n")
    (tmp_path / "run" / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"found 'of_tomorrow'; .* \(in '.*settings.yaml'\)"):
        Model.read(tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"shape": [1, 8, 9]}, r"samples of shape \[1, 8, 9\], but images of 8x8 pixels and 1 channels"),
        ({"shape": [2**40]}, "samples of shape"),
        ({"shape": None}, "with values of another kind in its model"),
        ({"preprocessing": {"mean": [0.5, 0.5]}}, "2 means and 1 deviations of 1 channels"),
        ({"preprocessing": {"mean": ["a"]}}, "mean that is not a list, each of it a number"),
        ({"preprocessing": {"kind": "sound"}}, "kind that is not one of 'image', 'table', 'text', 'other'"),
        ({"preprocessing": {"channels": 2**40}}, "1 means and 1 deviations of 1099511627776 channels"),
        ({"preprocessing": {"image_size": [8]}}, "image_size that is not"),
        ({"preprocessing": {"columns": [{"name": "a", "fill": "b"}]}}, "fill that is not a number"),
        ({"preprocessing": {"columns": [{"name": "a", "of_tomorrow": "b"}]}}, "of_tomorrow"),
        ({"preprocessing": {"columns": 5}}, "without its description"),
        ({"preprocessing": {"columns": "ab"}}, "a column that is 'a'"),
        ({"preprocessing": {"columns": [["a"], ["b", "x", "y"]]}}, "columns of 3 features, not of 1"),
    ],
    ids=str,
)
def test_refuses_another_description(finished: Run, changes: dict[str, Any], found: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    (folder / "manifest.json").unlink()
    result = json.loads((folder / "result.json").read_text())
    for name, value in changes.items():
        old = result["model"][name]
        result["model"][name] = {**old, **value} if isinstance(old, dict) else value
    (folder / "result.json").write_text(json.dumps(result))
    with pytest.raises(InputError, match=found):
        Model.read(folder)
