"""What the sources with one fixed label per training sample share."""

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


class SoftLabels(SubclassSource):
    """One distribution over sub-classes per training sample, made before training. One method is missing: `distribute`.

    It is held in single precision, `[n, K]`: 40 MB for 100,000 samples and 100 sub-classes.
    """

    labels_of_samples: Tensor

    def distribute(self, preparation: Preparation) -> Tensor:
        """Return the label of every training sample, `[n, K]`, rows summing to 1, zero outside each sample's class."""
        raise NotImplementedError

    def prepare(self, preparation: Preparation) -> None:
        """Make the labels."""
        labels = self.distribute(preparation).to(preparation.device, torch.get_default_dtype())
        self.register_buffer("labels_of_samples", labels)

    def target(self, batch: Batch) -> Tensor:
        """Return the label of each sample, `[batch, K]`."""
        return self.labels_of_samples[batch.index]
