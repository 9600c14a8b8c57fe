"""What a benchmark measured, as a JSON file with its command and versions; and the memory that a process took."""

import platform
import resource
from importlib.metadata import version
from pathlib import Path

from metaux.files import write_json


def record(out: Path | None, command: str, **measured: object) -> None:
    """Write what was measured, if there is a file to write; `command` is the benchmark's file and its options."""
    if out is None:
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    versions = {"python": platform.python_version(), "torch": version("torch")}
    write_json(out, {"command": f"python benchmarks/{command}", **versions, **measured})


def peak_memory() -> float:
    """Return the most that this process has taken, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
