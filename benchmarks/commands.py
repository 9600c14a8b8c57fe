"""The command line in processes of its own, forked from one that has imported everything: no start costs an import."""

import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import sklearn.datasets  # noqa: F401  # what commands import when they need it
import torchvision.transforms.v2  # noqa: F401

import metaux.report.to_matplotlib
import metaux.runs.writer
import metaux.studies.benchmark.benchmark
import metaux.studies.compare
import metaux.studies.papers.reproduce
import metaux.studies.search.recommend  # noqa: F401
from metaux.cli.main import main

FORK = multiprocessing.get_context("fork")
PATIENCE = 600.0
"""Seconds after which a command is said to hang."""


class Ended(NamedTuple):
    """How a command came to its end: its status, which is minus the signal's number if one ended it; what it said."""

    status: int
    out: str
    err: str

    @property
    def in_one_line(self) -> bool:
        """Whether it said on stderr one line of its own, and nothing else."""
        return self.err.startswith("metaux: ") and self.err.count("\n") == 1


class Command:
    """A command that works, as the leader of a session and so of a process group.

    Args:
        words: of the command line, without the program's name.
        place: the folder to start it in.
        before: called in its process first.
    """

    def __init__(self, words: Sequence[object], place: Path, before: Callable[[], None] = lambda: None):
        self.start, self._said = time.monotonic(), [place / "said.out", place / "said.err"]
        for path in self._said:
            path.write_bytes(b"")
        self.process: ForkProcess = FORK.Process(target=self._run, args=([*map(str, words)], place, before))
        self.process.start()

    def _run(self, words: list[str], place: Path, before: Callable[[], None]) -> None:
        os.setsid()
        for number, path in enumerate(self._said, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
        os.chdir(place)
        before()
        try:
            main(words)
        finally:
            threads: Any = threading  # as at the end of a process: joblib's idle workers end, which are waited for next
            threads._shutdown()
            atexit._run_exitfuncs()
            sys.stdout.flush()

    def ended(self, seconds: float = PATIENCE) -> Ended | None:
        """Return how it ended; None if it still works after so many seconds."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            return None
        self._wait_for_others()
        return Ended(self.process.exitcode, *(path.read_text(errors="backslashreplace") for path in self._said))

    def kill(self) -> Ended:
        """Kill it with every process that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.ident or 0, signal.SIGKILL)
        self.process.kill()  # it may not lead a group yet
        ended = self.ended()
        assert ended is not None
        return ended

    def _wait_for_others(self) -> None:
        """Wait until no process of its session is left."""
        deadline = time.monotonic() + PATIENCE
        while any(map(self._is_of_session, psutil.pids())):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def _is_of_session(self, process: int) -> bool:
        with suppress(OSError):
            return os.getsid(process) == self.process.ident
        return False


def done(words: Sequence[object], place: Path, before: Callable[[], None] = lambda: None) -> Ended:
    """Run a command to its end.

    Raises:
        TimeoutError: if it does not end.
    """
    command = Command(words, place, before)
    if (ended := command.ended()) is None:
        command.kill()
        raise TimeoutError(f"{words} did not end in {PATIENCE:.0f} seconds")
    return ended


def in_a_process(work: Callable[[], None]) -> None:
    """Do something in a forked process, so that nothing of it stays in this one.

    Raises:
        RuntimeError: if it failed; the process has said why.
    """
    process = FORK.Process(target=work)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the process ended with status {process.exitcode}")
