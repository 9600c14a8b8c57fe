"""Labels that a program has in memory: classes, finer labels and given ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from metaux.data.classes import slots
from metaux.data.pixels import Array, check_unmasked
from metaux.errors import InputError
from metaux.hierarchy import Hierarchy


def read_labels(labels: Any, count: int) -> tuple[Array, Array]:
    """Return the different labels, and the place of each sample's label among them.

    Args:
        labels: one for each of the samples: numbers, strings or any other hashable values.
        count: the number of samples.

    Returns:
        The classes, sorted, or in order of appearance if they can't be; and int64 `[n]`.

    Raises:
        ValueError: as scikit-learn says it, for labels that are missing, not finite, continuous or another number.
        InputError: for one class only.

    >>> classes, primary = read_labels(["dog", "cat", "dog"], 3)
    >>> classes.tolist(), primary.tolist()
    (['cat', 'dog'], [1, 0, 1])
    """
    if labels is None:
        raise InputError("MetauxClassifier requires y to be passed, but the target y is None; give y")
    classes, primary = _numbered(_column(labels, "y", count))
    if len(classes) < 2:
        raise InputError(
            f"expected samples of two classes or more, found one class only ({classes[0]}); add samples of another"
        )
    return classes, primary


def read_hierarchy(
    classes: Array, primary: Array, auxiliary: Any, subclasses: int | Sequence[int]
) -> tuple[Hierarchy, Tensor | None]:
    """Return the hierarchy, and each sample's finer label (flat index, int64 `[n]`) if there are any.

    Args:
        classes: the different labels.
        primary: the class of each sample, int64 `[n]`.
        auxiliary: a finer label of each sample, or None.
        subclasses: sub-classes per class, one number or one per class, where there are no finer labels.

    Raises:
        InputError: for a finer label of two classes, or a wrong number of sub-classes.

    >>> hierarchy, human = read_hierarchy(np.array([2, 10]), np.array([1, 0, 1]), ["b", "c", "a"], 5)
    >>> hierarchy.class_names, hierarchy.slots, human.tolist()
    (('2', '10'), (1, 2), [2, 0, 1])
    """
    names = [str(label) for label in classes.tolist()]
    if auxiliary is None:
        return Hierarchy(slots(np.atleast_1d(np.asarray(subclasses)).tolist(), len(names), "subclasses"), names), None
    finer = [str(label) for label in _column(auxiliary, "auxiliary", len(primary)).tolist()]
    rows = sorted(set(zip(primary.tolist(), finer, strict=True)))
    flat = {label: index for index, (_, label) in enumerate(rows)}
    for class_, label in rows:
        if (other := rows[flat[label]][0]) != class_:
            raise InputError(
                f"the finer label '{label}' stands under both '{names[class_]}' and '{names[other]}'; "
                "a sub-class belongs to one class"
            )
    counts = np.bincount([class_ for class_, _ in rows]).tolist()
    return Hierarchy(counts, names, list(flat)), torch.tensor([flat[label] for label in finer])


def read_given(given: Any, count: int) -> tuple[Tensor | None, tuple[str, ...]]:
    """Return the place of each sample's given label among the different ones, int64 `[n]`, and what these are called.

    Args:
        given: a label of any kind of each sample, or None.
        count: the number of samples.

    Raises:
        InputError: for one label only.

    >>> places, names = read_given([7, 3, 7], 3)
    >>> places.tolist(), names
    ([1, 0, 1], ('3', '7'))
    """
    if given is None:
        return None, ()
    names, places = _numbered(_column(given, "given", count))
    if len(names) < 2:
        raise InputError(f"expected two different given labels or more, found one only ({names[0]}); give others")
    return torch.from_numpy(places), tuple(map(str, names.tolist()))


def _column(labels: Any, name: str, count: int) -> Array:
    if isinstance(labels, Tensor):
        labels = labels.detach().cpu().numpy()
    check_unmasked(name, labels)
    if isinstance(labels, list | tuple) and any(isinstance(label, tuple) for label in labels):
        column = np.empty(len(labels), dtype=object)  # NumPy would take tuples for rows
        column[:] = labels
    else:
        column = plain_numbers(column_or_1d(labels, warn=True))
    assert_all_finite(column, input_name=name)
    if column.dtype == object and any(label is None for label in column):
        raise InputError(
            f"expected a label for every sample in {name}, found None; fill it in, or leave the sample out"
        )
    if column.dtype != object:
        check_classification_targets(column)
    check_consistent_length(range(count), column)
    return column


def plain_numbers(labels: Array) -> Array:
    """Return labels of whole numbers that are held as objects as the numbers that they are; others as they are.

    >>> plain_numbers(np.array([1, 2], dtype=object)).dtype
    dtype('int64')
    """
    whole = labels.dtype == object and all(type(label) is int or isinstance(label, np.integer) for label in labels)
    return labels.astype(np.int64) if whole and len(labels) else labels


def _numbered(labels: Array) -> tuple[Array, Array]:
    try:
        classes, place = np.unique(labels, return_inverse=True)
    except TypeError:  # they have no order
        values = labels.tolist()
        number = {label: index for index, label in enumerate(dict.fromkeys(values))}
        classes = np.empty(len(number), dtype=object)
        classes[:] = list(number)
        place = np.array([number[label] for label in values])
    return classes, place.astype(np.int64)
