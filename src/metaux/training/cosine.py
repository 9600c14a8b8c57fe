"""Whether the two tasks pull the shared layers the same way: the cosine between their gradients."""

import torch
from torch import Tensor, autograd, nn
from torch.nn.functional import cosine_similarity

from metaux.metagradient import Average


def gradient_cosine(trunk: nn.Module, primary: Tensor, auxiliary: Tensor | None) -> float | None:
    """Return the cosine between the gradients of both losses on the shared layers.

    None without an auxiliary task, or if the shared layers don't learn.
    """
    gradients = _shared_gradients(trunk, primary, auxiliary)
    if gradients is None:
        return None
    first, second = (torch.cat([gradient.flatten() for gradient in own]) for own in gradients)
    return float(cosine_similarity(first, second, dim=0))


def mean_cosine(
    trunk: nn.Module, primary: Tensor, auxiliary: Tensor | None, average: Average, samples: int
) -> float | None:
    """Return the cosine between the two tasks' gradients on the shared layers as the released code measures it.

    It is the mean over the tensors of the shared layers of the mean over all but a tensor's first dimension of the
    cosine along that dimension. None without an auxiliary task, or if the shared layers don't learn.
    """
    gradients = _shared_gradients(trunk, primary, auxiliary)
    if gradients is None:
        return None
    first, second = gradients
    both = average([*first, *second], samples)
    pairs = zip(both[: len(first)], both[len(first) :], strict=True)
    return float(torch.stack([cosine_similarity(a, b, dim=0).mean() for a, b in pairs]).mean())


def _shared_gradients(
    trunk: nn.Module, primary: Tensor, auxiliary: Tensor | None
) -> tuple[list[Tensor], list[Tensor]] | None:
    """Return the gradient of each task's loss for the shared layers; None without either."""
    shared = [parameter for parameter in trunk.parameters() if parameter.requires_grad]
    if auxiliary is None or not shared:
        return None
    first, second = (
        list(autograd.grad(loss, shared, retain_graph=True, materialize_grads=True)) for loss in (primary, auxiliary)
    )
    return first, second
