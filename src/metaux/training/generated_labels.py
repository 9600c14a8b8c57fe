"""The generated label of every training sample, what to say of them, and how far training has moved them."""

from collections.abc import Iterable
from math import ceil
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.labels.base import LabelSource
from metaux.labels.fixed import own_slots
from metaux.networks.multitask import to_channels_last
from metaux.rng import seeded
from metaux.training.learner import Learner
from metaux.training.loader import Loader
from metaux.training.preparation import prepared_source

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


@torch.no_grad()
def training_labels(
    source: LabelSource, loader: Loader, parts: Iterable[Tensor] | None = None, training: bool = False
) -> Tensor | None:
    """Return `own_slots` of every training sample without augmentation, `[n, max(psi)]`; None if there are none.

    In batches of any size, unless their rows are given as `parts`; in evaluation mode, unless `training`.
    """
    found, before = [], source.training
    source.train(training)
    for rows in loader.samples.in_parts() if parts is None else parts:
        batch = loader.load(rows)
        labels = source.labels(batch)
        if labels is None:
            break
        found.append(own_slots(labels, batch.primary, source.hierarchy).float().cpu())
    source.train(before)
    return torch.cat(found) if found else None


def human_agreement(labels: Tensor, samples: Samples) -> float | None:
    """Return the agreement of top and human sub-class within classes; None where there are no human ones."""
    if samples.human is None:
        return None
    known = samples.human >= 0
    if not known.any():
        return None
    human, top, primary = (part[known].numpy() for part in (samples.human, labels.argmax(-1), samples.primary))
    return agreement_within_classes(human, top, primary)


def agreement_within_classes(first: "Array", second: "Array", primary: "Array") -> float:
    """Return the normalised mutual information of two labellings, int64 `[n]`, within classes, mean over samples.

    Measured within each primary class, since both labellings know the class and would agree on it alone.

    >>> import numpy as np
    >>> agreement_within_classes(np.array([0, 1, 0, 1]), np.array([1, 0, 5, 7]), np.array([0, 0, 1, 1]))
    1.0
    """
    import numpy as np
    from sklearn.metrics import normalized_mutual_info_score

    total = 0.0
    for class_ in np.unique(primary):
        rows = np.flatnonzero(primary == class_)
        total += len(rows) * float(normalized_mutual_info_score(first[rows], second[rows]))
    return total / len(primary)


def describe(labels: Tensor, samples: Samples) -> dict[str, float]:
    """Return the numbers recorded of the training samples' labels each epoch.

    `label_top_probability` is the mean of the largest probability; `label_entropy` the mean entropy of a label and
    `class_entropy` that of a class's mean label, averaged over classes, both in nats; `subclasses_used` the number
    of sub-classes that are the most probable one of some sample; `label_human_nmi` see `human_agreement`.
    """
    primary = samples.primary
    means = torch.stack([labels[primary == class_].mean(0) for class_ in primary.unique()])
    used = torch.unique(torch.stack([primary, labels.argmax(-1)]), dim=1).shape[1]
    numbers = {
        "label_top_probability": float(labels.max(-1).values.mean()),
        "label_entropy": float(torch.special.entr(labels).sum(-1).mean()),
        "class_entropy": float(torch.special.entr(means).sum(-1).mean()),
        "subclasses_used": float(used),
    }
    agreement = human_agreement(labels, samples)
    return numbers if agreement is None else {**numbers, "label_human_nmi": agreement}


def label_movement(learner: Learner) -> dict[str, float] | None:
    """Return how far labels are from those of the same generator without a meta step (`frozen`), on the same samples.

    Args:
        learner: at the end of its training; it is left as it is.

    Returns:
        Means over the training samples: the `absolute_change` of a sub-class's probability, the `total_variation`
        between the two labels (half the sum of the absolute changes), and the share with the same most probable
        sub-class, `same_top`. None for a source without labels, or one that does not learn.
    """
    if learner.source.meta_step is None:
        return None
    after = labels_in_training(learner, learner.source)
    if after is None:
        return None
    untrained, *_ = prepared_source(learner.plan, learner.fabric, {}, rehearsal=True)
    before = labels_in_training(learner, to_channels_last(untrained, learner.fabric.device))
    assert before is not None
    change = (after - before).abs().sum(-1)
    slots = torch.tensor(learner.source.hierarchy.slots)[learner.plan.train.primary]
    return {
        "absolute_change": float((change / slots).mean()),
        "total_variation": float(change.mean() / 2),
        "same_top": float((after.argmax(-1) == before.argmax(-1)).float().mean()),
    }


@torch.no_grad()
def labels_in_training(learner: Learner, source: LabelSource) -> Tensor | None:
    """Return the labels of all training samples over their own slots, `[n, max(psi)]`, as a training step sees them.

    Without augmentation, and always in the same batches: batch normalisation takes the statistics of each.
    """
    plan, count = learner.plan, len(learner.plan.train)
    parts = torch.arange(count).tensor_split(ceil(count / plan.protocol.batch_size))
    buffers = [buffer for module in source.children() for buffer in module.buffers()]
    before = [buffer.clone() for buffer in buffers]
    with seeded(plan.seed, "labels in training"), learner.fabric.autocast():
        found = training_labels(source, learner.batches.train, parts, training=True)
    for buffer, value in zip(buffers, before, strict=True):
        buffer.copy_(value)
    return found
