"""Drawing samples: a run's training subset and meta split, and the test part of a source that has none.

scikit-learn's splitters draw other samples by the same seed, so that recorded splits would change; of the folds of
cross-validation, none was recorded.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from metaux.data.pixels import Array
from metaux.data.samples import Samples
from metaux.errors import InputError
from metaux.settings import Settings


def draw(samples: Samples, seed: int, train_size: int | None, meta_fraction: float) -> tuple[Samples, Samples | None]:
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
        rng = np.random.default_rng([seed, 0])
        samples = samples.take(_subset(samples.primary, train_size, rng))
    if meta_fraction == 0:
        return samples, None
    rest, part = split(samples.primary, samples.groups, meta_fraction, np.random.default_rng([seed, 1]))
    return samples.take(rest), samples.take(part)


def split(primary: Tensor, groups: Tensor | None, fraction: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Split rows in two, keeping the balance of the classes and never dividing a group.

    Args:
        primary: the class of each row, int64 `[n]`.
        groups: the group of each row, int64 `[n]`, or None if each is by itself.
        fraction: the share of the second part, above 0 and below 1.
        rng: the random generator.

    Returns:
        The rows of the first and of the second part, int64, ascending. Each class with two rows or more is in
        both; with groups, each class is in the first, and in the second as far as the groups allow.

    Raises:
        InputError: if no class has two rows, or the groups leave a class out of the first part.
    """
    if groups is None:
        second = _balanced(primary.numpy(), fraction, rng)
    else:
        second = _whole_groups(primary.numpy(), groups.numpy(), fraction, rng)
    if len(second) == 0:
        raise InputError("expected a class with two samples or more to split, found one sample in each; add samples")
    return torch.from_numpy(np.setdiff1d(np.arange(len(primary)), second)), torch.from_numpy(second)


def fold(
    primary: Tensor, groups: Tensor | None, rows: Tensor, settings: Settings, names: Sequence[str]
) -> tuple[Tensor, Tensor]:
    """Divide rows in `settings.folds` parts, always the same, and return those to learn from and the part to measure.

    The parts have the balance of the classes, as far as groups, which are never divided, allow.

    Args:
        primary: the class of every sample, int64 `[n]`.
        groups: the group of every sample, int64 `[n]`, or None.
        rows: to divide, int64 `[m]`.
        settings: `folds` and `fold` are used.
        names: of the classes.

    Raises:
        InputError: for more parts than a class has samples, or than groups, and a part that there is not.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    assert settings.folds is not None
    if settings.folds < 2 or not 0 <= settings.fold < settings.folds:
        raise InputError(
            f"expected 2 folds or more and one of them, from 0, found --folds {settings.folds} and --fold "
            f"{settings.fold}; correct them"
        )
    own = primary[rows].numpy()
    counts = np.bincount(own, minlength=len(names))
    if few := [f"{count} of '{name}'" for name, count in zip(names, counts, strict=True) if 0 < count < settings.folds]:
        raise InputError(
            f"expected {settings.folds} samples or more of every class for --folds {settings.folds}, found {few[0]}; "
            "give fewer folds, or more samples"
        )
    if groups is None:
        parts = StratifiedKFold(settings.folds, shuffle=True, random_state=0).split(own, own)
    else:
        of_rows = groups[rows].numpy()
        if (count := len(np.unique(of_rows))) < settings.folds:
            raise InputError(f"expected {settings.folds} groups or more for as many folds, found {count}; give fewer")
        parts = StratifiedGroupKFold(settings.folds, shuffle=True, random_state=0).split(own, own, of_rows)
    learned, measured = list(parts)[settings.fold]
    if lost := set(own.tolist()) - set(own[learned].tolist()):
        raise InputError(
            f"expected every class in every part to learn from, found '{names[min(lost)]}' in one part alone, since "
            "its samples are of one group; give fewer folds, or add groups"
        )
    return rows[torch.from_numpy(learned)], rows[torch.from_numpy(measured)]


def _subset(primary: Tensor, size: int, rng: np.random.Generator) -> Tensor:
    counts = primary.bincount().numpy()
    least = np.minimum(2, counts)  # two, so that a meta split can have one
    if least.sum() > size:
        least = np.minimum(1, counts)
    return torch.from_numpy(_pick(primary.numpy(), _shares(counts, size, least, counts, rng), rng))


def _balanced(primary: Array, fraction: float, rng: np.random.Generator) -> Array:
    counts = np.bincount(primary)
    most = np.maximum(counts - 1, 0)
    share = _shares(counts, round(fraction * len(primary)), np.minimum(1, most), most, rng)
    return _pick(primary, share, rng)


def _shares(counts: Array, total: int, least: Array, most: Array, rng: np.random.Generator) -> Array:
    """Divide a total over classes by their counts: largest remainders, ties by chance, within bounds."""
    ideal = counts * (total / counts.sum())
    share: Array = np.clip(np.floor(ideal).astype(np.int64), least, most)
    chance = rng.random(len(counts)) * 1e-6
    for _ in range(abs(total - int(share.sum()))):
        step = 1 if share.sum() < total else -1
        need = np.where(share < most if step == 1 else share > least, step * (ideal - share) + chance, -np.inf)
        if need.max() == -np.inf:
            break
        share[need.argmax()] += step
    return share


def _pick(primary: Array, share: Array, rng: np.random.Generator) -> Array:
    rows = [rng.permutation(np.flatnonzero(primary == label))[:count] for label, count in enumerate(share)]
    return np.sort(np.concatenate(rows))


def _whole_groups(primary: Array, groups: Array, fraction: float, rng: np.random.Generator) -> Array:
    """Split the groups by their rarest class, or by none, many times; keep the rows of the best split."""
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"expected two groups or more to split, found {len(names)}; add samples of other groups")
    table = np.zeros((len(names), primary.max() + 1), dtype=np.int64)
    np.add.at(table, (group, primary), 1)
    total = table.sum(0)
    rarest = np.where(table > 0, total, len(primary) + 1).argmin(1)
    best: tuple[tuple[int, int, float], Array] | None = None
    for labels in [rarest] * 20 + [np.zeros_like(rarest)] * 20:
        chosen = _balanced(labels, fraction, rng)
        second = table[chosen].sum(0)
        lost = int(((second == total) & (total > 0)).sum())
        missing = int(((second == 0) & (total > 0)).sum())
        quality = (lost, missing, float(abs(second.sum() - fraction * len(primary))))
        if len(chosen) and (best is None or quality < best[0]):
            best = quality, chosen
    if best is None or best[0][0]:
        raise InputError(
            "expected groups that can be split with every class in the first part, found a class that would "
            "be left out; add samples of other groups"
        )
    return np.flatnonzero(np.isin(group, best[1]))
