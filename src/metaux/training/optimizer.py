"""The optimizer of the multi-task network, and the moving average of its weights."""

import math

from torch import nn, optim
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from metaux.errors import InputError
from metaux.protocols import Protocol
from metaux.training.plan import MakeOptimizer


def make_optimizer(network: nn.Module, protocol: Protocol, own: MakeOptimizer | None = None) -> optim.Optimizer:
    """Return the optimizer that a protocol trains a network with, or one of a program's own."""
    if own is not None:
        made = own(network.parameters())
        if not isinstance(made, optim.Optimizer):
            raise InputError(f"expected optimizer to make one of torch.optim, found {type(made).__name__}; return one")
        return made
    rate, decay = protocol.learning_rate, protocol.weight_decay
    if protocol.optimizer == "adamw":
        return optim.AdamW(network.parameters(), rate, weight_decay=decay)
    return optim.SGD(network.parameters(), rate, protocol.momentum, weight_decay=decay)


def make_average(network: nn.Module, protocol: Protocol, steps: int) -> AveragedModel | None:
    """Return the moving average of a network's weights and buffers that a protocol evaluates; None for none.

    After step t it is  a_t = d a_{t-1} + (1 - d) theta_t,  with  d = exp(-1 / (share steps)).

    Args:
        network: whose average it is.
        protocol: the share of the training that it is over.
        steps: of the training.
    """
    if not protocol.weight_average:
        return None
    decay = math.exp(-1 / (protocol.weight_average * steps))
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
