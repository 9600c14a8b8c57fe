"""A run's threads are also those of libraries that are loaded when it has begun."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn import cluster, linear_model
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

from metaux.data.sources import load
from metaux.labels.kmeans import k_means
from metaux.runs.classical import rehearse
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.devices import computing

SEVERAL = 2


def most_threads() -> int:
    """Return those of the libraries for linear algebra; torch has its own."""
    return max(int(library["num_threads"]) for library in threadpool_info() if library["user_api"] == "blas")


@pytest.fixture
def loaded_late() -> Iterator[list[int]]:
    """Enter a run of one thread, then load a library with threads of its own; note how many a fit sees."""
    seen: list[int] = []
    with computing(1), threadpool_limits(SEVERAL, "blas"):
        yield seen


@pytest.mark.skipif((os.cpu_count() or 1) < SEVERAL, reason="one CPU has one thread")
def test_clusters(loaded_late: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    class Seen(cluster.KMeans):  # type: ignore[misc]
        def fit_predict(self, *arguments: Any) -> Any:
            loaded_late.append(most_threads())
            return super().fit_predict(*arguments)

    monkeypatch.setattr(cluster, "KMeans", Seen)
    k_means(np.eye(8), 2, 0)
    assert (loaded_late, most_threads()) == ([1], SEVERAL)


@pytest.mark.skipif((os.cpu_count() or 1) < SEVERAL, reason="one CPU has one thread")
def test_classical_models(loaded_late: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    class Seen(LogisticRegression):  # type: ignore[misc]
        def fit(self, *arguments: Any) -> Any:
            loaded_late.append(most_threads())
            return super().fit(*arguments)

    Seen.__name__ = "LogisticRegression"  # pipelines name their steps by it
    monkeypatch.setattr(linear_model, "LogisticRegression", Seen)
    settings = Settings(data="iris")
    with monkeypatch.context() as patched:
        patched.setattr("metaux.runs.classical.computing", lambda _: threadpool_limits(SEVERAL, "blas"))
        rehearse(Trial(settings, "logistic-regression", 0), load(settings))
    assert set(loaded_late) == {1}
