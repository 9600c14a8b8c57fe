"""Kills commands with SIGKILL, starts them again, and compares their end with that of one that was never stopped.

    python benchmarks/kills.py --out results/reliability

The commands are those of `COMMANDS`: few epochs on scikit-learn's digits or wine; `reproduce` on images drawn for it.
First `python -m metaux` runs each to its end: the reference. Then it is killed, with every process that it has started,
at 20 random moments, and at each distinct moment of `moments.py`, which are those before, inside and after its writes
(one for all runs; each time for a file of a study that is written several times). After a kill the same command is
started in the same folder, and killed at the next moment. After 25 kills, or where it comes to its end before, that end
is compared: every run's weights and records with those of a run that was never stopped, bit for bit, times
excluded; and every other file, where nothing is decided by measured time. What was recorded as decided may not change
from one start to the next, and a start after the end may train and decide nothing.

Commands are forked from a process that has imported everything, so that all moments are in their work. The record,
`kills.csv`, has a line per kill. `found` says what was wrong with the end that it led to. `epochs_again` are the epochs
of a run that the next start did again, the interrupted one included (of several runs, the most), `due_again` those of
them that began when a checkpoint was due: at most one, or that is wrong, too. The script goes on where the record ends;
it exits with 1 if anything was wrong.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from commands import Command, Ended, in_a_process
from differences import between
from moments import Watch
from PIL import Image
from starts import Starts

from metaux.data.levels import Levels
from metaux.files import to_csv, write_text_atomic
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.record import Run, is_finished

AT_RANDOM, MOST = 20, 25
RANDOM, WRITE = "at random", "in a write"
COLUMNS = ("command", "kind", "moment", "number", "reached", "epochs_again", "due_again", "found")
HOOK = "import moments\n\nmoments.begin_as_told()\n"
Moment = tuple[str, str, int]
Line = dict[str, Any]


@dataclass(frozen=True)
class Tried:
    """A command of the campaign.

    Args:
        words: of the command line.
        curve: whether its runs are measured on the way.
        timed: whether it decides something by how long things take: then its runs are compared, each by itself.
        like: another command, whose moments in a write are not tried again.
    """

    words: str
    curve: bool = True
    timed: bool = False
    like: str = ""


COMMANDS = {
    "train": Tried("train digits --method maxl --epochs 6 --backbone small-cnn --train-size 600"),
    "train --method distilled": Tried("train digits --method distilled --epochs 4 --backbone mlp --train-size 200"),
    "train --epochs auto": Tried(
        "train digits --method single --epochs auto --backbone mlp --train-size 100", like="train"
    ),
    "compare --jobs 2": Tried(
        "compare digits --methods single maxl --seeds 1 --epochs 4 --backbone mlp --train-size 200 --jobs 2 --no-report"
    ),
    "recommend": Tried("recommend wine --epochs 3 --minutes 0.5 --jobs 1", curve=False, timed=True),
    "benchmark": Tried("benchmark wine --methods kmeans --most-seeds 4 --jobs 1", curve=False, timed=True),
    "reproduce": Tried("reproduce vectors --trial --root root --jobs 1"),
}


class Campaign:
    """The kills of one command.

    Args:
        name: in `COMMANDS`.
        place: the folder to work in, absolute.
        kinds: of moments.
        record: so far.
    """

    def __init__(self, name: str, place: Path, kinds: list[str], record: list[Line]):
        self.name, self.tried, self.place, self.kinds = name, COMMANDS[name], place, kinds
        self.lines = [line for line in record if line["command"] == name]
        like = [line for line in record if line["command"] == self.tried.like and line["kind"] == WRITE]
        self.known = {(line["kind"], line["moment"], int(line["number"])) for line in like}
        self.words = [*self.tried.words.split(), "--out", "out"]
        self.out, self.reference = place / "out", place / "reference"
        self.seen: list[str] = []
        self.seconds = 0.0

    def prepare(self) -> None:
        """Make the reference, in a process as anyone starts it; and see of another one what can be a moment.

        Raises:
            RuntimeError: if these two differ.
        """
        (self.place / "hook").mkdir(parents=True)
        (self.place / "hook" / "sitecustomize.py").write_text(HOOK)
        if "root" in self.words:
            draw_images(self.place / "root" / "cifar100")
        self.place.joinpath("log").touch()
        subprocess.run([sys.executable, "-m", "metaux", *self.words], cwd=self.place, check=True, capture_output=True)
        self.out.rename(self.reference)
        command = self._start(Starts(self.out, self.place / "log"))
        assert command.ended() is not None
        logged = [line.split("\t") for line in (self.place / "log").read_text().splitlines()]
        self.seconds = float(logged[-1][1]) - command.start
        self.seen = [line[2] for line in logged if line[0] == "moment"]
        if wrong := [*self._compared()]:
            raise RuntimeError(f"two that were never stopped differ: {'; '.join(wrong)}")

    def todo(self) -> list[Moment]:
        """Return the moments that the record lacks, in their order: the kind, what is done, and which time."""
        found: list[Moment] = [(RANDOM, "", number) for number in range(1, AT_RANDOM + 1)]
        counts = Counter[str]()
        for moment in self.seen:
            counts[moment] += 1
            of_study = "runs/*" not in moment and ".json" in moment and self.tried.words.split()[0] != "train"
            if of_study or counts[moment] == 1:
                found.append((WRITE, moment, counts[moment]))
        known = self.known | {(line["kind"], line["moment"], int(line["number"])) for line in self.lines}
        return [own for own in found if own[0] in self.kinds and own not in known]

    def round(self, number: int) -> list[Line]:
        """Kill the command up to 25 times, let it come to its end, and compare that; return a line per kill."""
        shutil.rmtree(self.out, ignore_errors=True)
        draws = np.random.default_rng([number, len(self.lines), *self.name.encode()])
        starts, lines, ended = Starts(self.out, self.place / "log"), list[Line](), None
        todo = self.todo()[:MOST]
        for kind, moment, nth in [own for own in todo if own[0] == todo[0][0]]:
            line = dict.fromkeys(COLUMNS, 0) | {"command": self.name, "kind": kind, "moment": moment, "number": nth}
            # In a folder in which the times before have been, the next is the first of its process.
            command = self._start(starts, moment, 1 if lines else nth)
            ended = command.ended(float(draws.uniform(0, self.seconds))) if kind == RANDOM else command.ended()
            if ended is None:
                ended = command.kill()
            self._note(lines, starts)
            if ended.status >= 0:
                if kind == WRITE and not lines:  # its time does not come always
                    lines.append(line)
                break
            starts.check()
            lines.append(line | {"reached": 1})
            ended = None
        if ended is None:
            ended = self._start(starts).ended()
            self._note(lines, starts)
        wrong = starts.wrong + self._end(ended, starts)
        return [line | {"found": "; ".join(wrong)} for line in lines]

    def _end(self, ended: Ended | None, starts: Starts) -> list[str]:
        """Return what is wrong with the end of a command."""
        if ended is None or ended.status or ended.err:
            return ["it hangs" if ended is None else f"status {ended.status}: {ended.err.strip()[-300:]}"]
        starts.check()
        wrong = [*self._compared()]
        if self.tried.timed:
            self._start(starts).ended()
            again = starts.epochs()
            starts.check()
            wrong += [f"another start trained {folder}" for folder in again] + [*self._compared()]
        return wrong

    def _start(self, starts: Starts, moment: str = "", number: int = 1) -> Command:
        """Start the command; it kills itself at a moment, if there is one."""
        starts.begin()
        watch = Watch(str(self.place), str(starts.log), moment, number)
        return Command(self.words, self.place, partial(begin, watch, self.place / "hook"))

    def _note(self, lines: list[Line], starts: Starts) -> None:
        """Note what the last start did again, in the line of the kill before it."""
        again = starts.again()
        if lines:
            lines[-1] |= again

    def _compared(self) -> Iterator[str]:
        """Yield the differences of the output folder from what was never stopped."""
        if not self.tried.timed:
            yield from between(self.reference, self.out)
            return
        runs = sorted(self.out.glob("runs/*"))
        for folder in filter(is_finished, runs):
            expected = self.reference / "runs" / folder.name
            if not expected.exists():
                expected = self.place / "more" / folder.name
            if not expected.exists():
                in_a_process(partial(train_alike, folder, expected, self.tried.curve))
            yield from (f"{found} of {folder.name}" for found in between(expected, folder))
        unfinished = {run for run in runs if not is_finished(run)}  # there was no time for it any more
        for path in self.out.rglob("*"):
            if path.name.startswith(".metaux-") or (
                path.stem.startswith("checkpoint") and path.parent not in unfinished
            ):
                yield f"left {path.name}"
        there = ({p.relative_to(f) for p in f.rglob("*") if "runs" not in p.parts} for f in (self.reference, self.out))
        yield from (f"another set of files: {path}" for path in set.symmetric_difference(*there))


def begin(watch: Watch, hook: Path) -> None:
    """Watch a command's process, and the others that it starts."""
    more = (str(hook), str(Path(__file__).parent), os.environ.get("PYTHONPATH", ""))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, more))
    watch.begin()


def train_alike(folder: Path, to: Path, curve: bool) -> None:
    """Train a run like a finished one in a folder of its own."""
    os.chdir(folder.parents[2])  # from where the paths in its settings are
    trial = Run.read(folder).trial
    run(trial, load_once(trial.settings), to, curve=curve)


def draw_images(folder: Path) -> None:
    """Draw 20 training images and a test image of each of CIFAR-100's classes, about one colour each."""
    stream = np.random.default_rng(0)
    for name in Levels.cifar100().classes("100"):
        colour = stream.integers(60, 190, 3)
        for part, count in (("train", 20), ("test", 1)):
            place = folder / part / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = colour + stream.integers(-50, 50, (6, 6, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")


def read(path: Path) -> list[Line]:
    """Return the lines of a record; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the record")
    parser.add_argument("--commands", nargs="+", choices=COMMANDS, default=[*COMMANDS], help="of these (default: all)")
    parser.add_argument("--kinds", nargs="+", choices=(RANDOM, WRITE), default=[RANDOM, WRITE], help="of kills")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.out / "kills.csv"
    work = Path(tempfile.mkdtemp()).resolve()  # no TemporaryDirectory, which a forked process would remove at its end
    try:
        for name in options.commands:
            campaign = Campaign(name, work / str([*COMMANDS].index(name)), options.kinds, read(record))
            campaign.prepare()
            number = 0
            while todo := campaign.todo():
                lines = campaign.round(number := number + 1)
                campaign.lines += lines
                write_text_atomic(record, to_csv([*read(record), *lines]))
                wrong = {line["found"] for line in lines} - {""}
                print(f"{name}: {len(lines)} kills, {len(todo) - len(lines)} to go", *wrong, flush=True)
            shutil.rmtree(campaign.place)
    finally:
        shutil.rmtree(work)
    if wrong := {line["found"] for line in read(record)} - {""}:
        sys.exit("\n".join(sorted(wrong)))


if __name__ == "__main__":
    main()
