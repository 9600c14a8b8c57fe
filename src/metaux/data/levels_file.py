"""Reading the rows of a hierarchy file, CSV or YAML; `Levels.read` says what they look like."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from metaux.data.frames import read_table
from metaux.errors import InputError, reason
from metaux.files import check_file
from metaux.strict_yaml import parse_yaml

EXAMPLE = "expected 'levels: [kind, breed]' and 'classes: {dog: [pug, boxer]}'"
Rows = tuple[list[str], list[tuple[str, ...]]]


def read_rows(path: Path) -> Rows:
    """Return the levels' names and one row of names per finest class, as a file has them.

    Raises:
        InputError: if the file is missing, or is neither CSV nor YAML of the expected form.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".yaml", ".yml"):
        raise InputError(f"expected a hierarchy file ending in .csv, .yaml or .yml (or: cifar100), found '{path}'")
    check_file(path, "a hierarchy file")
    if suffix == ".csv":
        table = read_table(path)
        return table.names, [tuple(row) for row in table.cells.to_numpy() if any(row)]
    try:
        return _yaml_rows(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"expected text in the hierarchy file '{path}', found other bytes; save it as UTF-8") from None
    except InputError as error:
        raise InputError(f"{error} (in '{path}')") from None


def _yaml_rows(text: str) -> Rows:
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
