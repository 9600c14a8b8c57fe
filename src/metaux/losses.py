"""The functions of the methods' objectives, pure and exact at any logit."""

import torch
from torch import Tensor

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
    """Focal loss of each sample, `[batch]`, against a class or a distribution over classes; see `focal_loss`."""
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
    """The negative entropy of the batch-mean label, sum_k m_k log m_k (equation 5), against collapse.

    Args:
        labels: generated labels, `[batch, K]`; half precision is computed in float32.

    Returns:
        A scalar, in float32 or float64; minimising it spreads use over all sub-classes. Where m_k is 0 (a class missing
        from the batch) the term is 0 and so is its gradient: no sample of the batch could change it.

    >>> entropy_loss(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])).item()  # -log 2
    -0.6931471824645996
    """
    mean = labels.mean(0, dtype=at_least_single(labels))
    used = mean > 0
    return torch.where(used, mean * torch.where(used, mean, 1.0).log(), 0.0).sum()


def squared_errors(output: Tensor, target: Tensor) -> Tensor:
    """The mean squared error of each sample, (1 / D) sum_d (o_d - t_d)^2: the loss of a vector-valued auxiliary task.

    Args:
        output: `[batch, D]`; half precision is computed in float32.
        target: `[batch, D]`.

    Returns:
        `[batch]`, in float32 or float64.

    >>> squared_errors(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]])).tolist()
    [2.5]
    """
    kind = at_least_single(output)
    return (output.to(kind) - target.to(kind)).square().mean(-1)


def spectral_entropy_loss(covariance: Tensor) -> Tensor:
    """The negative entropy of a covariance's spectrum, log sum_i p_i^2 for eigenvalues in shares p_i: against collapse.

    For target vectors it is what `entropy_loss` is for labels: minimising it spreads their variance over all
    dimensions. It is Renyi's entropy of order 2, which needs no eigenvalues: sum_i p_i^2 = |C|_F^2 / (tr C)^2. Its
    exponential, inverted, is the number of dimensions in use.

    Args:
        covariance: C, `[D, D]`, symmetric, not zero.

    Returns:
        A scalar from -log D (all dimensions alike and uncorrelated) to 0 (all variance in one direction).

    >>> spectral_entropy_loss(torch.eye(4)).exp().item(), spectral_entropy_loss(torch.ones(4, 4)).item()
    (0.25, 0.0)
    """
    return covariance.square().sum().log() - 2 * covariance.trace().log()


def at_least_single(tensor: Tensor) -> torch.dtype:
    """Return what to compute in: float32 for half precision, else the tensor's own type."""
    return torch.promote_types(tensor.dtype, torch.float32)
