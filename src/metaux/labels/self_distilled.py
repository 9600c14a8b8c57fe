"""Self-distillation: the control of methods with a teacher, whose teacher knows no sub-classes."""

import torch
from torch import Tensor, nn

from metaux.labels.base import Auxiliary, Batch, LabelSource, Preparation
from metaux.labels.teacher import logits_of, make_teacher
from metaux.losses import focal_losses
from metaux.networks.multitask import make_head

TEMPERATURE = 4.0


class SelfDistilled(LabelSource):
    """The auxiliary head learns what a teacher like the network itself says of the classes.

    The teacher is trained before the network on the classes, with cross entropy and the run's protocol, augmentation
    and epochs. The auxiliary target is softmax(z / 4) of its logits z of the sample without augmentation.

    Source: Furlanello et al., *Born-again neural networks* (ICML 2018); the temperature of Hinton, Vinyals, Dean,
    *Distilling the knowledge in a neural network* (2015).
    """

    opinions: Tensor

    def prepare(self, preparation: Preparation) -> None:
        """Train the teacher, and keep what it says of the training samples."""
        teacher = make_teacher(preparation, self.hierarchy.classes, self.protocol.head)

        def loss(batch: Batch) -> Tensor:
            return nn.functional.cross_entropy(teacher(*batch.inputs).primary, batch.primary)

        preparation.fit(teacher, torch.arange(len(preparation.samples)), loss)
        opinions = (logits_of(teacher, preparation) / TEMPERATURE).softmax(-1)
        self.register_buffer("opinions", opinions.to(preparation.device, torch.get_default_dtype()))

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with one logit per class, of the protocol's kind."""
        return make_head(features, self.hierarchy.classes, self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the teacher's probabilities of the classes, `[batch, classes]`."""
        return Auxiliary(self.opinions[batch.index])

    def auxiliary_loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the focal loss of each sample's logits against its target, `[batch]`."""
        return (target * focal_losses(output, self.protocol.focal_gamma)).sum(-1)
