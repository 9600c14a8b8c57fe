"""The primary loss of a run, a function of the primary output and its batch."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from metaux.errors import InputError
from metaux.labels.base import Batch, PrimaryLoss
from metaux.losses import at_least_single, focal_loss_of_each
from metaux.training.plan import Plan


def balanced(primary: Tensor, classes: int) -> Tensor:
    """Return weights of classes inverse to their frequency, whose mean over the samples is 1, float32 `[classes]`.

    Args:
        primary: the class of each sample, int64 `[n]`.
        classes: how many there are.

    >>> balanced(torch.tensor([0, 1, 1, 1]), 2).tolist()
    [2.0, 0.6666666865348816]
    """
    counts = torch.bincount(primary, minlength=classes)
    return len(primary) / (len(counts) * counts.clamp(min=1).float())


def make_primary_loss(plan: Plan) -> PrimaryLoss:
    """Return the mean focal loss of the primary class, smoothed, mixed, and weighted by classes and samples.

    Of a target of several classes, each class's term has its class's weight. A criterion of the plan's own takes the
    focal loss's place.
    """
    gamma, smoothing, weights = plan.protocol.focal_gamma, plan.protocol.label_smoothing, plan.class_weights

    def focal(output: Tensor, primary: Tensor, own: Tensor | None) -> Tensor:
        if not smoothing:
            losses = focal_loss_of_each(output, primary, gamma)
            return losses if own is None else own[primary] * losses
        target = one_hot(primary, output.shape[-1]).to(at_least_single(output))
        target = (1 - smoothing) * target + smoothing / output.shape[-1]
        return focal_loss_of_each(output, target if own is None else own * target, gamma)

    def given(output: Tensor, primary: Tensor, own: Tensor | None) -> Tensor:
        assert plan.criterion is not None
        losses = plan.criterion(output, primary)
        return losses if own is None else own[primary] * _of_each(losses, primary)

    of_each = focal if plan.criterion is None else given

    def loss(output: Tensor, batch: Batch) -> Tensor:
        own, mixing = None if weights is None else weights.to(output.device), batch.mixing
        losses = of_each(output, batch.primary, own)
        if batch.weight is not None:
            losses = batch.weight * _of_each(losses, batch.primary)
        if mixing is not None:
            partners = _of_each(of_each(output, mixing.primary, own), mixing.primary)
            partners = partners if batch.weight is None else batch.weight[mixing.partner] * partners
            losses = mixing.between(_of_each(losses, batch.primary), partners)
        return losses.mean()

    return loss


def _of_each(losses: Tensor, primary: Tensor) -> Tensor:
    """Return losses if there is one of each sample: those of a criterion may be their mean already."""
    if losses.shape != primary.shape:
        raise InputError(
            f"expected a criterion that returns the loss of each sample, [{len(primary)}], for weights or mixed "
            f"images, found shape {list(losses.shape)}; make it with reduction='none'"
        )
    return losses
