"""Sub-class distillation: a teacher invents sub-classes while it learns the classes, and the network learns both."""

import torch
from torch import Tensor

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Batch, Preparation
from metaux.labels.fixed import SoftLabels
from metaux.labels.matching import cross_fitted
from metaux.labels.teacher import logits_of, make_teacher
from metaux.losses import at_least_single, mask_softmax

SPREAD_TEMPERATURE = 0.2
SPREAD_WEIGHT = 1.0
FOLDS = 3


class Distilled(SoftLabels):
    """Each sample's label is what a teacher says of its sub-class, given its class.

    The teacher has the network's own backbone and K logits z; it learns the classes alone,

        L_teacher = -log sum_{k in y} softmax(z)_k  +  beta L_spread,

    where the spread loss (`spread_loss`) makes it tell the samples of a class apart. It is trained before the network,
    with the run's protocol, augmentation and epochs. The label is the softmax of the logits of the sample's own class.

    Source: Müller, Kornblith, Hinton, *Subclass distillation* (arXiv 2002.03936). There the student learns the
    sub-class probabilities of all classes, and nothing else; here its auxiliary head learns those within the sample's
    class, beside the primary head's classes.
    """

    def distribute(self, preparation: Preparation) -> Tensor:
        """Train the teacher, and return its labels, `[n, K]`."""
        return self._taught(preparation, torch.arange(len(preparation.samples)))

    def _taught(self, preparation: Preparation, rows: Tensor) -> Tensor:
        """Return the labels of all samples by a teacher of those at the rows given."""
        teacher = make_teacher(preparation, self.hierarchy.size, self.protocol.head)

        def loss(batch: Batch) -> Tensor:
            logits = teacher(*batch.inputs).primary
            return class_loss(logits, batch.primary, self.hierarchy) + SPREAD_WEIGHT * spread_loss(logits)

        preparation.fit(teacher, rows, loss)
        logits = logits_of(teacher, preparation)
        return mask_softmax(logits, self.hierarchy.mask(preparation.samples.primary))


class DistilledCross(Distilled):
    """Sub-class distillation from three teachers, each sample's label from the one that never saw it.

    A teacher knows its own training samples by heart, and its labels of them may say more of the sample than of its
    kind. See `cross_fitted` for how the teachers' sub-classes are made the same ones; all start from the same weights.
    """

    def distribute(self, preparation: Preparation) -> Tensor:
        """Train the teachers, and return each one's labels of the samples it did not see, `[n, K]`."""
        primary = preparation.samples.primary
        return cross_fitted(
            primary, FOLDS, self.hierarchy, preparation.seed, lambda rows: self._taught(preparation, rows)
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
