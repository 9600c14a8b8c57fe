"""The differentiation method of a run's meta-gradient: by name, or the exact one wherever the network allows it."""

from contextlib import AbstractContextManager
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from metaux.errors import InputError
from metaux.functional import operation_without_formula
from metaux.labels.base import Batch
from metaux.losses import at_least_single
from metaux.metagradient import LookAhead, MetaGradient, double_backward, finite_difference, forward_mode

META_GRADIENTS: dict[str, MetaGradient] = {
    "forward-mode": forward_mode,
    "finite-difference": finite_difference,
    "double-backward": double_backward,
}

# Of a finite difference in float64: one of a deep network of ReLUs stays below 1e-3.
TOLERANCE, LEAST = 5e-3, 1e-3
FEW = 8


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

    Where a finite difference is not near (`check_difference`) it is `double_backward`.

    Args:
        network: as it will be trained, on its device.
        batch: a few samples.
        autocast: the arithmetic that it will be trained in.

    Returns:
        The method, and what the user should know about it: nothing, if it is exact and no slower.
    """
    with autocast:
        try:
            forward_mode(network, torch.ones(()), batch.inputs, _sum, batch.inputs, _sum_alone, LookAhead(1.0))
        except InputError as error:
            if error.__cause__ is None:  # it isn't PyTorch that lacks something
                raise
            lacking = f"PyTorch has no forward-mode formula for {operation_without_formula(error)}"
        else:
            return forward_mode, ""
    try:
        check_difference(network, batch)
    except InputError as error:
        return double_backward, f"{lacking}, and {error}: it is by double backward, which is exact and slow"
    return finite_difference, f"{lacking}: the meta-gradient is a finite difference, which is approximate"


def check_difference(network: nn.Module, batch: Batch) -> None:
    """Check that finite differences see no more of a network than its gradient, on a few samples in float64.

    Nothing is checked where the network has no second derivative, or cannot compute in float64.

    Raises:
        InputError: if not.
    """
    try:
        wide = deepcopy(network).double()
        inputs = tuple(part.double() if part.is_floating_point() else part for part in batch.inputs)
        problem = wide, torch.ones((), dtype=torch.float64), inputs, _sum, inputs, _sum_alone, LookAhead(1.0)
        exact, found = (way(*problem).gradient for way in (double_backward, finite_difference))
    except (InputError, RuntimeError, TypeError):
        return
    assert isinstance(exact, Tensor)
    assert isinstance(found, Tensor)
    if float((found - exact).abs()) > TOLERANCE * max(float(exact.abs()), LEAST):
        raise InputError(
            "expected a network whose gradient sees all that its outputs depend on, for a meta-gradient by finite "
            f"difference, found an error of {float((found / exact - 1).abs()):.1%} (torch.no_grad() or detach() in its "
            "forward pass?); choose the meta-gradient double-backward"
        )


def _sum(outputs: object, target: Tensor) -> Tensor:
    return target * _sum_alone(outputs)


def _sum_alone(outputs: object) -> Tensor:
    numbers = [x for x in tree_flatten(outputs)[0] if isinstance(x, Tensor) and x.is_floating_point()]
    return torch.stack([x.to(at_least_single(x)).square().mean() for x in numbers]).sum()
