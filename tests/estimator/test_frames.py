"""`MetauxClassifier` on data frames, odd labels and in odd surroundings."""

import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris

from metaux import MetauxClassifier
from metaux.errors import InputError

X, Y = load_iris(return_X_y=True)


def quick(**changes: Any) -> MetauxClassifier:
    return MetauxClassifier(**{"method": "single", "epochs": 2, "random_state": 0, **changes})


@pytest.fixture
def frame() -> pd.DataFrame:
    rows = np.arange(60)
    return pd.DataFrame(
        {
            "size": pd.array([None if row % 7 == 0 else row * 3 % 11 for row in rows.tolist()], dtype="Int64"),
            "colour": pd.Categorical(np.array(["red", "blue"])[rows % 2]),
            "name": pd.array([None if row % 9 == 0 else f"kind {row % 3}" for row in rows], dtype="string"),
            "day": pd.date_range("2020-01-01", periods=60),
            "same": 3,
        }
    )


LABELS = np.array(["x", "y"])[np.arange(60) // 3 % 2]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_data_frame_of_any_columns(frame: pd.DataFrame) -> None:
    fitted = quick().fit(frame, LABELS)
    assert fitted.feature_names_in_.tolist() == list(frame)
    assert (fitted.n_features_in_, fitted.predict(frame).shape) == (5, (60,))
    expected = frame["size"].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    assert fitted._form.columns[0].fill == np.nanmedian(expected)
    plain = frame.astype({"size": float, "name": object, "colour": object})
    assert np.array_equal(fitted.predict_proba(plain), fitted.predict_proba(frame))
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.predict(frame[list(frame)[::-1]])
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame.rename(columns={"size": "sice"}))


def test_what_became_of_it_is_warned_of(frame: pd.DataFrame) -> None:
    with pytest.warns(UserWarning, match=r"left out: 'same' \(always '3.*16 missing values \('size' 9, 'name' 7"):
        fitted = quick().fit(frame, LABELS)
    with pytest.warns(UserWarning, match=r"60 of 60 cells of column 'colour' .*\('pink'\): they count as other"):
        fitted.predict(frame.assign(colour="pink"))


def test_numbers_in_a_data_frame_are_the_array_s() -> None:
    table = pd.DataFrame(X, columns=list("abcd"))
    assert np.array_equal(quick().fit(table, Y).predict_proba(table), quick().fit(X, Y).predict_proba(X))


def test_whole_numbers_that_are_objects() -> None:
    fitted = quick().fit(X, pd.Series(Y, dtype=object))
    assert fitted.classes_.dtype == np.int64
    assert fitted.score(X, pd.Series(Y, dtype=object)) == quick().fit(X, Y).score(X, Y)


@pytest.mark.parametrize("method", ["single", "kmeans"])
def test_any_default_type_and_gradients_that_are_off(method: str) -> None:
    expected = quick(method=method).fit(X, Y).predict_proba(X)
    with torch.no_grad():
        assert np.array_equal(quick(method=method).fit(X, Y).predict_proba(X), expected)
    with torch.inference_mode():
        assert np.array_equal(quick(method=method).fit(X, Y).predict_proba(X), expected)
    try:
        torch.set_default_dtype(torch.float64)
        wide = quick(method=method, epochs=20).fit(X, Y)
        found = wide.predict_proba(X)
        assert wide.score(X, Y) > 0.8
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(wide.predict_proba(X), found, atol=1e-5)


def test_threads_change_no_bit_and_no_generator_of_the_caller() -> None:
    serial = [quick(random_state=seed).fit(X, Y).predict_proba(X) for seed in range(3)]
    found: dict[int, Any] = {}

    def work(seed: int) -> None:
        found[seed] = quick(random_state=seed).fit(X, Y).predict_proba(X)

    torch.manual_seed(1)
    before = torch.get_rng_state(), torch.get_num_threads()
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.get_rng_state().equal(before[0])
    assert torch.get_num_threads() == before[1]
    assert all(np.array_equal(found[seed], serial[seed]) for seed in range(3))


def test_the_range_of_images_is_stated_or_refused() -> None:
    images = np.random.default_rng(0).uniform(0, 16, (20, 8, 8))
    labels = np.arange(20) % 2
    with pytest.raises(InputError, match=r"found fractions up to 1.*pixel_range in Python"):
        quick().fit(images, labels)
    stated = quick(pixel_range=(0, 16)).fit(images, labels)
    assert np.array_equal(stated.predict_proba(images), quick().fit(images / 16, labels).predict_proba(images / 16))
