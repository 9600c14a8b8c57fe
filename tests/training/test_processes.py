"""Data parallelism: processes with a share of each batch learn what one process would."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from metaux.labels.registry import SOURCES
from small import trainer

PROCESSES = 3


def averaged(gradients: Sequence[Sequence[Tensor]], counts: Sequence[int]) -> list[Tensor]:
    """Return what the processes' average would, of what each of them gives to it."""
    return [
        torch.stack([count * part for count, part in zip(counts, parts, strict=True)]).sum(0) / sum(counts)
        for parts in zip(*gradients, strict=True)
    ]


@pytest.mark.parametrize("views", ["together", "apart"])
def test_uneven_shares_average_to_the_gradient_of_one_process(views: str) -> None:
    def gradients(rank: int, processes: int) -> tuple[list[Tensor], int]:
        made = trainer(
            SOURCES["rotation"], trunk=lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU()), views=views
        )
        given: list[tuple[list[Tensor], int]] = []

        def average(tensors: Sequence[Tensor], count: int) -> list[Tensor]:
            given.append((list(tensors), count))
            return list(tensors)

        made.loader.share, made.average = (rank, processes), average
        made._train(made._batch(made._orders(0), 3, "train", 0))
        return given[0]

    [(whole, _), *shares] = [gradients(0, 1), *(gradients(rank, PROCESSES) for rank in range(PROCESSES))]
    found, counts = zip(*shares, strict=True)
    assert len(set(counts)) > 1
    torch.testing.assert_close(averaged(found, counts), whole)
