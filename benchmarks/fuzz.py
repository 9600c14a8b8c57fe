"""Damaged and hostile files: what 10,000 changed copies of valid ones do to each reader.

    python benchmarks/fuzz.py --out results/reliability

Each reader (`fuzzed.py`) gets copies of files that the package wrote, changed by `mutation.py`. Where a manifest has
the file's digest, half of the copies get the new digest too, so that what lies behind the check is reached. A copy may
be read, or refused with an error of `metaux.errors`. The promise is broken by any other error, by an end of the
process, by 5 s of the processor's time for one copy (or 60 s of waiting) twice in a row, by a request for more than
2 GB above the start (a limit of the process refuses it, and the refusal is looked for behind the error that comes
out), by a file written anywhere but in the copy's folder, by a process started and by a connection asked for.

The record has a line for each reader. A reader that it has already is left out, so that the same command goes on. A
copy that broke a promise is kept in `fuzz-broken` below `--kept`, and `--again FOLDER` reads it once more.
"""

import argparse
import csv
import hashlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from fuzzed import READERS, Reader
from mutation import mutate
from rich.console import Console

from metaux.errors import InputError, TrainingError
from metaux.files import to_csv, write_text_atomic
from metaux.runs.reading import MANIFEST

SECONDS, WAITING, BYTES = 5, 60, 2 * 10**9
STARTING = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty")
ASKING = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")
CHANGING = {
    "os.mkdir": 0,
    "os.remove": 0,
    "os.rmdir": 0,
    "os.rename": 1,
    "os.symlink": 1,
    "os.link": 1,
    "os.truncate": 0,
}
# What the readers may write to: in the folder of the copy, and what a library keeps for itself.
DEVICES = ("/dev/",)


class Outcome(NamedTuple):
    """Of one copy: `read`, `refused`, or how a promise was broken; the processor's seconds; bytes above the start."""

    number: int
    what: str
    seconds: float
    peak: int


class Watch:
    """What the process does that a reader must not do, since the last look."""

    def __init__(self) -> None:
        self.place, self.found = "", list[str]()
        sys.addaudithook(self._told)

    def _told(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.place:
            return
        if event in STARTING or event in ASKING:
            self.found.append(f"{event} {arguments!r}"[:200])
            raise PermissionError(event)
        if event == "open":
            path, mode, flags = arguments
            writing = set(mode or "") & set("wax+") or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if isinstance(path, str | bytes) and writing:
                self._written(path)
        elif event in CHANGING:
            folder = arguments[-1] if event != "os.truncate" else -1
            self._written(arguments[CHANGING[event]], f"/proc/self/fd/{folder}" if folder >= 0 else ".")

    def _written(self, path: Any, folder: str = ".") -> None:
        place = os.path.abspath(os.path.join(os.path.realpath(folder), os.fsdecode(path)))  # noqa: PTH100, PTH118
        if not place.startswith((self.place, *DEVICES)):
            self.found.append(f"written: {place}"[:200])


def copies(reader: Reader, seeds: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield each seed of a reader, and which of its files are changed."""
    for seed in sorted(seeds.iterdir()):
        yield seed, sorted(path for path in seed.glob(reader.pattern) if path.is_file())


def make_copy(reader: Reader, seeds: Path, number: int, place: Path) -> None:
    """Write the copy of this number: a function of the seeds and the number alone."""
    random = Random(f"{reader.name} {number}")
    all_seeds = [*copies(reader, seeds)]
    seed, files = random.choice(all_seeds)
    shutil.copytree(seed, place)
    file = random.choice(files)
    others = [path.read_bytes() for _, own in all_seeds for path in own if path.suffix == file.suffix and path != file]
    changed = place / file.relative_to(seed)
    changed.write_bytes(mutate(file.name, file.read_bytes(), random.sample(others, min(3, len(others))), random))
    if (place / MANIFEST).exists() and changed.name != MANIFEST and random.random() < 0.5:
        manifest = json.loads((place / MANIFEST).read_text())
        manifest["sha256"][changed.name] = hashlib.sha256(changed.read_bytes()).hexdigest()
        (place / MANIFEST).write_text(json.dumps(manifest))


def refused_memory(error: BaseException | None) -> bool:
    """Return whether memory was refused, behind whatever error came out of it."""
    while error is not None:
        if isinstance(error, MemoryError) or "not enough memory" in str(error) or "can't allocate" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def limit(seconds: int, waiting: int) -> None:
    """End the process, whatever it does, after so much of the processor's time, or of waiting; 0 for no limit."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(waiting)


def tried(reader: Reader, place: Path, watch: Watch) -> str:
    """Read a copy; return what became of it."""
    watch.place, watch.found, what = str(place), [], "read"
    limit(SECONDS, WAITING)
    try:
        reader.read(place)
    except (InputError, TrainingError) as error:
        what = "refused"
        if refused_memory(error):
            what = f"memory: {error}"
    except BaseException as error:
        what = f"{'memory' if refused_memory(error) else 'error'}: {type(error).__name__}: {error}"
    limit(0, 0)
    watch.place = ""
    if watch.found:
        what = f"acted: {watch.found[0]}"
    if [path.name for path in place.parent.iterdir()] != [place.name]:
        what = f"acted: {sorted(path.name for path in place.parent.iterdir())} beside the copy"
    return " ".join(what.split())[:300]


def work(reader: Reader, seeds: Path, cases: Path, numbers: range, answers: Connection) -> None:
    """Read copies one after the other, and answer for each; in a process of its own."""
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    watch = Watch()
    place = cases / f"warm-{os.getpid()}" / "copy"
    place.parent.mkdir(parents=True)
    for seed, _ in copies(reader, seeds):  # what is imported, and kept, at the first time
        shutil.copytree(seed, place)
        reader.read(place)
        shutil.rmtree(place)
    place.parent.rmdir()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, resource.RLIM_INFINITY))
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in numbers:
        place = cases / f"{number}" / "copy"
        place.parent.mkdir()
        make_copy(reader, seeds, number, place)
        begun = time.process_time()
        what = tried(reader, place, watch)
        seconds = time.process_time() - begun
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) * 1024
        if what in ("read", "refused"):
            shutil.rmtree(place.parent)
        answers.send(Outcome(number, what, seconds, peak))


def outcomes(reader: Reader, seeds: Path, cases: Path, count: int) -> Iterator[Outcome]:
    """Yield what became of each copy; a process that dies is followed by another one."""
    processes, number, slow = multiprocessing.get_context("spawn"), 0, -1
    while number < count:
        answers, their = processes.Pipe(duplex=False)
        process = processes.Process(target=work, args=(reader, seeds, cases, range(number, count), their))
        process.start()
        their.close()
        begun = number
        try:
            while number < count:
                yield answers.recv()
                number += 1
        except EOFError:
            process.join()
            if number == begun and not (cases / f"{number}").exists():
                raise SystemExit(f"the valid files of {reader.name} can't be read") from None
            status = process.exitcode or 0
            died = signal.Signals(-status).name if status < 0 else f"status {status}"
            hangs = died in ("SIGPROF", "SIGALRM")
            if hangs and slow != number:  # on a machine that others keep busy, once says little
                slow = number
                shutil.rmtree(cases / f"{number}")
            else:
                yield Outcome(number, f"{'hang' if hangs else 'death'}: {died}", SECONDS, 0)
                number += 1
        process.join()


def campaign(reader: Reader, count: int, kept: Path, console: Console) -> dict[str, object]:
    """Return the line of the record of a reader."""
    with tempfile.TemporaryDirectory() as temporary:
        seeds, cases = Path(temporary) / "seeds", Path(temporary) / "cases"
        seeds.mkdir()
        cases.mkdir()
        reader.write(seeds)
        start, found, broken = time.perf_counter(), list[Outcome](), list[Outcome]()
        for outcome in outcomes(reader, seeds, cases, count):
            found.append(outcome)
            if outcome.what not in ("read", "refused"):
                broken.append(outcome)
                name = f"{reader.name.replace(' ', '-')}-{outcome.number}"
                if len(broken) <= 200:
                    kept.mkdir(parents=True, exist_ok=True)
                    shutil.rmtree(kept / name, ignore_errors=True)
                    shutil.move(cases / f"{outcome.number}" / "copy", kept / name)
                    console.print(f"{name}: {outcome.what}", soft_wrap=True)
                shutil.rmtree(cases / f"{outcome.number}", ignore_errors=True)
        took = time.perf_counter() - start
    seconds = [outcome.seconds for outcome in found]
    line = {
        "reader": reader.name,
        "inputs": len(found),
        "read": sum(outcome.what == "read" for outcome in found),
        "refused": sum(outcome.what == "refused" for outcome in found),
        **{
            how: sum(each.what.startswith(how) for each in broken)
            for how in ("error", "hang", "death", "memory", "acted")
        },
        "mean_ms": round(1000 * statistics.mean(seconds), 2),
        "slowest_s": round(max(seconds), 2),
        "most_mb": round(max(outcome.peak for outcome in found) / 1e6),
        "broken": " ".join(f"{each.number}" for each in broken[:20]),
    }
    console.print(
        f"{reader.name}: {line['read']:,} read, {line['refused']:,} refused, {len(broken):,} broken, {took:.0f} s"
    )
    return line


def again(reader: Reader, folder: Path) -> None:
    """Read a copy that was kept once more, and let its error out."""
    with tempfile.TemporaryDirectory() as temporary:
        shutil.copytree(folder, Path(temporary) / "copy")
        limit(SECONDS, WAITING)
        reader.read(Path(temporary) / "copy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000, help="for each reader (default: 10,000)")
    parser.add_argument("--only", nargs="+", choices=[reader.name for reader in READERS], help="these readers")
    parser.add_argument(
        "--kept", type=Path, default=Path("fuzz-broken"), help="folder of the copies that broke a promise"
    )
    parser.add_argument("--again", type=Path, help="read a copy that was kept; its reader is --only")
    parser.add_argument("--out", type=Path, help="folder of the record to write")
    options = parser.parse_args()
    console, lines = Console(highlight=False), dict[str, dict[str, object]]()
    chosen = [reader for reader in READERS if options.only is None or reader.name in options.only]
    if options.again:
        again(chosen[0], options.again)
        return
    record = options.out and options.out / "fuzz.csv"
    if record and record.exists():
        with record.open(encoding="utf-8", newline="") as file:
            lines = {line["reader"]: dict(line) for line in csv.DictReader(file)}
    for reader in chosen:
        known, count = lines.get(reader.name), options.inputs // reader.share
        if known is None or options.only or int(str(known["inputs"])) != count:
            lines[reader.name] = campaign(reader, count, options.kept, console)
            if record:
                record.parent.mkdir(parents=True, exist_ok=True)
                write_text_atomic(record, to_csv([lines[own.name] for own in READERS if own.name in lines]))
    sys.exit(any(line["broken"] for line in lines.values()))


if __name__ == "__main__":
    main()
