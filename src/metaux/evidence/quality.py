"""How good probabilities are, beyond accuracy."""

from typing import NamedTuple

import torch
from torch import Tensor

BINS = 15


class Bin(NamedTuple):
    """Samples of similar confidence: how many, their mean confidence, and their accuracy."""

    samples: int
    confidence: float
    accuracy: float


def calibration_error(probabilities: Tensor, primary: Tensor) -> float:
    """Return the expected calibration error: |confidence - accuracy| in 15 bins of equal width, weighted by their use.

    Args:
        probabilities: `[n, classes]`.
        primary: the true classes, int64 `[n]`.

    Source: Guo et al., On calibration of modern neural networks (ICML 2017).

    >>> calibration_error(torch.tensor([[0.75, 0.25], [0.75, 0.25]]), torch.tensor([0, 1]))
    0.25
    """
    confidence, right, place = _binned(probabilities, primary)
    gaps = torch.zeros(BINS, dtype=torch.float64).index_add(0, place, right - confidence)
    return float(gaps.abs().sum() / len(primary))


def reliability(probabilities: Tensor, primary: Tensor) -> list[Bin]:
    """Return the bins of `calibration_error` that hold samples, ascending by confidence.

    >>> reliability(torch.tensor([[0.75, 0.25], [0.75, 0.25]]), torch.tensor([0, 1]))
    [Bin(samples=2, confidence=0.75, accuracy=0.5)]
    """
    confidence, right, place = _binned(probabilities, primary)
    counts = place.bincount(minlength=BINS)
    means = [place.bincount(values, BINS) / counts for values in (confidence, right)]
    return [Bin(*each) for each in zip(*(column.tolist() for column in (counts, *means)), strict=True) if each[0]]


def _binned(probabilities: Tensor, primary: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each sample's confidence, whether it is right, and its bin."""
    confidence, predicted = probabilities.double().max(-1)
    return confidence, (predicted == primary).double(), (confidence * BINS).long().clamp(max=BINS - 1)


def confusion(predicted: Tensor, primary: Tensor, classes: int) -> Tensor:
    """Return how many samples of each true class (row) were predicted as each class (column), int64.

    >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return (primary * classes + predicted).bincount(minlength=classes**2).view(classes, classes)
