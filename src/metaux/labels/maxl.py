"""MAXL: the label generator learns the sub-classes whose learning lowers the primary loss.

The class is the method: generator, look-ahead and meta step. The functions and the optimizer below it serve any source
that learns through the look-ahead, such as `metaux.labels.vector`.
"""

from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from metaux.errors import InputError
from metaux.labels.base import Auxiliary, Batch, LabelSource, MetaStep, Preparation, SubclassSource, auxiliary_term
from metaux.losses import entropy_loss
from metaux.networks.multitask import LabelGenerator, Outputs, to_channels_last
from metaux.optimizer_state import take_up
from metaux.protocols import Protocol


@final
class Maxl(SubclassSource):
    """Meta auxiliary learning (Algorithm 1 of the ICLR submission; both versions, by protocol).

    A meta step minimises  L(f_pri(x; theta_1+), y) + lambda H(g(x, y, psi))  over theta_2 (equations 3 and 5), with
    theta_1+ the network after one virtual step on the generated labels (equation 4).
    """

    @classmethod
    def needs_meta_split(cls, protocol: Protocol) -> bool:
        """Return whether the protocol's look-ahead is on meta data."""
        return protocol.inner_batch == "meta"

    def prepare(self, preparation: Preparation) -> None:
        """Make the generator g, with a trunk like the multi-task network's own and K outputs, and its optimizer."""
        trunk, head = preparation.generator_parts(self.hierarchy.size, self.protocol)
        self.generator = to_channels_last(LabelGenerator(trunk, head, self.hierarchy), preparation.device)
        self._optimizer = GeneratorOptimizer(self.generator, self.protocol)

    def target(self, batch: Batch) -> Tensor:
        """Return the generated labels, `[batch, K]`, with the generator's graph."""
        labels: Tensor = self.generator(*batch.copies(), primary=batch.primary)
        return labels

    def objectives(self, step: MetaStep) -> dict[str, Tensor]:
        """Return the primary loss after the look-ahead (`meta`), and the `entropy` with its weight lambda."""
        task = step.task or self.auxiliary(step.inner)
        meta = meta_objective(self, step, task)
        entropy = of_all_processes(lambda mean: entropy_loss(mean.unsqueeze(0)), task.target.mean(0), step)
        return {"meta": meta, "entropy": self.protocol.entropy_weight * entropy}

    def meta_step(self, step: MetaStep) -> None:
        """Step the generator once, down the sum of the objectives."""
        self._optimizer.step(self.objectives(step), step)

    def diagnostics(self, step: MetaStep) -> dict[str, float]:
        """Return the norm of the generator's gradient of each objective."""
        return self._optimizer.gradient_norms(self.objectives(step))

    def get_extra_state(self) -> Any:
        """Return the optimizer's state, so that an interrupted run goes on as if it had not stopped."""
        return self._optimizer.optimizer.state_dict()

    def set_extra_state(self, state: Any) -> None:
        """Take up the optimizer's state."""
        take_up(self._optimizer.optimizer, state)


def meta_objective(source: LabelSource, step: MetaStep, task: Auxiliary) -> Tensor:
    """Return a scalar with the gradient of  L_pri(f(x; theta_1+), y)  (equation 3) for what made the task.

    Args:
        source: whose auxiliary loss is in the virtual step to theta_1+ (equation 4).
        step: the batches, the network and how the meta-gradient is computed.
        task: what the source's `auxiliary` gives of the inner batch, with the generator's graph: target and weight.

    Raises:
        InputError: if the source trains the network on anything but this loss, by `combine` or `views`.
    """
    for hook in ("combine", "views"):
        if getattr(source, hook) is not None:
            raise InputError(
                f"expected a source without {hook} for the look-ahead, a step on the sum of both losses, found "
                f"{type(source).__name__} with it; leave it out, or learn in another way"
            )
    made = tuple(part for part in task if part is not None)

    def inner_loss(outputs: Outputs, task: tuple[Tensor, ...]) -> Tensor:
        assert outputs.auxiliary is not None
        auxiliary = auxiliary_term(source, outputs.auxiliary, Auxiliary(*task), step.inner.mixing, step.inner.weight)
        return step.primary_loss(outputs.primary, step.inner) + auxiliary

    def outer_loss(outputs: Outputs) -> Tensor:
        return step.primary_loss(outputs.primary, step.outer)

    result = step.meta_gradient(
        step.network,
        tuple(part.detach() for part in made),
        step.inner.shown,
        inner_loss,
        step.outer.inputs,
        outer_loss,
        step.look_ahead,
        seed=step.seed,
        average=step.average,
    )
    return torch.stack([(part * g).sum() for part, g in zip(made, result.gradient, strict=True)]).sum()


def of_all_processes(loss: Callable[[Tensor], Tensor], own: Tensor, step: MetaStep) -> Tensor:
    """Return a scalar with the gradient of a loss of an average over data-parallel processes, which may be not linear.

    Args:
        loss: of the average, to a scalar.
        own: this process's part of it, measured on its inner batch, with a graph.
        step: averages over the processes.
    """
    (over_all,) = step.average([own.detach()], len(step.inner.index))
    slope: Tensor = torch.func.grad(loss)(over_all)
    return (own * slope).sum()


class GeneratorOptimizer:
    """The optimizer of a generator's parameters theta_2, with the protocol's values.

    Args:
        generator: on its device.
        protocol: which optimizer, its learning rate and decay.
    """

    def __init__(self, generator: nn.Module, protocol: Protocol):
        make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[protocol.generator_optimizer]
        decay = {protocol.generator_decay_norm: protocol.generator_decay}
        self.l1_decay = decay.get("l1", 0.0)
        self.optimizer: torch.optim.Optimizer = make(
            generator.parameters(), lr=protocol.generator_learning_rate, weight_decay=decay.get("l2", 0.0)
        )
        self.parameters = [parameter for parameter in generator.parameters() if parameter.requires_grad]
        self.protocol = protocol

    def step(self, objectives: Mapping[str, Tensor], step: MetaStep) -> None:
        """Step the generator once, down the sum of the objectives."""
        total = torch.stack([*objectives.values()]).sum()
        own = torch.autograd.grad(total, self.parameters, materialize_grads=True)
        gradients = step.average(own, len(step.inner.index))
        decay = self.l1_decay
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient + decay * parameter.detach().sign() if decay else gradient
        for group in self.optimizer.param_groups:
            group["lr"] = self.protocol.generator_learning_rate * step.rate
        self.optimizer.step()
        self.optimizer.zero_grad()

    def gradient_norms(self, objectives: Mapping[str, Tensor]) -> dict[str, float]:
        """Return `NAME_gradient_norm`, the norm of the generator's gradient of each objective."""
        gradients = {
            name: torch.autograd.grad(objective, self.parameters, retain_graph=True, materialize_grads=True)
            for name, objective in objectives.items()
        }
        return {f"{name}_gradient_norm": float(torch.nn.utils.get_total_norm(own)) for name, own in gradients.items()}
