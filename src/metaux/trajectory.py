"""A training as a function of its state: its steps, the loss at its end, and the derivatives of both."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_map, tree_structure, tree_unflatten

from metaux.allocation import SHARE_OF_MEMORY, free_memory
from metaux.dual_layers import FastDuals
from metaux.errors import InputError
from metaux.functional import (
    Parameters,
    PureNetwork,
    Tensors,
    as_leaves,
    backward,
    detached,
    load_forward_formulas,
    slopes,
)
from metaux.metagradient import InnerLoss, OuterLoss
from metaux.updates import Moments, Update

OuterBatch = tuple[tuple[Tensor, ...], OuterLoss]
Adjoint = tuple[Parameters, dict[str, Moments]]


class Step(NamedTuple):
    """One step of training.

    Args:
        inputs: the batch, each `[batch, ...]`.
        target: what the inner loss learns from: one tensor, or a tuple. The graph that made it is not followed.
        loss: of (outputs, target) to a scalar, differentiable in both.
        rate: the schedule's factor on the optimizer's learning rates.
        seed: of the random numbers that the network draws (dropout); by default `unrolled`'s own seed plus the step's
            number.
    """

    inputs: tuple[Tensor, ...]
    target: Tensors
    loss: InnerLoss
    rate: float = 1.0
    seed: int | None = None


class State(NamedTuple):
    """All that a step of training changes, by name."""

    parameters: Parameters
    moments: dict[str, Moments]
    buffers: Parameters


class Moment(NamedTuple):
    """The state before a step, and the gradient of the step where the way back needs it, else none."""

    state: State
    gradient: Parameters


Kept = TypeVar("Kept", State, Moment)


class Shelf(Generic[Kept]):
    """Memory for so many states, taken at once.

    Kept one by one, they would lie scattered between all that a step needs and frees, and take three times as much.
    """

    def __init__(self, like: Kept, places: int):
        self._structure: TreeSpec = tree_structure(like)
        self._rows: list[Tensor] = []
        for value in tree_leaves(like):
            dense: Tensor = torch.empty_like(value)
            self._rows.append(dense.new_empty_strided((places, *dense.shape), (dense.numel(), *dense.stride())))

    def put(self, place: int, nest: Kept) -> None:
        """Keep a copy there."""
        for row, value in zip(self._rows, tree_leaves(nest), strict=True):
            row[place] = value

    def get(self, place: int) -> Kept:
        """Return what is there; it is not to be changed."""
        nest: Kept = tree_unflatten([row[place] for row in self._rows], self._structure)
        return nest


@dataclass(frozen=True)
class Training:
    """A training as a function of its state."""

    network: PureNetwork
    update: Update
    step: Callable[[int], Step]
    seed: int

    @property
    def start(self) -> State:
        """The state of the real network and optimizer."""
        return State(self.network.parameters, self.update.moments, self.network.buffers)

    @property
    def example(self) -> Moment:
        """What is kept of a step."""
        return Moment(self.start, {} if self.update.linear else self.network.parameters)

    def span(self, steps: int, memory: int | None) -> int:
        """Return how many steps' states are kept at a time: all, or the square root of their number."""
        size = sum(value.numel() * value.element_size() for value in tree_leaves(self.example))
        if memory is None:
            memory = int(SHARE_OF_MEMORY * free_memory(next(iter(self.network.parameters.values())).device))
        if steps * size <= memory:
            return steps
        span = ceil(sqrt(steps))
        needed = (span + ceil(steps / span)) * size
        if needed > memory:
            raise InputError(
                f"expected at least {needed:,} bytes for the states of {steps:,} steps, found {memory:,}; give more "
                "memory, or a horizon"
            )
        return span

    def check_buffers(self) -> None:
        """Raise `InputError` if training changes the network's buffers, so that its evaluation mode depends on it."""
        after, _ = self.after(self.start, 0)
        changed = [name for name, value in after.buffers.items() if not torch.equal(value, self.network.buffers[name])]
        if changed:
            raise InputError(
                "expected a network whose training changes no buffers for an outer loss in evaluation mode, found that "
                f"it changes {', '.join(changed)}; take the outer loss in training mode"
            )

    def seed_of(self, step: Step, number: int) -> int:
        """Return the seed of a step's random numbers."""
        return self.seed + number if step.seed is None else step.seed

    def after(self, state: State, number: int) -> tuple[State, Parameters]:
        """Return the state after a step, and the step's gradient."""
        step = self.step(number)
        leaves = as_leaves(state.parameters)

        def use(outputs: Any) -> tuple[list[Tensor], Parameters]:
            loss = step.loss(outputs, detached(step.target))
            return slopes(loss, list(leaves.values()), "inner"), self.network.present_buffers()

        found, buffers = self.network(leaves, step.inputs, self.seed_of(step, number), use, state.buffers)
        gradient = dict(zip(leaves, found, strict=True))
        with torch.no_grad():
            stepped = self.update(state.parameters, gradient, state.moments, number, step.rate)
        return State(*stepped, buffers), gradient

    def through(self, state: State, numbers: range, trail: Shelf[Moment]) -> State:
        """Return the state after these steps; keep what was before each of them."""
        for place, number in enumerate(numbers):
            after, gradient = self.after(state, number)
            trail.put(place, Moment(state, {} if self.update.linear else gradient))
            state = after
        return state

    def outer(
        self, state: State, batches: Sequence[OuterBatch], steps: int, evaluating: bool
    ) -> tuple[Tensor, Parameters]:
        """Return the outer loss and its gradient."""
        leaves = as_leaves(state.parameters)
        samples = sum(len(inputs[0]) for inputs, _ in batches)
        total: list[Tensor] = []
        with _evaluation_mode(self.network.network) if evaluating else nullcontext():
            for place, (inputs, outer_loss) in enumerate(batches):

                def use(outputs: Any, outer_loss: OuterLoss = outer_loss) -> list[Tensor]:
                    loss = outer_loss(outputs)
                    return [loss.detach(), *slopes(loss, list(leaves.values()), "outer")]

                found = self.network(leaves, inputs, self.seed + steps + place, use, state.buffers)
                weighted = [part * (len(inputs[0]) / samples) for part in found]
                total = [a + b for a, b in zip(total, weighted, strict=True)] if total else weighted
        return total[0], dict(zip(leaves, total[1:], strict=True))

    def pulled(
        self, moment: Moment, number: int, rate: float, adjoint: Adjoint
    ) -> tuple[Parameters, Parameters, dict[str, Moments]]:
        """Return the adjoint of a step's result through the optimizer's update: of parameters, gradient and moments."""
        parameters, moments, _ = moment.state
        gradient = moment.gradient or tree_map(torch.zeros_like, parameters)
        before = as_leaves((parameters, gradient, moments))
        leaves, structure = tree_flatten(before)
        after = tree_leaves(self.update(*before, number, rate))
        found = torch.autograd.grad(after, leaves, tree_leaves(adjoint), materialize_grads=True)
        pulled: tuple[Parameters, Parameters, dict[str, Moments]] = tree_unflatten(found, structure)
        return pulled

    def curvature(
        self, state: State, step: Step, number: int, direction: Parameters, forward: bool
    ) -> tuple[list[Tensor], Tensors]:
        """Return the gradient of <g, direction> for the parameters (a Hessian-vector product) and for the target."""
        leaves, target = as_leaves(state.parameters), as_leaves(step.target)
        parameters, targets = list(leaves.values()), tree_leaves(target)
        learned = [*parameters, *targets] if forward else parameters

        def use(outputs: Any) -> list[Tensor]:
            loss = step.loss(outputs, target)
            with torch._C.DisableTorchFunction():  # `FastDuals` is for the forward pass alone
                return slopes(loss, learned, "inner", create_graph=not forward)

        rest = step.inputs, self.seed_of(step, number), use, state.buffers
        if forward:
            load_forward_formulas()
            with forward_ad.dual_level(), FastDuals():
                duals = {name: forward_ad.make_dual(value, direction[name]) for name, value in leaves.items()}
                tangents = [forward_ad.unpack_dual(slope).tangent for slope in self.network(duals, *rest)]
            found = [torch.zeros_like(x) if own is None else own for x, own in zip(learned, tangents, strict=True)]
        else:
            found = list(backward(self.network(leaves, *rest), direction.values(), (*parameters, *targets)))
        return found[: len(parameters)], tree_unflatten(found[len(parameters) :], tree_structure(step.target))


@contextmanager
def _evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Put all modules into evaluation mode, and back into the mode that each was in."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
