"""Teachers: networks like the multi-task network's own, trained before it on the same samples."""

import torch
from torch import Tensor

from metaux.labels.base import Preparation
from metaux.networks.multitask import MultiTaskNetwork, make_head, to_channels_last
from metaux.rng import seeded


def make_teacher(preparation: Preparation, outputs: int, head: str) -> MultiTaskNetwork:
    """Return an untrained network with one head of that many outputs; the same initial weights each time."""
    trunk, features = preparation.trunk("teacher trunk")
    with seeded(preparation.seed, "teacher head"):
        teacher = MultiTaskNetwork(trunk, make_head(features, outputs, head))
    to_channels_last(teacher, preparation.device)
    return teacher


def logits_of(teacher: MultiTaskNetwork, preparation: Preparation) -> Tensor:
    """Return the teacher's logits of every training sample without augmentation, `[n, outputs]` on the processor."""
    samples = preparation.samples
    with torch.no_grad():
        return torch.cat(
            [teacher(*preparation.load(samples.take(rows))).primary.float().cpu() for rows in samples.in_parts()]
        )
