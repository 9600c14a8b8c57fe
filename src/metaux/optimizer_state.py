"""What an interrupted training takes up of its optimizer: moments that fit, and no options."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import Optimizer

OF_EACH_NUMBER = ("momentum_buffer", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
"""What PyTorch's optimizers keep in the shape of the parameter."""


def take_up(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Load what an optimizer kept of each parameter; PyTorch itself looks at none of it.

    Args:
        optimizer: as the training made it; its options, such as a weight decay, stay.
        state: what its `state_dict` once was, maybe damaged since.

    Raises:
        ValueError: for moments of another shape than their parameter's, and steps that are no count.

    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    >>> take_up(optimizer, {"state": {0: {"momentum_buffer": torch.zeros(3)}}})
    Traceback (most recent call last):
    ...
    ValueError: expected momentum_buffer of the shape (2,), found (3,)
    """
    optimizer.load_state_dict({**state, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, moments in optimizer.state.items():
        steps = torch.as_tensor(moments.get("step", 0))
        if steps.is_complex() or steps.numel() != 1 or not steps >= 0:
            raise ValueError(f"expected a number of steps, found {steps}")
        for name in OF_EACH_NUMBER:
            moment = moments.get(name)
            if moment is not None and moment.shape != parameter.shape:
                raise ValueError(f"expected {name} of the shape {tuple(parameter.shape)}, found {tuple(moment.shape)}")
