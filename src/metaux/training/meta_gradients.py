"""The differentiation method of a run's meta-gradient: by name, or the exact one wherever the network allows it."""

import re
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from metaux.errors import InputError
from metaux.labels.base import Batch
from metaux.metagradient import LookAhead, MetaGradient, double_backward, finite_difference, forward_mode

META_GRADIENTS: dict[str, MetaGradient] = {
    "forward-mode": forward_mode,
    "finite-difference": finite_difference,
    "double-backward": double_backward,
}


def name_of(method: MetaGradient) -> str:
    """Return the name of a differentiation method.

    >>> name_of(forward_mode)
    'forward-mode'
    """
    return next(name for name, known in META_GRADIENTS.items() if known is method)


def choose_meta_gradient(
    network: nn.Module, batch: Batch, autocast: AbstractContextManager[object]
) -> tuple[MetaGradient, str]:
    """Return `forward_mode`, or `finite_difference` for a network with an operation that has no forward formula.

    It tries one forward-mode pass on a few samples, which leaves the network and the random state as they were.

    Args:
        network: as it will be trained, on its device.
        batch: a few samples.
        autocast: the arithmetic that it will be trained in.

    Returns:
        The method, and what the user should know about it: nothing, if it is exact.
    """
    with autocast:
        try:
            forward_mode(network, torch.ones(()), batch.inputs, _sum, batch.inputs, _sum_alone, LookAhead(1.0))
        except InputError as error:
            if error.__cause__ is None:  # it isn't PyTorch that lacks something
                raise
            named = re.search(r"forward AD with (\w+)", str(error.__cause__))
            operation = named.group(1) if named else "an operation of the network"
            return finite_difference, (
                f"PyTorch has no forward-mode formula for {operation}: the meta-gradient is a finite difference, which "
                "is approximate"
            )
    return forward_mode, ""


def _sum(outputs: object, target: Tensor) -> Tensor:
    return target * _sum_alone(outputs)


def _sum_alone(outputs: object) -> Tensor:
    numbers = [x for x in tree_flatten(outputs)[0] if isinstance(x, Tensor) and x.is_floating_point()]
    return torch.stack([x.float().square().mean() for x in numbers]).sum()
