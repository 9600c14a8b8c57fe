"""What the sources with one fixed sub-class per training sample share."""

import torch
from torch import Tensor, nn

from metaux.labels.base import Batch, Preparation, SubclassSource


class FixedLabels(SubclassSource):
    """One sub-class per training sample, assigned before training. One method is missing: `assign`."""

    assigned: Tensor

    def assign(self, preparation: Preparation) -> Tensor:
        """Return the flat sub-class of every training sample, int64 `[n]`."""
        raise NotImplementedError

    def prepare(self, preparation: Preparation) -> None:
        """Assign the labels."""
        self.register_buffer("assigned", self.assign(preparation).to(preparation.device))

    def target(self, batch: Batch) -> Tensor:
        """Return the one-hot label of each sample, `[batch, K]`."""
        return nn.functional.one_hot(self.assigned[batch.index], self.hierarchy.size).to(torch.get_default_dtype())
