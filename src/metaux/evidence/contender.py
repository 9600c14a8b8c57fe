"""What is compared: the results of a row, seed by seed, and what a gain of it has to beat."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaux.evidence.folds import Whole, ids_of, overlap_of
from metaux.labels.sources import REFERENCES, Role, baselines, entry
from metaux.runs.record import Run


@dataclass(frozen=True)
class Result:
    """What one trained network, or several that predict together, reached on the test samples.

    Args:
        seed: that it is paired by.
        accuracy: on them, as a fraction.
        balanced_accuracy: the mean over classes likewise.
        correct: how often each test sample was right over the reported epochs, float64 `[n]`.
        seconds: of the whole training, preparation included.
        seconds_per_epoch: mean over its epochs; of what has none, all of its seconds.
        ids: which samples it was measured on, in cross-validation.
        overlap: likewise, test samples per training sample.
    """

    seed: int
    accuracy: float
    balanced_accuracy: float
    correct: NDArray[np.float64]
    seconds: float
    seconds_per_epoch: float
    ids: Whole | None = None
    overlap: float = 0.0

    @classmethod
    def of(cls, run: Run) -> "Result":
        """Return what a finished run reached."""
        correct = run.output("test_correct").astype(np.float64)
        own = (run.accuracy, run.balanced_accuracy, correct, run.training_seconds, run.seconds_per_epoch)
        return cls(run.seed, *own, ids_of(run), overlap_of(run.settings))


@dataclass(frozen=True)
class Contender:
    """A row before it is compared.

    Args:
        name: what the table calls it.
        results: one for each seed.
        role: as `Entry.role` of the table of sources.
        baselines: the rows that a gain has to beat, by name.
    """

    name: str
    results: Sequence[Result]
    role: Role = "method"
    baselines: tuple[str, ...] = REFERENCES

    @classmethod
    def of(cls, method: str, runs: Iterable[Run]) -> "Contender":
        """Return the row of a label source, with the role and the baselines that the table of sources gives it."""
        return cls(method, [Result.of(run) for run in runs], entry(method).role, baselines(method))
