"""What a contest and a search keep in their folders, read again."""

import json
from pathlib import Path
from typing import Any

from metaux.errors import InputError
from metaux.runs.record import read_mapping
from metaux.words import listed


def read_kept(path: Path, **needed: type) -> dict[str, Any]:
    """Return the content of a JSON file; nothing where there is no file.

    Args:
        path: the file.
        needed: what is in every whole one, by name, and of which type it is.

    Raises:
        InputError: if the file is damaged.
    """
    if not path.is_file():
        return {}
    content = read_mapping(path, json.loads)
    if absent := [name for name, kind in needed.items() if not isinstance(content.get(name), kind)]:
        raise InputError(
            f"expected a whole {path}, found it without {listed(absent)}; delete {path.parent} and repeat the command "
            "that made it"
        )
    return content
