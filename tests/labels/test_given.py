"""Given labels of another kind than the classes: read, learned, and not needed afterwards."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from metaux.data.samples import LabelledData
from metaux.data.sources import for_reading, load
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError
from metaux.labels.sources import SOURCES
from metaux.runs.launch import run
from metaux.runs.model import Model
from metaux.runs.record import Run
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.studies.compare import default_methods
from shell import done, metaux, write_images
from small import learner
from written import write_rows

CAMERAS = ("box", "drone", "phone")
SHORT = ("--epochs", 2, "--batch-size", 20, "--backbone", "mlp")


def write_photos(path: Path, count: int = 240, camera: bool = True, label: bool = True) -> Path:
    """Write a table whose first column tells the class and whose second tells the camera, which has nothing to do with
    the class."""
    random = np.random.default_rng(0)
    rows = []
    for row in range(count):
        kind, other = row % 2, row // 2 % 3
        x = random.normal((3 * kind, 4 * other, 0), 0.5)
        cells = [f"{value:.3f}" for value in x]
        rows.append(",".join(cells + [CAMERAS[other]] * camera + [("cat", "dog")[kind]] * label))
    return write_rows(path, "warmth,noise,dust" + ",camera" * camera + ",label" * label, rows)


def read(path: Path, **changes: Any) -> LabelledData:
    return load(Settings(data=str(path), **changes))


def labels_of(data: LabelledData) -> list[str]:
    assert data.train.given is not None
    return [data.train.given_names[place] for place in data.train.given.tolist()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given")
    data = write_photos(folder / "photos.csv")
    words = ("--epochs", 20, "--batch-size", 20, "--backbone", "mlp", "--learning-rate", 0.05, "--out", folder / "run")
    done("train", data, "--given", "camera", "--method", "given", *words)
    return folder


class TestARun:
    def test_learns_the_given_labels_beside_the_classes(self, folder: Path) -> None:
        found, model = Run.read(folder / "run"), Model.read(folder / "run")
        assert found.result["model"]["auxiliary_names"] == list(CAMERAS)
        assert found.accuracy > 0.95
        test = read(folder / "photos.csv", given="camera").test
        outputs = model.network(*model.preprocessing(test.inputs))
        assert outputs.auxiliary is not None
        assert test.given is not None
        assert outputs.auxiliary.shape == (len(test), 3)
        assert (outputs.auxiliary.argmax(-1) == test.given).float().mean() > 0.9

    def test_predicts_and_evaluates_without_given_labels(self, folder: Path) -> None:
        new = write_photos(folder / "new.csv", 20, camera=False, label=False)
        rows = done("predict", folder / "run", new).splitlines()
        assert [row.split(",")[1] for row in rows[1:]] == ["cat", "dog"] * 10
        assert all(row.endswith(",") for row in rows[1:])  # no sub-class
        for name, camera in (("with", True), ("without", False)):
            other = write_photos(folder / f"{name}.csv", 40, camera=camera)
            assert json.loads(done("evaluate", folder / "run", other, "--json"))["accuracy"] > 0.95
        own = json.loads(done("evaluate", folder / "run", "--json"))
        assert own["accuracy"] == Run.read(folder / "run").accuracy

    def test_is_exported(self, folder: Path) -> None:
        done("export", folder / "run", "--to", "safetensors", "--out", folder / "exported")
        assert any((folder / "exported").glob("*.safetensors"))

    def test_its_folder_is_kept_and_other_given_labels_are_another_run(self, folder: Path) -> None:
        words = ("--epochs", 20, "--batch-size", 20, "--backbone", "mlp", "--learning-rate", 0.05)
        words = ("train", folder / "photos.csv", *words, "--method", "given", "--out", folder / "run")  # type: ignore[assignment]
        before = (folder / "run" / "result.json").read_bytes()
        done(*words, "--given", "camera")
        assert (folder / "run" / "result.json").read_bytes() == before
        result = metaux(*words, "--given", "dust")
        assert result.code == 2
        assert "expected given camera as of the earlier runs" in result.err


def test_folders_from_before_there_were_given_labels_still_work(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "photos.csv", 60)
    words = ("train", data, *SHORT, "--method", "single", "--out", tmp_path / "run")
    done(*words)
    settings = yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert settings.pop("given") is None
    assert result["model"].pop("auxiliary_names") == []
    (tmp_path / "run" / "settings.yaml").write_text(yaml.safe_dump(settings))
    (tmp_path / "run" / "result.json").write_text(json.dumps(result))
    (tmp_path / "run" / "manifest.json").unlink()
    done(*words)
    done("evaluate", tmp_path / "run")


def test_compare_has_it_on_request_as_labels_from_outside(tmp_path: Path) -> None:
    data = write_photos(tmp_path / "photos.csv", 60)
    settings = Settings(data=str(data), given="camera")
    assert "given" not in default_methods(settings, load(settings))
    words = ("--given", "camera", "--methods", "single", "given", "--seeds", 2, "--jobs", 1, *SHORT)
    out = done("compare", data, *words, "--out", tmp_path / "out")
    assert "given" in out
    assert (tmp_path / "out" / "report.html").stat().st_size > 0


def test_a_small_training_set_has_the_same_outputs(tmp_path: Path) -> None:
    settings = Settings(data=str(write_photos(tmp_path / "p.csv")), given="camera", epochs=1, train_size=2)
    run(Trial(settings, "given", 0), load(settings), tmp_path / "run")
    assert Model.read(tmp_path / "run").source.auxiliary_names == CAMERAS


class TestTheColumn:
    def test_of_a_table_is_no_feature(self, tmp_path: Path) -> None:
        data = read(write_photos(tmp_path / "with.csv"), given="camera")
        without = read(write_photos(tmp_path / "without.csv", camera=False))
        assert data.columns == without.columns
        assert [column.name for column in data.columns] == ["warmth", "noise", "dust"]
        assert data.train.inputs[0].equal(without.train.inputs[0])
        assert data.hierarchy.slots == without.hierarchy.slots
        assert data.train.ids is not None
        assert labels_of(data) == [CAMERAS[row // 2 % 3] for row in data.train.ids.tolist()]
        assert (without.train.given, without.train.given_names) == (None, ())

    def test_is_read_anew_when_it_changes(self) -> None:
        settings = Settings(data="photos.csv", given="camera")
        assert for_reading(settings) != for_reading(replace(settings, given=None))

    def test_of_texts_and_images_is_no_finer_label(self, tmp_path: Path) -> None:
        texts = [f"{'good' if row % 2 else 'bad'} number {row},{row % 2},{CAMERAS[row % 3]}" for row in range(24)]
        data = read(write_rows(tmp_path / "texts.csv", "text,label,camera", texts), given="camera")
        assert (data.kind, data.train.human, set(labels_of(data))) == ("text", None, set(CAMERAS))
        write_images(tmp_path, count=12)
        files = [f"{name}/{place}.png,{name},{CAMERAS[place % 3]}" for name in ("cat", "dog") for place in range(12)]
        data = read(write_rows(tmp_path / "photos.csv", "file,label,camera", files), given="camera")
        assert (data.kind, data.train.human, set(labels_of(data))) == ("image", None, set(CAMERAS))

    def test_may_also_be_the_auxiliary_level_or_the_group(self, tmp_path: Path) -> None:
        rows = [f"{row},{'ab'[row % 2]},{'ab'[row % 2]}{row // 2 % 2},{row // 4}" for row in range(40)]
        path = write_rows(tmp_path / "t.csv", "height,label,sort_label,group", rows)
        data = read(path, given="sort_label", auxiliary="sort_label")
        assert data.train.human is not None
        assert data.train.given is not None
        assert data.train.human.equal(data.train.given)
        data = read(path, given="group")
        assert data.train.groups is not None
        assert len(data.train.given_names) == len(data.train.groups.unique())

    def test_is_needed_of_training_samples_only(self, tmp_path: Path) -> None:
        rows = [f"{row},{row % 2},{CAMERAS[row % 3]},train" for row in range(12)]
        rest = ["1,0,,test", "2,1,never seen,test", "3,1,drone,test", "4,0,,val"]
        data = read(write_rows(tmp_path / "t.csv", "height,label,camera,split", rows + rest), given="camera")
        assert data.train.given_names == CAMERAS
        assert data.test.given is not None
        assert data.test.given.tolist() == [-1, -1, 1]

    def test_of_another_file_is_no_feature_of_a_run(self, tmp_path: Path) -> None:
        data = read(write_photos(tmp_path / "photos.csv"), given="camera")
        assert [column.name for column in Preprocessing.fit(data, "data").columns] == ["warmth", "noise", "dust"]


class TestArrays:
    def test_have_given_labels_of_the_training_part(self, tmp_path: Path) -> None:
        x, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 2
        np.savez(tmp_path / "a.npz", x=x, y=y, y_given=np.arange(30) % 3, x_test=x[:4], y_test=y[:4])
        data = read(tmp_path / "a.npz")
        assert data.notices == ()
        assert labels_of(data) == [str(row % 3) for row in range(30)]
        assert data.test.given is not None
        assert data.test.given.tolist() == [-1] * 4

    def test_without_a_test_part(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", x=np.ones((30, 2)), y=np.arange(30) % 2, y_given=np.array(["u", "v", "w"] * 10))
        data = read(tmp_path / "a.npz")
        assert data.train.ids is not None
        assert labels_of(data) == ["uvw"[row % 3] for row in data.train.ids.tolist()]

    def test_need_one_for_each_row(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", x=np.ones((30, 2)), y=np.arange(30) % 2, y_given=np.arange(29))
        with pytest.raises(InputError, match="expected one label in y_given per row of x, found 29 for 30"):
            read(tmp_path / "a.npz")


def refused(*words: object) -> str:
    result = metaux("train", *words, *SHORT, "--method", "given")
    assert (result.code, result.err.count("\n")) == (2, 1), result
    return result.err


class TestIsRefusedInOneLine:
    def test_data_without_given_labels(self, tmp_path: Path) -> None:
        data = write_photos(tmp_path / "photos.csv", 60)
        assert "method given needs labels of another kind" in refused(data, "--out", tmp_path / "out")
        assert "method given needs labels of another kind" in refused("iris", "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_an_unknown_column(self, tmp_path: Path) -> None:
        data = write_photos(tmp_path / "photos.csv", 60)
        said = refused(data, "--given", "camara", "--out", tmp_path / "out")
        assert "expected the column camara in" in said
        assert "did you mean 'camera'" in said

    def test_a_column_of_data_without_columns(self, tmp_path: Path) -> None:
        assert "expected a file of a table for --given, found 'iris'" in refused("iris", "--given", "camera")

    @pytest.mark.parametrize(
        ("cameras", "said"),
        [
            (["box", "", "box"], "two different given labels or more among the training samples, found box alone"),
            (["", "", ""], "two different given labels or more among the training samples, found none alone"),
        ],
    )
    def test_missing_labels(self, cameras: Sequence[str], said: str, tmp_path: Path) -> None:
        rows = [f"{row},{row % 2},{cameras[row % 3]},train" for row in range(12)]
        rows += ["1,0,phone,test", "2,1,phone,test"]
        data = write_rows(tmp_path / "t.csv", "height,label,camera,split", rows)
        assert said in refused(data, "--given", "camera", "--out", tmp_path / "out")


def test_the_loss_is_the_focal_cross_entropy() -> None:
    output, target = torch.tensor([[0.0, 0.0, 0.0], [2.0, 0.0, -1.0]]), torch.tensor([2, 0])
    source = learner(SOURCES["given"], focal_gamma=0.0).source
    torch.testing.assert_close(source.auxiliary_loss(output, target), torch.tensor([1.098612, 0.169846]))
    source = learner(SOURCES["given"], focal_gamma=2.0).source
    torch.testing.assert_close(source.auxiliary_loss(output, target), torch.tensor([0.488272, 0.004144]))
