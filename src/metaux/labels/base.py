"""The protocol of a label source: all that distinguishes one method from another.

The training loop calls the hooks below at fixed places and never asks which source it runs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from metaux.data.samples import Samples
from metaux.errors import InputError
from metaux.hierarchy import Hierarchy
from metaux.labels.batch import Batch as Batch
from metaux.labels.batch import Mixing
from metaux.labels.batch import PrimaryLoss as PrimaryLoss
from metaux.labels.course import Course
from metaux.losses import focal_loss_of_each
from metaux.metagradient import Average, LookAhead, MetaGradient, TakenStep
from metaux.networks.multitask import MultiTaskNetwork, Outputs, initialise, make_head
from metaux.protocols import Initialisation, Protocol
from metaux.rng import seeded

Gradients = list[Tensor]

BatchLoss = Callable[[Batch], Tensor]
MakeSource = Callable[[Hierarchy, Protocol], "LabelSource"]


class Auxiliary(NamedTuple):
    """What the auxiliary head has to learn from a batch.

    `target` is anything the source's `auxiliary_loss` takes; `weight` an optional factor per sample.
    """

    target: Tensor
    weight: Tensor | None = None


def no_course(source: "LabelSource", start: int = 0) -> NoReturn:  # noqa: ARG001
    """Say that a preparation is without the course of a run."""
    raise InputError(f"expected the course of a run for {type(source).__name__}, found none; give the preparation one")


@dataclass(frozen=True)
class Preparation:
    """What a source may learn from before training starts.

    Args:
        samples: the training samples, `[n]`; `Batch.index` points into them.
        meta: the meta split, for a source that asked for one.
        load: turns samples into network inputs (normalised, not augmented).
        trunk: makes a fresh backbone and its number of features, initialised from the random stream of that name.
        features: what clusters are made of: samples to `[n, features]`.
        embedding: what distances to prototypes are measured in: samples to `[n, features]`; made when first called.
        recorded: the labels that a finished run recorded of samples: samples to `[n, K]`; read when first called.
        fit: trains a network of the source's own on the training samples at the rows given, with the protocol, the
            augmentation and the epochs of the run: network, rows int64 `[m]`, and the loss on a batch, a scalar.
        seed: the run's seed.
        device: where the networks are.
        own_weights: whether backbones come with weights that they keep.
        kept: the source's parameters and buffers as an interrupted run left them, by name; none at the start.
        course: the training that the run will take with a source; with a number other than 0, one with another start,
            order and augmentation.
        keep: keeps tensors by name, so that `kept` has them if the run is interrupted before the source is prepared.
        notify: tells the user how far the preparation is.
    """

    samples: Samples
    meta: Samples | None
    load: Callable[[Samples], tuple[Tensor, ...]]
    trunk: Callable[[str], tuple[nn.Module, int]]
    features: Callable[[Samples], Tensor]
    embedding: Callable[[Samples], Tensor]
    recorded: Callable[[Samples], Tensor]
    fit: Callable[[nn.Module, Tensor, BatchLoss], None]
    seed: int
    device: torch.device
    own_weights: bool = False
    kept: Mapping[str, Tensor] = field(default_factory=dict)
    course: Callable[["LabelSource", int], Course] = no_course
    keep: Callable[[Mapping[str, Tensor]], None] = lambda _: None
    notify: Callable[[str], None] = lambda _: None

    def trunk_and_head(
        self, name: str, outputs: int, kind: str, initialisation: Initialisation
    ) -> tuple[nn.Module, nn.Module]:
        """Return a fresh backbone and a head (`make_head`), drawn from random streams whose names start with that."""
        trunk, features = self.trunk(f"{name} trunk")
        with seeded(self.seed, f"{name} head"):
            head = make_head(features, outputs, kind)
        with seeded(self.seed, f"{name} initialisation"):
            initialise([head] if self.own_weights else [trunk, head], initialisation)
        return trunk, head

    def generator_parts(self, outputs: int, protocol: Protocol) -> tuple[nn.Module, nn.Module]:
        """Return trunk and head of a generator, as the protocol has it."""
        return self.trunk_and_head("generator", outputs, protocol.head, protocol.generator_initialisation)

    def outputs(self, network: MultiTaskNetwork) -> Outputs:
        """Return a network's primary outputs and features for all training samples as they are, on the CPU."""
        with torch.no_grad():
            found = [network(*self.load(self.samples.take(rows))) for rows in self.samples.in_parts()]
        primary, features = (
            torch.cat([getattr(own, name).float().cpu() for own in found]) for name in ("primary", "features")
        )
        return Outputs(primary, None, features)

    def once(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """Return the buffer that an interrupted run kept under that name, or else make it; on the device."""
        kept = self.kept.get(name)
        return (make() if kept is None else kept).to(self.device)


@dataclass(frozen=True)
class MetaStep:
    """What a source may learn from during training, after a training step.

    Args:
        network: the multi-task network; a meta step leaves it as it was.
        inner: the look-ahead's batch.
        outer: the outer loss's batch.
        primary_loss: of the primary output and its batch; a scalar.
        look_ahead: the virtual step, or the training step that was taken on the inner batch.
        meta_gradient: how the gradient through it is computed.
        rate: the schedule's factor on the source's own learning rate, 1 at the start.
        seed: of this step's own random numbers (dropout).
        average: averages tensors over data-parallel processes, given this process's number of samples.
        task: what the taken step learned, with the graph that made it; None for a virtual step.
    """

    network: MultiTaskNetwork
    inner: Batch
    outer: Batch
    primary_loss: PrimaryLoss
    look_ahead: LookAhead | TakenStep
    meta_gradient: MetaGradient
    rate: float
    seed: int
    average: Average
    task: Auxiliary | None = None


class LabelSource(nn.Module):
    """Where a sample's auxiliary target comes from. As it stands it gives none: single task.

    Whatever must survive an interruption is a parameter, a buffer or extra state, as in any module.

    Args:
        hierarchy: the slots of each primary class.
        protocol: the training protocol's values.

    Attributes:
        auxiliary_names: of the auxiliary head's outputs, where the data decides on them; recorded with a run, and set
            before the head is made anew where its network is read back.
        meta_step: called with a `MetaStep` as often as the protocol says; None if the source does not learn.
        combine: makes one gradient per parameter out of the primary and the auxiliary task's (gating); None to add
            the losses, which costs one backward pass fewer.
        views: makes of a batch one of several views of each of its samples, one after another: the samples as they
            are first, then as many copies of each; `kind` says which is which. The auxiliary loss is on all, the
            primary loss on the samples as they are. None for no other view.
        consensus: what the auxiliary head's output for all views, with their targets, says of the classes, `[own,
            classes]` probabilities. The primary head learns them too, without gradient for the auxiliary one. None for
            nothing.
        predict: the network's primary output for inputs at test time, where it is not simply the primary head's
            (averaged views).
    """

    auxiliary_names: tuple[str, ...] = ()
    meta_step: Callable[[MetaStep], None] | None = None
    combine: Callable[[Gradients, Gradients], Gradients] | None = None
    views: Callable[[Batch], Batch] | None = None
    consensus: Callable[[Tensor, Tensor], Tensor] | None = None
    predict: Callable[[MultiTaskNetwork, tuple[Tensor, ...]], Tensor] | None = None

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol):
        super().__init__()
        self.hierarchy = hierarchy
        self.protocol = protocol

    @classmethod
    def needs_meta_split(cls, protocol: Protocol) -> bool:  # noqa: ARG003
        """Return whether the source gives up `protocol.meta_fraction` of the training data to a meta split."""
        return False

    def check_recipe(self, protocol: Protocol) -> None:
        """Raise `InputError` for a part of the protocol's recipe that the source can't follow."""
        if self.meta_step is not None and protocol.look_ahead != "plain" and protocol.optimizer != "sgd":
            raise InputError(
                f"expected the optimizer sgd for {type(self).__name__}, whose look-ahead is a step of it, found "
                f"{protocol.optimizer}; leave one of them out"
            )
        if self.consensus is not None and protocol.views != "together":
            raise InputError(
                "expected all views of an image in one step, which distils what they say together, found views apart; "
                "leave one of them out"
            )
        if self.consensus is not None and protocol.mix != "none":
            raise InputError(
                "expected images that are not mixed, of which all views say something together, found mixed ones; "
                "leave one of them out"
            )

    def prepare(self, preparation: Preparation) -> None:
        """Learn from the training data before training starts."""

    def auxiliary_head(self, features: int) -> nn.Module | None:  # noqa: ARG002
        """Make the auxiliary head on a trunk with that many features; None for no auxiliary task."""
        return None

    def auxiliary(self, batch: Batch) -> Auxiliary | None:  # noqa: ARG002
        """Turn a batch into the auxiliary task's target and weight; the training step sends no gradient into it."""
        return None

    def auxiliary_loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the auxiliary loss of each sample, `[batch]`: the focal loss (equation 1) of the head's logits.

        The target is one of the outputs, int64 `[batch]`, or a distribution over them, `[batch, outputs]`.
        """
        return focal_loss_of_each(output, target, self.protocol.focal_gamma)

    def labels(self, batch: Batch) -> Tensor | None:  # noqa: ARG002
        """Return the sub-class distributions to record, `[batch, K]`; None where the task is not on sub-classes."""
        return None

    def diagnostics(self, step: MetaStep) -> dict[str, float]:  # noqa: ARG002
        """Return numbers to record once per epoch, on one fixed batch; buffers that are no tables are restored."""
        return {}


def auxiliary_term(
    source: LabelSource,
    output: Tensor,
    task: Auxiliary,
    mixing: Mixing | None = None,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Return the second term of the multi-task objective (equation 2), a scalar, of the auxiliary head's output.

    It is  beta / N sum_n w_n l_n,  with l_n the source's auxiliary loss of sample n, w_n the task's weight times the
    sample's own (1 where there is none), and beta the protocol's `auxiliary_weight`. Of a mixed image, w_n l_n is the
    mean by their shares of that with the sample's own target and weights, and that with its partner's. The focal loss
    is linear in its target, so that this is the loss of the mixed target.
    """

    def weighted(target: Tensor, *weights: Tensor | None) -> Tensor:
        losses = source.auxiliary_loss(output, target)
        for weight in weights:
            losses = losses if weight is None else weight * losses
        return losses

    losses = weighted(*task, sample_weight)
    if mixing is not None:
        weights = (None if weight is None else weight[mixing.partner] for weight in (task.weight, sample_weight))
        losses = mixing.between(losses, weighted(task.target[mixing.partner], *weights))
    return source.protocol.auxiliary_weight * losses.mean()


class ChoiceSource(LabelSource):
    """A source whose target is one of the auxiliary head's outputs, int64 `[batch]`."""

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with one logit for each of `auxiliary_names`, of the protocol's kind."""
        return make_head(features, len(self.auxiliary_names), self.protocol.head)


class SubclassSource(LabelSource, ABC):
    """A source whose target is a distribution over the sub-classes of each sample's primary class.

    One method is missing: `target`. The auxiliary head gives K logits.
    """

    @abstractmethod
    def target(self, batch: Batch) -> Tensor:
        """Return the auxiliary target, `[batch, K]`, rows summing to 1, zero outside each sample's class."""

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with one logit per sub-class, of the protocol's kind."""
        return make_head(features, self.hierarchy.size, self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the target without weight."""
        return Auxiliary(self.target(batch))

    def labels(self, batch: Batch) -> Tensor:
        """Return the target."""
        with torch.no_grad():
            return self.target(batch)
