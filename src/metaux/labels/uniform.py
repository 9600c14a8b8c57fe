"""Uniform: the control that carries no information about the sample."""

from torch import Tensor

from metaux.labels.base import Batch, SubclassSource


class Uniform(SubclassSource):
    """The constant label 1 / psi[y] on every sub-class of the primary class y.

    >>> import torch
    >>> from metaux.hierarchy import Hierarchy
    >>> from metaux.protocols import TUNED
    >>> batch = Batch((torch.zeros(1, 4),), torch.tensor([1]), torch.tensor([0]))
    >>> Uniform(Hierarchy([1, 2]), TUNED).target(batch).tolist()
    [[0.0, 0.5, 0.5]]
    """

    def target(self, batch: Batch) -> Tensor:
        """Return 1 / psi on the slots of each sample's class, `[batch, K]`."""
        mask = self.hierarchy.mask(batch.primary).float()
        return mask / mask.sum(-1, keepdim=True)
