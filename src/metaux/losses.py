"""The functions of the methods' objectives, pure and exact at any logit."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from metaux.errors import InputError


def mask_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the logits where `mask` holds, and exactly 0 elsewhere (Mask SoftMax, section 3.3).

    Args:
        logits: `[batch, K]`; half precision is computed in float32.
        mask: bool, `[batch, K]`, at least one true entry per row (`Hierarchy.mask`); a row without one becomes NaN.

    Returns:
        The generated labels, `[batch, K]`, in float32 or float64; every row sums to 1.

    The formula printed in the submission, exp(mask * logits), does not mask (exp(0) is 1); the released code's
    (mask + 1e-8) overflows at a logit of 100 and gives mass to sub-classes of other classes. This is what is meant.

    >>> mask_softmax(torch.tensor([[1e4, 1e4, 5.0]]), torch.tensor([[True, True, False]])).tolist()
    [[0.5, 0.5, 0.0]]
    """
    return logits.masked_fill(~mask, -torch.inf).softmax(-1, at_least_single(logits))


def focal_losses(logits: Tensor, gamma: float = 2.0) -> Tensor:
    """The focal loss of each sample against each class, -(1 - p)^gamma log p.

    Args:
        logits: `[batch, classes]`; half precision is computed in float32.
        gamma: the focusing parameter, 0 (cross entropy) or at least 1.

    Returns:
        `[batch, classes]`, in float32 or float64. Its product with a target distribution is `focal_loss`.

    Raises:
        InputError: for another gamma.
    """
    if gamma != 0 and not gamma >= 1:
        raise InputError(
            f"expected gamma 0 or at least 1, found {gamma}; in between, the gradient is infinite at p = 1"
        )
    log_p = logits.log_softmax(-1, at_least_single(logits))
    if gamma == 0:
        return -log_p
    return -((-torch.expm1(log_p)) ** gamma) * log_p


def focal_loss_of_each(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the focal loss of each sample, `[batch]`; see `focal_loss`."""
    if gamma == 0:
        return cross_entropy(logits.to(at_least_single(logits)), target, reduction="none")
    losses = focal_losses(logits, gamma)
    if target.is_floating_point():
        return (target * losses).sum(-1)
    return losses.gather(-1, target.unsqueeze(-1)).squeeze(-1)


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0, weight: Tensor | None = None) -> Tensor:
    """Focal loss against a class or a distribution over classes, mean over the batch (equation 1).

    L(p, t) = - sum_k t_k (1 - p_k)^gamma log p_k, with p the softmax of the logits. Linear in t.

    Args:
        logits: `[batch, classes]`.
        target: class indices, int64 `[batch]`, or distributions `[batch, classes]`.
        gamma: the focusing parameter, 0 (cross entropy) or at least 1.
        weight: an optional factor per sample, `[batch]`; the mean is still over the batch size.

    Returns:
        A scalar.

    Raises:
        InputError: for another gamma.

    Unlike the released code there is no softmax inside the model and no log(p + 1e-20): value and gradient are
    finite at p = 0 and p = 1.

    >>> focal_loss(torch.zeros(1, 2), torch.tensor([0])).item() == 0.25 * torch.log(torch.tensor(2.0)).item()
    True
    """
    losses = focal_loss_of_each(logits, target, gamma)
    return (losses if weight is None else weight * losses).mean()


def entropy_loss(labels: Tensor) -> Tensor:
    """The negative entropy of the batch-mean label, sum_k m_k log m_k (equation 5); low where all sub-classes are used.

    Args:
        labels: generated labels, `[batch, K]`; half precision is computed in float32.

    Returns:
        A scalar, in float32 or float64. Where m_k is 0 (a class missing from the batch) the term is 0 and so is its
        gradient: no sample of the batch could change it.

    >>> entropy_loss(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])).item()  # -log 2
    -0.6931471824645996
    """
    mean = labels.mean(0, dtype=at_least_single(labels))
    used = mean > 0
    return torch.where(used, mean * torch.where(used, mean, 1.0).log(), 0.0).sum()


def at_least_single(tensor: Tensor) -> torch.dtype:
    """Return what to compute in: float32 for half precision, else the tensor's own type."""
    return torch.promote_types(tensor.dtype, torch.float32)
