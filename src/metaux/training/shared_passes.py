"""Training and meta steps that share their passes: the look-ahead of a batch is the training step on it.

The step on batch t moved theta_t to theta_t+1. What its labels did to the primary loss of the next batch at theta_t+1
is known once the next step has made its forward pass, and the backward pass of its primary loss, which gives v. So of
the network an iteration takes one forward pass, a backward pass for each task, and the forward-mode pass at theta_t;
of the generator one forward and one backward pass. The last batch of an epoch has no next step: its v is taken apart,
on the epoch's first batch, so that no more than the networks has to survive an interruption. The outer loss of the
others is the training's own primary loss: of mixed images and smoothed targets, where it is trained on these.
"""

from collections.abc import Sequence

from torch import Tensor, autograd

from metaux.functional import PureNetwork, as_leaves, detached, slopes
from metaux.labels.base import Auxiliary, Batch, MetaStep, auxiliary_term
from metaux.metagradient import LookAhead, TakenStep, forward_mode
from metaux.networks.multitask import Outputs
from metaux.training.cosine import mean_cosine
from metaux.training.learner import Learner, Taken


def shared_step(
    learner: Learner, batch: Batch, rate: float, seed: int, with_cosine: bool = False
) -> tuple[Tensor, Tensor, float | None]:
    """Take the meta step of the training step before, if any, and a training step (equation 2).

    Args:
        learner: what learns.
        batch: what is learned.
        rate: the schedule's factor on the learning rates.
        seed: of the step's random numbers, at which torch's global generator stands.
        with_cosine: as of `training_step`, like the result.

    Raises:
        InputError: for an optimizer other than plain SGD.
    """
    network, source = learner.network, learner.source
    trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
    parameters, samples = [*trained.values()], len(batch.index)
    outputs: Outputs = network(*(part.clone() for part in batch.shown))
    primary = learner.primary_loss(outputs.primary, batch)
    v = autograd.grad(primary, parameters, retain_graph=True, materialize_grads=True)
    *first, outer_loss = learner.average([*v, primary.detach()], samples)
    meta_step(learner, batch, first, outer_loss)
    task = source.auxiliary(batch)
    assert task is not None, "a source with a meta step has an auxiliary task"
    assert outputs.auxiliary is not None, "and an auxiliary head"
    learned = Auxiliary(*detached(tuple(task)))
    auxiliary = auxiliary_term(source, outputs.auxiliary, learned, batch.mixing, batch.weight)
    cosine = mean_cosine(network.trunk, primary, auxiliary, learner.average, samples) if with_cosine else None
    second = learner.average(autograd.grad(auxiliary, parameters, materialize_grads=True), samples)
    theta = {name: value.detach().clone() for name, value in trained.items()}
    alpha = LookAhead.from_optimizer(learner.optimizer, network).learning_rate
    for parameter, own, other in zip(parameters, first, second, strict=True):
        parameter.grad = own + other
    learner.optimizer.step()
    learner.optimizer.zero_grad()
    learner.taken = Taken(batch, task, theta, detached(outputs), alpha, rate, seed)
    return (primary + auxiliary).detach(), outputs.primary.detach(), cosine


def last_meta_step(learner: Learner, batch: Batch) -> None:
    """Take the meta step of an epoch's last training step, with the outer loss on the batch given."""
    pure = PureNetwork(learner.network)
    leaves = as_leaves(pure.parameters)

    def use(outputs: Outputs) -> list[Tensor]:
        loss = learner.primary_loss(outputs.primary, batch)
        return [*slopes(loss, [*leaves.values()], "outer"), loss.detach()]

    assert learner.taken is not None
    found = pure(leaves, batch.inputs, learner.taken.seed + 1, use)
    *v, outer_loss = learner.average(found, len(batch.index))
    meta_step(learner, batch, v, outer_loss)


def meta_step(learner: Learner, outer: Batch, v: Sequence[Tensor], outer_loss: Tensor) -> None:
    """Take the meta step of the training step before, if any.

    Args:
        learner: what learns.
        outer: the outer loss's batch.
        v: the gradient of the outer loss for each parameter, at present.
        outer_loss: a scalar.
    """
    taken, learner.taken = learner.taken, None
    if taken is None:
        return
    gradient = dict(zip(taken.parameters, v, strict=True))
    step = TakenStep(taken.parameters, taken.outputs, taken.learning_rate, gradient, outer_loss)
    method = learner.meta_gradient or forward_mode
    made = learner.network, taken.batch, outer, learner.primary_loss, step, method, taken.rate, taken.seed
    assert learner.source.meta_step is not None
    learner.source.meta_step(MetaStep(*made, learner.average, taken.task))
