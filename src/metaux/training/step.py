"""The training step: one code for every label source."""

from collections.abc import Sequence

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
    output = outputs.primary if batch.own is None else outputs.primary[: batch.own]
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
    parameters = trained_parameters(optimizer)
    output, primary, auxiliary = multi_task_losses(network, source, batch, primary_loss)
    total = primary if auxiliary is None else primary + auxiliary
    cosine = mean_cosine(network.trunk, primary, auxiliary, average, len(batch.index)) if with_cosine else None
    primary = batch.primary_factor * primary
    if source.combine is None or auxiliary is None:
        weighted = primary if auxiliary is None else primary + auxiliary
        gradients = average(gradients_of(weighted, parameters), len(batch.index))
    else:
        own = gradients_of(primary, parameters, retain_graph=True)
        own += gradients_of(auxiliary, parameters)
        both = average(own, len(batch.index))
        gradients = source.combine(both[: len(parameters)], both[len(parameters) :])
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    for parameter in parameters:
        parameter.grad = None
    return total.detach(), output.detach(), cosine


def trained_parameters(optimizer: optim.Optimizer) -> list[Tensor]:
    """Return what an optimizer trains."""
    return [value for group in optimizer.param_groups for value in group["params"] if value.requires_grad]


def gradients_of(loss: Tensor, parameters: list[Tensor], retain_graph: bool = False) -> list[Tensor]:
    """Return the gradient of a loss for each parameter, 0 for those it does not depend on.

    PyTorch's own `materialize_grads` takes a tenth of a small network's step.
    """
    found: Sequence[Tensor | None] = autograd.grad(loss, parameters, retain_graph=retain_graph, allow_unused=True)
    return [torch.zeros_like(own) if g is None else g for own, g in zip(parameters, found, strict=True)]
