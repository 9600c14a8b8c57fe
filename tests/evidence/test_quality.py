"""Calibration error and confusion matrix, against values by hand and scikit-learn."""

import pytest
import torch
from sklearn.metrics import confusion_matrix

from metaux.evidence.quality import calibration_error, confusion


@pytest.mark.parametrize(
    ("probabilities", "primary", "expected"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], [0, 1], 0.0),
        ([[1.0, 0.0], [1.0, 0.0]], [1, 1], 1.0),
        ([[0.6, 0.4], [0.9, 0.1]], [1, 0], (0.6 + 0.1) / 2),  # each in a bin of its own
        ([[0.61, 0.39], [0.63, 0.37]], [1, 0], abs(0.5 - 0.62)),  # both in one bin
    ],
)
def test_calibration_error_by_hand(probabilities: list[list[float]], primary: list[int], expected: float) -> None:
    found = calibration_error(torch.tensor(probabilities), torch.tensor(primary))
    assert found == pytest.approx(expected, abs=1e-6)


def test_calibrated_predictions_have_almost_none() -> None:
    stream = torch.Generator().manual_seed(0)
    first = torch.rand(100_000, generator=stream)
    primary = (torch.rand(100_000, generator=stream) > first).long()
    assert calibration_error(torch.stack([first, 1 - first], -1), primary) < 0.01


def test_confusion_is_that_of_scikit_learn() -> None:
    stream = torch.Generator().manual_seed(0)
    predicted, primary = (torch.randint(0, 4, (500,), generator=stream) for _ in range(2))
    assert confusion(predicted, primary, 4).tolist() == confusion_matrix(primary, predicted).tolist()
    assert confusion(predicted[:0], primary[:0], 2).tolist() == [[0, 0], [0, 0]]
