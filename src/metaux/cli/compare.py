"""`metaux compare`."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from tyro.conf import arg

from metaux.cli.options import Command, Config, OutFolder, SharedOutput, SharedSettings, SharedWorkers, SideBySide
from metaux.settings import Output, Settings


@dataclass(frozen=True)
class Compare(Command):
    """Train every method on several seeds, and say whether auxiliary labels helped.

    Prints a table with intervals, and one sentence on what it supports.

    Writes the records, the figures, the trained weights of every run, and report.html with all of it on one page.

    The same command on the same folder continues where it was interrupted.

    More seeds or methods extend the comparison. Fewer show only these.

    For example:
        metaux compare
        metaux compare photos/ --image-size 32 --seeds 5
        metaux compare photos/ --methods single uniform frozen maxl --epochs 60
        metaux compare cifar100 --primary 20 --auxiliary 100 --train-size 10000
        metaux compare --config results/settings.yaml --out again

    Args:
        settings: what all runs share.
        methods: label sources to compare. By default: single, uniform, random, frozen, kmeans, human, maxl; for images
            also transformation and its control transformed; with protocol iclr also single-split, uniform-split,
            frozen-split. Beside them, classical models: logistic-regression and gradient-boosting for tables,
            logistic-regression for texts, linear-probe for images. Only on request: for images
            transformation-shuffled, rotation, rotation-single and their controls rotated, rotated-single,
            rotation-shuffled; rotation-distilled and its controls rotated-distilled, rotation-distilled-shuffled;
            distilled, distilled-cross and their controls self-distilled, self-distilled-cross; null-space and its
            controls null-space-random, null-space-shuffled; recorded and its control shuffled (with --labels); given
            (with --given); balanced, leaves, vector, frozen-vector; with protocol iclr prototypical and shuffled-split.
        seeds: how many seeds; they count from 0.
        workers: who does the runs, and how many at a time.
        out: the folder for everything.
        config: a YAML file of settings, such as settings.yaml in an output folder. Options override it.
        report: write report.html. The command metaux report writes it later.
        output: what is printed and logged during the runs.
    """

    continues: ClassVar[bool] = True

    settings: SharedSettings = field(default_factory=Settings)
    methods: Annotated[tuple[str, ...], arg(metavar="NAME ...", help_behavior_hint="(default: all that suit)")] = ()
    seeds: int = 3
    workers: SharedWorkers = field(default_factory=SideBySide)
    out: OutFolder = None
    config: Config = None
    report: bool = True
    output: SharedOutput = field(default_factory=Output)

    def run(self) -> None:
        """Train what is missing, and compare."""
        from metaux.evidence.table import to_json
        from metaux.runs.length import known_length
        from metaux.runs.pretrained import known_start
        from metaux.runs.store import claim, default_folder
        from metaux.runs.writer import sole_writer
        from metaux.studies.compare import compare
        from metaux.terminal import make_console, print_json

        output, console = self.output, make_console(self.output.is_silent)
        folder = self.out or default_folder(self.settings)
        settings = known_start(known_length(self.settings, folder), folder)
        claim(folder, settings)
        with self.workers.opened(console) as workers, sole_writer(folder, console):
            comparison, verdict = compare(
                settings, self.methods, self.seeds, workers, folder, console, self.report, output.log
            )
        page = f"; report: {folder / 'report.html'}" if self.report else ""
        console.print(f"\nRecords, figures and trained weights: {folder}{page}", soft_wrap=True)
        if output.json:
            print_json(to_json(comparison, verdict), console)
