"""How good probabilities are, beyond accuracy."""

import torch
from torch import Tensor

BINS = 15


def calibration_error(probabilities: Tensor, primary: Tensor) -> float:
    """Return the expected calibration error: |confidence - accuracy| in 15 bins of equal width, weighted by their use.

    Args:
        probabilities: `[n, classes]`.
        primary: the true classes, int64 `[n]`.

    Source: Guo et al., On calibration of modern neural networks (ICML 2017).

    >>> calibration_error(torch.tensor([[0.75, 0.25], [0.75, 0.25]]), torch.tensor([0, 1]))
    0.25
    """
    confidence, predicted = probabilities.double().max(-1)
    gaps = (predicted == primary).double() - confidence
    place = (confidence * BINS).long().clamp(max=BINS - 1)
    return float(torch.zeros(BINS, dtype=torch.float64).index_add(0, place, gaps).abs().sum() / len(primary))


def confusion(predicted: Tensor, primary: Tensor, classes: int) -> Tensor:
    """Return how many samples of each true class (row) were predicted as each class (column), int64.

    >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    return (primary * classes + predicted).bincount(minlength=classes**2).view(classes, classes)
