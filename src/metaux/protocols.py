"""The training protocols, as data: when each network is stepped, on which batches, with which values.

`ICLR` and `NEURIPS` hold the papers' values (the table in the papers' words is checked by a test); what a paper does
not state is marked *our choice*. `TUNED` is the default: how a practitioner trains today.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args, get_origin

from metaux.errors import InputError, choose
from metaux.settings import Settings

Initialisation = Literal["pytorch", "xavier-uniform", "xavier-normal"]


@dataclass(frozen=True)
class Protocol:
    """One way to train both networks; nothing in the training loop asks for its name.

    Args:
        name: what the command line calls it.
        epochs: passes over the training data.
        batch_size: samples per batch; the last batches are evened out, so none is tiny.
        learning_rate: alpha, of the multi-task network.
        momentum: of the multi-task network, with SGD.
        weight_decay: L2, of the multi-task network; with AdamW decoupled from the gradient.
        generator_optimizer: `sgd` or `adam`.
        generator_learning_rate: beta, of the label generator.
        generator_decay: weight of the norm of the label generator's parameters.
        generator_decay_norm: `l2`, or `l1`.
        initialisation: of the multi-task network: `pytorch`, as its layers are made, or `xavier-uniform` or
            `xavier-normal` with biases of 0. A backbone that comes with weights keeps them.
        generator_initialisation: of the label generator, likewise.
        schedule: `halve` both learning rates every `halve_every` epochs, or `cosine` to zero, per epoch.
        halve_every: epochs between two halvings.
        focal_gamma: gamma of both losses; 0 is cross entropy.
        entropy_weight: lambda.
        meta_fraction: the share of the training data split off for sources that need a meta split.
        meta_order: one meta step after each training step (`iteration`), or a pass of meta steps after each pass of
            training steps (`epoch`).
        inner_batch: the look-ahead's batch: of the `meta` split, or of the `train` data.
        outer_batch: the outer loss's batch: the `same`, or the `next` one in the epoch's order.
        look_ahead: the virtual step is `plain` SGD, or follows the real `optimizer` with momentum and weight decay; or
            it is the training step that was `taken` on this batch, and the two share their passes.
        head: each task's head is `linear`, or `mlp` (Linear - ReLU - Linear, as wide as the features).
        normalisation: `fixed` (mean 0.5, deviation 0.2) or the `data`'s own mean and deviation, per channel.
        views: of a label source that looks at several views of each sample: those of a batch are learned `together`,
            in one step, or `apart`, like samples of their own: an epoch goes over the data once for each view, and
            every sample is once in each of its views.
        auxiliary_weight: factor on the auxiliary loss.
        reported_epochs: the reported accuracy is the mean over this many last epochs.
        label_parameters: what the labels of `unrolled` are made of: a `table` with logits of each sample, `clusters`
            with logits of each cluster of a network's features, or a `generator`, a network of the sample.
        iterations: how often `unrolled` goes through the training.
        starts: the untrained networks that it begins with in turn, the run's own first.
        horizon: how many of its last steps the gradient goes back through; all, if there are fewer.
        cosine_batches: training batches of each epoch, evenly spread, on which the cosine of the two tasks' gradients
            is measured as the released code does on all; 0 for none.
        optimizer: of the multi-task network, `sgd` or `adamw`.
        warm_up: epochs in which the learning rates rise in equal steps, before they reach their values.
        label_smoothing: the share of the primary target that is spread evenly over all classes.
        mix: show the network each image mixed with another of its batch, and learn the targets of both by their shares:
            `mixup` (a weighted mean), `cutmix` (a rectangle of the other image), or `both`, drawn anew for each batch.
        trivial_augment: whether each image is also changed by TrivialAugment, `on` or `off`.
        weight_average: the exponential moving average of the weights is over this share of all steps, and is what is
            evaluated and kept; 0 for the weights themselves.
        head_epochs: epochs in which the primary head alone learns before the training, from the features that the
            backbone has at its start.
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    generator_optimizer: Literal["sgd", "adam"]
    generator_learning_rate: float
    generator_decay: float
    generator_decay_norm: Literal["l1", "l2"]
    initialisation: Initialisation
    generator_initialisation: Initialisation
    schedule: Literal["halve", "cosine"]
    halve_every: int
    focal_gamma: float
    entropy_weight: float
    meta_fraction: float
    meta_order: Literal["iteration", "epoch"]
    inner_batch: Literal["meta", "train"]
    outer_batch: Literal["same", "next"]
    look_ahead: Literal["plain", "optimizer", "taken"]
    head: Literal["linear", "mlp"]
    normalisation: Literal["fixed", "data"]
    reported_epochs: int
    cosine_batches: int
    # What the papers do not have.
    views: Literal["together", "apart"] = "together"
    auxiliary_weight: float = 1.0
    label_parameters: Literal["table", "clusters", "generator"] = "table"
    iterations: int = 40
    starts: int = 40
    horizon: int = 100
    # The recipe; all of it is off in the papers.
    optimizer: Literal["sgd", "adamw"] = "sgd"
    warm_up: int = 0
    label_smoothing: float = 0.0
    mix: Literal["none", "mixup", "cutmix", "both"] = "none"
    trivial_augment: Literal["off", "on"] = "off"
    weight_average: float = 0.0
    head_epochs: int = 0

    def rate(self, epoch: int) -> float:
        """Return the factor on both learning rates in an epoch, counted from 0.

        >>> [ICLR.rate(epoch) for epoch in (0, 49, 50, 150)]
        [1.0, 1.0, 0.5, 0.125]
        >>> TUNED.rate(10)
        0.5
        >>> [replace(ICLR, warm_up=3).rate(epoch) for epoch in (0, 1, 3)]
        [0.25, 0.5, 1.0]
        """
        rising = min(1.0, (epoch + 1) / (self.warm_up + 1))
        if self.schedule == "halve":
            return rising * float(0.5 ** (epoch // self.halve_every))
        return rising * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))


ICLR = Protocol(
    name="iclr",
    epochs=200,
    batch_size=100,  # our choice: not stated
    learning_rate=0.01,
    momentum=0.0,
    weight_decay=0.0,
    generator_optimizer="sgd",
    generator_learning_rate=1e-5,
    generator_decay=5e-4,
    generator_decay_norm="l1",
    initialisation="xavier-uniform",  # our choice: not stated
    generator_initialisation="xavier-normal",  # our choice: not stated
    schedule="halve",
    halve_every=50,
    focal_gamma=2.0,
    entropy_weight=0.2,
    meta_fraction=0.1,
    meta_order="iteration",
    inner_batch="meta",
    outer_batch="same",
    look_ahead="plain",
    head="linear",  # our choice: not stated
    normalisation="fixed",  # our choice: not stated
    reported_epochs=5,
    cosine_batches=10,  # in place of all, which doubles the cost of a training step
)

# It states what the submission leaves open.
NEURIPS = replace(
    ICLR,
    name="neurips",
    generator_learning_rate=1e-3,
    generator_decay_norm="l2",
    meta_fraction=0.0,
    meta_order="epoch",
    inner_batch="train",
    head="mlp",
)

TUNED = Protocol(
    name="tuned",
    epochs=20,
    batch_size=100,
    learning_rate=0.05,
    momentum=0.9,
    weight_decay=5e-4,
    generator_optimizer="adam",
    generator_learning_rate=1e-3,
    generator_decay=0.0,
    generator_decay_norm="l2",
    initialisation="pytorch",
    generator_initialisation="pytorch",
    schedule="cosine",
    halve_every=50,
    focal_gamma=0.0,
    entropy_weight=0.2,
    meta_fraction=0.0,
    meta_order="iteration",
    inner_batch="train",
    outer_batch="next",
    look_ahead="taken",
    head="linear",
    normalisation="data",
    reported_epochs=1,
    cosine_batches=0,
)

# The values that belong to an optimizer, where it is chosen in place of the protocol's.
_OF_OPTIMIZER = {"adamw": {"learning_rate": 1e-3, "weight_decay": 0.05}}

PROTOCOLS = {protocol.name: protocol for protocol in (TUNED, ICLR, NEURIPS)}


def resolve(settings: Settings, base: Protocol | None = None) -> Protocol:
    """Return the protocol that these settings name, with the values that they override.

    With other epochs than the protocol's own, the learning rates are halved in proportion. With fewer, so is the number
    of reported epochs.

    Args:
        settings: of which the protocol's name and values are used.
        base: a protocol of one's own, in place of the named one.

    Raises:
        InputError: for an unknown protocol or a value out of range.

    >>> protocol = resolve(Settings(protocol="iclr", epochs=40))
    >>> protocol.halve_every, protocol.reported_epochs
    (10, 1)
    """
    if base is None:
        choose("protocol", settings.protocol, PROTOCOLS)
    protocol = base or PROTOCOLS[settings.protocol]
    _check(protocol)
    if settings.epochs == "auto":
        raise InputError(
            "expected a number of epochs, found auto, which only metaux train and metaux compare take; give a number, "
            "or leave it out"
        )
    names = {field.name for field in fields(Protocol)} & {field.name for field in fields(Settings)}
    given = {name: value for name in names if (value := getattr(settings, name)) is not None}
    if (optimizer := given.get("optimizer", protocol.optimizer)) != protocol.optimizer:
        given = _OF_OPTIMIZER.get(optimizer, {}) | given
    changed = replace(protocol, **given)
    _check(changed)
    reported = round(protocol.reported_epochs * min(1.0, changed.epochs / protocol.epochs))
    halve_every = max(1, protocol.halve_every * changed.epochs // protocol.epochs)
    return replace(changed, halve_every=halve_every, reported_epochs=max(1, reported))


_MAY_BE_ZERO = ("cosine_batches", "warm_up", "head_epochs")
_FRACTIONS = ("meta_fraction", "label_smoothing", "weight_average")


def _check(protocol: Protocol) -> None:
    """Raise `InputError` for a word that nobody knows or a number out of range."""
    for field in fields(Protocol):
        name, value = field.name, getattr(protocol, field.name)
        if get_origin(field.type) is Literal:
            choose(name, value, get_args(field.type))
        elif field.type is not str:
            least, below, limit = int(field.type is int and name not in _MAY_BE_ZERO), float("inf"), ""
            if name in _FRACTIONS:
                below, limit = 1.0, " and below 1"
            if not least <= value < below:
                raise InputError(
                    f"expected {name} of at least {least}{limit}, found {value}; give a number in that range"
                )
    batches = protocol.meta_order, protocol.inner_batch, protocol.outer_batch
    if protocol.look_ahead == "taken" and batches != ("iteration", "train", "next"):
        raise InputError(
            f"expected meta_order iteration, inner_batch train and outer_batch next for look_ahead taken, found "
            f"{', '.join(batches)}; give these, or another look_ahead"
        )
    if 0 < protocol.focal_gamma < 1:
        raise InputError(f"expected focal_gamma 0 or at least 1, found {protocol.focal_gamma}; give one of these")
