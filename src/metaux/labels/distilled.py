"""Sub-class distillation: a teacher invents sub-classes while it learns the classes, and the network learns both."""

from typing import final

import torch
from torch import Tensor

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Preparation
from metaux.labels.fixed import SoftLabels
from metaux.labels.teacher import taught
from metaux.losses import at_least_single, mask_softmax
from metaux.protocols import Protocol

SPREAD_TEMPERATURE = 0.2
SPREAD_WEIGHT = 1.0


@final
class Distilled(SoftLabels):
    """Each sample's label is what a teacher says of its sub-class, given its class.

    The teacher has the network's own backbone and K logits z; it learns the classes alone,

        L_teacher = -log sum_{k in y} softmax(z)_k  +  beta L_spread,

    where the spread loss (`spread_loss`) makes it tell the samples of a class apart. It is trained before the network,
    with the run's protocol, augmentation and epochs. The label is the softmax of the logits of the sample's own class.

    Source: Müller, Kornblith, Hinton, *Subclass distillation* (arXiv 2002.03936). There the student learns the
    sub-class probabilities of all classes, and nothing else; here its auxiliary head learns those within the sample's
    class, beside the primary head's classes.

    Args:
        cross: take each sample's label from a teacher that was not trained on it (`taught`).
    """

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol, cross: bool = False):
        super().__init__(hierarchy, protocol)
        self.cross = cross

    def distribute(self, preparation: Preparation) -> Tensor:
        """Train the teachers, and return their labels, `[n, K]`."""
        mask = self.hierarchy.mask(preparation.samples.primary)
        return taught(
            preparation,
            self.hierarchy,
            self.protocol,
            lambda logits, primary: class_loss(logits, primary, self.hierarchy) + SPREAD_WEIGHT * spread_loss(logits),
            lambda _, outputs: mask_softmax(outputs.primary, mask),
            self.cross,
        )


def class_loss(logits: Tensor, primary: Tensor, hierarchy: Hierarchy) -> Tensor:
    """Return the cross entropy of classes whose probability is the sum of their sub-classes', mean over the batch.

    Args:
        logits: of the sub-classes, `[batch, K]`.
        primary: the classes, int64 `[batch]`.
        hierarchy: of the classes.

    >>> class_loss(torch.zeros(1, 4), torch.tensor([0]), Hierarchy([1, 3])).exp().item()
    4.0
    """
    # In half precision the difference of two sums of this size would have no digits left.
    wide = logits.to(at_least_single(logits))
    own = wide.masked_fill(~hierarchy.mask(primary), -torch.inf)
    return (wide.logsumexp(-1) - own.logsumexp(-1)).mean()


def spread_loss(logits: Tensor, temperature: float = SPREAD_TEMPERATURE) -> Tensor:
    """Return how alike the logits of a batch's samples are: a contrastive loss with the batch for negatives.

    With v_i the K logits of sample i, less their mean and scaled to length 1,

        L_spread = 1/N sum_i log( 1/N sum_j exp((v_i . v_j - 1) / T) ),

    from 0 for samples that are all alike down to -log N. It makes a teacher use all of its sub-classes.

    Args:
        logits: `[batch, K]`.
        temperature: T.
    """
    wide = logits.to(at_least_single(logits))
    v = torch.nn.functional.normalize(wide - wide.mean(-1, keepdim=True), dim=-1)
    with torch.autocast(v.device.type, enabled=False):
        return (((v @ v.mT - 1) / temperature).exp().mean(-1)).log().mean()
