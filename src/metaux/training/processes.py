"""Averages over data-parallel processes."""

from collections.abc import Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor

from metaux.metagradient import Average, alone


def averager(fabric: Fabric) -> Average:
    """Return the mean over processes, weighted by each one's number of samples; with one process, the tensors.

    One message carries all tensors, whatever their number.
    """
    if fabric.world_size == 1:
        return alone

    def average(tensors: Sequence[Tensor], count: int) -> list[Tensor]:
        if not tensors:
            return []
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors] + [tensors[0].new_ones(1)]) * count
        total = fabric.all_reduce(flat, reduce_op="sum")
        assert isinstance(total, Tensor)
        parts = (total[:-1] / total[-1]).split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    return average
