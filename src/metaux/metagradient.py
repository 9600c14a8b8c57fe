"""The meta-gradient: how the loss after one look-ahead step changes with the auxiliary targets.

One signature, three differentiation methods: `forward_mode` (the default, exact), `finite_difference` (for networks
that forward mode cannot differentiate) and `double_backward` (the textbook method, an oracle for tests). The result is
the gradient with respect to the target tensors. The caller sends it through whatever made them with one ordinary
backward pass of `(target * gradient).sum()`.

**Derivation.** With the inner loss L_in(theta, t), whose target t the label generator made, the look-ahead
(equation 4) and the outer loss (equation 3) are

    theta+ = theta - alpha g,    g = dL_in/dtheta (theta, t);        L_out(theta+).

Let v be the gradient of L_out at theta+, an ordinary backward pass, and u = -alpha v. By the chain rule

    dL_out/dt = (dtheta+/dt)^T v = d<g, u>/dt,

and <g, u> is the slope of L_in at theta along u. L_in sees theta through the network's outputs o alone, so

    <g, u> = <dL_in/do (o, t), o'>,    with o' = (do/dtheta) u, the tangent of the outputs.

Of the network, o' is all that is needed, one forward pass; the rest is a few operations on tensors of the outputs'
size, exact for any L_in. With momentum and weight decay theta+ moves, but dtheta+/dg is -alpha still.

The three methods differ in one step: o' by forward-mode differentiation, o' by a central difference, or
d<g, u>/dt by a second backward pass through g. `metaux.functional` keeps the network and the global random state as
they are, bit for bit. (Over 300 lines for its docstrings.)
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import KW_ONLY, dataclass
from functools import wraps
from inspect import signature
from typing import Any, NamedTuple, ParamSpec

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils._pytree import tree_flatten

from metaux.functional import (
    Parameters,
    PureNetwork,
    TangentsStopWithGradient,
    Tensors,
    as_leaves,
    attention_unfused,
    backward,
    contract,
    detached,
    load_forward_formulas,
    named_gap,
    norm,
    slopes,
)
from metaux.updates import sgd_values

InnerLoss = Callable[[Any, Any], Tensor]
OuterLoss = Callable[[Any], Tensor]
Average = Callable[[Sequence[Tensor], int], list[Tensor]]
Given = ParamSpec("Given")


@dataclass(frozen=True)
class LookAhead:
    """The virtual SGD step theta+ = theta - alpha (mu b + g + decay theta); in equation 4 mu and decay are 0.

    Args:
        learning_rate: alpha.
        momentum: mu.
        weight_decay: decay, of the L2 norm.
        velocity: b, the momentum buffer of each parameter by name; absent ones are 0.

    >>> LookAhead(0.5, weight_decay=0.1).step({"w": torch.tensor(1.0)}, {"w": torch.tensor(0.5)})
    {'w': tensor(0.7000)}
    """

    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    velocity: Mapping[str, Tensor] | None = None

    @classmethod
    def from_optimizer(cls, optimizer: torch.optim.Optimizer, network: nn.Module) -> "LookAhead":
        """Return the step that `optimizer` would take next; make it anew for each one, since its buffers are shared.

        Raises:
            InputError: unless it is `torch.optim.SGD`, without dampening, Nesterov momentum and `maximize`,
                and with one parameter group that holds all of the network's trained parameters.
        """
        return cls(*sgd_values(optimizer, network))

    def step(self, parameters: Mapping[str, Tensor], gradient: Mapping[str, Tensor]) -> Parameters:
        """Return theta+, by name; nothing is modified."""
        stepped = {}
        for name, value in parameters.items():
            change = gradient[name].add(value, alpha=self.weight_decay)
            if self.momentum and self.velocity and name in self.velocity:
                change.add_(self.velocity[name], alpha=self.momentum)
            stepped[name] = change.mul_(-self.learning_rate).add_(value)
        return stepped


@dataclass(frozen=True)
class TakenStep:
    """A step that was really taken, in place of a look-ahead: what its passes and those of the next step have found.

    Args:
        parameters: theta before it, by name.
        outputs: o there, on the inner batch.
        learning_rate: alpha.
        gradient: v, the gradient of the outer loss after it, by name, averaged over data-parallel processes.
        outer_loss: after it, a scalar, averaged likewise.
    """

    parameters: Parameters
    outputs: Any
    learning_rate: float
    gradient: Parameters
    outer_loss: Tensor

    def direction(self) -> Parameters:
        """Return u = -alpha v."""
        return {name: g * -self.learning_rate for name, g in self.gradient.items()}


class TargetGradient(NamedTuple):
    """The gradient of the outer loss, of the target's structure, and the outer loss at theta+, a scalar."""

    gradient: Tensors
    outer_loss: Tensor


MetaGradient = Callable[..., TargetGradient]
"""One of the three methods, called with the arguments of a `Problem`."""


def alone(tensors: Sequence[Tensor], samples: int) -> list[Tensor]:  # noqa: ARG001
    """Average over a single process: the tensors themselves."""
    return list(tensors)


@dataclass
class Problem:
    """The arguments of `forward_mode`, `finite_difference` and `double_backward`, and the steps that these share.

    Args:
        network: called as `network(*inputs)`; returns a tensor, or tuples, lists and dicts of tensors (and None),
            or of a type that is registered with `torch.utils._pytree`.
        target: what the inner loss learns from: one tensor, or a tuple, such as (labels `[batch, K]`, weights
            `[batch]`). The graph that made it is not followed.
        inner_inputs: the look-ahead's batch, each `[batch, ...]`.
        inner_loss: of (outputs, target) to a scalar, L_primary + L_auxiliary; any function differentiable in both
            that depends on theta through the outputs alone.
        outer_inputs: the outer loss's batch, each `[batch, ...]`.
        outer_loss: of the outputs at theta+ to a scalar, L_primary.
        look_ahead: the virtual step; or a real one, whose passes are not made again, nor is the outer one.
        seed: of the random numbers that the network draws on the inner batch (dropout); `seed + 1` on the outer one.
        average: averages tensors over data-parallel processes, weighted by the number of samples it is given: g, and
            v with the outer loss. The result is this process's own: average the generator's gradient likewise.

    Raises:
        InputError: if the network has nothing to train; in the methods, if a loss is not one number that depends on
            it, or it has an operation that cannot be differentiated this way.
    """

    network: nn.Module
    target: Tensors
    inner_inputs: tuple[Tensor, ...]
    inner_loss: InnerLoss
    outer_inputs: tuple[Tensor, ...]
    outer_loss: OuterLoss
    look_ahead: LookAhead | TakenStep
    _: KW_ONLY
    seed: int = 0
    average: Average = alone

    def __post_init__(self) -> None:
        self.pure = PureNetwork(self.network)
        if isinstance(self.look_ahead, TakenStep):
            self.pure.parameters = self.look_ahead.parameters

    def inner(self, target: Tensors, create_graph: bool = False) -> tuple[list[Tensor], Any]:
        """Return g, the inner loss's gradient at theta, and the outputs o there."""
        leaves = {name: value.detach().requires_grad_() for name, value in self.pure.parameters.items()}

        def use(outputs: Any) -> tuple[list[Tensor], Any]:
            loss = self.inner_loss(outputs, target)
            return slopes(loss, list(leaves.values()), "inner", create_graph), detached(outputs)

        found: tuple[list[Tensor], Any] = self.pure(leaves, self.inner_inputs, self.seed, use)
        return found

    def step(self, gradient: list[Tensor]) -> Parameters:
        """Return theta+ (equation 4), of g."""
        assert isinstance(self.look_ahead, LookAhead)
        theta = self.pure.parameters
        averaged = self.average([g.detach() for g in gradient], len(self.inner_inputs[0]))
        with torch.no_grad():
            return self.look_ahead.step(theta, dict(zip(theta, averaged, strict=True)))

    def outer(self, ahead: Parameters) -> tuple[Parameters, Tensor]:
        """Return u = -alpha v, and the outer loss (equation 3) at theta+."""
        leaves = {name: value.requires_grad_() for name, value in ahead.items()}

        def use(outputs: Any) -> list[Tensor]:
            loss = self.outer_loss(outputs)
            return [*slopes(loss, list(leaves.values()), "outer"), loss.detach()]

        found = self.pure(leaves, self.outer_inputs, self.seed + 1, use)
        *v, loss = self.average(found, len(self.outer_inputs[0]))
        return {name: g * -self.look_ahead.learning_rate for name, g in zip(ahead, v, strict=True)}, loss

    def through(
        self, tangents: Callable[[Parameters], list[Tensor | None]], context: AbstractContextManager[None]
    ) -> TargetGradient:
        """Return dL_out/dt by the tangents o' of the outputs along u; g is computed in the context given."""
        taken = self.look_ahead
        if isinstance(taken, TakenStep):
            outputs, direction, loss = detached(taken.outputs), taken.direction(), taken.outer_loss
        else:
            with context:
                gradient, outputs = self.inner(detached(self.target))
            ahead = self.step(gradient)
            del gradient  # as large as the network, as is theta+
            direction, loss = self.outer(ahead)
            del ahead
        return TargetGradient(contract(self.inner_loss, outputs, tangents(direction), self.target), loss)


def _given(
    problem: Callable[Given, Problem],
) -> Callable[[Callable[[Problem], TargetGradient]], Callable[Given, TargetGradient]]:
    """Let a method be called with the arguments of its problem."""

    def decorated(method: Callable[[Problem], TargetGradient]) -> Callable[Given, TargetGradient]:
        @wraps(method)
        def meta_gradient(*arguments: Given.args, **named: Given.kwargs) -> TargetGradient:
            with torch.enable_grad():
                return method(problem(*arguments, **named))

        vars(meta_gradient)["__signature__"] = signature(problem).replace(return_annotation=TargetGradient)
        return meta_gradient

    return decorated


@_given(Problem)
def forward_mode(problem: Problem) -> TargetGradient:
    """Return the exact meta-gradient from one forward-mode pass; arguments and errors as of `Problem`.

    Attention by `scaled_dot_product_attention` is computed unfused, in the look-ahead too. LSTM,
    `EmbeddingBag` and `weight_norm` have no forward formula in PyTorch: use `finite_difference`.
    `SyncBatchNorm` is not supported.

    The same identity for noisy labels: EMLC (arXiv 2305.12961).

    >>> network = nn.Linear(1, 1, bias=False)  # o = theta x, at theta = 1 and x = 1
    >>> _ = nn.init.ones_(network.weight)
    >>> x, t = torch.ones(1, 1), torch.zeros(1, 1)
    >>> def inner_loss(o, t):  # g = theta - t, so theta+ = theta - 0.5 g = 0.5 + 0.5 t
    ...     return 0.5 * (o - t).square().sum()
    >>> def outer_loss(o):  # theta+^2, so its gradient is 2 theta+ 0.5 = 0.5 at t = 0
    ...     return o.square().sum()
    >>> forward_mode(network, t, (x,), inner_loss, (x,), outer_loss, LookAhead(0.5))
    TargetGradient(gradient=tensor([[0.5000]]), outer_loss=tensor(0.2500))
    """

    def tangents(direction: Parameters) -> list[Tensor | None]:
        theta = problem.pure.parameters
        load_forward_formulas()
        with named_gap("forward_mode"), attention_unfused(), forward_ad.dual_level():
            duals = {name: forward_ad.make_dual(value, direction[name]) for name, value in theta.items()}
            with TangentsStopWithGradient():
                moved = tree_flatten(problem.pure(duals, problem.inner_inputs, problem.seed))[0]
            return [forward_ad.unpack_dual(x).tangent if isinstance(x, Tensor) else None for x in moved]

    return problem.through(tangents, attention_unfused())


@_given(Problem)
def finite_difference(problem: Problem) -> TargetGradient:
    """Return the meta-gradient by a central difference of the outputs; arguments as of `Problem`.

    o' = (o(theta + h u) - o(theta - h u)) / 2h, two forward passes without a graph. For any network, except that a
    difference sees through what hides from the gradient (`detach`, `torch.no_grad`, straight-through estimators).
    Rounding errs in proportion to 1 / h, a ReLU that switches within the step in proportion to h; so h is small for a
    central difference: min(sqrt(p), 10 p^(2/3)) |theta| / |u| at precision p. In float64 the relative error is below
    1e-3, and in float32 it is below 1e-3 for smooth networks; for deep ReLU networks in float32 it is tens of per
    cent.

    The released code's "first order" variant takes the difference of the losses' gradients at a step of
    0.01 / |v|, with an error of 25 % (VGG-16), and drops the entropy loss.
    """

    def tangents(direction: Parameters) -> list[Tensor | None]:
        theta, p = problem.pure.parameters, problem.pure.precision()
        h = min(p**0.5, 10 * p ** (2 / 3)) * (norm(theta) or 1.0) / (norm(direction) or 1.0)

        def outputs(step: float) -> list[Any]:
            moved = {name: value.add(direction[name], alpha=step) for name, value in theta.items()}
            return tree_flatten(problem.pure(moved, problem.inner_inputs, problem.seed))[0]

        with torch.no_grad():
            return [
                (after - before) / (2 * h) if isinstance(after, Tensor) and after.is_floating_point() else None
                for after, before in zip(outputs(h), outputs(-h), strict=True)
            ]

    return problem.through(tangents, nullcontext())


@_given(Problem)
def double_backward(problem: Problem) -> TargetGradient:
    """Return the exact meta-gradient by a second backward pass; arguments and errors as of `Problem`.

    The oracle for tests, as in the released code: it takes far more time and memory than `forward_mode`.
    """
    target, taken = as_leaves(problem.target), problem.look_ahead
    with named_gap("double_backward"), attention_unfused():
        gradient, _ = problem.inner(target, create_graph=True)
    if isinstance(taken, TakenStep):
        direction, loss = taken.direction(), taken.outer_loss
    else:
        direction, loss = problem.outer(problem.step(gradient))
    with named_gap("double_backward"):
        return TargetGradient(backward(gradient, direction.values(), target), loss)
