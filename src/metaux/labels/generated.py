"""What the sources with a generator share: how it is made, and how a meta step trains it."""

from typing import Any

import torch
from torch import Tensor, nn

from metaux.errors import InputError
from metaux.labels.base import Auxiliary, LabelSource, MetaStep, Preparation, auxiliary_term
from metaux.networks.multitask import Outputs, make_head, to_channels_last
from metaux.protocols import Protocol
from metaux.rng import seeded


class Generated(LabelSource):
    """A source whose targets a network of its own makes. One method is missing: `make_generator`."""

    generator: nn.Module

    def make_generator(self, trunk: nn.Module, head: nn.Module) -> nn.Module:
        """Return the generator on a trunk and a head with `hierarchy.size` outputs."""
        raise NotImplementedError

    def prepare(self, preparation: Preparation) -> None:
        """Make the generator: a trunk like the multi-task network's own, and one head of K outputs."""
        trunk, features = preparation.trunk("generator trunk")
        with seeded(preparation.seed, "generator head"):
            head = make_head(features, self.hierarchy.size, self.protocol.head)
        self.generator = self.make_generator(trunk, head)
        to_channels_last(self.generator, preparation.device)


class Learned(Generated):
    """A generator that meta steps train. One method is missing: `objectives`."""

    @classmethod
    def needs_meta_split(cls, protocol: Protocol) -> bool:
        """Return whether the protocol's look-ahead is on meta data."""
        return protocol.inner_batch == "meta"

    def objectives(self, step: MetaStep) -> dict[str, Tensor]:
        """Return scalars by name, the gradient of whose sum is the generator's."""
        raise NotImplementedError

    def prepare(self, preparation: Preparation) -> None:
        """Make the generator and its optimizer."""
        super().prepare(preparation)
        protocol = self.protocol
        make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[protocol.generator_optimizer]
        self._optimizer: torch.optim.Optimizer = make(
            self.generator.parameters(),
            lr=protocol.generator_learning_rate,
            weight_decay=protocol.generator_weight_decay,
        )

    def _learned(self) -> list[Tensor]:
        return [parameter for parameter in self.generator.parameters() if parameter.requires_grad]

    def meta_step(self, step: MetaStep) -> None:
        """Step the generator once."""
        parameters = self._learned()
        total = torch.stack([*self.objectives(step).values()]).sum()
        own = torch.autograd.grad(total, parameters, materialize_grads=True)
        gradients = step.average(own, len(step.inner.index))
        decay = self.protocol.generator_l1_decay
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient + decay * parameter.detach().sign() if decay else gradient
        for group in self._optimizer.param_groups:
            group["lr"] = self.protocol.generator_learning_rate * step.rate
        self._optimizer.step()
        self._optimizer.zero_grad()

    def diagnostics(self, step: MetaStep) -> dict[str, float]:
        """Return `NAME_gradient_norm`, the norm of the generator's gradient of each objective."""
        parameters = self._learned()
        numbers = super().diagnostics(step)
        for name, objective in self.objectives(step).items():
            gradient = torch.autograd.grad(objective, parameters, retain_graph=True, materialize_grads=True)
            numbers[f"{name}_gradient_norm"] = float(torch.nn.utils.get_total_norm(gradient))
        return numbers

    def through_look_ahead(self, step: MetaStep, task: Auxiliary) -> Tensor:
        """Return a scalar with the gradient of  L_pri(f(x; theta_1+), y)  (equation 3) for what made the task.

        theta_1+ is the network after one virtual step on the primary and the source's auxiliary loss (equation 4).

        Args:
            step: the batches, the network and the way the meta-gradient is computed.
            task: what `auxiliary` gives of the inner batch, but with the generator's graph: target and weight.

        Raises:
            InputError: if the source trains the network on anything but this loss, by `combine` or `views`.
        """
        for hook in ("combine", "views"):
            if getattr(self, hook) is not None:
                raise InputError(
                    f"expected a source without {hook} for the look-ahead, a step on the sum of both losses, found "
                    f"{type(self).__name__} with it; leave it out, or learn in another way"
                )
        made = tuple(part for part in task if part is not None)

        def inner_loss(outputs: Outputs, task: tuple[Tensor, ...]) -> Tensor:
            assert outputs.auxiliary is not None
            auxiliary = auxiliary_term(self, outputs.auxiliary, Auxiliary(*task))
            return step.primary_loss(outputs.primary, step.inner) + auxiliary

        def outer_loss(outputs: Outputs) -> Tensor:
            return step.primary_loss(outputs.primary, step.outer)

        result = step.meta_gradient(
            step.network,
            tuple(part.detach() for part in made),
            step.inner.inputs,
            inner_loss,
            step.outer.inputs,
            outer_loss,
            step.look_ahead,
            seed=step.seed,
            average=step.average,
        )
        return torch.stack([(part * g).sum() for part, g in zip(made, result.gradient, strict=True)]).sum()

    def get_extra_state(self) -> Any:
        """Return the optimizer's state, so that an interrupted run goes on as if it had not stopped."""
        return self._optimizer.state_dict()

    def set_extra_state(self, state: Any) -> None:
        """Take up the optimizer's state."""
        self._optimizer.load_state_dict(state)
