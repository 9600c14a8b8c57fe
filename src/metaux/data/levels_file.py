"""Reading a hierarchy file, CSV or YAML; `Levels.read` says what they look like."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metaux.data.levels import Levels
from metaux.errors import InputError

EXAMPLE = "expected 'levels: [kind, breed]' and 'classes: {dog: [pug, boxer]}'"


def read_levels(path: Path) -> Levels:
    """Read a hierarchy file by its ending; `InputError` names the file and what is wrong with it."""
    readers = {".csv": _read_csv, ".yaml": _read_yaml, ".yml": _read_yaml}
    if path.suffix.lower() not in readers:
        raise InputError(f"expected a hierarchy file ending in .csv, .yaml or .yml (or: cifar100), found '{path}'")
    if not path.is_file():
        raise InputError(f"expected a hierarchy file, found nothing at '{path}'; check the path")
    try:
        return readers[path.suffix.lower()](path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"expected text in the hierarchy file '{path}', found other bytes; save it as UTF-8") from None
    except InputError as error:
        raise InputError(f"{error} (in '{path}')") from None


def _read_csv(text: str) -> Levels:
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if any(map(str.strip, row))]
    return Levels(rows[0] if rows else (), rows[1:])


def _read_yaml(text: str) -> Levels:
    import yaml

    class Loader(yaml.BaseLoader):
        """Everything as written (so `no` is a name), and a key that comes twice is an error."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise InputError(f"expected each class once, found '{key}' {keys.count(key)} times; rename it")
            return super().construct_mapping(node, deep)

    try:
        content = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{EXAMPLE}, found what isn't YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or set(content) != {"levels", "classes"}:
        found = f"the keys {sorted(map(str, content))}" if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{EXAMPLE}, found {found}")
    levels, classes = content["levels"], content["classes"]
    if not isinstance(levels, list) or not all(isinstance(level, str) for level in levels):
        raise InputError(f"{EXAMPLE}, found levels that aren't a list of names")
    return Levels(levels, list(_paths(classes, ())))


def _paths(node: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(node, dict):
        for name, below in node.items():
            yield from _paths(below, (*above, str(name)))
    elif isinstance(node, list) and node:
        for entry in node:
            yield from _paths(entry, above) if isinstance(entry, dict) else [(*above, str(entry))]
    else:
        yield above if node in ("", []) else (*above, str(node))
