"""The primary loss of a run, a function of the primary output and its batch."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from metaux.labels.base import Batch, PrimaryLoss
from metaux.losses import at_least_single, focal_loss
from metaux.training.plan import Plan


def make_primary_loss(plan: Plan) -> PrimaryLoss:
    """Return the focal loss of the primary class, smoothed and mixed, with balanced class weights where asked for.

    The weights have mean 1; of a target of several classes, each class's term has its own weight.
    """
    gamma, smoothing, weights = plan.protocol.focal_gamma, plan.protocol.label_smoothing, None
    if plan.balanced:
        counts = torch.bincount(plan.train.primary, minlength=plan.data.hierarchy.classes)
        weights = len(plan.train) / (len(counts) * counts.clamp(min=1).float())

    def loss(output: Tensor, batch: Batch) -> Tensor:
        own = None if weights is None else weights.to(output.device)
        if batch.mixing is None and not smoothing:
            return focal_loss(output, batch.primary, gamma, None if own is None else own[batch.primary])
        classes = output.shape[-1]
        target = one_hot(batch.primary, classes).to(at_least_single(output))
        if batch.mixing is not None:
            target = batch.mixing.between(target, one_hot(batch.mixing.primary, classes).to(target))
        target = (1 - smoothing) * target + smoothing / classes
        return focal_loss(output, target if own is None else own * target, gamma)

    return loss
