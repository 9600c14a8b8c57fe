"""Self-distillation: the control of methods with teachers, whose own teachers know no sub-classes."""

from typing import final

import torch
from torch import Tensor, nn

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Auxiliary, Batch, LabelSource, Preparation
from metaux.labels.teacher import taught
from metaux.networks.multitask import make_head
from metaux.protocols import Protocol

TEMPERATURE = 4.0


@final
class SelfDistilled(LabelSource):
    """The auxiliary head learns the class probabilities of a teacher that is like the network itself.

    The teacher is trained before the network on the classes, with cross entropy and the run's protocol, augmentation
    and epochs. The auxiliary target is softmax(z / 4) of its logits z of the sample without augmentation.

    Source: Furlanello et al., *Born-again neural networks* (ICML 2018); the temperature of Hinton, Vinyals, Dean,
    *Distilling the knowledge in a neural network* (2015).

    Args:
        cross: take each sample's target from a teacher that was not trained on it: the control of `Distilled` with
            `cross`, which has the same folds.
    """

    opinions: Tensor

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol, cross: bool = False):
        super().__init__(hierarchy, protocol)
        self.cross = cross

    def prepare(self, preparation: Preparation) -> None:
        """Train the teachers, and keep their probabilities for the training samples."""

        def make() -> Tensor:
            classes = Hierarchy([1] * self.hierarchy.classes)
            found = taught(
                preparation,
                classes,
                self.protocol,
                nn.functional.cross_entropy,
                lambda _, outputs: (outputs.primary / TEMPERATURE).softmax(-1),
                self.cross,
            )
            return found.to(torch.get_default_dtype())

        self.register_buffer("opinions", preparation.once("opinions", make))

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with one logit per class, of the protocol's kind."""
        return make_head(features, self.hierarchy.classes, self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the teacher's probabilities of the classes, `[batch, classes]`."""
        return Auxiliary(self.opinions[batch.index])
