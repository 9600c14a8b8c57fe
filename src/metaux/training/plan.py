"""What is to be trained, as objects."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from metaux.data.samples import LabelledData, Samples
from metaux.errors import InputError
from metaux.labels.base import MakeSource
from metaux.metagradient import MetaGradient
from metaux.protocols import Protocol
from metaux.training.loader import Augment, Preprocess

Features = Callable[[Samples], Tensor]
MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
MakeScheduler = Callable[[Optimizer], LRScheduler]


def no_embedding(samples: Samples) -> NoReturn:  # noqa: ARG001
    """Say that a plan is without the embedding that its source needs."""
    raise InputError("expected an embedding for this method, found none; give the plan one (samples to [n, features])")


def no_recorded_labels(samples: Samples) -> NoReturn:  # noqa: ARG001
    """Say that a plan is without the recorded labels that its source needs."""
    raise InputError("expected the labels of a finished run for this method, found none; give its folder with --labels")


@dataclass(frozen=True)
class Plan:
    """All that decides a run's weights.

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
        meta_gradient: how meta-gradients are computed; None for the exact method wherever the network allows it.
        features: what clusters are made of; pixels (the network's flattened inputs) if None.
        embedding: what distances to prototypes are measured in, for the source that needs it; any network will do, see
            `metaux.training.features.of_module`.
        recorded: the labels that a finished run recorded, `[n, K]`, for the sources that learn those.
        own_weights: whether a backbone comes with weights that it keeps, whatever the protocol's initialisation is.
        class_weights: factors on the primary loss of each class's samples, `[classes]`; None where all count alike.
        make_optimizer: of the network's parameters, in place of the protocol's; the protocol's schedule multiplies its
            learning rates.
        make_scheduler: of the optimizer, in place of the protocol's schedule; it is stepped after each epoch.
        criterion: the primary loss of each sample, `[batch]`, or their mean, of the primary output and the classes,
            int64 `[batch]`; in place of the focal loss.
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
    features: Features | None = None
    embedding: Features = no_embedding
    recorded: Callable[[Samples], Tensor] = no_recorded_labels
    own_weights: bool = False
    class_weights: Tensor | None = None
    make_optimizer: MakeOptimizer | None = None
    make_scheduler: MakeScheduler | None = None
    criterion: Callable[[Tensor, Tensor], Tensor] | None = None
    seed: int = 0
