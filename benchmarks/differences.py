"""What two output folders of the same command differ in, times excluded."""

import csv
import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMED = ("second", "cost")
"""What is in the names of times, and of what is worked out from them."""
OF_MEMORY = ("__id__", "file")
"""What an archive of skops says of where its objects were in memory."""


def without(names: tuple[str, ...], value: Any) -> Any:
    """Return a value of JSON without what is called something with one of these names in it."""
    if isinstance(value, dict):
        return {name: without(names, own) for name, own in value.items() if not any(part in name for part in names)}
    return [without(names, own) for own in value] if isinstance(value, list) else value


def content(path: Path) -> Any:
    """Return what a file says, but for times."""
    if path.suffix == ".json":
        return without(TIMED, json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".jsonl":
        return [without(TIMED, json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return [without(TIMED, row) for row in csv.DictReader(file)]
    if path.suffix == ".skops":
        with zipfile.ZipFile(path) as file:
            arrays = sorted(file.read(name) for name in file.namelist() if name != "schema.json")
            return without(OF_MEMORY, json.loads(file.read("schema.json"))), arrays
    return path.read_bytes()


def files(folder: Path) -> set[str]:
    """Return the files and folders below a folder, by their paths in it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def between(expected: Path, found: Path) -> Iterator[str]:
    """Yield in words each difference of two folders; digests are those of the files that are there."""
    there = files(expected), files(found)
    yield from (f"without {name}" for name in sorted(there[0] - there[1]))
    yield from (f"left {name}" for name in sorted(there[1] - there[0]))
    for name in sorted(there[0] & there[1]):
        if name.endswith("manifest.json"):
            yield from wrong_digests(found / name)
        elif (
            not name.endswith(".html")
            and (found / name).is_file()
            and content(expected / name) != content(found / name)
        ):
            yield f"another {name}"


def wrong_digests(manifest: Path) -> Iterator[str]:
    """Yield the files that aren't what the manifest of their folder says."""
    for name, digest in json.loads(manifest.read_text(encoding="utf-8"))["sha256"].items():
        if hashlib.sha256((manifest.parent / name).read_bytes()).hexdigest() != digest:
            yield f"another digest of {manifest.parent.name}/{name}"
