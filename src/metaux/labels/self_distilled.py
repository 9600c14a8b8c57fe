"""Self-distillation: the controls of methods with teachers, whose own teachers know no sub-classes."""

import torch
from torch import Tensor, nn

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Auxiliary, Batch, LabelSource, Preparation
from metaux.labels.distilled import FOLDS
from metaux.labels.matching import cross_fitted
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
        opinions = preparation.once("opinions", lambda: self._opinions(preparation).to(torch.get_default_dtype()))
        self.register_buffer("opinions", opinions)

    def _opinions(self, preparation: Preparation) -> Tensor:
        return self._taught(preparation, torch.arange(len(preparation.samples)))

    def _taught(self, preparation: Preparation, rows: Tensor) -> Tensor:
        """Return what a teacher of the samples at these rows says of all samples, `[n, classes]`."""
        teacher = make_teacher(preparation, self.hierarchy.classes, self.protocol.head)

        def loss(batch: Batch) -> Tensor:
            return nn.functional.cross_entropy(teacher(*batch.inputs).primary, batch.primary)

        preparation.fit(teacher, rows, loss)
        return (logits_of(teacher, preparation) / TEMPERATURE).softmax(-1)

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with one logit per class, of the protocol's kind."""
        return make_head(features, self.hierarchy.classes, self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the teacher's probabilities of the classes, `[batch, classes]`."""
        return Auxiliary(self.opinions[batch.index])

    def auxiliary_loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the focal loss of each sample's logits against its target, `[batch]`."""
        return (target * focal_losses(output, self.protocol.focal_gamma)).sum(-1)


class SelfDistilledCross(SelfDistilled):
    """Self-distillation from three teachers, what is said of each sample by the one that never saw it.

    The control of `DistilledCross`: the same folds, and no sub-classes.
    """

    def _opinions(self, preparation: Preparation) -> Tensor:
        classes = Hierarchy([1] * self.hierarchy.classes)
        primary = preparation.samples.primary
        return cross_fitted(primary, FOLDS, classes, preparation.seed, lambda rows: self._taught(preparation, rows))
