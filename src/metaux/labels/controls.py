"""Sources that hold nothing learned: what every method is compared with."""

from typing import final

import torch
from torch import Tensor

from metaux.labels.base import Batch, LabelSource, Preparation, SubclassSource
from metaux.labels.fixed import FixedLabels
from metaux.networks.multitask import LabelGenerator, to_channels_last
from metaux.rng import generator


@final
class Single(LabelSource):
    """Single task: the primary label only, the baseline of both papers. No auxiliary task."""


@final
class Uniform(SubclassSource):
    """The constant label 1 / psi[y] on every sub-class of the primary class y: no information about the sample.

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


@final
class Random(FixedLabels):
    """Every training sample gets a fixed random sub-class of its primary class: a label without meaning."""

    def assign(self, preparation: Preparation) -> Tensor:
        """Draw a slot of each sample's class, all slots equally likely."""
        primary = preparation.samples.primary
        slots = torch.tensor(self.hierarchy.slots)[primary]
        draws = torch.rand(len(primary), generator=generator(preparation.seed, "random labels"), dtype=torch.float64)
        return self.hierarchy.flat(primary, (draws * slots).long())


@final
class Frozen(SubclassSource):
    """The label generator at its random initialisation, never trained: MAXL without its learning."""

    def prepare(self, preparation: Preparation) -> None:
        """Make the label generator."""
        trunk, head = preparation.generator_parts(self.hierarchy.size, self.protocol)
        self.generator = to_channels_last(LabelGenerator(trunk, head, self.hierarchy), preparation.device)

    def target(self, batch: Batch) -> Tensor:
        """Return the generated labels, `[batch, K]`."""
        labels: Tensor = self.generator(*batch.copies(), primary=batch.primary)
        return labels
