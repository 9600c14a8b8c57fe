"""What the sources with one fixed label per training sample share."""

import torch
from torch import Tensor, nn

from metaux.labels.base import Batch, Preparation, SubclassSource
from metaux.labels.slots import over_all, own_slots


class FixedLabels(SubclassSource):
    """One sub-class per training sample, assigned before training. One method is missing: `assign`."""

    assigned: Tensor

    def assign(self, preparation: Preparation) -> Tensor:
        """Return the flat sub-class of every training sample, int64 `[n]`."""
        raise NotImplementedError

    def prepare(self, preparation: Preparation) -> None:
        """Assign the labels."""
        self.register_buffer("assigned", preparation.once("assigned", lambda: self.assign(preparation)))

    def target(self, batch: Batch) -> Tensor:
        """Return the one-hot label of each sample, `[batch, K]`."""
        return nn.functional.one_hot(self.assigned[batch.index], self.hierarchy.size).to(torch.get_default_dtype())


class SoftLabels(SubclassSource):
    """One distribution over sub-classes per training sample, made before training. One method is missing: `distribute`.

    It is held in single precision over the slots of the sample's own class, `[n, max(psi)]`: 2 MB for 100,000 samples
    and 5 sub-classes per class.
    """

    own_labels: Tensor

    def distribute(self, preparation: Preparation) -> Tensor:
        """Return the label of every training sample, `[n, K]`, rows summing to 1, zero outside each sample's class."""
        raise NotImplementedError

    def prepare(self, preparation: Preparation) -> None:
        """Make the labels."""

        def make() -> Tensor:
            own = own_slots(self.distribute(preparation), preparation.samples.primary, self.hierarchy)
            return own.to(torch.get_default_dtype())

        self.register_buffer("own_labels", preparation.once("own_labels", make))

    def target(self, batch: Batch) -> Tensor:
        """Return the label of each sample, `[batch, K]`."""
        return over_all(self.own_labels[batch.index], batch.primary, self.hierarchy)
