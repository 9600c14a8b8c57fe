"""Frozen: the control that has the label generator but not its learning."""

from torch import Tensor

from metaux.labels.base import Batch, Preparation, SubclassSource
from metaux.networks.multitask import LabelGenerator, make_head, place
from metaux.streams import seeded


class Frozen(SubclassSource):
    """The label generator at its random initialisation, never trained."""

    generator: LabelGenerator

    def prepare(self, preparation: Preparation) -> None:
        """Make the generator: a trunk like the multi-task network's own, and one head of K logits."""
        trunk, features = preparation.trunk("generator trunk")
        with seeded(preparation.seed, "generator head"):
            head = make_head(features, self.hierarchy.size, self.protocol.head)
        self.generator = LabelGenerator(trunk, head, self.hierarchy)
        place(self.generator, preparation.device)

    def target(self, batch: Batch) -> Tensor:
        """Return the generated labels, `[batch, K]`."""
        labels: Tensor = self.generator(*batch.inputs, primary=batch.primary)
        return labels
