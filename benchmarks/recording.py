"""What a benchmark measured, as a JSON file with the command and the versions that it was measured with."""

import platform
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
