"""From label names to classes: the primary class and human sub-class of each sample, and the hierarchy."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from metaux.data.levels import Levels
from metaux.errors import InputError, nearest
from metaux.hierarchy import Hierarchy

DEFAULT_SUBCLASSES = 5


class Classes(NamedTuple):
    """What a sample's label says.

    `primary` is the class and `human` the flat index of the human-defined sub-class, both int64 `[n]`;
    `human` is None where the labels aren't as fine as the sub-classes.
    """

    primary: Tensor
    human: Tensor | None
    hierarchy: Hierarchy
    notices: tuple[str, ...] = ()


def assign(
    levels: Levels,
    labels: Sequence[str],
    primary: str | None = None,
    auxiliary: str | None = None,
    subclasses: Sequence[int] | None = None,
) -> Classes:
    """Assign classes to labels, which are of one level of the hierarchy.

    Args:
        levels: the hierarchy; classes without a sample are left out.
        labels: a label per sample.
        primary: the level to classify, no finer than the labels. By default the level just above the
            auxiliary one, or the labels' own if the auxiliary one is finer.
        auxiliary: the level that gives the sub-classes. By default the labels' own level if it is finer than
            the primary one, else the next finer one; without a primary level, the next finer level than the
            labels' own if there is one, else the labels' own.
        subclasses: sub-classes per class, one number or one per class, in place of an auxiliary level; also
            where the hierarchy has none (5 by default).

    Raises:
        InputError: for labels outside the hierarchy, unknown or impossible levels, a wrong count of
            sub-classes.

    >>> pets = Levels(("kind", "breed"), (("cat", "tabby"), ("dog", "pug"), ("dog", "boxer")))
    >>> classes = assign(pets, ["boxer", "tabby", "pug"])
    >>> classes.primary.tolist(), classes.human.tolist(), classes.hierarchy.slots
    ([1, 0, 1], [2, 0, 1], (1, 2))
    >>> assign(pets, ["dog", "cat"]).human is None, assign(pets, ["dog", "cat"]).hierarchy.slots
    (True, (1, 2))
    """
    if auxiliary is not None and subclasses is not None:
        raise InputError(
            f"expected either an auxiliary level or a number of sub-classes, found both ('{auxiliary}' and "
            f"{list(subclasses)}); leave one out"
        )
    level = levels.level_of(labels)
    unused = len(levels.classes(level)) - len(set(labels))
    levels = levels.keep(level, labels)
    notices = (f"{unused} classes of level '{level}' have no sample and are left out",) if unused else ()
    primary, auxiliary = _choose_levels(levels, level, primary, auxiliary)
    names = levels.classes(primary)
    number = {name: index for index, name in enumerate(names)}
    above = levels.above(level, primary)
    classes = torch.tensor([number[above[label]] for label in labels])
    if auxiliary is None or subclasses is not None:
        return Classes(classes, None, Hierarchy(_slots(subclasses, len(names)), names), notices)
    hierarchy = levels.hierarchy(primary, auxiliary)
    if levels.index(auxiliary) > levels.index(level):
        return Classes(classes, None, hierarchy, notices)
    flat = {name: index for index, name in enumerate(hierarchy.subclass_names)}
    below = levels.above(level, auxiliary)
    return Classes(classes, torch.tensor([flat[below[label]] for label in labels]), hierarchy, notices)


def choose_columns(
    columns: Mapping[str, Sequence[str]], primary: str | None, auxiliary: str | None, finer: bool
) -> tuple[str, str | None]:
    """Choose the primary and the auxiliary one of a source's label columns, which need no hierarchy file.

    By default the first column is primary, and the other one auxiliary if there is exactly one and `finer` is
    true.
    """
    first, *others = columns
    for level in (primary, auxiliary):
        if level is not None and level not in columns:
            raise InputError(
                f"unknown level '{level}'{nearest(level, columns)} (the data's label columns: "
                f"{', '.join(columns)}); name one of these, or give --hierarchy"
            )
    if auxiliary is None and finer and primary in (None, first) and len(others) == 1:
        auxiliary = others[0]
    return primary or first, auxiliary


def _choose_levels(levels: Levels, level: str, primary: str | None, auxiliary: str | None) -> tuple[str, str | None]:
    names, own = levels.names, levels.index(level)
    if primary is not None and levels.index(primary) > own:
        raise InputError(
            f"expected a primary level no finer than the data's labels of level '{level}', found "
            f"'{primary}'; choose one of {', '.join(names[: own + 1])}"
        )
    if primary is None:
        below = min(own + 1, len(names) - 1) if auxiliary is None else levels.index(auxiliary)
        if auxiliary is not None and below == 0:
            raise InputError(
                f"expected an auxiliary level with a coarser one above it, found '{auxiliary}'; choose one "
                f"of {', '.join(names[1:]) or 'a hierarchy with two or more levels'}"
            )
        primary = names[min(own, max(below - 1, 0))]
    if auxiliary is None:
        finer = max(own, levels.index(primary) + 1)
        auxiliary = names[finer] if finer < len(names) else None
    return primary, auxiliary


def _slots(subclasses: Sequence[int] | None, classes: int) -> list[int]:
    slots = [DEFAULT_SUBCLASSES] if subclasses is None else list(subclasses)
    if len(slots) == 1:
        slots *= classes
    if len(slots) != classes or any(count < 1 for count in slots):
        raise InputError(
            f"expected one number of sub-classes, or one for each of the {classes} classes, each at least "
            f"1, found {' '.join(map(str, subclasses or ())) or 'none'}; correct --subclasses"
        )
    return slots
