"""Leads: variations of MAXL, screened for labels that say something. What does not win does not stay.

Each is one change to the method as published, or a few together; `LEADS` names them. See docs/does-it-help.md.
"""

import random
from collections import deque
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Auxiliary, Batch, Gradients, LabelSource, MetaStep, Preparation
from metaux.labels.frozen import Frozen
from metaux.labels.human import Human
from metaux.labels.kmeans import KMeans
from metaux.labels.maxl import Maxl
from metaux.labels.rotation import TURNS, Rotation
from metaux.losses import entropy_loss, focal_losses, mask_softmax
from metaux.metagradient import LookAhead, Parameters, TargetGradient, Tensors, alone
from metaux.networks.multitask import MultiTaskNetwork, Outputs, place
from metaux.protocols import Protocol
from metaux.streams import seeded, stream

WEIGHT_LIMIT = 5.0
PRETRAINING_EPOCHS = 8


@dataclass(frozen=True)
class Options:
    """What differs from MAXL as published; see the issue of each in docs/does-it-help.md.

    Args:
        temperature: of the mask softmax.
        hard: labels are one-hot, their gradient that of the soft ones (straight through).
        balanced: three Sinkhorn steps spread a batch's labels over the sub-classes of each class.
        sharpness: weight of each label's own entropy, which is minimised.
        consistency: weight of the divergence between the labels of an image and its mirror image.
        normalised: the meta-gradient and the entropy's are scaled to norms 1 and lambda before they are added.
        centred: the class's mean is taken off the meta-gradient, so that only what tells samples apart is left.
        warm_up: the generator learns once the schedule's factor is below this.
        own_features: the generator is a head on the multi-task network's own features.
        free: each training sample has logits of its own, in place of a generator.
        fold: the outer batch is from a fifth of the data that the epoch does not train on.
        scale: factor on the look-ahead's learning rate.
        more_steps: further look-ahead steps on earlier batches, after the one that the labels act on.
        ridge: the outer loss is that of a ridge regression on the features, fitted on half of the batch.
        snapshots: the look-ahead starts from one of so many earlier states of the network, or from the present one.
        implicit: so many terms of a Neumann series of the inverse Hessian, in place of the look-ahead.
        projected: what the primary gradient explains of the outer gradient is taken off.
        start: the generator first learns k-means clusters of the features.
        weights: `learned` by the same meta-gradient, or `random`, in place of weight 1.
        learns: whether the generator learns from meta steps at all.
        steady: v is a moving average over the outer batches, with this decay.
    """

    temperature: float = 1.0
    hard: bool = False
    balanced: bool = False
    sharpness: float = 0.0
    consistency: float = 0.0
    normalised: bool = False
    centred: bool = False
    warm_up: float = 1.0
    own_features: bool = False
    free: bool = False
    fold: bool = False
    scale: float = 1.0
    more_steps: int = 0
    ridge: bool = False
    snapshots: int = 0
    implicit: int = 0
    projected: bool = False
    start: bool = False
    weights: str = ""
    learns: bool = True
    steady: float = 0.0


@dataclass(frozen=True)
class LongLookAhead(LookAhead):
    """The virtual step, and what follows it."""

    then: Callable[[Parameters], Parameters] = lambda parameters: parameters

    def step(self, parameters: Any, gradient: Any) -> Parameters:
        """Return theta+ after all steps."""
        return self.then(super().step(parameters, gradient))


class Lead(Maxl):
    """MAXL with options."""

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol, options: Options):
        super().__init__(hierarchy, protocol)
        self.options = options
        self.outer_fold = options.fold
        self._network: list[MultiTaskNetwork] = []
        self._past: deque[tuple[Batch, Tensor]] = deque(maxlen=max(1, options.more_steps))
        self._snapshots: deque[MultiTaskNetwork] = deque(maxlen=max(1, options.snapshots))
        self._steps = 0
        self._random = random.Random(0)
        if not options.learns:
            self.meta_step = None  # type: ignore[assignment]

    def prepare(self, preparation: Preparation) -> None:
        """Make the generator, and teach it the clusters that it starts from."""
        self._seed = preparation.seed
        super().prepare(preparation)
        size, device = self.hierarchy.size, preparation.device
        with seeded(preparation.seed, "lead"):
            _, features = preparation.trunk("lead")
            self.own_head = nn.Linear(features, size).to(device)
            self.weight_head = nn.Linear(features, 1).to(device)
            nn.init.zeros_(self.weight_head.weight)
            nn.init.constant_(self.weight_head.bias, -1.386)  # a weight of 1 at the start
            logits = 0.01 * torch.randn(len(preparation.samples), size) if self.options.free else torch.zeros(1, size)
            self.free = nn.Parameter(logits.to(device))
        extra = {"own_features": [self.own_head], "free": [], "weights": [self.weight_head]}
        for name, modules in extra.items():
            if getattr(self.options, name):
                for module in modules:
                    self._optimizer.add_param_group({"params": list(module.parameters())})
        if self.options.free:
            self._optimizer.add_param_group({"params": [self.free]})
        if self.options.start:
            self._learn_clusters(preparation)

    def _learn_clusters(self, preparation: Preparation) -> None:
        clusters = KMeans(self.hierarchy, self.protocol)
        clusters.prepare(preparation)
        samples = preparation.samples
        optimizer = torch.optim.Adam(self.generator.parameters(), 1e-3)
        place(self.generator, preparation.device)
        for epoch in range(PRETRAINING_EPOCHS):
            order = torch.randperm(len(samples), generator=stream(preparation.seed, "clusters", epoch))
            for rows in order.split(100):
                part = samples.take(rows)
                inputs = tuple(x.to(preparation.device) for x in preparation.load(part))
                assert isinstance(self.generator.trunk, nn.Module)
                assert isinstance(self.generator.head, nn.Module)
                logits = self.generator.head(self.generator.trunk(*inputs))
                mask = self.hierarchy.mask(part.primary.to(preparation.device))
                wanted = clusters.assigned[rows.to(preparation.device)]
                loss = nn.functional.cross_entropy(logits.masked_fill(~mask, -1e4), wanted)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def target(self, batch: Batch) -> Tensor:
        """Return the labels, `[batch, K]`."""
        return self._labels(self._logits(batch, batch.inputs), batch.primary)

    def _logits(self, batch: Batch, inputs: tuple[Tensor, ...]) -> Tensor:
        if self.options.free:
            return self.free[batch.index]
        if self.options.own_features:
            if not self._network:
                return torch.zeros(len(batch.index), self.hierarchy.size, device=batch.primary.device)
            trunk = self._network[0].trunk
            training = trunk.training
            trunk.eval()
            with torch.no_grad():
                features = trunk(*inputs)
            trunk.train(training)
            own: Tensor = self.own_head(features)
            return own
        assert isinstance(self.generator.trunk, nn.Module)
        assert isinstance(self.generator.head, nn.Module)
        logits: Tensor = self.generator.head(self.generator.trunk(*inputs))
        return logits

    def _labels(self, logits: Tensor, primary: Tensor) -> Tensor:
        options = self.options
        mask = self.hierarchy.mask(primary)
        labels = mask_softmax(logits / options.temperature, mask)
        if options.balanced:
            share = (
                mask.float().mean(0)
                * len(labels)
                / torch.tensor(self.hierarchy.slots, device=labels.device)[self.hierarchy.parent.to(labels.device)]
            )
            for _ in range(3):
                labels = labels / labels.sum(0).clamp(min=1e-6) * share
                labels = labels / labels.sum(-1, keepdim=True).clamp(min=1e-6)
        if options.hard:
            top = nn.functional.one_hot(labels.argmax(-1), labels.shape[-1]).to(labels.dtype)
            labels = top + labels - labels.detach()
        return labels

    def _weights(self, batch: Batch) -> Tensor | None:
        if self.options.weights == "random":
            spread = torch.frac(batch.index.float() * 0.6180339887)
            return 2 * spread
        if self.options.weights == "learned":
            assert isinstance(self.generator.trunk, nn.Module)
            weights: Tensor = WEIGHT_LIMIT * self.weight_head(self.generator.trunk(*batch.inputs)).squeeze(-1).sigmoid()
            return weights
        return None

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the labels, and the weights where there are any."""
        with torch.no_grad():
            return Auxiliary(self.target(batch), self._weights(batch))

    def meta_step(self, step: MetaStep) -> None:
        """Step the generator once, after the warm-up."""
        self._network = [step.network]
        self._steps += 1
        if self.options.snapshots and self._steps % 250 == 0:
            self._snapshots.append(deepcopy(step.network))
        if step.rate > self.options.warm_up:
            return
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        total = torch.stack([*self.objectives(step).values()]).sum()
        gradients = torch.autograd.grad(total, parameters, materialize_grads=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        for group in self._optimizer.param_groups:
            group["lr"] = self.protocol.generator_learning_rate * step.rate * (30 if self.options.free else 1)
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self.options.more_steps:
            with torch.no_grad():
                self._past.append((step.inner, self.target(step.inner)))

    def diagnostics(self, step: MetaStep) -> dict[str, float]:
        """Return the mean weight."""
        with torch.no_grad():
            weights = self._weights(step.inner)
        return {} if weights is None else {"mean_weight": float(weights.mean()), "largest_weight": float(weights.max())}

    def objectives(self, step: MetaStep) -> dict[str, Tensor]:
        """Return the parts of the generator's loss."""
        options, decay = self.options, self.protocol.entropy_weight
        logits = self._logits(step.inner, step.inner.inputs)
        labels = self._labels(logits, step.inner.primary)
        weights = self._weights(step.inner) if options.weights == "learned" else None
        slope, weight_slope = self._slopes(step, labels.detach(), None if weights is None else weights.detach())
        if options.centred:
            classes = nn.functional.one_hot(step.inner.primary, self.hierarchy.classes).to(slope.dtype)
            means = classes.mT @ slope / classes.sum(0).clamp(min=1).unsqueeze(-1)
            slope = slope - classes @ means
        entropy_slope = decay * torch.func.grad(entropy_loss)(labels.detach())
        if options.normalised:
            mask = self.hierarchy.mask(step.inner.primary)
            slope = slope / (slope * mask).norm().clamp(min=1e-12)
            entropy_slope = decay * entropy_slope / (entropy_slope * mask).norm().clamp(min=1e-12)
        parts = {"meta": (labels * slope).sum(), "entropy": (labels * entropy_slope).sum()}
        if weights is not None and weight_slope is not None:
            parts["weights"] = (weights * weight_slope).sum()
        if options.sharpness:
            soft = mask_softmax(logits, self.hierarchy.mask(step.inner.primary))
            parts["sharpness"] = options.sharpness * torch.special.entr(soft.clamp(min=1e-8)).sum(-1).mean()
        if options.consistency:
            mirrored = self._logits(step.inner, tuple(x.flip(-1) for x in step.inner.inputs))
            mask = self.hierarchy.mask(step.inner.primary)
            other, own = mask_softmax(mirrored, mask), mask_softmax(logits, mask)
            parts["consistency"] = options.consistency * (own - other).square().sum(-1).mean()
        return parts

    def _slopes(self, step: MetaStep, labels: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the outer loss's gradient for labels and weights."""
        options = self.options
        network, look_ahead = step.network, step.look_ahead
        pool: list[MultiTaskNetwork] = [network, *self._snapshots] if options.snapshots else [network]
        chosen = self._random.randrange(len(pool))
        if chosen:
            network, look_ahead = pool[chosen], LookAhead(look_ahead.learning_rate)
        look_ahead = replace(look_ahead, learning_rate=options.scale * look_ahead.learning_rate)
        if options.more_steps:
            values = {f: getattr(look_ahead, f) for f in ("learning_rate", "momentum", "weight_decay", "velocity")}
            look_ahead = LongLookAhead(**values, then=partial(self._further, step, network))

        def inner_loss(outputs: Outputs, target: Any) -> Tensor:
            assert outputs.auxiliary is not None
            both = target if isinstance(target, tuple) else (target, None)
            losses = self.auxiliary_loss(outputs.auxiliary, both[0])
            auxiliary = losses.mean() if both[1] is None else (both[1] * losses).mean()
            return step.primary_loss(outputs.primary, step.inner) + auxiliary

        def outer_loss(outputs: Outputs) -> Tensor:
            if options.ridge:
                return ridge_loss(outputs.features, step.outer.primary, self.hierarchy.classes)
            return step.primary_loss(outputs.primary, step.outer)

        average = self._projection(step, network) if options.projected else alone
        average = self._moving if options.steady else average
        way = partial(implicit, terms=options.implicit) if options.implicit else step.meta_gradient
        target: Tensors = labels if weights is None else (labels, weights)
        result = way(
            network,
            target,
            step.inner.inputs,
            inner_loss,
            step.outer.inputs,
            outer_loss,
            look_ahead,
            seed=step.seed,
            average=average,
        )
        if isinstance(result.gradient, Tensor):
            return result.gradient, None
        return result.gradient[0], result.gradient[1]

    def _further(self, step: MetaStep, network: MultiTaskNetwork, parameters: Parameters) -> Parameters:
        buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
        with torch.enable_grad():
            for batch, labels in self._past:
                leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
                outputs: Outputs = functional_call(network, {**leaves, **buffers}, batch.inputs)
                assert outputs.auxiliary is not None
                loss = step.primary_loss(outputs.primary, batch) + self.auxiliary_loss(outputs.auxiliary, labels).mean()
                gradients = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
                rate = step.look_ahead.learning_rate
                parameters = {
                    name: value.detach() - rate * gradient
                    for (name, value), gradient in zip(leaves.items(), gradients, strict=True)
                }
        return parameters

    def _moving(self, tensors: Any, samples: int) -> list[Tensor]:  # noqa: ARG002
        """Return the tensors; of v, the second time that it is called in a step, the moving average instead."""
        self._calls = getattr(self, "_calls", 0) + 1
        if self._calls % 2:
            return list(tensors)
        *v, loss = tensors
        decay, times = self.options.steady, self._calls // 2
        past = getattr(self, "_v", None) or [torch.zeros_like(x) for x in v]
        self._v = [decay * a + (1 - decay) * b for a, b in zip(past, v, strict=True)]
        return [*(a / (1 - decay**times) for a in self._v), loss]

    def _projection(self, step: MetaStep, network: MultiTaskNetwork) -> Callable[[Any, int], list[Tensor]]:
        """Return an average that takes the primary gradient's direction off v, the second time that it is called."""
        calls: list[int] = []

        def average(tensors: Any, samples: int) -> list[Tensor]:  # noqa: ARG001
            calls.append(0)
            if len(calls) == 1:
                return list(tensors)
            *v, loss = tensors
            named = {name: value for name, value in network.named_parameters() if value.requires_grad}
            buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
            with torch.enable_grad():
                leaves = {name: value.detach().requires_grad_() for name, value in named.items()}
                outputs: Outputs = functional_call(network, {**leaves, **buffers}, step.inner.inputs)
                primary = step.primary_loss(outputs.primary, step.inner)
                g = torch.autograd.grad(primary, list(leaves.values()), materialize_grads=True)
            factor = torch.stack([(a * b).sum() for a, b in zip(v, g, strict=True)]).sum()
            factor = factor / torch.stack([b.square().sum() for b in g]).sum().clamp(min=1e-12)
            return [*(a - factor * b for a, b in zip(v, g, strict=True)), loss]

        return average


def ridge_loss(features: Tensor, primary: Tensor, classes: int) -> Tensor:
    """Return the squared error of a ridge regression from features to classes, fitted on the other half each."""
    wanted = nn.functional.one_hot(primary, classes).to(features.dtype) - 1 / classes
    half, losses = len(features) // 2, []
    for fit, test in ((slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))):
        own, other = features[fit], features[test]
        centre = own.mean(0)
        own, other = own - centre, other - centre
        gram = own @ own.mT
        gram = gram + 0.1 * gram.diagonal().mean().detach() * torch.eye(len(own), device=own.device)
        losses.append((other @ own.mT @ torch.linalg.solve(gram, wanted[fit]) - wanted[test]).square().sum(-1).mean())
    return torch.stack(losses).mean()


def implicit(
    network: nn.Module,
    target: Tensors,
    inner_inputs: tuple[Tensor, ...],
    inner_loss: Any,
    outer_inputs: tuple[Tensor, ...],
    outer_loss: Any,
    look_ahead: LookAhead,
    *,
    terms: int,
    seed: int = 0,  # noqa: ARG001
    average: Any = alone,  # noqa: ARG001
) -> TargetGradient:
    """Return the gradient at convergence, by a Neumann series of the inverse Hessian (AuxiLearn, 2021)."""
    named = {name: value for name, value in network.named_parameters() if value.requires_grad}
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    assert isinstance(target, Tensor)
    with torch.enable_grad():
        leaves = {name: value.detach().requires_grad_() for name, value in named.items()}
        values, t = list(leaves.values()), target.detach().requires_grad_()
        loss = outer_loss(functional_call(network, {**leaves, **buffers}, outer_inputs))
        v = torch.autograd.grad(loss, values, materialize_grads=True)
        inner = inner_loss(functional_call(network, {**leaves, **buffers}, inner_inputs), t)
        g = torch.autograd.grad(inner, values, create_graph=True, materialize_grads=True)
        p, total = list(v), list(v)
        for _ in range(terms):
            hp = torch.autograd.grad(g, values, p, retain_graph=True, materialize_grads=True)
            p = [a - look_ahead.learning_rate * b for a, b in zip(p, hp, strict=True)]
            total = [a + b for a, b in zip(total, p, strict=True)]
        (slope,) = torch.autograd.grad(g, [t], [-look_ahead.learning_rate * a for a in total])
    return TargetGradient(slope.detach(), loss.detach())


class _Gated(LabelSource):
    """The auxiliary gradient counts on shared layers only while it points where the primary one does."""

    def combine(self, primary: Gradients, auxiliary: Gradients) -> Gradients:
        """Return the sum, without the auxiliary part where its cosine with the primary one is negative."""
        dot = torch.stack([(a * b).sum() for a, b in zip(primary, auxiliary, strict=True)]).sum()
        gate = (dot > 0).to(dot.dtype)
        return [
            a + torch.where((a != 0).any(), gate, torch.ones_like(gate)) * b
            for a, b in zip(primary, auxiliary, strict=True)
        ]


class GatedHuman(_Gated, Human):
    """Human labels, gated."""


class GatedMaxl(_Gated, Maxl):
    """MAXL, gated."""


class GatedFrozen(_Gated, Frozen):
    """The frozen generator, gated."""


_OPTIONS: dict[str, Options] = {
    "temperature": Options(temperature=0.1),
    "hard": Options(hard=True),
    "balanced": Options(balanced=True, temperature=0.3),
    "sharp": Options(sharpness=0.5),
    "consistent": Options(consistency=1.0),
    "normalised": Options(normalised=True),
    "centred": Options(centred=True, normalised=True, temperature=0.3),
    "warm-up": Options(warm_up=0.85),
    "own-features": Options(own_features=True, normalised=True),
    "free": Options(free=True, centred=True, normalised=True),
    "fold": Options(fold=True),
    "ten-times": Options(scale=10.0),
    "five-steps": Options(more_steps=4),
    "ridge": Options(ridge=True, normalised=True),
    "snapshots": Options(snapshots=4),
    "implicit": Options(implicit=3),
    "projected": Options(projected=True, normalised=True),
    "start": Options(start=True),
    "start-frozen": Options(start=True, learns=False),
    "start-centred": Options(start=True, centred=True, normalised=True, fold=True, ridge=True),
    "weights": Options(weights="learned"),
    "weights-random": Options(weights="random", learns=False),
    "steady": Options(steady=0.98, normalised=True),
    "steady-fold": Options(steady=0.98, normalised=True, fold=True),
    "steady-centred": Options(steady=0.98, normalised=True, centred=True, fold=True),
    "together": Options(fold=True, ridge=True, centred=True, normalised=True, temperature=0.3, consistency=1.0),
}


def _lead(hierarchy: Hierarchy, protocol: Protocol, *, name: str) -> LabelSource:
    return Lead(hierarchy, protocol, _OPTIONS[name])


LEADS: dict[str, Callable[[Hierarchy, Protocol], LabelSource]] = {
    **{f"lead-{name}": partial(_lead, name=name) for name in _OPTIONS},
    "lead-gated-human": GatedHuman,
    "lead-gated-maxl": GatedMaxl,
    "lead-gated-frozen": GatedFrozen,
}


class TurnedLead(Rotation):
    """Rotation whose labels are soft, and learned by the meta-gradient from the rotations as a starting point.

    Args:
        prior: the logit that a view's own rotation starts with.
        learns: whether the generator learns; with prior 0 and without learning it is a frozen generator on views.
        random: each view of each sample has a rotation of another one, always the same: no information.
    """

    def __init__(
        self, hierarchy: Hierarchy, protocol: Protocol, prior: float = 4.0, learns: bool = True, random: bool = False
    ):
        super().__init__(hierarchy, protocol)
        self.prior, self.random = prior, random
        if learns:
            self.meta_step = self._meta_step

    def prepare(self, preparation: Preparation) -> None:
        """Make the generator."""
        super().prepare(preparation)
        trunk, features = preparation.trunk("generator trunk")
        with seeded(preparation.seed, "generator head"):
            head = nn.Linear(features, TURNS * self.hierarchy.classes)
        if self.prior:
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.generator = nn.Sequential(trunk, head)
        place(self.generator, preparation.device)
        self._optimizer = torch.optim.Adam(self.generator.parameters(), self.protocol.generator_learning_rate)

    def _target(self, batch: Batch) -> Tensor:
        count, classes = len(batch.index), self.hierarchy.classes
        turns = torch.arange(TURNS, device=batch.primary.device).repeat_interleave(count)
        if self.random:
            turns = (batch.index.repeat(TURNS) * 7919 + turns * 104729 + batch.index.repeat(TURNS) // 3) % TURNS
        logits = self.prior * nn.functional.one_hot(turns, TURNS).float()
        primary = batch.primary.repeat(TURNS)
        if not self.random:
            given = self.generator(*self.views(batch.inputs)).view(-1, classes, TURNS)
            logits = logits + given[torch.arange(len(turns), device=turns.device), primary]
        else:
            logits = 100 * logits
        labels = nn.functional.one_hot(primary, classes).float().unsqueeze(-1) * logits.softmax(-1).unsqueeze(1)
        return labels.flatten(1)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the soft labels of the views, `[4 batch, 4 classes]`."""
        with torch.no_grad():
            return Auxiliary(self._target(batch))

    def auxiliary_loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each view."""
        return (target * focal_losses(output, self.protocol.focal_gamma)).sum(-1)

    def _meta_step(self, step: MetaStep) -> None:
        target, count = self._target(step.inner), len(step.inner.index)

        def inner_loss(outputs: Outputs, target: Tensor) -> Tensor:
            assert outputs.auxiliary is not None
            auxiliary = self.auxiliary_loss(outputs.auxiliary, target).mean()
            return step.primary_loss(outputs.primary[:count], step.inner) + auxiliary

        def outer_loss(outputs: Outputs) -> Tensor:
            assert outputs.auxiliary is not None
            logits = outputs.auxiliary.view(TURNS, -1, outputs.auxiliary.shape[-1])
            mean = torch.stack([logits[turns, :, turns::TURNS] for turns in range(TURNS)]).mean(0)
            return step.primary_loss(mean, step.outer)

        result = step.meta_gradient(
            step.network,
            target.detach(),
            self.views(step.inner.inputs),
            inner_loss,
            self.views(step.outer.inputs),
            outer_loss,
            step.look_ahead,
            seed=step.seed,
        )
        assert isinstance(result.gradient, Tensor)
        slope = result.gradient / result.gradient.norm().clamp(min=1e-12)
        gradients = torch.autograd.grad((target * slope).sum(), list(self.generator.parameters()))
        for parameter, gradient in zip(self.generator.parameters(), gradients, strict=True):
            parameter.grad = gradient
        for group in self._optimizer.param_groups:
            group["lr"] = self.protocol.generator_learning_rate * step.rate
        self._optimizer.step()
        self._optimizer.zero_grad()

    def diagnostics(self, step: MetaStep) -> dict[str, float]:
        """Return how sure the labels are."""
        with torch.no_grad():
            target = self._target(step.inner)
        return {"label_top_probability": float(target.max(-1).values.mean())}


LEADS |= {
    "lead-turned": TurnedLead,
    "lead-turned-frozen": partial(TurnedLead, prior=0.0, learns=False),
    "lead-turned-random": partial(TurnedLead, learns=False, random=True),
}
