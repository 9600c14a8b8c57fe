"""From the smallest data to large: what works, what is refused, and what it takes.

    python benchmarks/sizes.py --out results/reliability

Each case is a command in a process of its own on data made for it, for one epoch on one thread: `metaux train --method
maxl`, or `metaux compare` of three methods. It has to work, or to be refused in one line with exit status 2, or 1 for
what is found in the run. A process may take 8 GB of addresses beyond those that it has at its start, and 10 minutes of
the processor's time. The record has the processor's seconds, without those that starting the program takes; the peak of
the memory, of which the program itself takes most where there is little data; and what was said where it was refused. A
case that the record has already is left out, so that the same command goes on.
"""

import argparse
import csv
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from metaux import MetauxClassifier  # noqa: F401  # imports what training takes, once for all cases
from metaux.cli.main import main as metaux
from metaux.files import to_csv, write_text_atomic

BYTES, SECONDS = 8 * 10**9, 600
COLUMNS = 4
TRAIN = ("train", "--method", "maxl")
COMPARE = ("compare", "--methods", "single", "uniform", "maxl", "--seeds", "1", "--jobs", "1")


class Case(NamedTuple):
    """A command and the data that it gets.

    Args:
        counts: samples of each class.
        psi: sub-classes of each class.
        pixels: a side of RGB images; 0 for a table.
        batch: samples of a batch; 0 for the protocol's.
        columns: of a table.
        command: of metaux, with its methods.
    """

    counts: Sequence[int]
    psi: int = 2
    pixels: int = 0
    batch: int = 0
    columns: int = COLUMNS
    command: Sequence[str] = TRAIN

    @property
    def described(self) -> dict[str, str]:
        """What the record has of it."""
        few, many = min(self.counts), max(self.counts)
        return {
            "command": self.command[0],
            "data": f"images {self.pixels}x{self.pixels}" if self.pixels else f"table of {self.columns}",
            "classes": f"{len(self.counts)}",
            "psi": f"{self.psi}",
            "of_a_class": f"{few}" if few == many else f"{few} and {many}",
            "batch": f"{self.batch or 'default'}",
        }


def cases() -> list[Case]:
    return [
        *(Case([3] * classes, 5) for classes in (2, 10, 100, 1000)),
        *(Case([10] * 2, psi) for psi in (1, 10, 100, 1000)),
        *(Case([3] * classes, psi) for classes in (100, 1000) for psi in (100, 1000)),
        *(Case([10] * 2, pixels=pixels) for pixels in (8, 16, 32, 64, 128, 256, 512)),
        Case([10] * 2, pixels=512, batch=2),
        *(Case([10] * 2, columns=columns) for columns in (1, 10_000)),
        *(Case([10] * 2, batch=batch, command=command) for batch in (1, 10_000) for command in (TRAIN, COMPARE)),
        *(Case([count] * 2, command=command) for count in (1, 2, 3) for command in (TRAIN, COMPARE)),
        Case([2]),
        *(Case([few, 100_000], batch=1000, command=command) for few in (1, 2, 3) for command in (TRAIN, COMPARE)),
    ]


def write_data(file: Path, case: Case) -> None:
    """Write an .npz file of a table whose first column tells the class, or of images whose brightness does."""
    random, label = np.random.default_rng(0), np.repeat(np.arange(len(case.counts)), case.counts)
    if case.pixels:
        noise = random.integers(0, 100, (len(label), case.pixels, case.pixels, 3))
        np.savez(file, x=(noise + 100 * label[:, None, None, None]).astype(np.uint8), y=label)
    else:
        x = random.normal(size=(len(label), case.columns)).astype(np.float32)
        x[:, 0] += 2 * label
        np.savez(file, x=x, y=label)


def called(words: Sequence[str], said: Path) -> tuple[int, resource.struct_rusage]:
    """Call the command line in a process of its own, which has imported what takes long; return its status and cost."""
    if child := os.fork():
        _, state, used = os.wait4(child, 0)
        return os.waitstatus_to_exitcode(state), used
    status = 1
    try:
        used_before = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used_before + BYTES,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        with said.open("w", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
            try:
                metaux([*words])
                status = 0
            except SystemExit as stop:
                status = int(stop.code or 0)
            except BaseException:
                traceback.print_exc()
    finally:
        os._exit(status)  # the child is not to go on with the cases


def measured(case: Case) -> dict[str, object]:
    """Run the command on its data; return the line of the record."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_data(folder / "data.npz", case)
        backbone = ("--backbone", "small-cnn" if case.pixels else "mlp")
        batch = ("--batch-size", f"{case.batch}") if case.batch else ()
        words = [case.command[0], str(folder / "data.npz"), *case.command[1:], "--subclasses", f"{case.psi}"]
        words += [*backbone, *batch, "--epochs", "1", "--device", "cpu", "--quiet", "--out", str(folder / "out")]
        status, used = called(words, folder / "said")
        said = (folder / "said").read_text("utf-8").replace(f"{folder}/", "").strip()
        recorded = len([*(folder / "out").rglob("result.json")])
    one_line = said.startswith("metaux: ") and "\n" not in said
    ways = {0: "works" if recorded and not said else "broken", 1: "refused", 2: "refused"}
    outcome = ways.get(status, "broken") if status == 0 or one_line else "broken"
    return {
        **case.described,
        "outcome": outcome,
        "status": status,
        "seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss * 1024 / 1e6),
        "said": said.splitlines()[-1][:300] if said else "",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of the record to write or continue")
    options = parser.parse_args()
    console, lines = Console(highlight=False), list[dict[str, object]]()
    record = options.out and options.out / "sizes.csv"
    if record and record.exists():
        with record.open(encoding="utf-8", newline="") as file:
            lines = [dict(line) for line in csv.DictReader(file)]
    for case in cases():
        if any(case.described.items() <= line.items() for line in lines):
            continue
        lines.append(measured(case))
        console.print(" ".join(map(str, lines[-1].values())), soft_wrap=True)
        if record:
            record.parent.mkdir(parents=True, exist_ok=True)
            in_order = [line for own in cases() for line in lines if own.described.items() <= line.items()]
            write_text_atomic(record, to_csv(in_order))
    sys.exit(any(line["outcome"] == "broken" for line in lines))


if __name__ == "__main__":
    main()
