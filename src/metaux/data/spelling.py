"""Labels as text: their places among names, one form of Unicode, and what is no class or one in two spellings."""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal

import torch
from torch import Tensor

from metaux.data.columns import number_of
from metaux.errors import InputError

A_FEW = 10
"""Classes of one letter each; more are an alphabet, and so are letters that all come in both cases."""


def check_labels(column: str, labels: Sequence[str]) -> None:
    """Check that labels are those of classes, each written in one way; of an alphabet, A and a are two.

    Raises:
        InputError: for numbers that measure something, and for one value in two spellings.

    >>> check_labels("label", ["cat", "dog", "cat"])
    """
    counts = Counter(labels)
    numbers = [value for value in map(_number, counts) if value is not None]
    # Of classes, hardly one has a single sample.
    rare = 2 * len(counts) > len(labels) or 10 * sum(count == 1 for count in counts.values()) > len(counts)
    if len(numbers) == len(counts) > 10 and (any(value % 1 for value in numbers) or (len(counts) > 50 and rare)):
        raise InputError(
            f"expected classes in '{column}', found {len(counts):,} different numbers from {min(numbers):g} to "
            f"{max(numbers):g} for {len(labels):,} samples: that is regression, which metaux doesn't do; make "
            "classes of them (pandas.cut), or name another column with --label"
        )
    in_both = all(label.swapcase() in counts for label in counts)
    alphabet = all(len(label) == 1 for label in counts) and (len(counts) > A_FEW or in_both)
    spellings: dict[object, str] = {}
    for label in counts:
        if (other := spellings.setdefault(label if alphabet else spelling(label), label)) != label:
            same = "the same number" if _number(label) is not None else "the same but for capitals or spaces"
            raise InputError(
                f"expected each class in one spelling in '{column}', found '{other}' ({counts[other]:,} times) and "
                f"'{label}' ({counts[label]:,} times), which are {same}; write '{other}' throughout (pandas: "
                f"replace({label!r}, {other!r}))"
            )


def spelling(label: str) -> object:
    """Return what two spellings of one value have in common.

    >>> spelling("1.0") == spelling("1"), spelling("Yes ") == spelling("yes")
    (True, True)
    """
    if _number(label) is not None:
        return Decimal(label)  # long numbers that differ in their last digit are no spellings of one
    return " ".join(label.split()).casefold()


def places(labels: Iterable[str], names: Sequence[str]) -> Tensor:
    """Return the place of each label among different names, int64 `[n]`; -1 for a label that is none of them.

    >>> places(["dog", "cat", "cow"], ["cat", "dog"])
    tensor([ 1,  0, -1])
    """
    number = {name: index for index, name in enumerate(names)}
    return torch.tensor([number.get(label, -1) for label in labels])


def composed(labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels in Unicode's composed form, in which equal ones are equal.

    >>> composed(["cafe\u0301"]) == ("caf\u00e9",)
    True
    """
    return tuple(unicodedata.normalize("NFC", label) for label in labels)


def _number(label: str) -> float | None:
    value = number_of(label)
    return value if math.isfinite(value) else None
