"""Labels over all sub-classes, and the same over the slots of each sample's own class, which take less room."""

import torch
from torch import Tensor

from metaux.hierarchy import Hierarchy
from metaux.transfer import to_device


def own_slots(labels: Tensor, primary: Tensor, hierarchy: Hierarchy) -> Tensor:
    """Return each sample's label over the slots of its own class only, `[n, max(psi)]`, zero past the last slot."""
    slots = torch.arange(max(hierarchy.slots), device=labels.device)
    counts = torch.tensor(hierarchy.slots, device=labels.device)[primary]
    flat = hierarchy.offsets.to(labels.device)[primary].unsqueeze(-1) + slots
    return labels.gather(-1, flat.clamp(max=hierarchy.size - 1)) * (slots < counts.unsqueeze(-1))


def over_all(own: Tensor, primary: Tensor, hierarchy: Hierarchy) -> Tensor:
    """Return labels over all sub-classes, `[n, K]`, of labels over the own slots, `[n, max(psi)]`: the other way round.

    >>> over_all(torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([1, 0]), Hierarchy([1, 2])).tolist()
    [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]
    """
    slots = to_device(hierarchy.slot(torch.arange(hierarchy.size)), own.device)
    return own[:, slots] * hierarchy.mask(primary)
