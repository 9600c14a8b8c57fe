"""MAXL: the label generator learns the sub-classes whose learning lowers the primary loss."""

from typing import Any

import torch
from torch import Tensor

from metaux.hierarchy import Hierarchy
from metaux.labels.base import MetaStep, Preparation
from metaux.labels.frozen import Frozen
from metaux.losses import entropy_loss
from metaux.networks.multitask import Outputs
from metaux.protocols import Protocol


class Maxl(Frozen):
    """Meta auxiliary learning (Algorithm 1 of the ICLR submission; both versions, by protocol).

    A meta step minimises  L(f_pri(x; theta_1+), y) + lambda H(g(x, y, psi))  over theta_2 (equations 3 and 5), with
    theta_1+ the network after one virtual step on the generated labels (equation 4).
    """

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol):
        super().__init__(hierarchy, protocol)
        self.needs_meta_split = protocol.inner_batch == "meta"

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

    def meta_step(self, step: MetaStep) -> None:
        """Step the label generator once."""
        parameters = list(self.generator.parameters())
        primary, entropy = self._objectives(step)
        decay = self.protocol.generator_l1_decay
        gradients = step.average(
            torch.autograd.grad(primary + self.protocol.entropy_weight * entropy, parameters), len(step.inner.index)
        )
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient + decay * parameter.detach().sign() if decay else gradient
        for group in self._optimizer.param_groups:
            group["lr"] = self.protocol.generator_learning_rate * step.rate
        self._optimizer.step()
        self._optimizer.zero_grad()

    def diagnostics(self, step: MetaStep) -> dict[str, float]:
        """Return the norms of the two parts of the generator's gradient, the entropy's with its weight."""
        parameters = list(self.generator.parameters())
        primary, entropy = self._objectives(step)
        parts = {
            "meta_gradient_norm": torch.autograd.grad(primary, parameters, retain_graph=True),
            "entropy_gradient_norm": torch.autograd.grad(self.protocol.entropy_weight * entropy, parameters),
        }
        return {name: float(torch.nn.utils.get_total_norm(part)) for name, part in parts.items()}

    def _objectives(self, step: MetaStep) -> tuple[Tensor, Tensor]:
        """Return two scalars whose gradients are those of the primary and of the entropy part of the objective."""
        labels: Tensor = self.generator(*step.inner.inputs, primary=step.inner.primary)

        def inner_loss(outputs: Outputs, target: Tensor) -> Tensor:
            assert outputs.auxiliary is not None
            auxiliary = self.auxiliary_loss(outputs.auxiliary, target).mean()
            return step.primary_loss(outputs.primary, step.inner) + auxiliary

        def outer_loss(outputs: Outputs) -> Tensor:
            return step.primary_loss(outputs.primary, step.outer)

        result = step.meta_gradient(
            step.network,
            labels.detach(),
            step.inner.inputs,
            inner_loss,
            step.outer.inputs,
            outer_loss,
            step.look_ahead,
            seed=step.seed,
            average=step.average,
        )
        assert isinstance(result.gradient, Tensor)
        # The entropy is not linear in the batch mean, so the mean is taken over all processes first.
        mean = labels.mean(0)
        (over_all,) = step.average([mean.detach()], len(labels))
        slope = torch.func.grad(lambda m: entropy_loss(m.unsqueeze(0)))(over_all)
        return (labels * result.gradient).sum(), (mean * slope).sum()

    def get_extra_state(self) -> Any:
        """Return the optimizer's state, so that an interrupted run goes on as if it had not stopped."""
        return self._optimizer.state_dict()

    def set_extra_state(self, state: Any) -> None:
        """Take up the optimizer's state."""
        self._optimizer.load_state_dict(state)
