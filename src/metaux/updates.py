"""What an optimizer does, as pure functions: an update that autograd can go back through."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from metaux.errors import InputError
from metaux.functional import Parameters

Moments = dict[str, Tensor]
Group = Mapping[str, Any]


@dataclass(frozen=True)
class Update:
    """The step of an optimizer as a function of parameters, gradient and moments, each by the parameter's name.

    Args:
        rule: the step of one parameter.
        groups: the optimizer's values.
        moments: what the optimizer remembers at the start.
        taken: steps taken before.
        linear: whether the step is linear in the gradient, so that its derivative does not depend on it.
    """

    rule: "Rule"
    groups: dict[str, Group]
    moments: dict[str, Moments]
    taken: dict[str, float]
    linear: bool

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, network: nn.Module) -> "Update":
        """Return what `optimizer` does, from its present state on.

        Raises:
            InputError: unless it is SGD without dampening, or Adam or AdamW without amsgrad, none of them maximizes,
                and it has all parameters of the network that require a gradient.
        """
        kind = type(optimizer)
        if kind not in _KNOWN:
            raise InputError(
                f"expected SGD, Adam or AdamW of torch.optim, found {kind.__name__}; train with one of these"
            )
        rule, keys, refused = _KNOWN[kind]
        for group in optimizer.param_groups:
            refuse_options(group, kind.__name__, refused)
        group_of = {id(value): group for group in optimizer.param_groups for value in group["params"]}
        trained = trained_by(optimizer, network)
        decoupled = {"decoupled_weight_decay": True} if kind is torch.optim.AdamW else {}
        groups: dict[str, Group] = {name: group_of[id(value)] | decoupled for name, value in trained.items()}
        moments, taken = {}, {}
        for name, value in trained.items():
            state = optimizer.state.get(value, {})
            kept = [state.get(key) for key in keys if groups[name].get("momentum", 1)]
            moments[name] = {
                key: torch.zeros_like(value) if before is None else before.detach().clone()
                for key, before in zip(keys, kept, strict=False)
            }
            taken[name] = float(state.get("step", 0))
        return cls(rule, groups, moments, taken, rule is _sgd)

    def __call__(
        self, parameters: Parameters, gradients: Parameters, moments: dict[str, Moments], number: int, rate: float
    ) -> tuple[Parameters, dict[str, Moments]]:
        """Return parameters and moments after step `number`, counted from 0, at `rate` times the learning rates."""
        stepped = {
            name: self.rule(
                value, gradients[name], moments[name], group, float(group["lr"]) * rate, self.taken[name] + number + 1
            )
            for (name, value), group in zip(parameters.items(), self.groups.values(), strict=True)
        }
        return {name: value for name, (value, _) in stepped.items()}, {name: own for name, (_, own) in stepped.items()}


Rule = Callable[[Tensor, Tensor, Moments, Group, float, float], tuple[Tensor, Moments]]


def _sgd(
    value: Tensor, gradient: Tensor, moments: Moments, group: Group, rate: float, _number: float
) -> tuple[Tensor, Moments]:
    """Step as `torch.optim.SGD`."""
    if group["weight_decay"]:
        gradient = gradient.add(value, alpha=group["weight_decay"])
    if mu := group["momentum"]:
        velocity = moments["momentum_buffer"].mul(mu).add(gradient)
        moments = {"momentum_buffer": velocity}
        gradient = gradient.add(velocity, alpha=mu) if group["nesterov"] else velocity
    return value.add(gradient, alpha=-rate), moments


def _adam(
    value: Tensor, gradient: Tensor, moments: Moments, group: Group, rate: float, number: float
) -> tuple[Tensor, Moments]:
    """Step as `torch.optim.Adam` and `AdamW`."""
    (beta1, beta2), decay = map(float, group["betas"]), group["weight_decay"]
    if decay and group.get("decoupled_weight_decay"):
        value = value.mul(1 - rate * decay)
    elif decay:
        gradient = gradient.add(value, alpha=decay)
    first = moments["exp_avg"].lerp(gradient, 1 - beta1)
    second = moments["exp_avg_sq"].mul(beta2).addcmul(gradient, gradient, value=1 - beta2)
    # Where no gradient has ever been, the root has no derivative: it counts as 0.
    root = torch.where(second > 0, torch.where(second > 0, second, 1).sqrt(), 0)
    scale = (root / (1 - beta2**number) ** 0.5).add(group["eps"])
    moved = value.addcdiv(first, scale, value=-rate / (1 - beta1**number))
    return moved, {"exp_avg": first, "exp_avg_sq": second}


_ADAM = _adam, ("exp_avg", "exp_avg_sq"), ("amsgrad", "maximize")
_KNOWN: dict[type, tuple[Rule, tuple[str, ...], tuple[str, ...]]] = {
    torch.optim.SGD: (_sgd, ("momentum_buffer",), ("dampening", "maximize")),
    torch.optim.Adam: _ADAM,
    torch.optim.AdamW: _ADAM,
}


def sgd_values(
    optimizer: torch.optim.Optimizer, network: nn.Module
) -> tuple[float, float, float, Mapping[str, Tensor]]:
    """Return learning rate, momentum, weight decay and momentum buffers by name of a plain SGD optimizer."""
    if type(optimizer) is not torch.optim.SGD:
        raise InputError(
            f"expected torch.optim.SGD for the look-ahead, found {type(optimizer).__name__}; "
            "construct a LookAhead from the values of your choice"
        )
    if len(optimizer.param_groups) != 1:
        raise InputError(
            f"expected one parameter group for the look-ahead, found {len(optimizer.param_groups)}; "
            "give the optimizer all parameters in one"
        )
    [group] = optimizer.param_groups
    refuse_options(group, "SGD", ("dampening", "nesterov", "maximize"))
    trained = trained_by(optimizer, network)
    buffers = {name: optimizer.state.get(value, {}).get("momentum_buffer") for name, value in trained.items()}
    velocity = {name: buffer for name, buffer in buffers.items() if buffer is not None}
    return float(group["lr"]), group["momentum"], group["weight_decay"], velocity


def refuse_options(group: Mapping[str, Any], name: str, options: Iterable[str]) -> None:
    """Raise `InputError` for the first of these options of an optimizer's parameter group that is on."""
    for option in options:
        if group[option]:
            raise InputError(f"expected {name} without {option}, found {option}={group[option]}; leave it off")


def trained_by(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that require a gradient, by name.

    Raises:
        InputError: if the optimizer lacks one.
    """
    trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
    held = {id(value) for group in optimizer.param_groups for value in group["params"]}
    missing = [name for name, value in trained.items() if id(value) not in held]
    if missing:
        raise InputError(
            f"expected an optimizer of all the network's parameters, but it lacks {', '.join(missing)}; "
            "add them to it or set their requires_grad to False"
        )
    return trained
