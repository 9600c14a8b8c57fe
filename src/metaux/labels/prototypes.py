"""The arithmetic of prototypes: means, distances, and the scale that makes a softmax of them calibrated.

All of it in float64, distances as sums of squared differences, one class at a time: the difference of two distances
is what counts, and |a|^2 - 2 a.b + |b|^2 would lose it to rounding.
"""

import torch
from torch import Tensor

from metaux.errors import InputError
from metaux.hierarchy import Hierarchy

SHARPEST = 1e4  # of the inverse temperature, in units of 1 / (mean squared distance): hard labels


def prototypes(embedded: Tensor, subclass: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the mean embedding of each sub-class, `[K, features]` (0 where there is no sample), and counts `[K]`.

    Args:
        embedded: `[n, features]`.
        subclass: flat sub-classes, int64 `[n]`.
        size: K.

    >>> prototypes(torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 0, 2]), 3)
    (tensor([[1.],
            [0.],
            [5.]]), tensor([2, 0, 1]))
    """
    counts = subclass.bincount(minlength=size)
    sums = embedded.new_zeros(size, embedded.shape[1]).index_add(0, subclass, embedded)
    return sums / counts.clamp(min=1).unsqueeze(-1), counts


def soft_assignment(
    embedded: Tensor, primary: Tensor, means: Tensor, known: Tensor, hierarchy: Hierarchy, beta: float
) -> Tensor:
    """Return softmax(-beta |e - c_k|^2) over the known sub-classes of each sample's class, 0 elsewhere, `[n, K]`.

    Args:
        embedded: e, `[n, features]`.
        primary: the classes, int64 `[n]`.
        means: the prototypes c, `[K, features]`.
        known: which sub-classes have a prototype, bool `[K]`; at least one of every class.
        hierarchy: psi.
        beta: the inverse temperature.

    >>> means, known = torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([True, True, False])
    >>> soft_assignment(torch.tensor([[0.5]]), torch.tensor([0]), means, known, Hierarchy([3]), 1.0).tolist()
    [[0.5, 0.5, 0.0]]
    """
    labels = embedded.new_zeros(len(embedded), hierarchy.size)
    for class_ in primary.unique().tolist():
        rows = (primary == class_).nonzero().squeeze(-1)
        own = ((hierarchy.parent == class_) & known).nonzero().squeeze(-1)
        labels[rows.unsqueeze(-1), own] = (-beta * _squared_distances(embedded[rows], means[own])).softmax(-1)
    return labels


def inverse_temperature(
    embedded: Tensor, subclass: Tensor, means: Tensor, counts: Tensor, hierarchy: Hierarchy
) -> float:
    """Return the beta >= 0 under which the labelled samples' own sub-classes are the most likely.

    It maximises  sum_n log t_k(n),  t = softmax(-beta d) over the known sub-classes of the sample's class, which is
    concave in beta: at the maximum the expected squared distance under the labels equals that to the true
    prototypes. A sample's own prototype is taken without it, or every embedding would look good: the mean of
    the n - 1 others lies n / (n - 1) times as far away. Sub-classes of one sample have no such mean and do not count.

    Args:
        embedded: of the labelled samples, `[n, features]`.
        subclass: their flat sub-classes, int64 `[n]`.
        means: the prototypes, `[K, features]`.
        counts: samples of each, int64 `[K]`.
        hierarchy: psi.

    Returns:
        beta: 0 (uniform labels) where the embedding does not tell the sub-classes apart, and 1e4 / (mean squared
        distance), hard labels, where it always does.

    Raises:
        InputError: if every sub-class has one sample only.

    Source: scaling by one temperature is Guo et al., On calibration of modern neural networks (ICML 2017).

    >>> subclass = torch.tensor([0, 0, 0, 1, 1, 1])
    >>> near = torch.tensor([[0.0], [2.0], [4.0], [3.0], [5.0], [7.0]], dtype=torch.float64)
    >>> far = near + 10 * subclass.unsqueeze(-1)
    >>> for embedded in (near, 10 * near, far):
    ...     means, counts = prototypes(embedded, subclass, 2)
    ...     print(round(inverse_temperature(embedded, subclass, means, counts, Hierarchy([2])), 4))
    0.0966
    0.001
    112.5704
    """
    if int(counts.max()) < 2:
        raise InputError(
            "expected two labelled samples or more of a sub-class in the meta split, found at most one of each; "
            "learn from more training samples"
        )
    distances, gaps = [], []
    for class_ in hierarchy.parent[subclass].unique().tolist():
        own = ((hierarchy.parent == class_) & (counts > 0)).nonzero().squeeze(-1)
        rows = ((hierarchy.parent[subclass] == class_) & (counts[subclass] > 1)).nonzero().squeeze(-1)
        distance = _squared_distances(embedded[rows], means[own])
        true = subclass[rows].unsqueeze(-1) == own
        n = counts[own].double()
        distance = torch.where(true, distance * (n / (n - 1)).square(), distance)
        distances.append(distance.flatten())
        gaps.append(distance - distance[true].unsqueeze(-1))  # exactly 0 at the true sub-class
    scale = float(torch.cat(distances).mean())
    if scale == 0:
        return 0.0
    return _most_likely([gap / scale for gap in gaps]) / scale


def _most_likely(gaps: list[Tensor]) -> float:
    """Return where the likelihood's slope, the mean gap under the labels, is 0: by bisection, for it decreases."""

    def slope(beta: float) -> float:
        return sum(float(((-beta * gap).softmax(-1) * gap).sum()) for gap in gaps)

    low, high = 0.0, SHARPEST
    if slope(low) <= 0:
        return low
    if slope(high) >= 0:
        return high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return low


def _squared_distances(embedded: Tensor, means: Tensor) -> Tensor:
    """Return |e - c|^2 of every pair, `[n, K]`."""
    columns = [(embedded - mean).square().sum(-1) for mean in means]
    return torch.stack(columns, -1)
