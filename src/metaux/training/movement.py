"""How far the labels of a source that learns have moved from those of its untrained self."""

from math import ceil

import torch
from torch import Tensor

from metaux.labels.base import LabelSource
from metaux.networks.multitask import to_channels_last
from metaux.rng import seeded
from metaux.training.generated_labels import training_labels
from metaux.training.learner import Learner
from metaux.training.preparation import prepared_source


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
