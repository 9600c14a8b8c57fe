"""Teachers: networks like the multi-task network's own, trained before it on the same samples."""

from collections.abc import Callable

import torch
from torch import Tensor

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Preparation
from metaux.labels.matching import Agree, cross_fitted
from metaux.networks.multitask import MultiTaskNetwork, Outputs, to_channels_last
from metaux.protocols import Protocol

FOLDS = 3


def taught(
    preparation: Preparation,
    hierarchy: Hierarchy,
    protocol: Protocol,
    loss: Callable[[Tensor, Tensor], Tensor],
    read: Callable[[MultiTaskNetwork, Outputs], Tensor],
    cross: bool,
    agree: Agree | None = None,
) -> Tensor:
    """Return labels of the training samples by teachers, `[n, ...]`: by one teacher of all samples, or by three.

    A teacher may overfit its own training samples, so that its labels describe the sample, not its sub-class. With
    `cross` there are three teachers, and each sample's label is by the one that was not trained on it. `cross_fitted`
    matches the sub-classes of the three. All teachers start from the same weights.

    Args:
        preparation: trains the teachers.
        hierarchy: of the teacher's K outputs.
        protocol: a teacher's head and initialisation, like the network's own.
        loss: of a batch's logits `[batch, K]` and classes, to a scalar.
        read: makes labels `[n, ...]` of a teacher and its outputs for all samples without augmentation, on the CPU.
        cross: label each sample by a teacher that was not trained on it.
        agree: as of `cross_fitted`.
    """
    samples = preparation.samples

    def label(rows: Tensor) -> Tensor:
        teacher = trained_teacher("teacher", preparation, hierarchy.size, protocol, rows, loss)
        return read(teacher, preparation.outputs(teacher))

    if cross:
        return cross_fitted(samples.primary, FOLDS, hierarchy, preparation.seed, label, agree)
    return label(torch.arange(len(samples)))


def trained_teacher(
    name: str,
    preparation: Preparation,
    outputs: int,
    protocol: Protocol,
    rows: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> MultiTaskNetwork:
    """Return a network like the multi-task network's own, trained on the samples at these rows, int64 `[m]`.

    Its random streams have names that start with `name`; the loss is of a batch's outputs and classes, to a scalar.
    """
    parts = preparation.trunk_and_head(name, outputs, protocol.head, protocol.initialisation)
    teacher = to_channels_last(MultiTaskNetwork(*parts), preparation.device)
    preparation.fit(teacher, rows, lambda batch: loss(teacher(*batch.inputs).primary, batch.primary))
    return teacher
