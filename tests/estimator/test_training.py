"""What `MetauxClassifier` lets a program do with its training: callbacks, validation, weights, parts of its own."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV, cross_validate
from torch import Tensor, nn, optim

from metaux import Callback, EarlyStopping, InputError, MetauxClassifier
from metaux.training.callbacks import Training
from properties import assert_same_weights, different_weights

X, Y = load_iris(return_X_y=True)
PIXELS, DIGITS = load_digits(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def quick(**changes: Any) -> MetauxClassifier:
    return MetauxClassifier(**{"method": "single", "epochs": 2, "random_state": 0, **changes})


class Counting(Callback):
    def __init__(self) -> None:
        self.epochs = 0

    def on_epoch_end(self, training: Training) -> None:
        self.epochs += 1


class TestValidation:
    def test_a_share_is_held_out_with_the_balance_of_the_classes(self) -> None:
        fitted = quick(method="uniform", validation_fraction=0.2).fit(X, NAMES)
        assert fitted.labels_ is not None
        held_out = np.isnan(fitted.labels_).any(1)
        assert np.bincount(Y[held_out]).tolist() == [10, 10, 10]
        record = fitted.history_[-1]
        assert record["validation_accuracy"] == pytest.approx(fitted.score(X[held_out], NAMES[held_out]))
        alone = quick(method="uniform").fit(X[~held_out], NAMES[~held_out])
        assert_same_weights(fitted.network_, alone.network_)

    def test_given_samples_are_measured_and_change_no_bit(self) -> None:
        rows = np.arange(0, 150, 3)
        fitted = quick().fit(X, NAMES, validation=(X[rows], NAMES[rows]))
        assert fitted.history_[-1]["validation_accuracy"] == pytest.approx(fitted.score(X[rows], NAMES[rows]))
        assert_same_weights(fitted.network_, quick().fit(X, NAMES).network_)

    def test_early_stopping_leaves_the_best_epoch(self) -> None:
        wrong = np.roll(NAMES, 50)
        stop = EarlyStopping(patience=2)
        fitted = quick(epochs=20, callbacks=[stop]).fit(X, NAMES, validation=(X, wrong))
        losses = [record["validation_loss"] for record in fitted.history_]
        assert len(losses) == stop.best_epoch + 2 < 20
        place = np.searchsorted(fitted.classes_, wrong)
        found = -fitted.predict_log_proba(X)[np.arange(150), place].mean()
        assert found == pytest.approx(min(losses), rel=1e-5)

    @pytest.mark.parametrize(
        ("changes", "validation", "message"),
        [
            ({"validation_fraction": 1.5}, None, "above 0 and below 1"),
            ({"validation_fraction": 0.2}, (X, NAMES), "without other validation samples"),
            ({}, (X[:2], ["rose", "setosa"]), "found 'rose'"),
            ({}, (X[:2], ["setosa"]), "found 1 labels for 2 samples"),
            ({"callbacks": [EarlyStopping()]}, None, "expected 'validation_loss' in the records"),
        ],
    )
    def test_what_is_refused(self, changes: dict[str, Any], validation: Any, message: str) -> None:
        with pytest.raises(InputError, match=message):
            quick(**changes).fit(X, NAMES, validation=validation)


def test_callbacks_are_called_and_epochs_printed(capsys: pytest.CaptureFixture[str]) -> None:
    counting = Counting()
    quick(callbacks=(counting,), verbose=1, validation_fraction=0.1).fit(X, Y)
    assert counting.epochs == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["epoch", "train_loss", "train_accuracy", "validation_loss"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2"]


class TestWarmStart:
    def test_goes_on_from_the_last_weights(self) -> None:
        fitted = quick(epochs=5, warm_start=True).fit(X, Y)
        first = fitted.history_[-1]["train_loss"]
        again = fitted.fit(X, Y)
        assert [record["epoch"] for record in again.history_] == list(range(1, 11))
        assert again.history_[5]["train_loss"] < 0.7 * again.history_[0]["train_loss"]
        assert again.history_[-1]["train_loss"] < first
        assert_same_weights(quick(epochs=5).fit(X, Y).fit(X, Y).network_, quick(epochs=5).fit(X, Y).network_)

    def test_is_refused_for_other_classes(self) -> None:
        fitted = quick(warm_start=True).fit(X, Y)
        with pytest.raises(InputError, match="expected the classes and the network of the last fit"):
            fitted.fit(X, NAMES)
        assert fitted.classes_.tolist() == [0, 1, 2]


class TestSampleWeights:
    def test_a_sample_without_weight_is_not_there(self) -> None:
        weights = np.ones(150)
        weights[::3] = 0
        rows = weights > 0
        fitted = quick(method="maxl", subclasses=2).fit(X, Y, sample_weight=weights)
        alone = quick(method="maxl", subclasses=2).fit(X[rows], Y[rows])
        assert_same_weights(fitted.network_, alone.network_)
        assert fitted.labels_ is not None
        assert (np.isnan(fitted.labels_).any(1) == ~rows).all()

    def test_their_scale_does_not_matter_and_they_themselves_do(self) -> None:
        weights = np.random.default_rng(0).uniform(1, 2, 150)
        one, two = (quick().fit(X, Y, sample_weight=factor * weights) for factor in (1, 8))
        assert_same_weights(one.network_, two.network_)
        assert different_weights(one.network_, quick().fit(X, Y).network_)

    def test_heavy_samples_are_learned(self) -> None:
        noisy = np.where(np.arange(150) % 2, Y, (Y + 1) % 3)
        weights = np.where(np.arange(150) % 2, 1.0, 0.01)
        assert quick(epochs=20).fit(X, noisy, sample_weight=weights).score(X, Y) > 0.9

    def test_are_routed(self) -> None:
        weights = np.linspace(1, 2, 150)
        with sklearn.config_context(enable_metadata_routing=True):
            asking = quick(epochs=1).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
            found = cross_validate(asking, X, Y, cv=2, params={"sample_weight": weights}, return_estimator=True)
            rows = np.setdiff1d(np.arange(150), sklearn.model_selection.StratifiedKFold(2).split(X, Y).__next__()[1])
            expected = quick(epochs=1).fit(X[rows], Y[rows], sample_weight=weights[rows])
            assert_same_weights(found["estimator"][0].network_, expected.network_)
            GridSearchCV(asking, {"epochs": [1, 2]}, cv=2).fit(X, Y, sample_weight=weights)

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            (-np.ones(150), "zero or more"),
            (np.zeros(150), "all of them zero"),
            (np.where(Y == 1, 0, 1), "found a class without"),
            (np.full(150, np.nan), "NaN"),
            (np.ones(149), "inconsistent numbers of samples"),
        ],
    )
    def test_what_is_refused(self, weights: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            quick().fit(X, Y, sample_weight=weights)


class TestClassWeight:
    def test_a_dict_of_the_balanced_weights_is_balanced(self) -> None:
        rows = np.r_[0:10, 50:100, 100:140]
        weights = {name: 100 / (3 * count) for name, count in zip(np.unique(NAMES), (10, 50, 40), strict=True)}
        balanced, by_dict = (quick(class_weight=w).fit(X[rows], NAMES[rows]) for w in ("balanced", weights))
        np.testing.assert_allclose(balanced.predict_proba(X), by_dict.predict_proba(X), rtol=1e-4)

    def test_what_is_refused(self) -> None:
        for weights, message in (({"rose": 2}, "for 'rose'"), ({"setosa": -1}, "found -1"), ("heavy", "'balanced'")):
            with pytest.raises(InputError, match=message):
                quick(class_weight=weights).fit(X, NAMES)
        with pytest.raises(InputError, match="all of them zero"):
            quick(class_weight=dict.fromkeys(NAMES, 0)).fit(X, NAMES)


class TestOwnParts:
    def test_of_the_defaults_give_the_defaults(self) -> None:
        own = quick(
            optimizer=partial(optim.SGD, lr=0.05, momentum=0.9, weight_decay=5e-4),
            scheduler=lambda made: optim.lr_scheduler.CosineAnnealingLR(made, 2),
        )
        np.testing.assert_allclose(own.fit(X, Y).predict_proba(X), quick().fit(X, Y).predict_proba(X), rtol=1e-4)

    def test_are_learned_with(self) -> None:
        own = quick(
            epochs=15, optimizer=partial(optim.Adam, lr=0.01), criterion=nn.CrossEntropyLoss(label_smoothing=0.1)
        )
        assert own.fit(X, Y).score(X, Y) > 0.9

    def test_a_criterion_and_values_of_the_loss_that_it_replaces_are_refused(self) -> None:
        with pytest.raises(InputError, match="expected either a criterion, or focal_gamma"):
            quick(criterion=nn.CrossEntropyLoss(), focal_gamma=2.0).fit(X, Y)


class TestOutputs:
    def test_features_are_those_of_the_trunk(self) -> None:
        fitted = quick().fit(X, Y)
        features = fitted.transform(X)
        standardised = torch.from_numpy((X - X.mean(0)) / X.std(0)).float()
        expected = fitted.network_.trunk(standardised).detach().numpy()
        np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
        assert len(fitted.get_feature_names_out()) == features.shape[1]
        assert fitted.set_output(transform="pandas").transform(X).columns[0] == "metauxclassifier0"

    def test_logarithms_are_those_of_the_probabilities(self) -> None:
        fitted = quick().fit(X, Y)
        np.testing.assert_allclose(np.exp(fitted.predict_log_proba(X)), fitted.predict_proba(X), rtol=1e-5)

    def test_sub_classes_are_of_the_class_that_is_predicted(self) -> None:
        digits = PIXELS[:300]
        fitted = quick(method="human", epochs=15).fit(digits, DIGITS[:300] % 2, auxiliary=DIGITS[:300])
        found, odd = fitted.predict_auxiliary(digits).astype(int), fitted.predict(digits)
        assert (found % 2 == odd).all()
        assert (found == DIGITS[:300]).mean() > 0.7
        assert fitted.predict_auxiliary_proba(digits).shape == (300, 10)
        assert fitted.auxiliary_names_ == tuple("0246813579")

    def test_given_labels_have_their_names(self) -> None:
        sizes = np.where(X[:, 2] > 3, "long", "short")
        fitted = quick(method="given", epochs=15).fit(X, Y, given=sizes)
        assert (fitted.predict_auxiliary(X) == sizes).mean() > 0.9

    def test_a_method_without_auxiliary_labels_has_none(self) -> None:
        for method in ("single", "vector"):
            with pytest.raises(InputError, match=f"with auxiliary labels to predict, found '{method}'"):
                quick(method=method).fit(X, Y).predict_auxiliary(X)


TEXTS = [f"{word} film number {row}" for row in range(30) for word in ("good", "bad")]
OPINIONS = ["up", "down"] * 30


class TestTextsAndFiles:
    @pytest.mark.parametrize("kind", [list, np.array, pd.Series])
    def test_texts(self, kind: Any) -> None:
        fitted = quick(epochs=20, batch_size=20).fit(kind(TEXTS), OPINIONS)
        assert fitted.score(kind(["good film", "bad film"]), ["up", "down"]) == 1
        assert np.array_equal(fitted.predict_proba(TEXTS), fitted.predict_proba(kind(TEXTS)))

    def test_what_a_text_has_too_much_is_said(self) -> None:
        fitted = quick(validation_fraction=0.2).fit(TEXTS, OPINIONS)
        with pytest.warns(UserWarning, match="1 of 1 texts have more than"):
            fitted.predict(["good " * 200])

    @pytest.fixture
    def files(self, tmp_path: Any) -> list[str]:
        names = []
        for row in range(20):
            names.append(str(tmp_path / f"{row}.png"))
            Image.fromarray((PIXELS[row].reshape(8, 8) * 15).astype(np.uint8)).save(names[-1])
        return names

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_image_files_are_read_as_their_arrays(self, files: list[str]) -> None:
        from pathlib import Path

        arrays = np.stack([np.asarray(Image.open(name)) for name in files])
        expected = quick().fit(arrays, DIGITS[:20] % 2).predict_proba(arrays)
        for names in (files, [Path(name) for name in files], np.array(files)):
            assert np.array_equal(quick().fit(names, DIGITS[:20] % 2).predict_proba(names), expected)
        resized = quick(image_size=16).fit(files, DIGITS[:20] % 2)
        assert resized.n_features_in_ == 256
        assert resized.predict(files[:3]).shape == (3,)

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_wide_images_are_cropped_or_stretched(self, tmp_path: Any) -> None:
        wide = np.repeat(PIXELS[:20].reshape(-1, 8, 8).astype(np.uint8) * 15, 2, axis=2)
        names = [str(tmp_path / f"{row}.png") for row in range(20)]
        for name, image in zip(names, wide, strict=True):
            Image.fromarray(image).save(name)
        middle = np.ascontiguousarray(wide[:, :, 4:12])
        expected = quick().fit(middle, DIGITS[:20] % 2).predict_proba(middle)
        cropped, stretched = (
            quick(image_size=8, resize=resize).fit(names, DIGITS[:20] % 2).predict_proba(names)
            for resize in ("crop", "stretch")
        )
        assert np.array_equal(cropped, expected)
        assert not np.allclose(stretched, expected)

    def test_what_is_refused(self, files: list[str]) -> None:
        with pytest.raises(InputError, match="found 3 in row 1"):
            quick().fit(["good", 3, "bad"], [0, 1, 0])
        with pytest.raises(InputError, match=r"nothing at .*gone\.png"):
            quick().fit([*files, "gone.png"], [0, 1] * 10 + [0])
        with pytest.raises(InputError, match="expected resize to be one of 'crop', 'stretch', found 'fill'"):
            quick(resize="fill").fit(files, [0, 1] * 10)
        with pytest.raises(InputError, match="expected inputs like those that were fitted"):
            quick().fit(X, Y).predict(["good", "bad"])
        with pytest.raises(InputError, match="found texts"):
            quick().fit(PIXELS.reshape(-1, 8, 8)[:40], DIGITS[:40]).predict(["good", "bad"])


def test_weights_reach_tensors_of_a_dataset() -> None:
    class Items(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return 150

        def __getitem__(self, row: int) -> tuple[Tensor, int]:
            return torch.tensor(X[row]).float(), int(Y[row])

    fitted = quick().fit(Items(), sample_weight=np.linspace(1, 2, 150), validation=Items())
    assert "validation_accuracy" in fitted.history_[0]


class TestStart:
    def test_the_head_learns_alone_first(self) -> None:
        none, zero, one = (quick(epochs=1, head_epochs=n).fit(X, Y).network_ for n in (None, 0, 1))
        assert different_weights(one, none)
        assert_same_weights(zero, none)

    def test_networks_start_from_the_weights_in_a_file(self, tmp_path: Path) -> None:
        images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
        file, labels = tmp_path / "own.safetensors", np.arange(8) % 2
        state = timm.create_model("test_resnet").state_dict()
        save_file(state, file)
        options = {"backbone": "timm:test_resnet", "learning_rate": 0.0, "weight_decay": 0.0, "epochs": 1}
        own = quick(weights=str(file), **options).fit(images, labels).network_.trunk.state_dict()
        assert own["conv1.0.weight"].shape == state["conv1.0.weight"].shape
        assert own["layer1.0.conv1.weight"].equal(state["layer1.0.conv1.weight"])
        with pytest.raises(InputError, match="expected a file of weights, found nothing at"):
            quick(weights=str(tmp_path / "none"), **options).fit(images, labels)
        with pytest.raises(InputError, match="for pretrained=True or weights, found Linear"):
            quick(backbone=nn.Linear(4, 2), weights=str(file)).fit(X, Y)
