"""Recorded: the final labels of a finished run, learned anew; and shuffled, the same labels without information."""

import torch
from torch import Tensor

from metaux.labels.base import Preparation
from metaux.labels.fixed import SoftLabels
from metaux.rng import generator


class Recorded(SoftLabels):
    """Each training sample has, from the start, the soft label that a finished run ended with (`--labels`)."""

    def distribute(self, preparation: Preparation) -> Tensor:
        """Return the recorded labels, `[n, K]`.

        Raises:
            InputError: if no run was given, or one without labels of these samples and sub-classes.
        """
        return preparation.recorded(preparation.samples)


class Shuffled(Recorded):
    """The control of recorded labels: each sample has the label of another sample of its class.

    The labels are permuted once, over all training samples of a class: every class keeps the same labels, but they say
    nothing of the sample that has them.
    """

    def distribute(self, preparation: Preparation) -> Tensor:
        """Return the recorded labels, permuted within each class, `[n, K]`."""
        labels, primary = super().distribute(preparation), preparation.samples.primary
        shuffled = labels.clone()
        for class_ in range(self.hierarchy.classes):
            rows = (primary == class_).nonzero().squeeze(-1)
            order = torch.randperm(len(rows), generator=generator(preparation.seed, "shuffled labels", class_))
            shuffled[rows] = labels[rows[order]]
        return shuffled
