"""The scikit-learn door: its contract, every kind of input, and the errors."""

import copy
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from metaux import InputError, LabelSource, MetauxClassifier, MultiTaskNetwork
from metaux.errors import TrainingError
from metaux.hierarchy import Hierarchy
from metaux.labels.controls import Uniform
from metaux.protocols import ICLR, TUNED, Protocol
from properties import assert_same_weights, different_weights

Array = np.ndarray[Any, Any]
X, Y = load_digits(return_X_y=True)
IMAGES = X.reshape(-1, 8, 8)
PIXELS = torch.from_numpy(IMAGES).to(torch.uint8).unsqueeze(1)
TRAIN, TEST = slice(0, 400), slice(400, 800)
FLOWERS, KINDS = load_iris(return_X_y=True)


def quick(**changes: Any) -> MetauxClassifier:
    return MetauxClassifier(**{"method": "maxl", "epochs": 2, "subclasses": 2, "random_state": 0, **changes})


def labels_of(classifier: MetauxClassifier) -> Array:
    assert classifier.labels_ is not None
    return classifier.labels_


# What scikit-learn expects of its own estimators that draw batches, too.
UNEQUAL = {
    "check_sample_weight_equivalence_on_dense_data": "repeated samples change the batches, the order and the means"
}


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [MetauxClassifier(method="maxl", epochs=6, batch_size=60, subclasses=2)],
    expected_failed_checks=lambda _: UNEQUAL,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_contract(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def fitted_bits(method: str, seed: int) -> list[Tensor]:
    classifier = quick(method=method, random_state=seed).fit(FLOWERS, KINDS)
    return [*classifier.network_.state_dict().values(), torch.from_numpy(classifier.predict_proba(FLOWERS))]


def global_states() -> tuple[Any, ...]:
    numpys = np.random.get_state()  # noqa: NPY002
    return random.getstate(), str(numpys), torch.get_rng_state().tolist(), torch.get_num_threads()


class TestThreads:
    """Two fits at a time do what each does alone, and leave the global generators as they were."""

    FITS = tuple((method, seed) for method in ("maxl", "random") for seed in (0, 1))

    def test_of_joblib(self) -> None:
        before = global_states()
        alone = [fitted_bits(*fit) for fit in self.FITS]
        side_by_side = Parallel(n_jobs=4, backend="threading")(delayed(fitted_bits)(*fit) for fit in self.FITS)
        for first, second in zip(alone, side_by_side, strict=True):
            assert all(ours.equal(theirs) for ours, theirs in zip(first, second, strict=True))
        assert global_states() == before

    def test_of_optuna(self) -> None:
        optuna = pytest.importorskip("optuna")
        optuna.logging.set_verbosity(optuna.logging.ERROR)

        def accuracy(trial: Any) -> float:
            rate = trial.suggest_categorical("rate", [0.01, 0.1])
            return float(quick(learning_rate=rate).fit(FLOWERS, KINDS).score(FLOWERS, KINDS))

        def values(jobs: int) -> dict[float, float]:
            study = optuna.create_study(sampler=optuna.samplers.GridSampler({"rate": [0.01, 0.1]}, seed=0))
            study.optimize(accuracy, n_trials=2, n_jobs=jobs)
            return {trial.params["rate"]: trial.value for trial in study.trials}

        assert values(1) == values(2)

    def test_of_a_dataset_that_draws(self) -> None:
        class Noisy(Dataset[Any]):
            def __len__(self) -> int:
                return 60

            def __getitem__(self, row: int) -> tuple[Tensor, int]:
                noise = torch.rand(4) + random.random() + np.random.random()  # noqa: NPY002
                return torch.tensor(FLOWERS[row], dtype=torch.float32) + noise, int(KINDS[row])

        losses, before = [], global_states()
        for _ in range(2):
            losses.append(quick().fit(Noisy()).history_[-1]["train_loss"])
            assert global_states() == before
            for draw in (torch.rand, np.random.random, lambda _: random.random()):
                draw(1)
            before = global_states()
        assert losses[0] == losses[1]

    def test_without_gradients(self) -> None:
        alone = fitted_bits("maxl", 0)
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                assert all(ours.equal(theirs) for ours, theirs in zip(fitted_bits("maxl", 0), alone, strict=True))


def test_auto_is_what_did_best_on_data_of_the_kind() -> None:
    def of(x: Any, method: str) -> dict[str, Any]:
        classifier = MetauxClassifier(method=method, epochs=1, random_state=0).fit(x[:40], Y[:40])
        return {name: weights.tolist() for name, weights in classifier.network_.state_dict().items()}

    assert MetauxClassifier().method == "auto"
    assert of(IMAGES, "auto") == of(IMAGES, "transformation") != of(IMAGES, "single")
    assert of(X, "auto") == of(X, "single")


def test_the_defaults_learn_digits() -> None:
    classifier = MetauxClassifier(random_state=0, epochs=10).fit(X[:1000], Y[:1000])
    assert classifier.score(X[1000:], Y[1000:]) > 0.9
    assert classifier.classes_.tolist() == list(range(10))
    assert classifier.hierarchy_.slots == (5,) * 10
    assert classifier.n_features_in_ == 64
    assert isinstance(classifier.network_, MultiTaskNetwork)
    assert [record["epoch"] for record in classifier.history_] == list(range(1, 11))
    assert not any(name.startswith("test_") for name in classifier.history_[0])
    probabilities = classifier.predict_proba(X[1000:])
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert (probabilities.argmax(1) == classifier.predict(X[1000:])).all()


class Digits(Dataset[Any]):
    """Items as torchvision's data sets give them."""

    def __init__(self, rows: slice, labelled: bool = True):
        self.images, self.labels, self.labelled = PIXELS[rows], Y[rows], labelled

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return (self.images[index], int(self.labels[index])) if self.labelled else self.images[index]


def test_the_same_images_in_every_form() -> None:
    classifier = quick(epochs=3, batch_size=20).fit(IMAGES[TRAIN], Y[TRAIN])
    expected = classifier.predict_proba(IMAGES[TEST])
    assert classifier.score(IMAGES[TEST], Y[TEST]) > 0.7
    assert classifier.n_features_in_ == 64
    whole = IMAGES.astype(np.uint8)
    whole.flags.writeable = False
    for images in (whole[TEST], PIXELS[TEST], Digits(TEST), Digits(TEST, labelled=False)):
        np.testing.assert_array_equal(classifier.predict_proba(images), expected)
    few, labels = slice(0, 60), torch.from_numpy(Y[:60])
    channels_last = PIXELS[few].permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    expected = quick().fit(IMAGES[few], labels).predict_proba(whole)
    for x in (whole[few], whole[few, ..., None], PIXELS[few], channels_last, Digits(few, labelled=False)):
        np.testing.assert_array_equal(quick().fit(x, labels).predict_proba(whole), expected)
    np.testing.assert_array_equal(quick().fit(Digits(few)).predict_proba(whole), expected)


def test_images_from_0_to_1_stay_so_when_they_are_dark() -> None:
    unit = IMAGES / 16
    classifier = quick(augment="crop", class_weight="balanced").fit(unit[TRAIN], Y[TRAIN])
    dark = np.minimum(unit[:5], 0.5)
    np.testing.assert_allclose(
        classifier.predict_proba(dark), classifier.predict_proba(np.concatenate([dark, unit[5:9]]))[:5], rtol=1e-4
    )
    with pytest.raises(ValueError, match="expected image values from 0 to 1 in X, found"):
        classifier.predict(IMAGES[TEST])


def test_the_same_table_in_every_form() -> None:
    expected = quick().fit(FLOWERS, KINDS).predict_proba(FLOWERS)
    frame = pd.DataFrame(FLOWERS, columns=list("abcd"))
    tensor = torch.from_numpy(FLOWERS)
    labelled = TensorDataset(tensor, torch.from_numpy(KINDS))
    for table in (FLOWERS.tolist(), np.asfortranarray(FLOWERS), frame, tensor, TensorDataset(tensor)):
        np.testing.assert_array_equal(quick().fit(table, KINDS).predict_proba(table), expected)
    np.testing.assert_array_equal(quick().fit(labelled).predict_proba(labelled), expected)
    assert quick().fit(frame, KINDS).feature_names_in_.tolist() == list("abcd")
    refitted = quick().fit(frame, KINDS).fit(IMAGES[:50], Y[:50])
    with pytest.raises(AttributeError):
        _ = refitted.feature_names_in_


class MeanOfWords(nn.Module):
    """A text network: the mean of word vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 16)
        self.layer = nn.Linear(16, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        features: Tensor = self.layer(self.words(tokens).mean(1)).relu()
        return features


def texts(count: int, length: int) -> tuple[Tensor, list[str]]:
    """Return texts whose second half of the vocabulary says that they are good."""
    generator = torch.Generator().manual_seed(length)
    good = torch.rand(count, 1, generator=generator) < 0.5
    tokens = torch.randint(0, 12, (count, length), generator=generator) + 8 * good
    return tokens, ["good" if positive else "bad" for positive in good]


def test_a_text_network() -> None:
    tokens, opinions = texts(200, 12)
    classifier = quick(backbone=MeanOfWords, epochs=8, batch_size=20).fit(tokens, opinions)
    assert classifier.classes_.tolist() == ["bad", "good"]
    assert classifier.score(*texts(100, 9)) > 0.95


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 8), nn.Linear(2, 8)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        features: Tensor = (self.first(first) + self.second(second)).relu()
        return features


def test_a_network_with_two_inputs() -> None:
    flowers = torch.from_numpy(FLOWERS).float()
    data = TensorDataset(flowers[:, :2], flowers[:, 2:], torch.from_numpy(KINDS))
    classifier = quick(backbone=TwoInputs, epochs=10, batch_size=25).fit(data)
    assert classifier.score(data, KINDS) > 0.8
    inputs = TensorDataset(*data.tensors[:2])
    np.testing.assert_array_equal(classifier.predict(inputs), classifier.predict(data))


def test_a_network_of_volumes() -> None:
    x, y = torch.rand(40, 1, 4, 6, 6), torch.arange(40) % 2
    trunk = nn.Sequential(nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.Flatten())
    classifier = quick(backbone=trunk).fit(x, y)
    assert classifier.predict(x).shape == (40,)


def test_a_module_is_copied_and_never_changed() -> None:
    backbone = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
    before = copy.deepcopy(backbone)
    classifier = quick(backbone=backbone).fit(FLOWERS, KINDS)
    assert classifier.backbone is backbone
    assert_same_weights(backbone, before)
    assert {"0.weight", "1.running_mean"} <= {*different_weights(classifier.network_.trunk, before)}


def test_pickles_and_clones() -> None:
    classifier = quick(backbone="mlp").fit(X[TRAIN], Y[TRAIN])
    expected = classifier.predict_proba(X[TEST])
    content = pickle.dumps(classifier)
    np.testing.assert_array_equal(pickle.loads(content).predict_proba(X[TEST]), expected)
    weights = sum(value.numel() * value.element_size() for value in classifier.network_.state_dict().values())
    assert len(content) < weights + labels_of(classifier).nbytes + 30_000
    copied = clone(classifier)
    assert copied.get_params() == classifier.get_params()
    np.testing.assert_array_equal(copied.fit(X[TRAIN], Y[TRAIN]).predict_proba(X[TEST]), expected)


def test_random_state_decides_all_and_the_global_state_is_kept() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    first = quick().fit(FLOWERS, KINDS).predict_proba(FLOWERS)
    torch.rand(3)
    assert (quick().fit(FLOWERS, KINDS).predict_proba(FLOWERS) == first).all()
    assert (quick(random_state=1).fit(FLOWERS, KINDS).predict_proba(FLOWERS) != first).any()
    generators = [np.random.RandomState(3) for _ in range(2)]
    one, two = (quick(random_state=r).fit(FLOWERS, KINDS).predict_proba(FLOWERS) for r in generators)
    assert (one == two).all()
    torch.set_rng_state(state)
    quick().fit(FLOWERS, KINDS).predict(FLOWERS)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_pipeline_search_and_cross_validation() -> None:
    pipeline = make_pipeline(StandardScaler(), quick(epochs=10, batch_size=25))
    assert cross_val_score(pipeline, FLOWERS, KINDS, cv=3).mean() > 0.8
    search = GridSearchCV(
        quick(),
        {"method": ["single", "maxl"], "subclasses": np.array([1, 3]), "learning_rate": np.array([0.05])},
        cv=2,
    )
    search.fit(FLOWERS, KINDS)
    assert len(search.cv_results_["params"]) == 4
    assert search.predict(FLOWERS).shape == (150,)


def test_a_fit_that_fails_leaves_the_classifier_as_it_was() -> None:
    flowers = pd.DataFrame(FLOWERS, columns=list("abcd"))
    classifier = quick(epochs=1).fit(flowers, KINDS)
    before, expected = dict(vars(classifier)), classifier.predict_proba(flowers)
    for x, y, changes, error in (
        (X, Y, {"learning_rate": 1e6, "epochs": 30}, TrainingError),
        (IMAGES, Y, {"backbone": "mpl"}, InputError),
        (FLOWERS[:, :3], ["one class"] * len(KINDS), {}, InputError),
    ):
        classifier.set_params(**changes)
        with pytest.raises(error):
            classifier.fit(x, y)
        assert all(getattr(classifier, name) is before[name] for name in before if name.endswith("_"))
        assert (classifier.predict_proba(flowers) == expected).all()


def test_auxiliary_labels_set_the_hierarchy() -> None:
    parity = np.where(Y % 2, "odd", "even")
    classifier = quick(method="human").fit(X[TRAIN], parity[TRAIN], auxiliary=Y[TRAIN])
    assert classifier.hierarchy_.class_names == ("even", "odd")
    assert classifier.hierarchy_.subclass_names == tuple("0246813579")
    assert labels_of(classifier).argmax(1).tolist() == (Y[TRAIN] // 2).tolist()
    compared = quick().fit(X[TRAIN], parity[TRAIN], auxiliary=Y[TRAIN])
    assert compared.hierarchy_.slots == (5, 5)
    assert 0 <= compared.history_[-1]["label_human_nmi"] <= 1
    with pytest.raises(ValueError, match="method human needs finer labels"):
        quick(method="human").fit(X[TRAIN], parity[TRAIN])
    with pytest.raises(ValueError, match="the finer label '0' stands under both"):
        quick().fit(X[TRAIN], Y[TRAIN] % 3, auxiliary=Y[TRAIN] % 2)


def test_given_labels_are_learned_beside_the_classes() -> None:
    thirds = np.array(["none", "one", "two"])[Y % 3]
    classifier = quick(method="given", epochs=10).fit(X[TRAIN], Y[TRAIN] % 2, given=thirds[TRAIN])
    assert classifier.labels_ is None
    assert classifier.score(X[TEST], Y[TEST] % 2) > 0.8
    network = classifier.network_
    standardised = torch.from_numpy((X[TEST] - X[TRAIN].mean(0)) / np.maximum(X[TRAIN].std(0), 1e-6)).float()
    found = network(standardised).auxiliary.argmax(-1).numpy()
    assert (np.array(["none", "one", "two"])[found] == thirds[TEST]).mean() > 0.7
    with pytest.raises(ValueError, match="method given needs labels of another kind"):
        quick(method="given").fit(X[TRAIN], Y[TRAIN])
    with pytest.raises(ValueError, match="two different given labels or more, found one only"):
        quick(method="given").fit(X[TRAIN], Y[TRAIN], given=np.zeros(400, dtype=int))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        quick(method="given").fit(X[TRAIN], Y[TRAIN], given=thirds)


@pytest.mark.parametrize("method", ["single", "uniform", "random", "frozen", "kmeans", Uniform])
def test_every_method(method: Any) -> None:
    classifier = quick(method=method, subclasses=[1, 2, 3]).fit(FLOWERS, KINDS)
    assert (classifier.labels_ is None) == (method == "single")
    assert classifier.predict_proba(FLOWERS).shape == (150, 3)


class Doubting(LabelSource):
    """A source with a rule of its own for predicting, learned from the data."""

    def prepare(self, preparation: Any) -> None:
        self.register_buffer("prior", torch.bincount(preparation.samples.primary).float().log())

    def predict(self, network: MultiTaskNetwork, inputs: tuple[Tensor, ...]) -> Tensor:
        return self.get_buffer("prior").expand(len(inputs[0]), -1)


def test_a_source_may_predict_by_a_rule_of_its_own() -> None:
    classifier = quick(method=Doubting).fit(FLOWERS[40:], KINDS[40:])
    share = np.array([10, 50, 50]) / 110
    np.testing.assert_allclose(pickle.loads(pickle.dumps(classifier)).predict_proba(FLOWERS[:2]), [share] * 2, 1e-5)


@pytest.mark.parametrize("protocol", ["iclr", ICLR])
def test_a_protocol_with_a_meta_split(protocol: str | Protocol) -> None:
    classifier = quick(protocol=protocol).fit(FLOWERS, KINDS)
    assert np.isnan(labels_of(classifier)).any(1).sum() == 15
    assert len(classifier.history_) == 2


def test_a_protocol_of_ones_own() -> None:
    own = quick(protocol=replace(TUNED, name="own", momentum=0.0), epochs=None, batch_size=150)
    assert len(own.fit(FLOWERS, KINDS).history_) == TUNED.epochs
    expected, named = quick(protocol=TUNED).fit(FLOWERS, KINDS), quick().fit(FLOWERS, KINDS)
    np.testing.assert_array_equal(named.predict_proba(FLOWERS), expected.predict_proba(FLOWERS))
    assert (own.predict_proba(FLOWERS) != expected.predict_proba(FLOWERS)).any()


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["a", "b", "c"])[KINDS],
        pd.Series(np.array(["a", "b", "c"])[KINDS], dtype="category"),
        KINDS == 1,
        KINDS.astype(float) * 10 - 10,
        [("kind", int(kind)) for kind in KINDS],
        np.array([b"two", 1, "three"], dtype=object)[KINDS],
    ],
    ids=["strings", "categories", "bools", "floats", "tuples", "without order"],
)
def test_any_labels(labels: Any) -> None:
    predicted = quick(epochs=6, batch_size=30).fit(FLOWERS, labels).predict(FLOWERS)
    assert np.mean([one == other for one, other in zip(predicted.tolist(), list(labels), strict=True)]) > 0.6


def test_a_class_smaller_than_its_number_of_subclasses() -> None:
    rows = np.r_[0:1, 50:150]
    classifier = quick(subclasses=5, batch_size=10).fit(FLOWERS[rows], KINDS[rows])
    assert labels_of(classifier).shape == (101, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "maxx"}, "maxx"),
        ({"method": "recorded"}, "recorded"),
        ({"method": lambda hierarchy, protocol: None}, "expected method to return a LabelSource, found NoneType"),
        ({"method": 3}, "expected method to be a name or a callable"),
        ({"backbone": "mpl"}, "mpl"),
        ({"backbone": 3}, "expected backbone to be a name, a torch module or a callable"),
        ({"backbone": dict}, "found dict"),
        ({"backbone": nn.Linear(3, 2)}, "cannot take inputs of shape"),
        ({"protocol": "tunde"}, "tunde"),
        ({"epochs": 0}, "expected epochs of at least 1, found 0"),
        ({"epochs": "many"}, "expected epochs to be"),
        ({"learning_rate": -1.0}, "expected learning_rate of at least 0"),
        ({"subclasses": 0}, "each at least 1, found 0; correct subclasses"),
        ({"subclasses": None}, "each at least 1, found None"),
        ({"subclasses": [1, 2]}, "one for each of the 3 classes, .* found 1 2"),
        ({"augment": "crop"}, "expected images"),
        ({"device": "gpu"}, "device"),
        ({"precision": "8"}, "expected precision to be"),
        ({"class_weight": "heavy"}, "expected class_weight to be None, .balanced. or a dict"),
        ({"meta_gradient": "exact"}, "expected meta_gradient to be"),
        ({"threads": 0}, "expected threads of at least 1"),
    ],
)
def test_bad_parameters(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        quick(**changes).fit(FLOWERS, KINDS)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(())


class Items(Dataset[Any]):
    def __init__(self, *items: Any):
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (FLOWERS, KINDS * 0, "found one class only"),
        (FLOWERS, None, "requires y"),
        (FLOWERS, KINDS[1:], "inconsistent numbers of samples"),
        (1.7e9 + np.arange(150)[:, None], KINDS, "float32 can tell apart in X, column 0"),
        (FLOWERS, FLOWERS[:, 0], "Unknown label type"),
        (IMAGES - 1, Y, "expected image values from 0 to 255 in X"),
        (np.full((150, 4, 4), np.nan), KINDS, "expected finite numbers in X"),
        (np.zeros((150, 4, 4, 3, 1)), KINDS, "reshape it"),
        (torch.full((150, 3, 4, 4), torch.nan), KINDS, "expected finite numbers in X"),
        (torch.zeros(0, 3, 4, 4), [], "one sample or more"),
        (Stream(), None, "expected a map-style Dataset"),
        ([np.zeros((4, 4)), np.zeros((5, 4))] * 75, KINDS, "expected samples of one shape"),
        (np.ma.masked_less(FLOWERS, 0.2), KINDS, "expected a value for everything in X, found 5 masked"),
        (IMAGES, np.ma.masked_equal(Y, 9), "expected a value for everything in y, found"),
        (FLOWERS, np.array([None, "a"] * 75), "expected a label for every sample in y, found None"),
        (Items(), None, "no values per item"),
        (Items(torch.zeros(3)), None, "items \\(input, label\\)"),
        (Items((torch.zeros(3), 0), (torch.zeros(4), 1)), None, "pad or resize"),
        (Items(("text", 0), ("text", 1)), None, "expected tensors as the inputs of a Dataset, found str"),
    ],
)
def test_bad_data(x: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quick().fit(x, y)


def test_numbers_in_bfloat16_are_those_in_single_precision() -> None:
    x = torch.tensor(FLOWERS).bfloat16()
    fitted = quick().fit(x, KINDS).predict_proba(x)
    assert np.array_equal(fitted, quick().fit(x.float(), KINDS).predict_proba(x.float()))


def test_predicting_for_inputs_of_another_form() -> None:
    table, images = quick().fit(FLOWERS, KINDS), quick().fit(IMAGES[:100], Y[:100])
    for fitted, x in ((table, IMAGES), (images, FLOWERS), (images, IMAGES[:, 1:]), (images, PIXELS.float())):
        with pytest.raises(InputError, match="expected inputs like those that were fitted"):
            fitted.predict(x)
    with pytest.raises(ValueError, match="expecting 4 features"):
        table.predict(X)


def test_a_hierarchy_is_handed_to_a_source_of_ones_own() -> None:
    given: list[Hierarchy] = []

    def source(hierarchy: Hierarchy, protocol: Protocol) -> LabelSource:
        given.append(hierarchy)
        return Uniform(hierarchy, protocol)

    quick(method=source, subclasses=np.int64(4)).fit(FLOWERS, KINDS)
    assert given[0].slots == (4, 4, 4)


def test_features_of_the_estimators_own_backbone() -> None:
    made: list[nn.Module] = []

    def backbone() -> nn.Module:
        made.append(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
        return made[-1]

    x, y = load_digits(return_X_y=True)
    images = x[:60].reshape(-1, 8, 8)
    plain = MetauxClassifier(backbone, method="kmeans", subclasses=2, epochs=1, random_state=0).fit(images, y[:60] % 2)
    without = len(made)
    plain.set_params(features="rotations").fit(images, y[:60] % 2)
    assert len(made) == 2 * without + 1


def test_image_values_of_another_range_than_fitted_are_refused() -> None:
    fitted = quick().fit(IMAGES[:100], Y[:100])
    with pytest.raises(InputError, match="expected image values from 0 to 255 in X, as before, found 0 to 1"):
        fitted.predict(IMAGES[100:110] / 255)


def test_a_method_that_needs_a_meta_split_says_so() -> None:
    with pytest.raises(InputError, match="expected a protocol with a meta split for single-split, found 'tuned'"):
        quick(method="single-split").fit(FLOWERS, KINDS)


def test_what_was_computed_for_a_device_is_not_pickled() -> None:
    fitted = quick().fit(IMAGES[:100], Y[:100])
    fitted.predict(IMAGES[:5])
    kept: list[Any] = [fitted._preprocess, fitted.hierarchy_]
    for own in kept:
        again = pickle.loads(pickle.dumps(own))
        assert again == own
        assert set(vars(again)) == {field.name for field in fields(own)}
