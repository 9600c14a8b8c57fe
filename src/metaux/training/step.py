"""The training step: one code for every label source."""

from torch import Tensor, autograd, optim

from metaux.labels.base import Batch, LabelSource, PrimaryLoss, auxiliary_term
from metaux.metagradient import Average
from metaux.networks.multitask import MultiTaskNetwork, Outputs


def multi_task_losses(
    network: MultiTaskNetwork, source: LabelSource, batch: Batch, primary_loss: PrimaryLoss
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the primary output of the samples as they are, and the two terms of equation 2; the second may be missing.

    No gradient flows into the source.
    """
    outputs: Outputs = network(*batch.inputs)
    output = outputs.primary[: batch.own]
    primary = primary_loss(output, batch.unchanged()) if len(output) else output.sum()
    task = source.auxiliary(batch)
    if task is None:
        return output, primary, None
    assert outputs.auxiliary is not None, "a source with an auxiliary task brings an auxiliary head"
    return output, primary, auxiliary_term(source, outputs.auxiliary, task)


def training_step(
    network: MultiTaskNetwork,
    source: LabelSource,
    batch: Batch,
    optimizer: optim.Optimizer,
    primary_loss: PrimaryLoss,
    average: Average,
) -> tuple[Tensor, Tensor]:
    """Step the multi-task network once on  L_primary + L_auxiliary  (equation 2).

    Args:
        network: f, with parameters theta_1.
        source: gives the auxiliary target; may combine the two tasks' gradients.
        batch: what is learned.
        optimizer: of the network.
        primary_loss: of the primary output and its batch; a scalar.
        average: averages gradients over data-parallel processes, given this process's number of samples.

    Returns:
        The total loss, and the primary output of the samples as they are, both before the step and without graph.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    output, primary, auxiliary = multi_task_losses(network, source, batch, primary_loss)
    total = primary if auxiliary is None else primary + auxiliary
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
    return total.detach(), output.detach()
