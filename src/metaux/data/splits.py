"""Drawing samples: a run's training subset and meta split, and the test part of a source that has none."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.errors import InputError

Array = np.ndarray[Any, Any]


def draw(
    samples: Samples, seed: int, train_size: int | None, meta_fraction: float
) -> tuple[Samples, Samples | None]:
    """Draw a run's training samples and, if it wants one, its meta split from them.

    Both draws keep the balance of the primary classes. The same seed gives the same training subset whether
    or not a meta split is taken from it afterwards, and samples stay in their order.

    Args:
        samples: the source's training samples.
        seed: the run's seed.
        train_size: how many samples to learn from, the meta split included; None for all.
        meta_fraction: the share split off as meta split; 0 for none.

    Returns:
        The training samples without the meta split, and the meta split or None. Each class with two samples
        or more is in both; of groups, no one is in both.

    Raises:
        InputError: if there are fewer samples than wanted, too few for every class, or a class has a single
            group.
    """
    classes = int(samples.primary.max()) + 1
    if train_size is not None:
        if not classes <= train_size <= len(samples):
            raise InputError(
                f"expected a training size from {classes} (one sample per class) to {len(samples)} (all), "
                f"found {train_size}; correct --train-size"
            )
        stream = np.random.default_rng([seed, 0])
        samples = samples.take(_subset(samples.primary, train_size, stream))
    if meta_fraction == 0:
        return samples, None
    rest, part = split(samples.primary, samples.groups, meta_fraction, np.random.default_rng([seed, 1]))
    return samples.take(rest), samples.take(part)


def split(
    primary: Tensor, groups: Tensor | None, fraction: float, stream: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Split rows in two, keeping the balance of the classes and never dividing a group.

    Args:
        primary: the class of each row, int64 `[n]`.
        groups: the group of each row, int64 `[n]`, or None if each is by itself.
        fraction: the share of the second part, above 0 and below 1.
        stream: the source of chance.

    Returns:
        The rows of the first and of the second part, int64, ascending. Each class with two rows or more is in
        both; with groups, each class is in the first, and in the second as far as the groups allow.

    Raises:
        InputError: if no class has two rows, or the groups leave a class out of the first part.
    """
    if groups is None:
        counts = primary.bincount().numpy()
        most = np.maximum(counts - 1, 0)
        share = _shares(counts, round(fraction * len(primary)), np.minimum(1, most), most, stream)
        second = _pick(primary.numpy(), share, stream)
    else:
        second = _group_fold(primary.numpy(), groups.numpy(), fraction, stream)
    if len(second) == 0:
        raise InputError(
            "expected a class with two samples or more to split, found one sample in each; add samples"
        )
    return torch.from_numpy(np.setdiff1d(np.arange(len(primary)), second)), torch.from_numpy(second)


def _subset(primary: Tensor, size: int, stream: np.random.Generator) -> Tensor:
    counts = primary.bincount().numpy()
    least = np.minimum(2, counts)  # two, so that a meta split can have one
    if least.sum() > size:
        least = np.minimum(1, counts)
    return torch.from_numpy(_pick(primary.numpy(), _shares(counts, size, least, counts, stream), stream))


def _shares(counts: Array, total: int, least: Array, most: Array, stream: np.random.Generator) -> Array:
    """Divide a total over classes by their counts: largest remainders, ties by chance, within bounds."""
    ideal = counts * (total / counts.sum())
    share: Array = np.clip(np.floor(ideal).astype(np.int64), least, most)
    chance = stream.random(len(counts)) * 1e-6
    for _ in range(abs(total - int(share.sum()))):
        step = 1 if share.sum() < total else -1
        need = np.where(
            share < most if step == 1 else share > least, step * (ideal - share) + chance, -np.inf
        )
        if need.max() == -np.inf:
            break
        share[need.argmax()] += step
    return share


def _pick(primary: Array, share: Array, stream: np.random.Generator) -> Array:
    rows = [stream.permutation(np.flatnonzero(primary == label))[:count] for label, count in enumerate(share)]
    return np.sort(np.concatenate(rows))


def _group_fold(primary: Array, groups: Array, fraction: float, stream: np.random.Generator) -> Array:
    """Return the best fold of a split by groups: no class lost, then few missing, then the right size."""
    from sklearn.model_selection import StratifiedGroupKFold

    members = len(np.unique(groups))
    folds = min(max(2, round(1 / fraction)), members, int(np.bincount(primary).max()))
    if folds < 2:
        raise InputError(
            f"expected two groups or more to split, found {members}; add samples of other groups"
        )
    everything = set(np.unique(primary).tolist())
    best: tuple[tuple[int, int, float], Array] | None = None
    for _ in range(5):
        state = int(stream.integers(2**31))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of classes smaller than the number of folds
            found = list(
                StratifiedGroupKFold(folds, shuffle=True, random_state=state).split(primary, primary, groups)
            )
        for first, second in found:
            lost = len(everything.difference(primary[first].tolist()))
            missing = len(everything.difference(primary[second].tolist()))
            distance = abs(len(second) - fraction * len(primary))
            if len(second) and (best is None or (lost, missing, distance) < best[0]):
                best = ((lost, missing, distance), second)
        if best is not None and best[0][:2] == (0, 0):
            break
    if best is None or best[0][0]:
        raise InputError(
            "expected groups that can be split with every class in the first part, found a class that would "
            "be left out; add samples of other groups"
        )
    return np.sort(best[1])
