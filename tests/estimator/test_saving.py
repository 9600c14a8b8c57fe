"""A classifier in a folder, on a hub, and from the folder of a run: it predicts to the same bits."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from torch import Tensor, nn

from metaux import InputError, LabelSource, MetauxClassifier, MultiTaskNetwork
from metaux.protocols import ICLR
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.model import Model
from metaux.runs.trial import Trial
from metaux.settings import Settings

X, Y = load_iris(return_X_y=True)
PIXELS, DIGITS = load_digits(return_X_y=True)
IMAGES = PIXELS[:60].reshape(-1, 8, 8)
FRAME = pd.DataFrame({"size": [None, *range(59)], "colour": ["red", "blue", None] * 20})
TEXTS = [f"{word} film number {row}" for row in range(30) for word in ("good", "bad")]


def quick(**changes: Any) -> MetauxClassifier:
    return MetauxClassifier(**{"method": "single", "epochs": 1, "random_state": 0, **changes})


def own_trunk() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.BatchNorm1d(5))


class Doubting(LabelSource):
    """A source with a rule of its own for predicting, learned from the data."""

    def prepare(self, preparation: Any) -> None:
        self.register_buffer("prior", torch.bincount(preparation.samples.primary).float().log())

    def predict(self, network: MultiTaskNetwork, inputs: tuple[Tensor, ...]) -> Tensor:
        return self.get_buffer("prior").expand(len(inputs[0]), -1)


@pytest.mark.filterwarnings("ignore::UserWarning")
class TestFolder:
    @pytest.mark.parametrize(
        ("changes", "x", "y"),
        [
            ({"method": "maxl", "subclasses": 2}, X, Y),
            ({"method": "given"}, X, np.array(["a", "b", "c"])[Y]),
            ({"method": "transformation", "augment": "crop"}, IMAGES, DIGITS[:60] == 3),
            ({"protocol": replace(ICLR, name="own", epochs=1), "random_state": np.int64(3)}, X, Y * 1.0),
            ({"subclasses": np.array([1, 2])}, FRAME, np.array([1, "x"], dtype=object)[np.arange(60) // 3 % 2]),
            ({}, TEXTS, ["up", "down"] * 30),
        ],
        ids=["table", "given", "images", "protocol", "frame", "texts"],
    )
    def test_predicts_to_the_same_bits(self, changes: dict[str, Any], x: Any, y: Any, tmp_path: Path) -> None:
        given = {"given": Y % 2} if changes.get("method") == "given" else {}
        fitted = quick(**changes).fit(x, y, **given)
        fitted.save(tmp_path / "kept")
        read = MetauxClassifier.load(tmp_path / "kept")
        assert np.array_equal(read.predict_proba(x), fitted.predict_proba(x))
        assert read.predict(x).dtype == fitted.predict(x).dtype
        assert read.predict(x).tolist() == fitted.predict(x).tolist()
        assert np.array_equal(read.transform(x), fitted.transform(x))
        assert (read.history_, read.n_features_in_) == (fitted.history_, fitted.n_features_in_)
        assert (read.labels_ is None) == (fitted.labels_ is None)
        if fitted.auxiliary_names_:
            assert read.predict_auxiliary(x).tolist() == fitted.predict_auxiliary(x).tolist()
        if isinstance(changes.get("protocol", ""), str):
            again = clone(read).fit(x, y, **given)
            assert np.array_equal(again.predict_proba(x), fitted.predict_proba(x))
        assert {path.name for path in (tmp_path / "kept").iterdir()} == {
            "classifier.json",
            "weights.safetensors",
            "manifest.json",
        }

    def test_parts_of_the_programs_own_are_given_again(self, tmp_path: Path) -> None:
        x = torch.rand(20, 3, 4)
        fitted = quick(backbone=own_trunk, method=Doubting, callbacks=[object()], epochs=1)
        fitted.callbacks = ()
        fitted.fit(x, [0, 1] * 10)
        with pytest.warns(UserWarning, match="left out of .*: backbone, method"):
            fitted.save(tmp_path / "kept")
        with pytest.raises(InputError, match="expected the program's own backbone and method"):
            MetauxClassifier.load(tmp_path / "kept")
        read = MetauxClassifier.load(tmp_path / "kept", backbone=own_trunk, method=Doubting)
        assert np.array_equal(read.predict_proba(x), fitted.predict_proba(x))
        with pytest.raises(InputError, match="or of another"):
            MetauxClassifier.load(tmp_path / "kept", backbone=lambda: nn.Flatten(), method=Doubting)

    def test_is_never_mixed_with_other_files_and_never_read_damaged(self, tmp_path: Path) -> None:
        fitted = quick().fit(X, Y)
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "thesis.txt").write_text("mine")
        with pytest.raises(InputError, match="expected a new folder"):
            fitted.save(tmp_path / "other")
        fitted.save(tmp_path / "kept")
        fitted.save(str(tmp_path / "kept"))
        described = tmp_path / "kept" / "classifier.json"
        described.write_text(described.read_text().replace('"single"', '"maxl"'))
        with pytest.raises(InputError, match="changed since it was written"):
            MetauxClassifier.load(tmp_path / "kept")
        with pytest.raises(InputError, match=r"no classifier\.json"):
            MetauxClassifier.load(tmp_path / "other")

    @pytest.mark.parametrize(
        "changes",
        [
            {"types": ["no type"]},
            {"shapes": [[5]]},
            {"shapes": []},
            {"classes": [[], {}]},
            {"class_type": "?!"},
            {"parameters": {"depth": 3}},
            {"protocol": None},
            {"preprocessing": {"kind": "table"}},
        ],
        ids=str,
    )
    def test_refuses_another_description(self, changes: dict[str, Any], tmp_path: Path) -> None:
        quick(epochs=1).fit(X, Y).save(tmp_path)
        (tmp_path / "manifest.json").unlink()
        described = tmp_path / "classifier.json"
        described.write_text(json.dumps({**json.loads(described.read_text()), **changes}))
        with pytest.raises(InputError, match=r"classifier\.json, found it without what a classifier needs"):
            MetauxClassifier.load(tmp_path)

    def test_labels_that_json_does_not_hold_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="numbers, texts or truth values to save"):
            quick().fit(X, [("kind", int(kind)) for kind in Y]).save(tmp_path / "kept")
        assert not (tmp_path / "kept").exists()


def table(folder: Path) -> Path:
    path = folder / "flowers.csv"
    frame = pd.DataFrame(X, columns=list("abcd")).assign(colour=["red", "blue"] * 75, label=np.array(list("xyz"))[Y])
    frame.to_csv(path, index=False)
    return path


@pytest.mark.filterwarnings("ignore::UserWarning")
class TestRun:
    def test_of_images_predicts_as_the_run(self, tmp_path: Path) -> None:
        settings = Settings(epochs=1, train_size=100, class_weights="balanced")
        data = load_once(settings)
        run(Trial(settings, "maxl", 3), data, tmp_path / "run")
        read = MetauxClassifier.from_run(tmp_path / "run")
        images = data.test.inputs[0]
        model = Model.read(tmp_path / "run")
        expected = model.predict(data.test)
        assert np.array_equal(read.predict_proba(images), expected.logits.softmax(-1).numpy())
        assert read.classes_.tolist() == ["even", "odd"]
        assert expected.subclasses is not None
        names = np.array(model.hierarchy.subclass_names)[expected.subclasses.numpy()]
        assert read.predict_auxiliary(images).tolist() == names.tolist()
        assert (read.method, read.random_state, read.class_weight, read.epochs) == ("maxl", 3, "balanced", 1)
        assert read.labels_ is not None
        assert read.labels_.shape == (100, 5)
        clone(read).fit(images[:40], np.array(["even", "odd"] * 20))
        read.save(tmp_path / "kept")
        kept = MetauxClassifier.from_pretrained(tmp_path / "kept")
        assert np.array_equal(kept.predict_proba(images), read.predict_proba(images))
        assert MetauxClassifier.from_pretrained(tmp_path / "run").classes_.tolist() == ["even", "odd"]
        with pytest.raises(InputError, match="a finished run; use from_run"):
            MetauxClassifier.load(tmp_path / "run")

    def test_of_a_table_takes_its_columns_by_name(self, tmp_path: Path) -> None:
        settings = Settings(str(table(tmp_path)), epochs=1)
        data = load_once(settings)
        run(Trial(settings, "single", 0), data, tmp_path / "run")
        read = MetauxClassifier.from_run(tmp_path / "run")
        frame = pd.read_csv(settings.data).drop(columns="label")
        assert read.feature_names_in_.tolist() == [*"abcd", "colour"]
        assert read.score(frame, np.array(list("xyz"))[Y]) > 0.3
        ids = data.test.ids
        assert ids is not None
        expected = Model.read(tmp_path / "run").predict(data.test).logits.softmax(-1).numpy()
        np.testing.assert_allclose(read.predict_proba(frame.iloc[ids.tolist()]), expected, rtol=1e-5)
        with pytest.raises(ValueError, match="feature names"):
            read.predict(frame.rename(columns={"a": "e"}))

    def test_of_no_run_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="expected the folder of a run"):
            MetauxClassifier.from_run(tmp_path / "nowhere")


class TestHub:
    """`huggingface_hub` talks to a server of this test, which keeps what it is sent as the hub does."""

    @pytest.fixture
    def hub(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
        pytest.importorskip("huggingface_hub")
        from hub_server import serve

        with serve(monkeypatch) as files:
            yield files

    def test_gives_back_what_it_was_given(self, hub: dict[str, bytes]) -> None:
        fitted = quick(method="maxl", subclasses=2).fit(X, Y)
        where = fitted.push_to_hub("someone/flowers", token="hf_secret")
        assert where.endswith("someone/flowers")
        assert set(hub) == {"README.md", "classifier.json", "manifest.json", "weights.safetensors"}
        assert "library_name: metaux" in hub["README.md"].decode()
        assert json.loads(hub["classifier.json"])["classes"] == [0, 1, 2]
        read = MetauxClassifier.from_pretrained("someone/flowers", token="hf_secret")
        assert np.array_equal(read.predict_proba(X), fitted.predict_proba(X))

    def test_that_refuses_is_told_in_a_line(self, hub: dict[str, bytes]) -> None:
        assert not hub
        with pytest.raises(InputError, match=r"expected to reach 'someone/nothing' on the hub, found .*; correct"):
            MetauxClassifier.from_pretrained("someone/nothing")
        with pytest.raises(InputError, match="expected to reach 'no/such/name'"):
            quick().fit(X, Y).push_to_hub("no/such/name")
