"""Recorded: the final labels of a finished run, learned anew; and shuffled, the same labels without information."""

from typing import final

import torch
from torch import Tensor

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Preparation
from metaux.labels.fixed import SoftLabels
from metaux.protocols import Protocol
from metaux.rng import generator


@final
class Recorded(SoftLabels):
    """Each training sample has, from the start, the soft label that a finished run ended with (`--labels`).

    Args:
        shuffled: for the control, each sample has the label of another sample of its class. The labels of a class are
            permuted once. So every class keeps the same labels, but they say nothing about the sample.
    """

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol, shuffled: bool = False):
        super().__init__(hierarchy, protocol)
        self.shuffled = shuffled

    def distribute(self, preparation: Preparation) -> Tensor:
        """Return the recorded labels, `[n, K]`.

        Raises:
            InputError: if no run was given, or one without labels of these samples and sub-classes.
        """
        labels = preparation.recorded(preparation.samples)
        if not self.shuffled:
            return labels
        primary, shuffled = preparation.samples.primary, labels.clone()
        for class_ in range(self.hierarchy.classes):
            rows = (primary == class_).nonzero().squeeze(-1)
            order = torch.randperm(len(rows), generator=generator(preparation.seed, "shuffled labels", class_))
            shuffled[rows] = labels[rows[order]]
        return shuffled
