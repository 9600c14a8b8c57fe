"""What is to be trained and what comes of it; the learning rate's schedule and the loss that follow from it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaux.data.samples import LabelledData, Samples
from metaux.errors import InputError
from metaux.labels.base import Batch, LabelSource, MakeSource, PrimaryLoss
from metaux.losses import focal_loss
from metaux.metagradient import MetaGradient
from metaux.networks.multitask import MultiTaskNetwork
from metaux.protocols import Protocol
from metaux.training.batches import Augment, Preprocess

Record = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """All that decides a run's weights, as objects.

    Args:
        data: what to measure on, and the structure of the classes; its `train` part is not used. Without test
            samples, none of their measures is recorded.
        train: the training samples of this seed.
        meta: the meta split, where the source needs one.
        preprocess: raw inputs to network inputs.
        augment: of the images of a training batch; None for none.
        trunk: makes a fresh backbone.
        source: makes the label source.
        protocol: the values of the training protocol.
        meta_gradient: how meta-gradients are computed; None for the exact way wherever the network allows it.
        features: what clusters are made of; pixels (the network's flattened inputs) if None.
        embedding: what distances to prototypes are measured in, for the source that needs it; any network will do, see
            `metaux.training.features.of_module`.
        recorded: the labels that a finished run recorded, `[n, K]`, for the sources that learn those.
        balanced: weigh the primary loss inversely to class frequency.
        seed: of everything random.
    """

    data: LabelledData
    train: Samples
    meta: Samples | None
    preprocess: Preprocess
    augment: Augment | None
    trunk: Callable[[], nn.Module]
    source: MakeSource
    protocol: Protocol
    meta_gradient: MetaGradient | None
    features: Callable[[Samples], Tensor] | None = None
    embedding: Callable[[Samples], Tensor] | None = None
    recorded: Callable[[Samples], Tensor] | None = None
    balanced: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Fitted:
    """A trained network with what was recorded on the way.

    Args:
        network: the multi-task network with its final weights.
        source: the label source as training left it.
        records: one dict per epoch.
        test_logits: of the final weights, `[n_test, classes]`.
        test_correct: how often each test sample was right over the reported epochs, `[n_test]`.
        labels: the label of each training sample over its own class's slots, `[n, max(psi)]`, if there are any.
        meta_gradient: how meta-gradients were computed; None for a source without meta steps.
    """

    network: MultiTaskNetwork
    source: LabelSource
    records: list[Record]
    test_logits: Tensor
    test_correct: Tensor
    labels: Tensor | None
    meta_gradient: MetaGradient | None = None


def meta_share(needed: bool, protocol: Protocol, method: str) -> float:
    """Return the share of the training data that is split off for a source: 0 where it needs no meta split.

    Raises:
        InputError: if the source needs a meta split, and the protocol has none.
    """
    if needed and protocol.meta_fraction == 0:
        raise InputError(
            f"expected a protocol with a meta split for {method}, found '{protocol.name}'; take the protocol iclr, or "
            "leave the method out"
        )
    return protocol.meta_fraction if needed else 0.0


def schedule(protocol: Protocol, epoch: int) -> float:
    """Return the factor on both learning rates in this epoch (counted from 0).

    >>> from metaux.protocols import ICLR, TUNED
    >>> [schedule(ICLR, epoch) for epoch in (0, 49, 50, 150)]
    [1.0, 1.0, 0.5, 0.125]
    >>> schedule(TUNED, 10)
    0.5
    """
    if protocol.schedule == "halve":
        return float(0.5 ** (epoch // protocol.halve_every))
    return 0.5 * (1 + math.cos(math.pi * epoch / protocol.epochs))


def make_primary_loss(plan: Plan) -> PrimaryLoss:
    """Return the focal loss of the primary class, with balanced class weights of mean 1 where asked for."""
    gamma, weights = plan.protocol.focal_gamma, None
    if plan.balanced:
        counts = torch.bincount(plan.train.primary, minlength=plan.data.hierarchy.classes)
        weights = len(plan.train) / (len(counts) * counts.clamp(min=1).float())

    def loss(output: Tensor, batch: Batch) -> Tensor:
        weight = None if weights is None else weights.to(output.device)[batch.primary]
        return focal_loss(output, batch.primary, gamma, weight)

    return loss
