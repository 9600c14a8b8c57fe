"""The generated label of every training sample, and what to say of them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.labels.base import LabelSource
from metaux.labels.fixed import own_slots
from metaux.training.loader import Loader

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
