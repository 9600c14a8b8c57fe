"""Random assignment: the papers' baseline of a label without meaning."""

import torch
from torch import Tensor

from metaux.labels.base import Preparation
from metaux.labels.fixed import FixedLabels
from metaux.rng import generator


class Random(FixedLabels):
    """Every training sample gets a fixed random sub-class of its primary class."""

    def assign(self, preparation: Preparation) -> Tensor:
        """Draw a slot of each sample's class, all slots equally likely."""
        primary = preparation.samples.primary
        slots = torch.tensor(self.hierarchy.slots)[primary]
        draws = torch.rand(len(primary), generator=generator(preparation.seed, "random labels"), dtype=torch.float64)
        return self.hierarchy.flat(primary, (draws * slots).long())
