"""`metaux recommend`."""

from dataclasses import dataclass, field
from typing import ClassVar

from metaux.cli.options import Command, Config, OutFolder, SharedSettings, SharedWorkers, SideBySide
from metaux.settings import Settings


@dataclass(frozen=True)
class Recommend(Command):
    """Find out within some minutes what to train on this data, and train it.

    Times an epoch, and says what the minutes pay for. Then searches on validation data: short runs of single task and
    of every method that suits, with equal tuning, then longer runs of the better half.

    Measures the best method on test data beside tuned single task and its controls, on as many seeds as there is time
    for. Ends with a verdict, the trained network, the command that trains it again, and report.html.

    If no method is shown to help, it says so, and the network is that of single task.

    The same command on the same folder continues where it was interrupted.

    For example:
        metaux recommend photos/ --minutes 60
        metaux recommend table.csv --minutes 5 --out found
        metaux recommend cifar100 --primary 20 --auxiliary 100 --train-size 10000

    Args:
        settings: what all runs share. Learning rate and weight decay are searched. --epochs, if given, is the maximum.
        minutes: the time for everything.
        workers: who does the runs, and how many at a time.
        out: the folder for everything.
        config: a YAML file of settings. Options override it.
        quiet: print nothing but errors.
        json: print nothing but one JSON object at the end, for scripts.
    """

    continues: ClassVar[bool] = True

    settings: SharedSettings = field(default_factory=Settings)
    minutes: float = 30.0
    workers: SharedWorkers = field(default_factory=SideBySide)
    out: OutFolder = None
    config: Config = None
    quiet: bool = False
    json: bool = False

    def run(self) -> None:
        """Search, test and hand over."""
        from metaux.terminal import begin, print_json

        console = begin("searching on", self.settings.data, self.quiet or self.json)
        from metaux.runs.pretrained import known_start
        from metaux.runs.store import claim, default_folder
        from metaux.runs.writer import sole_writer
        from metaux.studies.search.recommend import recommend

        folder = self.out or default_folder(self.settings, "recommend")
        settings = known_start(self.settings, folder)
        claim(folder, settings)
        with self.workers.opened(console) as workers, sole_writer(folder, console):
            found = recommend(settings, self.minutes, workers, folder, console)
        if self.json:
            print_json(found, console)
