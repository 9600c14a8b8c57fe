"""Class names in several levels, coarse to fine: what a hierarchy file holds."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from metaux.data.frames import read_table
from metaux.data.spelling import composed
from metaux.errors import InputError, choose, nearest, reason
from metaux.files import check_file
from metaux.hierarchy import Hierarchy
from metaux.strict_yaml import parse_yaml

EXAMPLE = "expected 'levels: [kind, breed]' and 'classes: {dog: [pug, boxer]}'"


@dataclass(frozen=True)
class Levels:
    """Class names in any number of named levels, coarse to fine.

    Args:
        names: what each level is called, coarsest first.
        rows: one row per class of the finest level: its name and those of the classes above it, coarsest
            first.

    Raises:
        InputError: for no level, no class, a row with a name too many, too few or empty, a level named twice,
            and a class that stands twice or under two different classes.

    >>> pets = Levels(("kind", "breed"), (("cat", "tabby"), ("dog", "pug"), ("dog", "boxer")))
    >>> pets.classes("kind")
    ('cat', 'dog')
    >>> pets.hierarchy("kind", "breed").slots
    (1, 2)
    >>> pets.level_of(["boxer", "tabby"])
    'breed'
    """

    names: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "rows", tuple(map(composed, self.rows)))
        if not self.names or not self.rows:
            raise InputError(
                f"a hierarchy needs at least one level and one class, found {len(self.names)} levels and "
                f"{len(self.rows)} classes; name the levels, coarse to fine, and the classes"
            )
        if len(set(self.names)) != len(self.names) or not all(self.names):
            raise InputError(f"expected different names for the levels, found {_list(self.names)}; rename one of them")
        for number, row in enumerate(self.rows, 1):
            if len(row) != len(self.names) or not all(row):
                raise InputError(
                    f"expected one name for each of the levels {_list(self.names)}, found {_list(row)} for "
                    f"class {number} of the hierarchy; complete it"
                )
        for above, below in zip(self.names, self.names[1:], strict=False):
            parents: dict[str, str] = {}
            for parent, name in self._column(above, below):
                if parents.setdefault(name, parent) != parent:
                    raise InputError(
                        f"expected each class once, found '{name}' of level '{below}' under both "
                        f"'{parents[name]}' and '{parent}'; rename one of the two"
                    )
        finest = [row[-1] for row in self.rows]
        for name, times in Counter(finest).items():
            if times > 1:
                raise InputError(
                    f"expected each class once, found '{name}' of level '{self.names[-1]}' {times} times; remove or "
                    "rename it"
                )

    @classmethod
    def read(cls, path: str | Path) -> "Levels":
        """Read a hierarchy file, or the shipped one called `cifar100`.

        A CSV file has a header row with the names of the levels, coarse to fine, and one row per finest
        class::

            kind,breed
            cat,tabby
            dog,pug
            dog,boxer

        A YAML file names the levels under `levels` and nests the classes under `classes`::

            levels: [kind, breed]
            classes:
              cat: [tabby]
              dog: [pug, boxer]

        Raises:
            InputError: if the file is missing, is neither CSV nor YAML, or isn't a hierarchy.
        """
        if str(path) == "cifar100":
            return cls.cifar100()
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in (".csv", ".yaml", ".yml"):
            raise InputError(f"expected a hierarchy file ending in .csv, .yaml or .yml (or: cifar100), found '{path}'")
        check_file(path, "a hierarchy file")
        table = read_table(path) if suffix == ".csv" else None
        try:
            if table is None:
                return cls(*_yaml_rows(path.read_text(encoding="utf-8-sig")))
            return cls(table.names, [tuple(row) for row in table.cells.to_numpy() if any(row)])
        except UnicodeDecodeError:
            raise InputError(
                f"expected text in the hierarchy file '{path}', found other bytes; save it as UTF-8"
            ) from None
        except InputError as error:
            raise InputError(f"{error} (in '{path}')") from None

    @classmethod
    def cifar100(cls) -> "Levels":
        """Return CIFAR-100's classes in four levels called by their sizes (appendix A of the ICLR
        submission).

        Levels 20 and 100 have the spelling of the usual distributions.

        >>> levels = Levels.cifar100()
        >>> [len(levels.classes(name)) for name in levels.names]
        [3, 10, 20, 100]
        >>> levels.hierarchy("3", "10").slots
        (5, 1, 4)
        """
        return cls.read(Path(__file__).with_name("cifar100.csv"))

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[str]]) -> "Levels":
        """Collect the levels from label columns with one entry per sample, coarse to fine; classes in sorted
        order.

        >>> Levels.from_columns({"kind": ["dog", "cat", "dog"], "breed": ["pug", "tabby", "pug"]}).rows
        (('cat', 'tabby'), ('dog', 'pug'))
        """
        rows = set(zip(*columns.values(), strict=True))
        return cls(tuple(columns), sorted(rows, key=lambda row: [_natural(name) for name in row]))

    def index(self, level: str) -> int:
        """Return where a level stands, 0 for the coarsest; `InputError` if there is no such level."""
        choose("level", level, self.names)
        return self.names.index(level)

    def classes(self, level: str) -> tuple[str, ...]:
        """Return the classes of a level, in the hierarchy's order."""
        index = self.index(level)
        return tuple(dict.fromkeys(row[index] for row in self.rows))

    def above(self, level: str, coarser: str) -> dict[str, str]:
        """Return the class of the coarser level that each class of a level belongs to.

        >>> Levels.cifar100().above("100", "20")["oak_tree"]
        'trees'
        """
        return {name: parent for parent, name in self._column(coarser, level)}

    def keep(self, level: str, names: Iterable[str]) -> "Levels":
        """Return the hierarchy of only these classes of a level, with all above and below them."""
        index, kept = self.index(level), set(names)
        return Levels(self.names, [row for row in self.rows if row[index] in kept])

    def hierarchy(self, primary: str, auxiliary: str) -> Hierarchy:
        """Return the structure of one level's classes below those of a coarser one.

        Raises:
            InputError: if a level is unknown, or the auxiliary level isn't the finer one.
        """
        if self.index(auxiliary) <= self.index(primary):
            raise InputError(
                f"expected an auxiliary level finer than the primary level '{primary}', found '{auxiliary}'; "
                f"choose two of the levels {_list(self.names)}, the coarser as primary"
            )
        parents = self.above(auxiliary, primary)
        classes = self.classes(primary)
        return Hierarchy.from_parents(parents, classes)

    def level_of(self, labels: Iterable[str]) -> str:
        """Return the one level that has all these labels among its classes.

        Raises:
            InputError: if there is no such level, with an example of a label outside the nearest one; or if
                the labels are classes of several levels, and not all classes of exactly one of them.
        """
        found = dict.fromkeys(labels)
        classes = {level: set(self.classes(level)) for level in self.names}
        fitting = [level for level in self.names if classes[level].issuperset(found)]
        complete = [level for level in fitting if len(classes[level]) == len(found)]
        for matching in (fitting, complete):
            if len(matching) == 1:
                return matching[0]
        if fitting:
            raise InputError(
                f"expected the data's labels to match one level of the hierarchy, found that they match "
                f"{_list(fitting)}; give the classes different names in different levels"
            )
        level = max(self.names, key=lambda level: len(classes[level].intersection(found)))
        outside = next(label for label in found if label not in classes[level])
        raise InputError(
            f"expected every label of the data among the classes of one level of the hierarchy, found "
            f"'{outside}' outside of level '{level}'{nearest(outside, classes[level])}; "
            "rename it, or add it to the hierarchy"
        )

    def _column(self, coarser: str, level: str) -> list[tuple[str, str]]:
        first, second = self.index(coarser), self.index(level)
        return [(row[first], row[second]) for row in self.rows]


def _natural(name: str) -> tuple[bool, int, str]:
    """Sort whole numbers by value, before all other names."""
    # Python reads no number of more digits than that.
    number = name.lstrip("-").isdecimal() and name.lstrip("-").isascii() and len(name) < 4000
    return (not number, int(name) if number and name.count("-") < 2 else 0, name)


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _yaml_rows(text: str) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the levels' names and one row of names per finest class, as a YAML file has them."""
    try:
        content = parse_yaml(text, as_written=True)
    except yaml.YAMLError as error:
        raise InputError(f"{EXAMPLE}, found what isn't YAML: {reason(error)}") from None
    if not isinstance(content, dict) or set(content) != {"levels", "classes"}:
        found = f"the keys {sorted(map(str, content))}" if isinstance(content, dict) else "something else"
        raise InputError(f"{EXAMPLE}, found {found}; correct it")
    levels = content["levels"]
    if not isinstance(levels, list) or not all(isinstance(level, str) for level in levels):
        raise InputError(f"{EXAMPLE}, found levels that aren't a list of names; correct it")
    return levels, list(_paths(content["classes"], ()))


def _paths(node: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the names from the top down to each leaf; an empty leaf ends at the name above it."""
    if isinstance(node, dict):
        for name, below in node.items():
            yield from _paths(below, (*above, str(name)))
    elif isinstance(node, list) and node:
        for entry in node:
            yield from _paths(entry, above)
    elif node in ("", []):
        yield above
    else:
        yield (*above, str(node))
