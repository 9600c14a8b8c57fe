"""What data-parallel processes tell each other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from metaux.metagradient import Average, alone

if TYPE_CHECKING:
    from metaux.training.fabric import Fabric


def averager(fabric: "Fabric") -> Average:
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


def take_from_first(module: nn.Module, fabric: "Fabric") -> None:
    """Give every process the first one's parameters and buffers: what each computed may differ by rounding on a GPU."""
    if fabric.world_size == 1:
        return
    own = [*module.parameters(), *module.buffers()]
    first = fabric.broadcast([tensor.detach().cpu() for tensor in own])
    with torch.no_grad():
        for tensor, value in zip(own, first, strict=True):
            tensor.copy_(value)
