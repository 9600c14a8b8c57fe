"""Files of a run's folder, or of a study's, read again; what is damaged is told by its name, with what to do."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from metaux.errors import InputError
from metaux.files import check_file, to_json, write_bytes_atomic, write_json
from metaux.words import listed

if TYPE_CHECKING:
    from torch import Tensor

MANIFEST = "manifest.json"
# Of the files of a run's folder: a later release may write others.
FORMAT = 1


def damaged(path: Path, how: str) -> InputError:
    """Return the error of a file that isn't whole, or of a folder that lacks one."""
    folder = path if path.is_dir() else path.parent
    return InputError(f"expected a whole {path}, found it {how}; delete {folder} and repeat the command that made it")


class _NotStrictError(ValueError):
    """What was found in JSON that strict JSON hasn't."""


def parse_json(text: str) -> Any:
    """Return the value of strict JSON: no key twice in an object, and neither NaN nor infinity.

    Raises:
        ValueError: for anything else.
    """
    return json.loads(text, object_pairs_hook=_once, parse_constant=_finite, parse_float=_finite)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(name, times)] = Counter(name for name, _ in pairs).most_common(1)
        raise _NotStrictError(f"with {name} {times} times")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise _NotStrictError(f"with the number {text}")
    return value


def plain(path: Path) -> Path:
    """Return the path of a file that is read from its start to its end, or of nothing.

    Raises:
        InputError: if it is anything else: a named pipe would keep its reader waiting.
    """
    if path.exists():
        check_file(path, "a file of a run")
    return path


def read_mapping(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """Read a file of the folder of a run, or of many, that holds a mapping.

    Raises:
        InputError: if it is damaged.
    """
    content = _parsed(path, parse)
    if not isinstance(content, dict):
        raise damaged(path, f"holding {type(content).__name__}, not a mapping")
    return content


def read_records(path: Path) -> list[dict[str, Any]]:
    """Read what `write_records` wrote.

    Raises:
        InputError: if the file is damaged.
    """
    records: list[Any] = _parsed(path, lambda text: [parse_json(line) for line in text.splitlines()])
    if any(not isinstance(record, dict) or "epoch" not in record for record in records):
        raise damaged(path, "with a line that is no record")
    return records


def _parsed(path: Path, parse: Callable[[str], Any]) -> Any:
    """Return what a file's text says; raise `InputError` if it is damaged."""
    try:
        return parse(plain(path).read_text(encoding="utf-8"))
    except _NotStrictError as error:
        raise damaged(path, str(error)) from None
    except (ValueError, RecursionError, yaml.YAMLError):  # json's and Unicode's errors are ValueErrors
        raise damaged(path, "cut off or overwritten") from None


def write_last(folder: Path, name: str, value: object, others: Iterable[str]) -> None:
    """Write the JSON file whose presence makes a folder whole, after the manifest with the digest of each file.

    Args:
        folder: of a run.
        name: of the file.
        value: what it holds.
        others: the names of the files that are there.
    """
    content = (to_json(value, indent=2) + "\n").encode(errors="backslashreplace")
    digests = {other: _digest(folder / other) for other in others} | {name: hashlib.sha256(content).hexdigest()}
    write_json(folder / MANIFEST, {"format": FORMAT, "sha256": digests})
    write_bytes_atomic(folder / name, content)


def check_digests(folder: Path, names: Iterable[str]) -> None:
    """Check that files of a run are as they were written; a folder of an earlier release has no digests.

    Raises:
        InputError: naming the first that isn't, or for a folder of a later release.
    """
    if not (folder / MANIFEST).exists():
        return
    manifest = read_mapping(folder / MANIFEST, parse_json)
    if manifest.get("format") != FORMAT:
        raise InputError(
            f"expected a run of format {FORMAT} in {folder}, found {manifest.get('format')}; use the version of metaux "
            "that made it"
        )
    digests = manifest.get("sha256")
    if not isinstance(digests, dict):
        raise damaged(folder / MANIFEST, "without digests")
    for name in names:
        if (folder / name).exists() and _digest(folder / name) != digests.get(name):
            raise damaged(folder / name, "changed since it was written")


def _digest(path: Path) -> str:
    found = plain(path).stat()
    return _digest_of(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=1000)
def _digest_of(path: Path, changed: int, size: int) -> str:  # noqa: ARG001  # of the file as it is now
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file of tensors, which are read as arrays.

    Raises:
        InputError: if it is missing or damaged.
    """
    from safetensors import safe_open

    with _whole(path):
        file = safe_open(path, framework="np")
    with file:
        yield file


def read_tensors(path: Path) -> "dict[str, Tensor]":
    """Read all tensors of a file.

    Raises:
        InputError: if it is missing or damaged.
    """
    from safetensors.torch import load

    with _whole(path):
        return load(path.read_bytes())  # torch opens no file whose name is no UTF-8


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Within the block, a file of tensors is read that is as it was written.

    Raises:
        InputError: if not.
    """
    from safetensors import SafetensorError

    check_digests(path.parent, [path.name])
    try:
        plain(path)
        yield
    except FileNotFoundError:
        raise damaged(path.parent, f"without {path.name}") from None
    except (SafetensorError, OSError):
        raise damaged(path, "cut off, or not safetensors") from None


def read_kept(path: Path, **needed: type) -> dict[str, Any]:
    """Return the content of a JSON file; nothing where there is no file.

    Args:
        path: the file.
        needed: what is in every whole one, by name, and of which type it is.

    Raises:
        InputError: if the file is damaged.
    """
    if not path.exists():
        return {}
    content = read_mapping(path, parse_json)
    if absent := [name for name, kind in needed.items() if not isinstance(content.get(name), kind)]:
        raise damaged(path, f"without {listed(absent)}")
    return content
