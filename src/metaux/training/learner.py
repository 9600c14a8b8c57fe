"""What is made once for a run: the label source, the network, the optimizer and the batches."""

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn, optim
from torch.optim.swa_utils import AveragedModel

from metaux.errors import InputError
from metaux.labels.base import Auxiliary, Batch, LabelSource, MetaStep, PrimaryLoss
from metaux.metagradient import Average, LookAhead, MetaGradient, finite_difference, forward_mode
from metaux.networks.multitask import MultiTaskNetwork, Outputs, to_channels_last
from metaux.rng import derive_seed, seeded
from metaux.training.batches import Batches
from metaux.training.meta_gradients import FEW, check_difference, choose_meta_gradient
from metaux.training.optimizer import Schedule, make_average, make_optimizer
from metaux.training.plan import Plan
from metaux.training.preparation import example_of, make_network, prepared_source
from metaux.training.primary_loss import make_primary_loss
from metaux.training.processes import averager, take_from_first
from metaux.training.teachers import train_head

if TYPE_CHECKING:
    from metaux.training.fabric import Fabric


class Trouble(NamedTuple):
    """What is no longer finite, and what a user can do about it."""

    what: str
    remedy: str


class Taken(NamedTuple):
    """A training step that was taken and waits for its meta step.

    Args:
        batch: that it learned.
        task: what the auxiliary head learned, with the graph of what made it.
        parameters: of the network before it, by name.
        outputs: of the network before it.
        learning_rate: alpha.
        rate: the schedule's factor on the learning rates.
        seed: of its random numbers.
    """

    batch: Batch
    task: Auxiliary
    parameters: dict[str, Tensor]
    outputs: Outputs
    learning_rate: float
    rate: float
    seed: int


@dataclass
class Learner:
    """All that learns in a run, and what it learns from; `make_learner` makes it.

    Args:
        plan: what is trained.
        fabric: device, precision and processes.
        source: the label source, prepared.
        network: the multi-task network.
        optimizer: of the network; the source has its own.
        schedule: of the learning rates.
        average_network: the moving average of the network's weights, if that is what is evaluated.
        primary_loss: of the primary output and its batch; a scalar.
        batches: of the training samples.
        average: averages tensors over data-parallel processes, given this process's number of samples.
        meta_gradient: how meta-gradients are computed; None for a source without meta steps.
        notice: what a user should know before the training; may be empty.
        preparation: the seconds that the source's preparation takes if nothing is spared.
        left_out: those that were spared, in a rehearsal or since the run had been interrupted.
        taken: the training step that waits for its meta step, where the two share their passes; none after an epoch.
    """

    plan: Plan
    fabric: "Fabric"
    source: LabelSource
    network: MultiTaskNetwork
    optimizer: optim.Optimizer
    schedule: Schedule
    average_network: AveragedModel | None
    primary_loss: PrimaryLoss
    batches: Batches
    average: Average
    meta_gradient: MetaGradient | None
    notice: str
    preparation: float
    left_out: float
    taken: Taken | None = None

    @property
    def shares_passes(self) -> bool:
        """Whether the look-ahead of a meta step is the training step before, which has to be on the sum of losses."""
        source = self.source
        plain = source.meta_step is not None and source.views is None and source.combine is None
        return plain and self.plan.protocol.look_ahead == "taken"

    @property
    def evaluated(self) -> MultiTaskNetwork:
        """The network that is evaluated and kept."""
        if self.average_network is None:
            return self.network
        averaged = self.average_network.module
        assert isinstance(averaged, MultiTaskNetwork)
        return averaged

    @property
    def of_rank(self) -> tuple[int, ...]:
        """What the names of a process's own random streams end in: nothing, if it is the only one."""
        return (self.fabric.global_rank,) if self.fabric.world_size > 1 else ()

    def meta_step(self, inner: Batch, outer: Batch, rate: float, *name: int) -> MetaStep:
        """Return what a meta step with a look-ahead is given, after the training step of that name.

        The name is epoch and position.
        """
        # Any optimizer will do for a source without meta steps, which has a diagnosis too.
        if self.source.meta_step is None or self.plan.protocol.look_ahead == "plain":
            look_ahead = LookAhead(self.optimizer.param_groups[0]["lr"])
        else:
            look_ahead = LookAhead.from_optimizer(self.optimizer, self.network)
        seed = derive_seed(self.plan.seed, "look-ahead", *name, *self.of_rank)
        method = self.meta_gradient or forward_mode
        return MetaStep(self.network, inner, outer, self.primary_loss, look_ahead, method, rate, seed, self.average)

    def trouble(self, loss: float) -> Trouble | None:
        """Return what is no longer finite after an epoch with this mean loss, and what to do; None if all is."""
        if not all(bool(part.isfinite().all()) for part in example_of(self.plan) if part.is_floating_point()):
            return Trouble("the inputs are not finite once they are normalised", "give data of another scale")
        if not (math.isfinite(loss) and _finite(self.network)):
            what = "the network is no longer finite" if math.isfinite(loss) else f"the training loss became {loss}"
            return Trouble(what, "use a smaller learning rate")
        if not _finite(self.source):
            return Trouble("the label source is no longer finite", "use a smaller generator or network learning rate")
        return None

    def running_buffers(self) -> list[Tensor]:
        """Return the buffers that a forward pass changes: those of the networks, not the source's own tables."""
        averaged = [] if self.average_network is None else [self.evaluated]
        modules = (self.network, *averaged, *self.source.children())
        return [buffer for module in modules for buffer in module.buffers()]

    def synchronise(self) -> None:
        """Give every process the mean of the running statistics that each kept of its own share."""
        if self.fabric.world_size > 1:
            buffers = [buffer for buffer in self.running_buffers() if buffer.is_floating_point()]
            for buffer, mean in zip(buffers, self.average(buffers, 1), strict=True):
                buffer.copy_(mean)


def _finite(module: nn.Module) -> bool:
    """Return whether all parameters and buffers are finite."""
    values = (*module.parameters(), *module.buffers())
    return all(bool(value.isfinite().all()) for value in values if value.is_floating_point())


def make_learner(
    plan: Plan,
    fabric: "Fabric",
    state: Mapping[str, Any] | None = None,
    rehearsal: bool = False,
    keep: Callable[[Mapping[str, Tensor], float], None] = lambda *_: None,
    notify: Callable[[str], None] = lambda _: None,
) -> Learner:
    """Prepare the label source and make the network.

    Args:
        plan: what to train.
        fabric: device, precision and processes.
        state: of the run's checkpoint, so that nothing is prepared again.
        rehearsal: train teachers for one epoch only, since this is to be timed.
        keep: keeps what the source has made so far, and the seconds that this has taken.
        notify: tells the user how far the preparation is.

    Raises:
        InputError: for data that the source or the network can't learn from.
    """
    source, preparation, left_out = prepared_source(plan, fabric, state or {}, rehearsal, keep, notify)
    take_from_first(source, fabric)
    network = make_network(plan.trunk, example_of(plan), source, plan.seed, plan.own_weights)
    to_channels_last(network, fabric.device)
    to_channels_last(source, fabric.device)
    optimizer = make_optimizer(network, plan.protocol, plan.make_optimizer)
    batches = Batches(plan, source, fabric.device, (fabric.global_rank, fabric.world_size))
    _check_smallest_batch(network, batches)
    primary_loss, average = make_primary_loss(plan), averager(fabric)
    if "network" not in (state or {}):
        train_head(network, batches.train, primary_loss, plan.protocol)
    meta_gradient, notice = plan.meta_gradient if source.meta_step else None, ""
    if source.meta_step and meta_gradient in (None, finite_difference):
        few = batches.train.load(torch.arange(min(FEW, len(plan.train))))
        if meta_gradient is None:
            meta_gradient, notice = choose_meta_gradient(network, few, fabric.autocast())
        else:
            check_difference(network, few)
    average_network = make_average(network, plan.protocol, plan.protocol.epochs * len(batches.order(0).train))
    made = source, network, optimizer, Schedule(plan, optimizer), average_network, primary_loss, batches, average
    return Learner(plan, fabric, *made, meta_gradient, notice, preparation, left_out)


def _check_smallest_batch(network: MultiTaskNetwork, batches: Batches) -> None:
    """Raise `InputError` if a batch is of one sample, and the network can't be trained on one."""
    order, (_, processes) = batches.order(0), batches.train.share
    smallest = min(map(len, order.train + order.meta)) // processes
    if smallest > 1:
        return
    try:
        with seeded(batches.plan.seed, "smallest batch"), torch.no_grad():
            deepcopy(network).train()(*batches.train.load(torch.arange(1)).inputs)
    except ValueError as error:  # batch normalisation needs two values to have a variance
        raise InputError(
            f"expected batches of two samples or more for this backbone, found one of {smallest} ({error}); give "
            "a larger batch size"
        ) from None
