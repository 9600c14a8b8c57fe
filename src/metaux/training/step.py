"""The training step: one code for every label source."""

import torch
from torch import Tensor, autograd, optim

from metaux.labels.base import Batch, LabelSource, PrimaryLoss, auxiliary_term
from metaux.losses import focal_loss
from metaux.metagradient import Average
from metaux.networks.multitask import MultiTaskNetwork, Outputs
from metaux.training.cosine import mean_cosine


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
        agreed = source.consensus(outputs.auxiliary.detach(), task.target)
        auxiliary = auxiliary + focal_loss(output, agreed, 0.0, batch.unchanged().weight)
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
