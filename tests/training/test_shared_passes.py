"""Where the training step is the look-ahead: plain autograd's gradient through it, in fewer passes."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from metaux.errors import InputError
from metaux.labels.base import auxiliary_term
from metaux.labels.maxl import Maxl
from metaux.labels.sources import SOURCES
from metaux.labels.vector import Vector
from metaux.metagradient import MetaGradient, double_backward, finite_difference, forward_mode
from metaux.protocols import TUNED, resolve
from metaux.rng import derive_seed
from metaux.settings import Settings
from metaux.training.learner import Learner
from metaux.training.loop import take_step, train_epoch
from small import learner


class Dropping(nn.Module):
    """A small trunk that counts its passes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Tanh(), nn.Dropout(0.3))
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        features: Tensor = self.layers(x)
        return features


def in_default_type(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (inputs[0].to(torch.get_default_dtype()) / 255 - 0.3,)


def made(method: str, way: MetaGradient = forward_mode) -> Learner:
    values = {"generator_optimizer": "sgd", "entropy_weight": 0.0, "preprocess": in_default_type}
    found = learner(SOURCES[method], trunk=Dropping, meta_gradient=way, **values)
    found.network.train()
    found.source.train()
    return found


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize(
    ("method", "way", "error"),
    [
        ("maxl", forward_mode, 1e-9),
        ("maxl", double_backward, 1e-9),
        ("maxl", finite_difference, 1e-3),
        ("vector", forward_mode, 1e-9),
    ],
)
def test_the_gradient_is_plain_autograds_through_the_training_step(
    method: str, way: MetaGradient, error: float
) -> None:
    """With momentum, weight decay, dropout and batch normalisation."""
    one = made(method, way)
    order, seed = one.batches.order(0), one.plan.seed
    take_step(one, "train", order, 0, 1.0)
    velocity = {id(value): state["momentum_buffer"].clone() for value, state in one.optimizer.state.items()}
    take_step(one, "train", order, 1, 1.0)
    taken, source = one.taken, copy.deepcopy(one.source)
    assert taken is not None
    assert isinstance(source, Maxl | Vector)

    theta = {name: value.requires_grad_() for name, value in taken.parameters.items()}
    torch.manual_seed(derive_seed(seed, "train", 0, 1))
    outputs = functional_call(one.network, theta, taken.batch.inputs)
    loss = one.primary_loss(outputs.primary, taken.batch)
    loss = loss + auxiliary_term(source, outputs.auxiliary, source.auxiliary(taken.batch))
    ahead = {}
    for (name, value), own in zip(
        theta.items(), torch.autograd.grad(loss, [*theta.values()], create_graph=True), strict=True
    ):
        before = velocity[id(one.network.get_parameter(name))]
        ahead[name] = value - TUNED.learning_rate * (0.9 * before + own + 5e-4 * value)
        torch.testing.assert_close(ahead[name].detach(), one.network.get_parameter(name).detach())
    torch.manual_seed(derive_seed(seed, "train", 0, 2))
    outer = one.batches.training(order, 2)
    outer_loss = one.primary_loss(functional_call(one.network, ahead, outer.inputs).primary, outer)
    parameters = [*source.generator.parameters()]
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(outer_loss, parameters)])

    take_step(one, "train", order, 2, 1.0)
    assert isinstance(one.source, Maxl | Vector)
    moved = [a - b for a, b in zip(one.source.generator.parameters(), parameters, strict=True)]
    found = -torch.cat([change.detach().flatten() for change in moved]) / TUNED.generator_learning_rate
    assert expected.norm() > 0
    assert (found - expected).norm() < error * expected.norm()


def test_an_iteration_takes_two_passes_of_the_network_and_one_of_the_generator() -> None:
    one = made("maxl")
    batches = len(one.batches.order(0).train)
    assert isinstance(one.source, Maxl)
    network, generator = one.network.trunk, one.source.generator.trunk
    assert isinstance(network, Dropping)
    assert isinstance(generator, Dropping)
    before = network.passes, generator.passes
    train_epoch(one, 0)
    assert one.taken is None
    assert network.passes - before[0] == 2 * batches + 1  # the last batch's outer loss has a pass of its own
    assert generator.passes - before[1] == batches


def test_a_taken_step_needs_the_batches_of_the_training() -> None:
    with pytest.raises(InputError, match="expected meta_order iteration, inner_batch train and outer_batch next"):
        resolve(Settings(), replace(TUNED, outer_batch="same"))
