"""Frozen: the control that has the label generator but not its learning."""

from torch import Tensor, nn

from metaux.labels.base import Batch, SubclassSource
from metaux.labels.generated import Generated
from metaux.networks.multitask import LabelGenerator


class Frozen(Generated, SubclassSource):
    """The label generator at its random initialisation, never trained."""

    def make_generator(self, trunk: nn.Module, head: nn.Module) -> nn.Module:
        """Return the label generator."""
        return LabelGenerator(trunk, head, self.hierarchy)

    def target(self, batch: Batch) -> Tensor:
        """Return the generated labels, `[batch, K]`."""
        labels: Tensor = self.generator(*batch.inputs, primary=batch.primary)
        return labels
