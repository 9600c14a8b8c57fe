"""The autoencoder reconstructs what it has learned, and does so to the same bits again."""

import pytest
import torch

from metaux import InputError
from metaux.data.samples import Samples
from metaux.networks.autoencoder import Autoencoder
from metaux.training.teachers import train_autoencoder
from small import digits, normalise

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (3, 16, 16), (3, 15, 20), (1, 28, 28), (2, 1, 5), (3, 33, 64), (4,), (100,)]
)
def test_any_image_or_table_comes_back_in_its_shape(shape: tuple[int, ...]) -> None:
    autoencoder = Autoencoder(shape)
    x = torch.zeros(2, *shape)
    assert autoencoder(x).shape == x.shape
    values = x[0].numel()
    assert autoencoder.encode(x).shape == (2, max(2, min(64, values // 4)))


def test_reconstructs_far_better_than_the_mean_image_and_to_the_same_bits_again() -> None:
    data = digits(400)
    first, second = (train_autoencoder(data.train, normalise, 0, CPU) for _ in range(2))
    assert all(a.equal(b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    [train], [test] = normalise(data.train.inputs), normalise(data.test.inputs)
    with torch.no_grad():
        error = (first(test) - test).square().mean()
    assert error < 0.35 * (train.mean(0) - test).square().mean()


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ((torch.zeros(4, 3, 5),), r"found samples of shape \[3, 5\]"),
        ((torch.zeros(4, 3), torch.zeros(4, 3)), "found 2 inputs of type float32, float32"),
        ((torch.zeros(4, 3).long(),), "found 1 inputs of type int64"),
    ],
)
def test_other_inputs_are_refused(inputs: tuple[torch.Tensor, ...], found: str) -> None:
    with pytest.raises(InputError, match=f"expected images or tables for an autoencoder, {found}"):
        train_autoencoder(Samples(inputs, torch.zeros(4).long()), lambda x: x, 0, CPU)
