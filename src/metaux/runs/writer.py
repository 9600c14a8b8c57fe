"""One command at a time writes into an output folder; readers need no permission."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from rich.console import Console

from metaux.errors import InputError
from metaux.files import remove_unfinished, write_json
from metaux.runs.process import CHECKPOINT
from metaux.runs.reading import parse_json, read_mapping
from metaux.runs.record import is_finished
from metaux.runs.store import LOCK, WRITER, check_writable
from metaux.terminal import print_notes
from metaux.training.checkpoint import Checkpoint


@contextmanager
def sole_writer(out: Path, console: Console) -> Iterator[None]:
    """Within the block, no other command can write into a folder; the system frees it when this process ends.

    Args:
        out: the folder; made if it isn't there, and removed again if the block fails before it wrote anything.
        console: for a note where an earlier command was stopped in the middle.

    Raises:
        InputError: if another process writes there, naming it; or if nobody can.
    """
    from filelock import FileLock, Timeout

    check_writable(out)
    made = [path for path in (out / LOCK, out, *out.parents) if not path.exists()]
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"expected no other command in '{out}', found one{_who(out)}; wait until it has ended, or give another "
            "--out"
        ) from None
    try:
        if earlier := _who(out):
            print_notes([f"a command{earlier} was stopped here; this one continues in its place"], console)
        for place in (out, *out.glob("runs/*")):
            remove_unfinished(place)
            if is_finished(place):  # what was killed then had no time to
                Checkpoint(place / CHECKPOINT, "").delete()
        start = datetime.now().astimezone().isoformat(" ", "seconds")
        write_json(out / WRITER, {"process": os.getpid(), "host": platform.node(), "start": start})
        yield
        made = []  # what was made is of use
    finally:
        (out / WRITER).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):  # of folders that something was written into
            for path in made:
                path.rmdir() if path.is_dir() else path.unlink()


def _who(out: Path) -> str:
    """Return who writes, or was stopped as it wrote, into a folder, in words; nothing where nobody says."""
    try:
        found = read_mapping(out / WRITER, parse_json)
        return f" (process {found['process']} on {found['host']}, since {found['start']})"
    except (OSError, ValueError, LookupError, TypeError):
        return ""
