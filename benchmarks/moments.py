"""Watches what a process does to a folder, and kills or stops its process group at a moment that was chosen.

A moment is one before a call that changes the folder: a file is opened for writing, moved, or removed, a folder made or
removed (Python's audit events tell of all of these), or a file or a folder synchronised with the disk; or the middle of
a write, of which half the bytes are left. It is called by what is done and to what, such as `move out/settings.yaml`.
Each moment is logged, and so is the start of every epoch, with the folder of its run.
"""

import json
import os
import re
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

TOLD = "METAUX_MOMENT"
"""The environment variable by which a command's own processes know what to do: the JSON of a `Watch`."""
WRITING = os.O_WRONLY | os.O_RDWR
CALLS = {"os.mkdir": "make", "os.remove": "remove", "os.rmdir": "remove folder", "os.rename": "move"}
_UNFINISHED = re.compile(r"\.metaux-(.+)\.\d+\.tmp$")


class Watch(NamedTuple):
    """What to watch.

    Args:
        place: everything below this folder, an absolute path.
        log: the file to add lines to.
        moment: to send a signal at, if any.
        number: which time it comes in one process, from 1.
        sent: the signal that the process group gets at the moment.
    """

    place: str
    log: str
    moment: str = ""
    number: int = 1
    sent: int = signal.SIGKILL

    def begin(self) -> None:
        """Watch this process, and those that it starts, until they end."""
        os.environ[TOLD] = json.dumps(self)
        _Watching(self)


def begin_as_told() -> None:
    """Watch this process if the one that started it is watched."""
    if told := os.environ.get(TOLD):
        _Watching(Watch(*json.loads(told)))


def opened_at(number: int) -> Path:
    """Return where an open file is."""
    return Path(f"/proc/self/fd/{number}").readlink()


class _Watching:
    def __init__(self, watch: Watch):
        self.watch, self.seen = watch, 0
        self.log = os.open(watch.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.moved, self.folder, self.trained, self.counts_epochs, self.due = "", "", "", False, 0.0
        self.fsync = os.fsync
        system: Any = os
        system.fsync = self.synchronise
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take an audit event, which comes before what it tells of."""
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and flags & WRITING:
                self.before("open", self.below(path))
        elif what := CALLS.get(event):
            self.before(what, self.below(arguments[1 if what == "move" else 0], arguments[-1]))

    def synchronise(self, file: Any) -> None:
        number = file if isinstance(file, int) else file.fileno()
        name = self.below(opened_at(number))
        if stat.S_ISDIR(os.fstat(number).st_mode):
            self.before("synchronise folder after", self.moved)
        else:
            self.before("write half of", name, number)
            self.before("synchronise", name)
        self.fsync(number)

    def below(self, path: Any, folder: int | None = None) -> str:
        """Return what a path is called, without what is another one each time; empty for one elsewhere."""
        place = Path() if folder is None or folder < 0 else opened_at(folder)
        whole = place / os.fsdecode(path)
        try:
            name = str(whole.absolute().relative_to(self.watch.place))
        except ValueError:
            return ""
        if "settings.yaml" in name:
            self.folder = str(Path(name).parent)
        name = re.sub(r"\.metaux-[a-z0-9_]{8}\.tmp", ".metaux-*", re.sub(r"runs/[^/]+", "runs/*", name))
        return _UNFINISHED.sub(r"\1, unfinished", name)

    def before(self, what: str, name: str, half: int | None = None) -> None:
        """Note a moment, and send the signal if it is the one."""
        if not name or name.startswith("said."):
            return
        moment = f"{what} {name}"
        self.write("moment", moment)
        if what == "move":
            self.moved = name
        self.count_epochs()
        if moment != self.watch.moment:
            return
        self.seen += 1
        if self.seen == self.watch.number:
            if half is not None and self.watch.sent == signal.SIGKILL:
                os.ftruncate(half, os.fstat(half).st_size // 2)
            os.killpg(0, self.watch.sent)

    def write(self, kind: str, *values: object) -> None:
        os.write(self.log, ("\t".join(map(str, (kind, time.monotonic(), *values))) + "\n").encode())

    def count_epochs(self) -> None:
        """Note from now on when epochs begin, and whether one is due to be kept, once the package's loop is there."""
        loop: Any = sys.modules.get("metaux.training.loop")
        if self.counts_epochs or not hasattr(loop, "fit"):
            return
        self.counts_epochs = True
        from metaux.training.checkpoint import Checkpoint
        from metaux.training.pace import REST

        kept: Any = Checkpoint
        train_epoch, save = loop.train_epoch, kept.save

        def noted_epoch(learner: Any, epoch: int, *more: Any) -> Any:
            if self.folder != self.trained:  # each run has a pace of its own
                self.trained, self.due = self.folder, 0.0
            self.write("epoch", self.folder, epoch, int(time.perf_counter() >= self.due))
            return train_epoch(learner, epoch, *more)

        def timed_save(*arguments: Any) -> None:
            start = time.perf_counter()
            save(*arguments)
            end = time.perf_counter()
            self.due = end + REST * (end - start)

        loop.train_epoch, kept.save = noted_epoch, timed_save
