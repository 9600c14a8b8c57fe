"""The structure of the sub-classes: how many auxiliary slots each primary class has (psi in the papers)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from metaux.errors import InputError
from metaux.transfer import to_device


@dataclass(frozen=True)
class Hierarchy:
    """How many sub-classes each primary class has.

    The sub-classes of all primary classes stand in one row of K = sum(slots), those of class 0 first. A sub-class
    is named by its *flat* index in that row, or by (primary class, slot within the class).

    Args:
        slots: psi, the number of sub-classes of each primary class, each at least 1.
        class_names: the names of the primary classes; their numbers by default.
        subclass_names: the names of the K sub-classes; `class/slot` by default.

    Raises:
        InputError: for no class, a count below 1, or names that do not fit.

    Source: section 3.3 and figure 2 of the ICLR submission, whose example is

    >>> hierarchy = Hierarchy([2, 2, 1])
    >>> hierarchy.size
    5
    >>> hierarchy.mask(torch.tensor([0, 1, 2])).int().tolist()
    [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
    """

    slots: Sequence[int]
    class_names: Sequence[str] = ()
    subclass_names: Sequence[str] = ()

    def __post_init__(self) -> None:
        slots: tuple[Any, ...] = tuple(self.slots)
        if not slots or not all(
            isinstance(n, Real | Tensor) and float(n).is_integer() and float(n) >= 1 for n in slots
        ):
            raise InputError(
                f"a hierarchy needs at least one sub-class for every primary class, found {list(slots)}; "
                "give whole numbers of 1 or more"
            )
        slots = tuple(map(int, slots))
        classes = tuple(self.class_names) or tuple(map(str, range(len(slots))))
        subclasses = tuple(self.subclass_names) or tuple(
            f"{name}/{slot}" for name, count in zip(classes, slots, strict=False) for slot in range(count)
        )
        if len(classes) != len(slots) or len(set(classes)) != len(classes):
            raise InputError(f"expected {len(slots)} different class names, found {list(classes)}")
        if len(subclasses) != sum(slots):
            raise InputError(f"expected {sum(slots)} sub-class names, found {len(subclasses)}")
        object.__setattr__(self, "slots", slots)
        object.__setattr__(self, "class_names", classes)
        object.__setattr__(self, "subclass_names", subclasses)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was computed from the values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_labels(cls, primary: Sequence[str], auxiliary: Sequence[str]) -> "Hierarchy":
        """Build the hierarchy from a primary and a finer label per sample, names sorted.

        Raises:
            InputError: if one finer label stands under two primary labels, or the lengths differ.

        >>> Hierarchy.from_labels(["cat", "dog", "dog"], ["tabby", "pug", "boxer"]).subclass_names
        ('tabby', 'boxer', 'pug')
        """
        if len(primary) != len(auxiliary):
            raise InputError(f"expected one finer label per sample, found {len(auxiliary)} for {len(primary)}")
        parent: dict[str, str] = {}
        for above, below in zip(primary, auxiliary, strict=True):
            if parent.setdefault(below, above) != above:
                raise InputError(
                    f"the finer label '{below}' stands under both '{parent[below]}' and '{above}'; "
                    "a sub-class belongs to one class"
                )
        return cls.from_parents(dict(sorted(parent.items())), sorted(set(primary)))

    @classmethod
    def from_parents(cls, parents: Mapping[str, str], classes: Sequence[str]) -> "Hierarchy":
        """Build the hierarchy from the class of each sub-class, and the classes in their order.

        >>> Hierarchy.from_parents({"tabby": "cat", "pug": "dog", "boxer": "dog"}, ["dog", "cat"]).subclass_names
        ('pug', 'boxer', 'tabby')
        """
        below: dict[str, list[str]] = {name: [] for name in classes}
        for name, parent in parents.items():
            below[parent].append(name)
        return cls([len(names) for names in below.values()], classes, [n for names in below.values() for n in names])

    @property
    def classes(self) -> int:
        """The number of primary classes."""
        return len(self.slots)

    @property
    def size(self) -> int:
        """K, the number of sub-classes of all primary classes."""
        return sum(self.slots)

    @cached_property
    def parent(self) -> Tensor:
        """The primary class of each flat sub-class, int64 `[K]`."""
        return torch.repeat_interleave(torch.arange(self.classes), torch.tensor(self.slots))

    @cached_property
    def offsets(self) -> Tensor:
        """The flat index of each primary class's first sub-class, int64 `[classes]`."""
        slots = torch.tensor(self.slots)
        return slots.cumsum(0) - slots

    def mask(self, primary: Tensor) -> Tensor:
        """Return which sub-classes belong to each sample's class: int64 `[batch]` to bool `[batch, K]`."""
        return to_device(self.parent, primary.device) == primary.unsqueeze(-1)

    def flat(self, primary: Tensor, slot: Tensor) -> Tensor:
        """Return the flat index of a slot of a class, both int64 `[batch]`.

        >>> Hierarchy([2, 2, 1]).flat(torch.tensor([1, 2]), torch.tensor([1, 0])).tolist()
        [3, 4]
        """
        return to_device(self.offsets, primary.device)[primary] + slot

    def slot(self, flat: Tensor) -> Tensor:
        """Return the slot of a flat sub-class within its class; the inverse of `flat`, with `parent`.

        >>> Hierarchy([2, 2, 1]).slot(torch.tensor([3, 4])).tolist()
        [1, 0]
        """
        return flat - to_device(self.offsets[self.parent], flat.device)[flat]
