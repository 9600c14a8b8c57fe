"""The generated label of every training sample, and what to say of them."""

import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.hierarchy import Hierarchy
from metaux.labels.base import LabelSource
from metaux.labels.slots import own_slots
from metaux.training.loader import Loader


@torch.no_grad()
def training_labels(source: LabelSource, loader: Loader) -> Tensor | None:
    """Return `own_slots` of every training sample without augmentation, `[n, max(psi)]`; None if there are none."""
    found = []
    training = source.training
    source.eval()
    for rows in loader.samples.in_parts():
        batch = loader.load(rows)
        labels = source.labels(batch)
        if labels is None:
            break
        found.append(own_slots(labels, batch.primary, source.hierarchy).float().cpu())
    source.train(training)
    return torch.cat(found) if found else None


def human_agreement(labels: Tensor, samples: Samples, hierarchy: Hierarchy) -> float | None:
    """Return the normalised mutual information of top and human sub-class, within classes, mean over samples.

    Measured within each primary class, since both labels know the class and would agree on it alone.
    """
    if samples.human is None:
        return None
    from sklearn.metrics import normalized_mutual_info_score

    top, total = labels.argmax(-1), 0.0
    for class_ in range(hierarchy.classes):
        rows = samples.primary == class_
        if rows.any():
            total += int(rows.sum()) * normalized_mutual_info_score(samples.human[rows], top[rows])
    return total / len(samples)


def describe(labels: Tensor, samples: Samples, hierarchy: Hierarchy) -> dict[str, float]:
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
    agreement = human_agreement(labels, samples, hierarchy)
    return numbers if agreement is None else {**numbers, "label_human_nmi": agreement}
