"""Teachers: networks like the multi-task network's own, trained before it on the same samples."""

from collections.abc import Callable

import torch
from torch import Tensor

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Preparation
from metaux.labels.matching import cross_fitted
from metaux.networks.multitask import MultiTaskNetwork, to_channels_last
from metaux.protocols import Protocol

FOLDS = 3


def taught(
    preparation: Preparation,
    hierarchy: Hierarchy,
    protocol: Protocol,
    loss: Callable[[Tensor, Tensor], Tensor],
    read: Callable[[Tensor], Tensor],
    cross: bool,
) -> Tensor:
    """Return labels of the training samples by teachers, `[n, K]`: by one teacher of all samples, or by three.

    A teacher may overfit its own training samples, so that its labels describe the sample, not its sub-class. With
    `cross` there are three teachers, and each sample's label is by the one that was not trained on it. `cross_fitted`
    matches the sub-classes of the three. All teachers start from the same weights.

    Args:
        preparation: trains the teachers.
        hierarchy: of the teacher's K outputs.
        protocol: a teacher's head and initialisation, like the network's own.
        loss: of a batch's logits `[batch, K]` and classes, to a scalar.
        read: makes labels `[n, K]` of the logits of all samples without augmentation.
        cross: label each sample by a teacher that was not trained on it.
    """
    samples = preparation.samples

    def label(rows: Tensor) -> Tensor:
        parts = preparation.trunk_and_head("teacher", hierarchy.size, protocol.head, protocol.initialisation)
        teacher = MultiTaskNetwork(*parts)
        to_channels_last(teacher, preparation.device)
        preparation.fit(teacher, rows, lambda batch: loss(teacher(*batch.inputs).primary, batch.primary))
        with torch.no_grad():
            logits = [
                teacher(*preparation.load(samples.take(part))).primary.float().cpu() for part in samples.in_parts()
            ]
        return read(torch.cat(logits))

    if cross:
        return cross_fitted(samples.primary, FOLDS, hierarchy, preparation.seed, label)
    return label(torch.arange(len(samples)))
