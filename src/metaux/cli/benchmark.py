"""`metaux benchmark`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

from metaux.cli.options import Command, SharedWorkers, SideBySide
from metaux.errors import choose

FOLDER = Path("metaux-benchmark")
EARLIER_FOLDER = Path("metaux-contest")
"""What the folder was called while the command was called contest."""


@dataclass(frozen=True)
class Benchmark(Command):
    """Compare every method with single task on fixed data sets, all with equal tuning.

    Tunes each method on validation data, with the same few configurations. Then fixes the number of seeds, by how much
    accuracies vary there, and writes it down. Only then measures on test data, with paired seeds.

    Writes plan.json (before the first test run), benchmark.json and benchmark.csv for each data set.

    The same command continues where it was interrupted. More methods extend the table.

    For example:
        metaux benchmark wine breast-cancer
        metaux benchmark cifar100-3-10k --methods transformation kmeans --root /data --device cuda --jobs 8
        metaux benchmark --stage tune

    Args:
        datasets: cifar100-3-10k, cifar100-3-50k, cifar100-20-10k, fashion-500, cifar100-3-10k-short,
            cifar100-20-400-pretrained, wine, breast-cancer.
        methods: rows of the table. The controls that they are compared with are added.
        stage: how far to go: tune (on validation data), plan (fix the number of seeds), or test.
        most_seeds: the maximum number of seeds on test data.
        root: where data sets are kept; see docs/published-data.md.
        out: the folder for everything.
        workers: who does the runs, and how many at a time.
        device: auto, cpu, cuda, cuda:1 or mps.
    """

    continues: ClassVar[bool] = True

    datasets: Annotated[
        Positional[tuple[str, ...]], arg(metavar="[DATA-SET ...]", help_behavior_hint="(default: all)")
    ] = ()
    methods: Annotated[
        tuple[str, ...],
        arg(metavar="NAME ...", help_behavior_hint="(default: all that need no pretrained network)"),
    ] = ()
    stage: Literal["tune", "plan", "test"] = "test"
    most_seeds: int = 8
    root: str = "data"
    out: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint=f"(default: {FOLDER})")] = None
    workers: SharedWorkers = field(default_factory=SideBySide)
    device: str = "auto"

    def run(self) -> None:
        """Tune, plan and test."""
        from metaux.runs.writer import sole_writer
        from metaux.studies.benchmark.benchmark import benchmark
        from metaux.studies.benchmark.datasets import DATASETS, found
        from metaux.studies.benchmark.rules import Rules, entered
        from metaux.terminal import make_console, print_notes

        for name in self.datasets:
            choose("data set", name, DATASETS)
        entrants, console, out = entered(self.methods), make_console(), self.out or FOLDER
        datasets, notes = found({name: DATASETS[name] for name in self.datasets or DATASETS}, self.root, self.device)
        if self.out is None and EARLIER_FOLDER.is_dir() and not FOLDER.exists():
            out = EARLIER_FOLDER
            notes = (f"continuing in {EARLIER_FOLDER}, the earlier name of {FOLDER}; rename it when you like", *notes)
        print_notes(notes, console)
        with self.workers.opened(console) as workers, sole_writer(out, console):
            benchmark(datasets, entrants, Rules(most_seeds=self.most_seeds), out, workers, self.stage, console)
        console.print(f"Runs, plans and tables: {out}", soft_wrap=True)
