"""From label names to classes: the primary class and human sub-class of each sample, and the hierarchy."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor

from metaux.data import table_file
from metaux.data.levels import Levels
from metaux.data.reader import RawData
from metaux.data.spelling import check_labels, places, spelling
from metaux.errors import InputError, nearest
from metaux.hierarchy import Hierarchy
from metaux.settings import MOST_SUBCLASSES, Settings
from metaux.words import few

DEFAULT_SUBCLASSES = 5
MOST_OF_ONE = 10_000
"""Sub-classes of one class."""


class Classes(NamedTuple):
    """What a sample's label says.

    `primary` is the class and `human` the flat index of the human-defined sub-class, both int64 `[n]`;
    `human` is None where the labels aren't as fine as the sub-classes.
    """

    primary: Tensor
    human: Tensor | None
    hierarchy: Hierarchy
    notices: tuple[str, ...] = ()


def find_classes(raw: RawData, settings: Settings) -> Classes:
    """Decide the classes of a source's samples: by the settings' or the source's hierarchy, else by its label columns.

    Raises:
        InputError: for a sample without a label, a column of finer labels that are none, and all that `assign` refuses.
    """
    levels = Levels.read(settings.hierarchy) if settings.hierarchy is not None else raw.levels
    if levels is None:
        return _by_columns(raw, settings)
    first, *others = raw.labels
    found = assign(levels, raw.labels[first], settings.primary, settings.auxiliary, settings.subclasses)
    if others:
        return found._replace(notices=(*found.notices, f"not used beside the hierarchy: {', '.join(others)}"))
    return found


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
    above = levels.above(level, primary)
    classes = places([above[label] for label in labels], names)
    if auxiliary is None or subclasses is not None:
        return Classes(classes, None, Hierarchy(slots(subclasses, len(names)), names), notices)
    hierarchy = levels.hierarchy(primary, auxiliary)
    if levels.index(auxiliary) > levels.index(level):
        return Classes(classes, None, hierarchy, notices)
    below = levels.above(level, auxiliary)
    human = places([below[label] for label in labels], hierarchy.subclass_names)
    return Classes(classes, human, hierarchy, notices)


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


def slots(subclasses: Sequence[int] | None, classes: int, option: str = "--subclasses") -> list[int]:
    """Return the number of sub-classes of each class, from one number or one for each class; 5 by default.

    Raises:
        InputError: for another count of numbers, or one that is below 1 or too large.

    >>> slots((3,), 2)
    [3, 3]
    """
    found = [DEFAULT_SUBCLASSES] if subclasses is None else list(subclasses)
    if len(found) == 1:
        found *= classes
    if len(found) != classes or not all(isinstance(count, Real) and count >= 1 for count in found):
        raise InputError(
            f"expected one number of sub-classes, or one for each of the {classes} classes, each at least "
            f"1, found {' '.join(map(str, subclasses or ())) or 'none'}; correct {option}"
        )
    if max(found) > MOST_OF_ONE or sum(found) > MOST_SUBCLASSES:
        raise InputError(
            f"expected at most {MOST_OF_ONE:,} sub-classes of a class and {MOST_SUBCLASSES:,} of all classes, found "
            f"{max(found):,} and {sum(found):,}; correct {option}"
        )
    return found


def primary_names(
    raw: RawData, settings: Settings, class_names: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return each sample's class among those of a finished run, and what a user should know of that.

    The samples' labels are class names, or lie below classes of that name in the hierarchy. Of several columns of
    labels, the run's own is meant, or else the first; if none of its labels is a class, another one of class names.
    A label in another spelling than the class, such as 1.0 for 1, is taken for it.

    Raises:
        InputError: with an example of a label that isn't.
    """
    known = set(class_names)
    own = {spelling(name): name for name in class_names}
    labels = raw.labels.get(settings.primary or "", next(iter(raw.labels.values())))
    for column in raw.labels.values() if known.isdisjoint(labels) else (labels,):
        if known.issuperset(column):
            return column, ()
        if len(own) == len(known) and all(spelling(label) in own for label in set(column)):
            other = next(label for label in column if label not in known)
            said = f"labels in another spelling than the run's are taken for its classes: '{other}' for "
            return tuple(own[spelling(label)] for label in column), (f"{said}'{own[spelling(other)]}'",)
    levels = Levels.read(settings.hierarchy) if settings.hierarchy else raw.levels
    if levels is not None:
        level = levels.level_of(labels)
        for coarser in levels.names[: levels.index(level) + 1]:
            above = levels.above(level, coarser)
            if known.issuperset(above[label] for label in labels) and known.issubset(levels.classes(coarser)):
                return tuple(above[label] for label in labels), ()
    outside = next(label for label in labels if label not in known)
    raise InputError(
        "expected labels among the run's classes "
        f"({few(class_names)}), found '{outside}' ({labels.count(outside):,} of {len(labels):,} samples); rename it, "
        "leave its samples out, or give --hierarchy"
    )


def _by_columns(raw: RawData, settings: Settings) -> Classes:
    """Decide the classes by label columns."""
    wanted = settings.primary, settings.auxiliary
    primary, auxiliary = choose_columns(raw.labels, *wanted, finer=settings.subclasses is None)
    labels = raw.labels[primary]
    if "" in labels:
        raise InputError(
            f"expected a label in column '{primary}' for every sample, found none for "
            f"{raw.place(labels.index(''))}; fill it in, or leave the sample out"
        )
    check_labels(primary, labels)
    if auxiliary is not None:
        return _by_finer_column(raw, settings, primary, auxiliary)
    classes = assign(Levels.from_columns({primary: labels}), labels, primary, subclasses=settings.subclasses)
    first, *others = raw.labels
    if others and settings.subclasses is None and primary == first:
        notice = f"not used: the columns {', '.join(others)} (--auxiliary NAME takes one for finer labels)"
        return classes._replace(notices=(*classes.notices, notice))
    return classes


def _by_finer_column(raw: RawData, settings: Settings, primary: str, auxiliary: str) -> Classes:
    """Decide classes and sub-classes by two columns; a sample without a finer label has none.

    Of a column that nobody asked for it is said that it was taken, and how to leave it out.
    """
    labels, finer = raw.labels[primary], raw.labels[auxiliary]
    kept = [row for row, label in enumerate(finer) if label]
    if lost := set(labels) - {labels[row] for row in kept}:
        raise InputError(
            f"expected a finer label in column '{auxiliary}' for a sample of every class, found none for "
            f"'{min(lost)}'; fill some in, or leave the column out with --subclasses 5"
        )
    known = {name: [raw.labels[name][row] for row in kept] for name in (primary, auxiliary)}
    asked = settings.auxiliary is not None
    if not asked and len(set(known[auxiliary])) == len(kept):
        raise InputError(
            f"expected finer labels in column '{auxiliary}', found another one for every sample; leave the column "
            "out, or say how many sub-classes there are: --subclasses 5"
        )
    try:
        found = assign(Levels.from_columns(known), known[auxiliary], primary, auxiliary, settings.subclasses)
    except InputError as error:
        if asked:
            raise
        of_table = table_file.takes(settings.data)
        beside = f", or learn it beside the classes with --method given --given {auxiliary}" if of_table else ""
        raise InputError(f"{error}; or leave column '{auxiliary}' out with --subclasses 5{beside}") from None
    notices = found.notices
    if not asked and auxiliary != "fine":  # the array y_fine
        notices += (f"column '{auxiliary}' gives the finer labels (--subclasses 5 leaves it out)",)
    if len(kept) == len(raw):
        return found._replace(notices=notices)
    assert found.human is not None
    human = torch.full((len(raw),), -1)
    human[kept] = found.human
    notices += (
        f"{len(raw) - len(kept):,} of {len(raw):,} samples have no finer label in column '{auxiliary}': methods that "
        "learn them learn nothing of these",
    )
    return found._replace(primary=places(labels, found.hierarchy.class_names), human=human, notices=notices)


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
