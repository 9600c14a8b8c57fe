"""What the sources with one fixed label per training sample share, and labels over the own class's slots alone."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Batch, Preparation, SubclassSource
from metaux.rng import generator
from metaux.transfer import to_device


class FixedLabels(SubclassSource):
    """One sub-class per training sample, assigned before training. One method is missing: `assign`."""

    assigned: Tensor

    @abstractmethod
    def assign(self, preparation: Preparation) -> Tensor:
        """Return the flat sub-class of every training sample, int64 `[n]`."""

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

    @abstractmethod
    def distribute(self, preparation: Preparation) -> Tensor:
        """Return the label of every training sample, `[n, K]`, rows summing to 1, zero outside each sample's class."""

    def prepare(self, preparation: Preparation) -> None:
        """Make the labels."""

        def make() -> Tensor:
            own = own_slots(self.distribute(preparation), preparation.samples.primary, self.hierarchy)
            return own.to(torch.get_default_dtype())

        self.register_buffer("own_labels", preparation.once("own_labels", make))

    def target(self, batch: Batch) -> Tensor:
        """Return the label of each sample, `[batch, K]`."""
        return over_all(self.own_labels[batch.index], batch.primary, self.hierarchy)


def exchanged(primary: Tensor, seed: int) -> Tensor:
    """Return the row of a sample of the same class for each sample, int64 `[n]`, each row once: a random order within.

    Labels in that order are those of each class still, but say nothing about the sample.
    """
    rows = torch.empty_like(primary)
    for class_ in primary.unique().tolist():
        own = (primary == class_).nonzero().squeeze(-1)
        rows[own] = own[torch.randperm(len(own), generator=generator(seed, "shuffled labels", class_))]
    return rows


def own_slots(labels: Tensor, primary: Tensor, hierarchy: Hierarchy) -> Tensor:
    """Return each sample's label over the slots of its own class only, `[n, max(psi)]`, zero past the last slot."""
    slots = torch.arange(max(hierarchy.slots), device=labels.device)
    flat = hierarchy.offsets.to(labels.device)[primary].unsqueeze(-1) + slots
    return labels.gather(-1, flat.clamp(max=hierarchy.size - 1)) * slot_mask(primary, hierarchy)


def slot_mask(primary: Tensor, hierarchy: Hierarchy) -> Tensor:
    """Return which of max(psi) slots each sample's own class has, `[n, max(psi)]`."""
    counts = torch.tensor(hierarchy.slots, device=primary.device)[primary]
    return torch.arange(max(hierarchy.slots), device=primary.device) < counts.unsqueeze(-1)


def over_all(own: Tensor, primary: Tensor, hierarchy: Hierarchy) -> Tensor:
    """Return labels over all sub-classes, `[n, K]`, of labels over the own slots, `[n, max(psi)]`: the other way round.

    >>> over_all(torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([1, 0]), Hierarchy([1, 2])).tolist()
    [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]
    """
    slots = to_device(hierarchy.slot(torch.arange(hierarchy.size)), own.device)
    return own[:, slots] * hierarchy.mask(primary)
