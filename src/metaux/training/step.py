"""The training step: one code for every label source."""

import math

import torch
from torch import Tensor, autograd, nn, optim
from torch.nn.functional import cosine_similarity
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from metaux.errors import InputError
from metaux.labels.base import Batch, LabelSource, PrimaryLoss, auxiliary_term
from metaux.losses import focal_loss_of_each
from metaux.metagradient import Average
from metaux.networks.multitask import MultiTaskNetwork, Outputs
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


def multi_task_losses(
    network: MultiTaskNetwork, source: LabelSource, batch: Batch, primary_loss: PrimaryLoss
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the primary output of the samples as they are, and the two terms of equation 2; the second may be missing.

    No gradient flows into the source.
    """
    outputs: Outputs = network(*(part.clone() for part in batch.shown))
    output = outputs.primary[: batch.own]
    primary = primary_loss(output, batch.unchanged()) if len(output) else output.sum()
    with torch.no_grad():
        task = source.auxiliary(batch)
    if task is None:
        return output, primary, None
    assert outputs.auxiliary is not None, "a source with an auxiliary task brings an auxiliary head"
    auxiliary = auxiliary_term(source, outputs.auxiliary, task, batch.mixing, batch.weight)
    if source.consensus is not None:
        losses = focal_loss_of_each(output, source.consensus(outputs.auxiliary.detach(), task.target), 0.0)
        weight = batch.unchanged().weight
        auxiliary = auxiliary + (losses if weight is None else weight * losses).mean()
    return output, primary, auxiliary


def training_step(
    network: MultiTaskNetwork,
    source: LabelSource,
    batch: Batch,
    optimizer: optim.Optimizer,
    primary_loss: PrimaryLoss,
    average: Average,
    with_cosine: bool = False,
) -> tuple[Tensor, Tensor, float | None]:
    """Step the multi-task network once on  L_primary + L_auxiliary  (equation 2).

    Args:
        network: f, with parameters theta_1.
        source: gives the auxiliary target; may combine the two tasks' gradients.
        batch: what is learned.
        optimizer: of the network.
        primary_loss: of the primary output and its batch; a scalar.
        average: averages gradients over data-parallel processes, given this process's number of samples.
        with_cosine: measure `mean_cosine` too, which takes two backward passes.

    Returns:
        The total loss, and the primary output of the samples as they are, both before the step and without graph; and
        the cosine, if it is measured and there is one.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    output, primary, auxiliary = multi_task_losses(network, source, batch, primary_loss)
    total = primary if auxiliary is None else primary + auxiliary
    cosine = mean_cosine(network.trunk, primary, auxiliary, average, len(batch.index)) if with_cosine else None
    primary = batch.primary_factor * primary
    if source.combine is None or auxiliary is None:
        weighted = primary if auxiliary is None else primary + auxiliary
        gradients = average(autograd.grad(weighted, parameters, materialize_grads=True), len(batch.index))
    else:
        own = autograd.grad(primary, parameters, retain_graph=True, materialize_grads=True)
        own += autograd.grad(auxiliary, parameters, materialize_grads=True)
        both = average(own, len(batch.index))
        gradients = source.combine(both[: len(parameters)], both[len(parameters) :])
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    optimizer.zero_grad()
    return total.detach(), output.detach(), cosine


def shared_gradients(
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


def mean_cosine(
    trunk: nn.Module, primary: Tensor, auxiliary: Tensor | None, average: Average, samples: int
) -> float | None:
    """Return the cosine between the two tasks' gradients on the shared layers as the released code measures it.

    It is the mean over the tensors of the shared layers of the mean over all but a tensor's first dimension of the
    cosine along that dimension. None without an auxiliary task, or if the shared layers don't learn.
    """
    gradients = shared_gradients(trunk, primary, auxiliary)
    if gradients is None:
        return None
    first, second = gradients
    both = average([*first, *second], samples)
    pairs = zip(both[: len(first)], both[len(first) :], strict=True)
    return float(torch.stack([cosine_similarity(a, b, dim=0).mean() for a, b in pairs]).mean())
