"""The gradient of an outer loss after many steps of training with respect to every target used on the way.

`unrolled` is to a whole training what `forward_mode` is to one look-ahead step, and equals it for one step. The
derivation is in docs/unrolled.md. In short: with the state s_t = (theta_t, m_t) of parameters and optimizer,

    s_{t+1} = U(s_t, g_t),    g_t = dL_t/dtheta (theta_t, target_t),    L_out(theta_T),

the adjoint a_t = dL_out/ds_t goes back through one step after another. With (b_s, b_g) = a_{t+1} dU/d(s_t, g_t),

    a_t = b_s + b_g dg_t/dtheta,        dL_out/dtarget_t = b_g dg_t/dtarget_t.

Both products with g_t's derivatives are tangents of one pass: forward-mode along b_g, through the backward pass of L_t.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from metaux.allocation import keep_freed_memory
from metaux.errors import InputError, TrainingError
from metaux.functional import (
    PureNetwork,
    Tensors,
    attention_unfused,
    named_gap,
    norm,
    operation_without_formula,
)
from metaux.trajectory import Adjoint, Moment, OuterBatch, Shelf, Step, Training
from metaux.updates import Update


class UnrolledGradient(NamedTuple):
    """What `unrolled` returns.

    Args:
        gradient: of the outer loss, of each step's target, by the step's number.
        outer_loss: at the end of the training, a scalar.
        norms: of the gradient of the outer loss for the parameters before each step, by its number.
        capped: the factors that kept this gradient within the cap, by the step's number; of the other steps none.
        notice: what a user should know of how it was computed; empty if each step took one pass.
    """

    gradient: dict[int, Tensors]
    outer_loss: Tensor
    norms: dict[int, float]
    capped: dict[int, float]
    notice: str


def unrolled(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: Callable[[int], Step],
    steps: int,
    outer: Sequence[OuterBatch],
    *,
    horizon: int | None = None,
    cap: float | None = None,
    memory: int | None = None,
    evaluating: bool = False,
    seed: int = 0,
) -> UnrolledGradient:
    """Train a copy for some steps; return the exact gradient of an outer loss at the end for every target on the way.

    Network, optimizer and the global random state stay as they are, bit for bit. The network runs in the mode that it
    is in. The process keeps memory that it frees (`metaux.allocation`), which saves time. Where PyTorch lacks a
    forward-mode formula, each step back is a double backward pass, exact but slower.

    Args:
        network: called as `network(*inputs)`; where its copy starts.
        optimizer: SGD, Adam or AdamW of `torch.optim`, with the network's parameters, at its present state.
        step: of a number from 0 to `steps - 1`; asked for the same step again, it has to return the same. Draw what is
            random in it, such as augmentation, from a generator seeded by the number.
        steps: how many to train.
        outer: batches of the outer loss, each its inputs and a loss of the outputs to a scalar. The mean over the
            batches counts, weighted by their samples. A batch's random numbers have the seed `seed + steps` plus its
            place.
        horizon: how many of the last steps the gradient goes back through; None for all.
        cap: the largest norm of the gradient for the parameters, in units of its norm at the end. A larger one is
            scaled down before the next step back, with that of the optimizer's memory, and so the result is no longer
            exact. None for no cap.
        memory: bytes that states of the training may take; None for a quarter of what is free. If they take more, only
            those at about the square root of the steps are kept, and each part of the training is done once more.
        evaluating: take the outer loss in evaluation mode.
        seed: of the first step.

    Raises:
        InputError: if the optimizer or an operation of the network cannot be unrolled, the memory does not do, or the
            outer loss is wanted in evaluation mode of a network whose training changes its buffers: running statistics
            depend on the parameters, and their gradient is not computed.
        TrainingError: if the outer loss or its gradient is no longer finite.

    >>> network = nn.Linear(1, 1, bias=False)  # theta = 1 learns a target t = 0 by two steps of 0.5
    >>> _ = nn.init.ones_(network.weight)
    >>> x, t = torch.ones(1, 1), torch.zeros(1, 1)
    >>> def inner_loss(o, t):  # g = theta - t, so theta_1 = 0.5 + 0.5 t_0 and theta_2 = 0.5 theta_1 + 0.5 t_1
    ...     return 0.5 * (o - t).square().sum()
    >>> optimizer = torch.optim.SGD(network.parameters(), 0.5)
    >>> found = unrolled(network, optimizer, lambda _: Step((x,), t, inner_loss), 2, [((x,), lambda o: o.sum())])
    >>> found.outer_loss, [found.gradient[number].item() for number in range(2)]
    (tensor(0.2500), [0.25, 0.5])
    """
    for name, value in (("steps", steps), ("horizon", horizon), ("cap", cap), ("outer batches", len(outer))):
        if value is not None and value <= 0:
            raise InputError(f"expected {name} above 0, found {value}; give more")
    keep_freed_memory()
    with torch.enable_grad(), attention_unfused():
        training = Training(PureNetwork(network), Update.of(optimizer, network), step, seed)
        notice = _notice(training)
        if evaluating:
            training.check_buffers()
        first = 0 if horizon is None else max(0, steps - horizon)
        span = training.span(steps - first, memory)
        segments = [range(start, min(start + span, steps)) for start in range(first, steps, span)]
        state = training.start
        for number in range(first):
            state = training.after(state, number)[0]
        kept, trail = Shelf(state, len(segments)), Shelf(training.example, span)
        for place, segment in enumerate(segments):
            kept.put(place, state)
            state = training.through(state, segment, trail)
        loss, slope = training.outer(state, outer, steps, evaluating)
        end = slope, tree_map(torch.zeros_like, state.moments)
        back = _Back(training, end, norm(slope), cap, steps, forward=not notice)
        if not (loss.isfinite() and isfinite(back.end)):
            raise TrainingError(f"the outer loss became {float(loss)} after {steps} steps; use a smaller learning rate")
        for place, segment in reversed([*enumerate(segments)]):
            if segment is not segments[-1]:
                training.through(kept.get(place), segment, trail)
            for number in reversed(segment):
                back.take(trail.get(number - segment.start), number)
    return UnrolledGradient(back.gradient, loss, back.norms, back.capped, notice)


@dataclass
class _Back:
    """The way back through a training.

    Args:
        training: the training.
        adjoint: the gradient of the outer loss for parameters and moments, at the end and then before each step.
        end: the norm at the end.
        cap: as of `unrolled`.
        steps: how many there are.
        forward: whether PyTorch has all forward-mode formulas.
    """

    training: Training
    adjoint: Adjoint
    end: float
    cap: float | None
    steps: int
    forward: bool

    def __post_init__(self) -> None:
        self.gradient: dict[int, Tensors] = {}
        self.norms: dict[int, float] = {}
        self.capped: dict[int, float] = {}

    def take(self, moment: Moment, number: int) -> None:
        """Go back through one step."""
        step = self.training.step(number)
        parameters, direction, moments = self.training.pulled(moment, number, step.rate, self.adjoint)
        curvature, self.gradient[number] = self.training.curvature(moment.state, step, number, direction, self.forward)
        parameters = {name: pulled + part for (name, pulled), part in zip(parameters.items(), curvature, strict=True)}
        self.adjoint = parameters, moments
        size = self.norms[number] = norm(parameters)
        if not (isfinite(size) and all(bool(part.isfinite().all()) for part in tree_leaves(self.gradient[number]))):
            raise TrainingError(
                f"the gradient through the training became {size} at step {number + 1} of {self.steps}, from "
                f"{self.end:.3g} at the end; give a cap, a smaller horizon or a smaller learning rate"
            )
        if self.cap is not None and size > self.cap * self.end:
            factor = self.capped[number] = self.cap * self.end / size
            self.adjoint = tree_map(lambda value: value * factor, self.adjoint)


def _notice(training: Training) -> str:
    """Try a step back on the first step; return what a user should know of how it is computed.

    Raises:
        InputError: if it cannot be computed.
    """
    start, step = training.start, training.step(0)
    try:
        with named_gap("forward mode"):
            training.curvature(start, step, 0, start.parameters, forward=True)
    except InputError as error:
        if error.__cause__ is None:  # it isn't PyTorch that lacks something
            raise
        with named_gap("unrolled", "leave this operation out of the network"):
            training.curvature(start, step, 0, start.parameters, forward=False)
        return (
            f"PyTorch has no forward-mode formula for {operation_without_formula(error)}: each step back is a double "
            "backward pass, which is exact but slower"
        )
    return ""
