"""Files of a run's folder, or of a study's, read again; what is damaged is told by its name, with what to do."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from metaux.errors import InputError
from metaux.words import listed


def damaged(path: Path, how: str) -> InputError:
    """Return the error of a file that isn't whole, or of a folder that lacks one."""
    folder = path if path.is_dir() else path.parent
    return InputError(f"expected a whole {path}, found it {how}; delete {folder} and repeat the command that made it")


def read_mapping(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """Read a file of the folder of a run, or of many, that holds a mapping.

    Raises:
        InputError: if it is damaged.
    """
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError):  # json's and Unicode's errors are ValueErrors
        raise damaged(path, "cut off or overwritten") from None
    if not isinstance(content, dict):
        raise damaged(path, f"holding {type(content).__name__}, not a mapping")
    return content


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read what `write_records` wrote.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError:
        raise damaged(path, "cut off or overwritten") from None
    if any(not isinstance(record, dict) or "epoch" not in record for record in records):
        raise damaged(path, "with a line that is no record")
    return records


@contextmanager
def opened(path: Path, framework: str = "np") -> Iterator[Any]:
    """Open a file of tensors.

    Args:
        path: the file.
        framework: `np` for arrays, `pt` for tensors.

    Raises:
        InputError: if it is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework=framework)
    except FileNotFoundError:
        raise damaged(path.parent, f"without {path.name}") from None
    except (SafetensorError, OSError):
        raise damaged(path, "cut off, or not safetensors") from None
    with file:
        yield file


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
