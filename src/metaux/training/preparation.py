"""What a run starts from: an untrained network, and a label source that has learned what it needs before."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from metaux.labels.base import Batch, BatchLoss, LabelSource, Preparation
from metaux.labels.course import Course
from metaux.networks.multitask import MultiTaskNetwork, feature_size, initialise, make_head, to_channels_last
from metaux.rng import derive_seed, seeded
from metaux.training.course import make_course
from metaux.training.features import of_pixels
from metaux.training.loader import Loader
from metaux.training.plan import Plan
from metaux.training.primary_loss import make_primary_loss
from metaux.training.teachers import pretrain, train_head

if TYPE_CHECKING:
    from metaux.training.fabric import Fabric


def make_network(
    trunk: Callable[[], nn.Module],
    example: tuple[Tensor, ...],
    source: LabelSource,
    seed: int,
    own_weights: bool = False,
) -> MultiTaskNetwork:
    """Return an untrained multi-task network.

    Args:
        trunk: makes a fresh backbone.
        example: network inputs, of one sample or more.
        source: gives the auxiliary head.
        seed: of the initial weights.
        own_weights: whether the backbone keeps those that it comes with.
    """
    made, features = _make_trunk(trunk, example, seed, "trunk")
    with seeded(seed, "primary head"):
        primary_head = make_head(features, source.hierarchy.classes, source.protocol.head)
    with seeded(seed, "auxiliary head"):
        auxiliary_head = source.auxiliary_head(features)
    # The auxiliary head comes last: what the others draw is the same for all methods.
    fresh = [*([] if own_weights else [made]), primary_head, *([] if auxiliary_head is None else [auxiliary_head])]
    with seeded(seed, "initialisation"):
        initialise(fresh, source.protocol.initialisation)
    return MultiTaskNetwork(made, primary_head, auxiliary_head)


def _make_trunk(
    trunk: Callable[[], nn.Module], example: tuple[Tensor, ...], seed: int, name: str
) -> tuple[nn.Module, int]:
    """Return a fresh backbone, initialised from the random stream of that name, and its number of features."""
    with seeded(seed, name):
        made = trunk()
    return made, feature_size(made, example)


def example_of(plan: Plan) -> tuple[Tensor, ...]:
    """Return the network's inputs of one training sample."""
    return plan.preprocess(plan.train.at(torch.arange(1)))


def prepared_source(
    plan: Plan,
    fabric: "Fabric",
    state: Mapping[str, Any],
    rehearsal: bool,
    keep: Callable[[Mapping[str, Tensor], float], None] = lambda *_: None,
    notify: Callable[[str], None] = lambda _: None,
) -> tuple[LabelSource, float, float]:
    """Return the label source, the seconds of its preparation, and those that were spared of them."""
    source = plan.source(plan.data.hierarchy, plan.protocol)
    trainings, device = _Trainings(plan, fabric, rehearsal), fabric.device
    unfinished = 0.0 if "network" in state else state.get("preparation", 0.0)
    preparation = Preparation(
        samples=plan.train,
        meta=plan.meta,
        load=lambda samples: Loader(samples, plan.preprocess, device).load(torch.arange(len(samples))).inputs,
        trunk=lambda name: _make_trunk(plan.trunk, example_of(plan), plan.seed, name),
        features=plan.features or of_pixels(plan.preprocess, notify),
        embedding=plan.embedding,
        recorded=plan.recorded,
        fit=trainings.fit,
        seed=plan.seed,
        device=device,
        own_weights=plan.own_weights,
        kept=state.get("source", {}),
        course=trainings.course,
        keep=lambda made: keep(made, unfinished + time.perf_counter() - start),
        notify=notify,
    )
    start = time.perf_counter()
    source.prepare(preparation)
    spent, left_out = time.perf_counter() - start, trainings.left_out
    if "network" in state:
        left_out = max(left_out, state.get("preparation", 0.0) - spent)
    left_out += unfinished
    return source, spent + left_out, left_out


@dataclass
class _Trainings:
    """What a source may train before the run: networks, and the run's own training.

    Args:
        plan: the run's.
        fabric: of one process.
        rehearsal: train shorter.
        left_out: the seconds that this spares.
    """

    plan: Plan
    fabric: "Fabric"
    rehearsal: bool
    left_out: float = 0.0

    def fit(self, network: nn.Module, rows: Tensor, loss: BatchLoss) -> None:
        """Train a network on some of the training samples."""
        plan = self.plan
        loader = Loader(plan.train.take(rows), plan.preprocess, self.fabric.device, plan.augment, plan.seed)

        def in_precision(batch: Batch) -> Tensor:
            # For each batch anew: within one region, autocast keeps the half-precision copies of the first weights.
            with self.fabric.autocast():
                return loss(batch)

        protocol = replace(plan.protocol, epochs=1) if self.rehearsal else plan.protocol
        start = time.perf_counter()
        pretrain(network, loader, protocol, in_precision)
        self._spare((plan.protocol.epochs - protocol.epochs) * (time.perf_counter() - start))

    def course(self, source: LabelSource, start: int) -> Course:
        """Return the run's training (0), or one with another start, order and augmentation."""
        plan = self.plan
        if start:
            plan = replace(plan, seed=derive_seed(plan.seed, "start", start))
        network = make_network(plan.trunk, example_of(plan), source, plan.seed, plan.own_weights)
        to_channels_last(network, self.fabric.device)
        primary_loss = make_primary_loss(plan)
        loader = Loader(plan.train, plan.preprocess, self.fabric.device, seed=plan.seed)
        train_head(network, loader, primary_loss, plan.protocol)
        return make_course(plan, source, self.fabric, network, primary_loss, self._spare if self.rehearsal else None)

    def _spare(self, seconds: float) -> None:
        self.left_out += seconds
