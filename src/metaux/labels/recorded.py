"""Recorded: the final labels of a finished run, learned anew; and two controls, the same without information."""

from typing import Literal, final

import torch
from torch import Tensor

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Preparation
from metaux.labels.fixed import SoftLabels, exchanged, over_all, own_slots, slot_mask
from metaux.protocols import Protocol
from metaux.rng import generator


@final
class Recorded(SoftLabels):
    """Each training sample has, from the start, the soft label that a finished run ended with (`--labels`).

    Args:
        permuted: for the controls, once before the training. `samples`: each sample has the label of another sample of
            its class. So every class keeps the same labels, but they say nothing about the sample. `slots`: each
            sample's label has its sub-classes in an order of its own. So it keeps its sharpness, but says nothing.
    """

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol, permuted: Literal["", "samples", "slots"] = ""):
        super().__init__(hierarchy, protocol)
        self.permuted = permuted

    def distribute(self, preparation: Preparation) -> Tensor:
        """Return the recorded labels, `[n, K]`.

        Raises:
            InputError: if no run was given, or one without labels of these samples and sub-classes.
        """
        labels, primary = preparation.recorded(preparation.samples), preparation.samples.primary
        if self.permuted == "slots":
            own, mask = own_slots(labels, primary, self.hierarchy), slot_mask(primary, self.hierarchy)
            drawn = torch.rand(own.shape, generator=generator(preparation.seed, "permuted labels"))
            order = drawn.masked_fill(~mask, 2).argsort(-1)  # the slots that a class lacks stay last
            return over_all(own.gather(-1, order), primary, self.hierarchy)
        return labels[exchanged(primary, preparation.seed)] if self.permuted else labels
