"""Runs commands where files can't be written, or where they lie oddly, and sees that nothing is lost.

    python benchmarks/places.py --out results/reliability

Before a run: a full disk, one out of inodes, a read-only one, a path through a file, a link to nothing, links in a
circle, too long a name, a folder of the system. Each command that trains has to say one line and exit with 2, and leave
nothing.

In a run: the process is stopped at a write, an epoch's or one of the end. The disk is filled, left without inodes or
made read-only, or the folder is moved away, and the process goes on. It has to say one line, exit with 1, and leave a
whole checkpoint. Started again as long as that lasts, it has to say one line. Started once more after that, it has to
end in the weights and records of a run that had none of it, bit for bit, times excluded.

In an odd place (a path with spaces, line ends, other letters or bytes that are no UTF-8; links; another file system) a
run is killed in its second checkpoint and started again. It has to end in the same bits, and to be evaluated.

Disks are small file systems in memory, which root alone can mount. Elsewhere those lines of the record, `places.csv`,
say `not tested`. It exits with 1 if anything was wrong.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from commands import Command, Ended, done
from differences import between, content
from moments import Watch
from sklearn.datasets import load_digits
from starts import CHECKPOINTS, is_whole

from metaux.files import to_csv, write_text_atomic

WORDS = ("--method", "maxl", "--epochs", "6", "--backbone", "small-cnn", "--train-size", "600")
COMMANDS = {
    "train": ("train", "digits"),
    "compare": ("compare", "digits", "--no-report"),
    "recommend": ("recommend", "digits"),
    "benchmark": ("benchmark", "wine"),
    "reproduce": ("reproduce", "mask-softmax"),
}
# When, in the run: the moment, and which time.
WRITES = {
    "the second checkpoint": ("open out/checkpoint.pt, unfinished", 2),
    "the second records": ("open out/records.jsonl, unfinished", 2),
    "the weights": ("open out/weights.safetensors, unfinished", 1),
    "the outputs": ("open out/outputs.safetensors, unfinished", 1),
    "the result": ("open out/result.json, unfinished", 1),
}
NAMES = {
    "spaces": b"my  own run ",
    "a line's end": b"two\nlines",
    "quotes and signs": b'it\'s "$HOME" [a]*{seed}%d',
    "other letters": "größe 数据 \U0001f600".encode(),
    "no UTF-8": b"caf\xe9",
}
NOT_TESTED, MOVED = "not tested", "the folder moved away"
Line = dict[str, Any]


class Disk:
    """A small file system in memory, mounted on a folder."""

    def __init__(self, place: Path, megabytes: int = 30, inodes: int = 1000):
        self.place, self.out = place, place / "out"
        place.mkdir()
        options = f"size={megabytes}m,nr_inodes={inodes}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True, capture_output=True)

    def make_read_only(self) -> None:
        """Mount the output folder once more over itself, without leave to write."""
        self.out.mkdir(exist_ok=True)
        subprocess.run(["mount", "--bind", self.out, self.out], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", self.out], check=True)

    def make_writable(self) -> None:
        subprocess.run(["umount", "--lazy", self.out], check=True)

    def move(self) -> None:
        self.out.rename(self.place / "moved")

    def move_back(self) -> None:
        (self.place / "moved").rename(self.out)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.place], check=True)
        self.place.rmdir()

    def fill(self) -> None:
        """Fill it to the last byte."""
        with (self.place / "ballast").open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                assert os.statvfs(self.place).f_bavail == 0

    def use_inodes(self) -> None:
        """Make empty files until no more can be made."""
        (self.place / "ballast").mkdir()
        try:
            for number in range(10_000):
                (self.place / "ballast" / str(number)).touch()
        except OSError:
            assert os.statvfs(self.place).f_favail == 0

    def free(self) -> None:
        """Undo either."""
        ballast = self.place / "ballast"
        shutil.rmtree(ballast) if ballast.is_dir() else ballast.unlink()


@dataclass(frozen=True)
class Happening:
    """What happens to a place, and how it is undone."""

    does: Callable[[Disk], None]
    undoes: Callable[[Disk], None]


HAPPENINGS = {
    "a full disk": Happening(Disk.fill, Disk.free),
    "no inodes": Happening(Disk.use_inodes, Disk.free),
    "a read-only disk": Happening(Disk.make_read_only, Disk.make_writable),
    MOVED: Happening(Disk.move, Disk.move_back),
}


@contextmanager
def disk(work: Path, **sizes: int) -> Iterator[Disk]:
    """Mount a disk for a block."""
    made = Disk(work / "disk", **sizes)
    try:
        yield made
    finally:
        made.unmount()


def said(ended: Ended, *statuses: int) -> list[str]:
    """Return what is wrong with how a command ended that had to say one line."""
    wrong = [] if ended.status in statuses else [f"status {ended.status}, not {statuses[0]}"]
    return wrong if ended.in_one_line else [*wrong, f"said {ended.err.strip()[-200:]!r}"]


def train(out: Path, data: Path | str = "digits") -> list[object]:
    return ["train", data, *WORDS, "--out", out]


def can_mount(work: Path) -> bool:
    """Return whether this process may mount a disk."""
    try:
        with disk(work):
            return True
    except (subprocess.CalledProcessError, FileNotFoundError):
        return False


def line(place: str, when: str, command: str, find: Callable[[], list[str]], needs: bool = True) -> Line:
    """Return a line of the record.

    Args:
        place: what is odd about it.
        when: it is.
        command: that is run.
        find: returns what is wrong.
        needs: whether what it needs is there.
    """
    return {"place": place, "when": when, "command": command, "found": "; ".join(find()) if needs else NOT_TESTED}


def before_the_run(work: Path) -> Iterator[Line]:
    """Yield a line for each place that can be seen to be of no use, and each command."""
    (work / "file").touch()
    (work / "nowhere").symlink_to(work / "gone" / "out")
    (work / "circle").symlink_to(work / "circle")
    places = {
        "a path through a file": work / "file" / "out",
        "a file": work / "file",
        "a link to nothing": work / "nowhere",
        "links in a circle": work / "circle" / "out",
        "too long a name": work / ("x" * 300),
        "a folder of the system": Path("/proc/out"),
    }
    for command, words in COMMANDS.items():
        for name, happening in HAPPENINGS.items():
            if name != MOVED:
                check = partial(refused_on_a_disk, work, happening, words)
                yield line(name, "before the run", command, check, can_mount(work))
        for name, out in places.items():
            yield line(name, "before the run", command, partial(refused, work, words, out))


def refused_on_a_disk(work: Path, happening: Happening, words: Sequence[str]) -> list[str]:
    with disk(work) as own:
        happening.does(own)
        return refused(own.place, words, own.out)


def refused(place: Path, words: Sequence[str], out: Path) -> list[str]:
    """Return what is wrong with how a command ends that has to be refused, and to leave a place as it is."""
    before = sorted(place.rglob("*"))
    wrong = said(done([*words, "--out", out], Path(tempfile.gettempdir())), 2)
    return wrong + (["left something"] if sorted(place.rglob("*")) != before else [])


def wait_until_stopped(command: Command) -> bool:
    """Wait until a process is stopped; return whether it is, and has not come to its end."""
    while command.process.is_alive():
        if psutil.Process(command.process.ident).status() == psutil.STATUS_STOPPED:
            return True
        time.sleep(0.01)
    return False


def in_the_run(work: Path) -> Iterator[Line]:
    """Yield a line for each thing that happens to a disk, and each write at which it does."""
    done(train(work / "reference"), work)
    for name, happening in HAPPENINGS.items():
        for write, (moment, number) in WRITES.items():
            check = partial(happens, work, happening, moment, number)
            yield line(name, write, "train", check, can_mount(work))


def happens(work: Path, happening: Happening, moment: str, number: int) -> list[str]:
    """Let something happen to a run's disk at a write, undo it, and let the run come to its end."""
    with disk(work) as own:
        words, watch = train(own.out), Watch(str(own.place), str(work / "log"), moment, number, signal.SIGSTOP)
        command = Command(words, work, watch.begin)
        if not wait_until_stopped(command):
            return [f"not reached: {command.ended()}"]
        happening.does(own)
        os.killpg(command.process.ident or 0, signal.SIGCONT)
        ended = command.ended()
        wrong = ["it hangs"] if ended is None else said(ended, 1)
        if own.out.exists():
            wrong += [f"once more: {found}" for found in said(done(words, work), 2, 1)]
        happening.undoes(own)
        if not any(is_whole(own.out / checkpoint) for checkpoint in CHECKPOINTS):
            wrong.append("no whole checkpoint")
        ended = done(words, work)
        wrong += [f"in the end status {ended.status}: {ended.err.strip()[-200:]}"] if ended.status else []
        return [*wrong, *between(work / "reference", own.out)]


def in_odd_places(work: Path) -> Iterator[Line]:
    """Yield a line for each odd name, of the folder and of the data in it, and for each odd way there."""
    when, reference = "all the way", work / "of a file"
    done(train(reference, write_digits(work / "digits.npz")), work)
    for name, letters in NAMES.items():
        place = Path(os.fsdecode(bytes(work) + b"/" + letters))
        place.mkdir()
        data = write_digits(place / "digits.npz")
        yield line(f"a path with {name}", when, "train", partial(goes_on, place, data, reference))
    place = work / "links"
    (place / "far").mkdir(parents=True)
    (place / "out").symlink_to("far")
    (place / "digits.npz").symlink_to("../digits.npz")
    yield line("links to folder and data", when, "train", partial(goes_on, place, place / "digits.npz", reference))
    yield line("another file system", when, "train", partial(goes_on_on_a_disk, work, reference), can_mount(work))


def goes_on_on_a_disk(work: Path, reference: Path) -> list[str]:
    with disk(work) as own:
        return goes_on(own.place, work / "digits.npz", reference)


def goes_on(place: Path, data: Path, reference: Path) -> list[str]:
    """Kill a run in its second checkpoint, start it again, and evaluate it."""
    out, (moment, number) = place / "out", WRITES["the second checkpoint"]
    words = train(out, data)
    command = Command(words, place, Watch(str(place), str(reference.with_name("log")), moment, number).begin)
    ended = command.ended()
    wrong = [] if ended is not None and ended.status == -signal.SIGKILL else [f"not killed: {ended}"]
    for again in (words, ["evaluate", out]):
        ended = done(again, place)
        if ended.status or ended.err:
            wrong.append(f"{again[0]}: status {ended.status}, said {ended.err.strip()[-200:]!r}")
    for name in ("weights.safetensors", "outputs.safetensors", "records.jsonl"):
        if not (out / name).exists() or content(out / name) != content(reference / name):
            wrong.append(f"another {name}")
    return wrong


def write_digits(path: Path) -> Path:
    """Write scikit-learn's digits, as images, into a file."""
    found: Any = load_digits()
    np.savez(path, x=(15 * found.images).astype(np.uint8)[..., None], y=found.target)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the record")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    work, lines = Path(tempfile.mkdtemp()).resolve(), list[Line]()
    try:
        for found in chain(before_the_run(work), in_the_run(work), in_odd_places(work)):
            print(*found.values(), sep=": ", flush=True)
            lines.append(found)
            write_text_atomic(options.out / "places.csv", to_csv(lines))
    finally:
        shutil.rmtree(work)
    if any(found["found"] not in ("", NOT_TESTED) for found in lines):
        sys.exit(1)


if __name__ == "__main__":
    main()
