"""Labels of samples by models that never saw them: the folds, and making the models' sub-classes the same ones."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from metaux.hierarchy import Hierarchy
from metaux.rng import generator

Agree = Callable[[Tensor, Tensor], Tensor]


def cross_fitted(
    primary: Tensor,
    count: int,
    hierarchy: Hierarchy,
    seed: int,
    label: Callable[[Tensor], Tensor],
    agree: Agree | None = None,
) -> Tensor:
    """Return labels of samples by models that were fitted without them.

    The samples of each class are dealt out at random to `count` folds. A model is fitted without each fold, and labels
    all samples; only the labels of that fold are used. Each model numbers its sub-classes in its own order, so its
    labels are first made to agree with those of the first model.

    Args:
        primary: the classes, int64 `[n]`.
        count: the number of folds, at least 2.
        hierarchy: of the classes.
        seed: of the folds.
        label: fits a model to the samples at the rows given, and returns its labels of all samples, `[n, ...]`.
        agree: makes labels agree with the first model's; None to rename sub-classes (`matched`), of labels `[n, K]`.

    Returns:
        `[n, ...]`.
    """
    agree = agree or partial(matched, hierarchy=hierarchy)
    fold = torch.empty_like(primary)
    order = torch.randperm(len(primary), generator=generator(seed, "folds"))
    for class_ in range(hierarchy.classes):
        rows = order[primary[order] == class_]
        fold[rows] = torch.arange(len(rows)) % count
    labels: list[Tensor] = []
    for number in range(count):
        found = label((fold != number).nonzero().squeeze(-1))
        labels.append(agree(found, labels[0]) if labels else found)
    return torch.stack(labels)[fold, torch.arange(len(fold))]


def matched(labels: Tensor, reference: Tensor, hierarchy: Hierarchy) -> Tensor:
    """Return labels with the sub-classes of each class renamed, so that they agree most with other labels.

    The agreement of sub-classes j and k is sum_n r_nj t_nk; of all ways to rename, the one with the largest sum is
    taken (linear assignment by SciPy).

    Args:
        labels: t, `[n, K]`.
        reference: r, `[n, K]`, of the same samples.
        hierarchy: of the classes.

    >>> labels = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    >>> matched(labels, labels[:, [1, 0, 2]], Hierarchy([2, 1])).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    from scipy.optimize import linear_sum_assignment

    overlap = reference.double().T @ labels.double()
    order = torch.arange(hierarchy.size)
    for start, slots in zip(hierarchy.offsets.tolist(), hierarchy.slots, strict=True):
        own = slice(start, start + slots)
        order[own] = start + torch.from_numpy(linear_sum_assignment(overlap[own, own].numpy(), maximize=True)[1])
    return labels[:, order]
