"""Do the tests notice a fault in the mathematics, the statistics or the verdict?

    pip install cosmic-ray
    python benchmarks/mutants.py --out results/reliability

Draws a third of the places in each module of `TESTS` and changes the code at each in one way, by cosmic-ray's
operators: another arithmetic or comparison, another number, a condition negated, a loop left out, and so on. Each
mutant is loaded in a process of its own, in which the module's own tests run until one fails. A mutant that no test
notices has survived: it is the same function in other words, or a test is missing. Annotations are not changed; they do
nothing.

A record that is there is continued, of the same draw; lines of a module that has changed since are left out. `--again`
tries survivors once more. Why one of them is the same function is written into its column `equivalent` by hand.
"""

import argparse
import ast
import contextlib
import csv
import importlib
import math
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import cosmic_ray.ast
import cosmic_ray.plugins
import pytest
import torch
from cosmic_ray.mutating import mutate_code

ROOT = Path(__file__).resolve().parent.parent
UNROLLED = ("tests/test_unrolled.py", "tests/test_metagradient.py")
META = ("tests/test_metagradient.py", "tests/training/test_shared_passes.py", "tests/test_unrolled.py")
EVIDENCE = ("tests/evidence",)
TESTS = {
    "hierarchy": ("tests/test_hierarchy.py", "tests/test_losses.py", "tests/labels/test_fixed.py"),
    "losses": ("tests/test_losses.py",),
    "metagradient": META,
    "functional": META,
    "unrolling": UNROLLED,
    "trajectory": UNROLLED,
    "updates": UNROLLED,
    "dual_layers": ("tests/test_dual_layers.py", *UNROLLED),
    "evidence.statistics": EVIDENCE,
    "evidence.intervals": EVIDENCE,
    "evidence.comparison": EVIDENCE,
    "evidence.settling": EVIDENCE,
    "evidence.verdict": EVIDENCE,
}
# These two ask for the name of another variable.
OPERATORS = [
    name
    for name in cosmic_ray.plugins.operator_names()
    if name not in ("core/VariableReplacer", "core/VariableInserter")
]
LONGEST = 600  # seconds for one mutant; a loop without end is noticed too
LOADED = Path(tempfile.gettempdir()) / f"loaded-{os.getpid()}"
# Its own modules, and those of torch that no other library asks for, of which some start threads.
OWN = ("metaux", "test", "conftest", "small", "properties", "making", "shell", "written", "tiny", "_pytest", "torch.")
NOT_LOADED = 100  # no status of pytest's
KEY = ("module", "line", "column", "operator")


class Mutant(NamedTuple):
    """A change of a module: its place, the operator, and which of the operator's changes in the file it is."""

    module: str
    line: int
    column: int
    operator: str
    occurrence: int

    def source(self) -> str:
        """Return the module's source with the change."""
        operator = cosmic_ray.plugins.get_operator(self.operator)()
        changed: str = mutate_code(path_of(self.module).read_text(), operator, self.occurrence)
        return changed

    def now(self) -> str:
        """Return the lines that are changed, as they are then."""
        before = set(path_of(self.module).read_text().splitlines())
        return " ".join(line.strip() for line in self.source().splitlines() if line not in before)


class Loader(SourceFileLoader):
    """Loads a module from a source that is not in its file."""

    def __init__(self, name: str, path: str, source: str):
        super().__init__(name, path)
        self.source = source

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        code: CodeType = compile(self.source, self.path, "exec")
        return code


class Finder:
    """Finds the mutant in place of its module."""

    def __init__(self, mutant: Mutant):
        self.name, self.path = f"metaux.{mutant.module}", str(path_of(mutant.module))
        self.source = mutant.source()

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        if name != self.name:
            return None
        return spec_from_file_location(name, self.path, loader=Loader(name, self.path, self.source))


def path_of(module: str) -> Path:
    """Return the file of a module."""
    return ROOT / "src" / "metaux" / f"{module.replace('.', '/')}.py"


def annotations(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where each annotation of a source starts and ends, as line and column."""
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            found = getattr(node, name, None)
            if isinstance(found, ast.expr):
                yield (found.lineno, found.col_offset), (found.end_lineno or 0, found.end_col_offset or 0)


def mutants(module: str) -> dict[tuple[str, int, int], list[Mutant]]:
    """Return the mutants of a module, by their place."""
    source = path_of(module).read_text()
    spans = [*annotations(source)]
    nodes = [*cosmic_ray.ast.ast_nodes(cosmic_ray.ast.get_ast(source))]
    found: dict[tuple[str, int, int], list[Mutant]] = {}
    for name in OPERATORS:
        operator, occurrence = cosmic_ray.plugins.get_operator(name)(), 0
        for node in nodes:
            for (line, column), _ in operator.mutation_positions(node):
                if not any(first <= (line, column) < last for first, last in spans):
                    own = Mutant(module, line, column, name, occurrence)
                    found.setdefault((module, line, column), []).append(own)
                occurrence += 1
    return found


def drawn(module: str, share: float, seed: int) -> list[Mutant]:
    """Return mutants at a share of a module's places, drawn at random, one of each place, in their order."""
    chance, found = random.Random(f"{seed} {module}"), mutants(module)
    places = chance.sample(sorted(found), math.ceil(share * len(found)))
    return [chance.choice(found[place]) for place in sorted(places)]


def tested(module: str, mutant: Mutant | None) -> str:
    """Return whether a module's tests noticed the mutant: `survived`, `killed`, or `killed, no end`."""
    assert "metaux" not in sys.modules, "the module is loaded already"
    child = os.fork()
    if not child:
        os.setsid()
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        if mutant:
            sys.meta_path.insert(0, Finder(mutant))
        files = [str(ROOT / file) for file in TESTS[module]]
        options = (
            "-x",
            "-q",
            "-n0",
            "-p",
            "no:cacheprovider",
            "--assert=plain",  # pytest would load the files it is given by itself
            f"--rootdir={ROOT}",
            f"--config-file={ROOT}/pyproject.toml",
        )
        status = int(pytest.main([*options, str(path_of(module)), *files]))
        if not mutant:
            LOADED.write_text("\n".join(name for name in sys.modules if not name.startswith(OWN)))
        loaded = sys.modules.get(f"metaux.{module}")
        os._exit(NOT_LOADED if mutant and loaded and not isinstance(loaded.__loader__, Loader) else status)
    start = time.monotonic()
    while time.monotonic() - start < LONGEST:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) != NOT_LOADED, "the tests ran without the mutant"
            return "survived" if status == 0 else "killed"
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "killed, no end"


def key(mutant: Mutant) -> tuple[str, ...]:
    """Return what names a mutant in the record."""
    return (mutant.module, str(mutant.line), str(mutant.column), mutant.operator)


def load() -> None:
    """Load the libraries that the last tests without a mutant have loaded, once for all mutants."""
    for name in LOADED.read_text().splitlines():
        with contextlib.suppress(Exception):  # what can't be loaded alone
            importlib.import_module(name)
    LOADED.unlink()


def write(record: Path, lines: list[dict[str, str]]) -> None:
    """Write the record anew; by hand, since nothing of the package may be loaded before the mutant is."""
    made = record.with_suffix(".new")
    with made.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, [*lines[0]], lineterminator="\n")
        rows.writeheader()
        rows.writerows(lines)
    made.replace(record)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1 / 3, help="of the places of a module (default: a third)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    parser.add_argument("--only", nargs="+", choices=TESTS, default=[*TESTS], help="these modules (default: all)")
    parser.add_argument("--again", action="store_true", help="try survivors once more")
    parser.add_argument("--out", type=Path, default=Path("results/reliability"), help="folder of mutants.csv")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    record = (options.out / "mutants.csv").resolve()
    record.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    known, whole = dict[tuple[str, ...], dict[str, str]](), set[tuple[str, ...]]()
    if record.exists():
        with record.open(encoding="utf-8", newline="") as file:
            known = {tuple(line[name] for name in KEY): line for line in csv.DictReader(file)}
    for module in options.only:
        own = {key(mutant): mutant for mutant in drawn(module, options.share, options.seed)}
        known = {name: line for name, line in known.items() if name[0] != module or name in own}
        todo = [name for name in own if name not in known or (options.again and is_open(known[name]))]
        if todo and TESTS[module] not in whole:
            whole.add(TESTS[module])
            assert tested(module, None) == "survived", f"the tests of {module} fail without a mutant"
            load()
        for name in todo:
            start = time.perf_counter()
            outcome = tested(module, own[name])
            seconds = f"{time.perf_counter() - start:.1f}"
            told = {"now": own[name].now(), "outcome": outcome, "seconds": seconds, "equivalent": ""}
            known[name] = dict(zip(KEY, name, strict=True)) | told
            write(record, sorted(known.values(), key=lambda line: [*TESTS].index(line["module"])))
        lines = [known[name] for name in own]
        killed, still = sum(line["outcome"] != "survived" for line in lines), sum(map(is_open, lines))
        print(f"{module}: {killed} of {len(lines)} mutants were noticed; {still} survived unexplained", flush=True)


def is_open(line: dict[str, str]) -> bool:
    """Return whether a mutant survived, and nobody has said why it is the same function."""
    return line["outcome"] == "survived" and not line["equivalent"]


if __name__ == "__main__":
    main()
