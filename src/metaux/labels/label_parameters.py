"""What learned labels are made of: a table, one row for each cluster, or a network. Each is moved along a gradient.

All give one logit per sample and slot of its own class, `[n, max(psi)]`.
"""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Preparation
from metaux.labels.fixed import own_slots
from metaux.labels.kmeans import clusters_within
from metaux.labels.teacher import trained_teacher
from metaux.networks.multitask import MultiTaskNetwork, to_channels_last
from metaux.protocols import Protocol
from metaux.rng import generator, seeded

NOISE = 0.3
STEP = 0.3  # of the logits, in units of the gradient's root mean square
CLUSTERS = 40  # of each class, but no more than a quarter of its samples
FIT_STEPS, FIT_RATE, FIT_BATCH = 200, 1e-3, 100


class LabelParameters(nn.Module, ABC):
    """What labels are made of; its parameters and buffers are all that has to survive an interruption."""

    @abstractmethod
    def logits(self) -> Tensor:
        """Return the logits of all samples, `[n, max(psi)]`, without a graph."""

    @abstractmethod
    def move(self, gradient: Tensor, number: int) -> None:
        """Take one step down a gradient of the logits, `[n, max(psi)]`; `number` is the iteration's."""


def make_parameters(kind: str, preparation: Preparation, hierarchy: Hierarchy, protocol: Protocol) -> LabelParameters:
    """Return the parameters that a protocol's `label_parameters` names, on the device."""
    made = {"table": _table, "clusters": _clusters, "generator": Generator}[kind](preparation, hierarchy, protocol)
    return to_channels_last(made, preparation.device)


def _noise(rows: int, hierarchy: Hierarchy, seed: int) -> Tensor:
    """Return the logits that rows of free ones start from."""
    return NOISE * torch.randn(rows, max(hierarchy.slots), generator=generator(seed, "learned labels"))


def scaled(gradient: Tensor) -> Tensor:
    """Return a gradient divided by its root mean square; as it is, if that is 0."""
    size = gradient.square().mean().sqrt()
    return gradient / size if size > 0 else gradient


@final
class Rows(LabelParameters):
    """Free logits, a row for each group of samples.

    Args:
        values: the rows, `[groups, max(psi)]`.
        group: of each sample, int64 `[n]`.
    """

    values: Tensor
    group: Tensor

    def __init__(self, values: Tensor, group: Tensor):
        super().__init__()
        self.register_buffer("values", values)
        self.register_buffer("group", group)

    def logits(self) -> Tensor:
        """Return each sample's row."""
        return self.values[self.group]

    def move(self, gradient: Tensor, number: int) -> None:  # noqa: ARG002
        """Move each row along the sum of its samples' gradients."""
        self.values -= STEP * scaled(torch.zeros_like(self.values).index_add_(0, self.group, gradient))


def _table(preparation: Preparation, hierarchy: Hierarchy, protocol: Protocol) -> LabelParameters:  # noqa: ARG001
    """Return a row for each sample."""
    count = len(preparation.samples)
    return Rows(_noise(count, hierarchy, preparation.seed), torch.arange(count))


def _clusters(preparation: Preparation, hierarchy: Hierarchy, protocol: Protocol) -> LabelParameters:
    """Return a row for each cluster of a class, in the features of a network trained on the classes like the run's."""
    samples, loss = preparation.samples, nn.functional.cross_entropy
    everything = torch.arange(len(samples))
    network = trained_teacher("features", preparation, hierarchy.classes, protocol, everything, loss)
    features = preparation.outputs(network).features
    counts = torch.bincount(samples.primary, minlength=hierarchy.classes)
    groups = Hierarchy([max(1, min(CLUSTERS, int(count) // 4)) for count in counts])
    group = clusters_within(features.numpy(), samples.primary, groups, preparation.seed)
    return Rows(_noise(groups.size, hierarchy, preparation.seed), group)


@final
class Generator(LabelParameters):
    """The logits of a label generator for the samples without augmentation; it is fitted to where they should move.

    Args:
        preparation: makes the network and loads the samples.
        hierarchy: of the sub-classes.
        protocol: the network's head and initialisation.
    """

    def __init__(self, preparation: Preparation, hierarchy: Hierarchy, protocol: Protocol):
        super().__init__()
        parts = preparation.generator_parts(hierarchy.size, protocol)
        self.network = to_channels_last(MultiTaskNetwork(*parts), preparation.device)
        self._preparation, self._hierarchy = preparation, hierarchy

    def _of(self, rows: Tensor) -> Tensor:
        samples = self._preparation.samples.take(rows)
        inputs = self._preparation.load(samples)
        logits = self.network(*inputs).primary
        return own_slots(logits, samples.primary.to(logits.device), self._hierarchy)

    @torch.no_grad()
    def logits(self) -> Tensor:
        """Return the network's logits, in evaluation mode."""
        self.network.eval()
        return torch.cat([self._of(rows) for rows in self._preparation.samples.in_parts()])

    def move(self, gradient: Tensor, number: int) -> None:
        """Fit the network to its logits moved along the gradient: squared error, Adam, some steps on random batches."""
        wanted = self.logits() - STEP * scaled(gradient)
        optimizer = torch.optim.Adam(self.network.parameters(), FIT_RATE)
        random = generator(self._preparation.seed, "generator order", number)
        self.network.train()
        for step in range(FIT_STEPS):
            rows = torch.randperm(len(wanted), generator=random)[:FIT_BATCH]
            with seeded(self._preparation.seed, "generator", number, step):
                loss = nn.functional.mse_loss(self._of(rows), wanted[rows.to(wanted.device)])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
