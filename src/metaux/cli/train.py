"""`metaux train`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from metaux.cli.options import Command, Config, OutFolder, SharedOutput, SharedSettings
from metaux.settings import Output, Settings

if TYPE_CHECKING:
    from rich.console import Console

    from metaux.data.samples import LabelledData
    from metaux.runs.record import Run
    from metaux.runs.trial import Trial


@dataclass(frozen=True)
class Train(Command):
    """Train one network with one method, and keep it.

    The same command on the same folder continues where it was interrupted.

    For example:
        metaux train photos/ --out photos-model
        metaux train photos/ --method maxl --out photos-maxl
        metaux train table.npz --method single --epochs 100
        metaux train photos/ --hierarchy kinds.yaml --primary kind --auxiliary breed

    Args:
        settings: what the run is made of.
        method: where the auxiliary labels come from. auto is what metaux compare, given the same data and settings,
            found; without it, transformation for images, where it was shown to help, and single (no auxiliary labels)
            for other data, where nothing was shown to help. Others: uniform, random,
            frozen, kmeans, balanced, leaves, human, maxl, distilled, distilled-cross, null-space, recorded or shuffled
            (with --labels), given (with --given), prototypical (with protocol iclr). Controls: transformed and
            transformation-shuffled learn from transformed images; rotation, rotation-single, rotation-shuffled,
            rotation-distilled, rotated, rotated-single and rotated-distilled from rotated ones; self-distilled and
            self-distilled-cross from a teacher's classes; null-space-random and null-space-shuffled from a teacher's
            features; vector and frozen-vector from target vectors.
        seed: of everything random.
        out: the run's folder.
        config: a YAML file of settings, such as a run's settings.yaml. Options override it.
        output: what is printed and logged during the run.
    """

    continues: ClassVar[bool] = True

    settings: SharedSettings = field(default_factory=Settings)
    method: str = "auto"
    seed: int = 0
    out: OutFolder = None
    config: Config = None
    output: SharedOutput = field(default_factory=Output)

    def run(self) -> None:
        """Train, unless the folder holds the finished run, and print the result."""
        from metaux.terminal import begin, print_json, print_notes, reading

        console = begin("training on", self.settings.data, self.output.is_silent)
        from metaux.data.sources import load
        from metaux.errors import choose
        from metaux.labels.sources import AUTO, METHODS
        from metaux.runs.length import choose_length, known_length
        from metaux.runs.log import check_log
        from metaux.runs.plan import check
        from metaux.runs.pretrained import choose_start, known_start
        from metaux.runs.record import Run
        from metaux.runs.store import claim, default_folder
        from metaux.runs.trial import Trial
        from metaux.runs.workers import Processes
        from metaux.runs.writer import sole_writer

        settings, method, seed = self.settings, self.method, self.seed
        choose("method", method, (AUTO, *METHODS))
        check(settings)
        check_log(self.output.log)
        data = None
        if method == AUTO:
            with reading(console) as progress:
                data = load(settings, progress)
            method, why = _best(settings, data)
            print_notes([f"method {method}, {why}"], console)
        folder = self.out or default_folder(settings, f"{method}-{seed}")
        settings = known_start(known_length(settings, folder), folder)
        claim(folder, settings, {"method": method, "seed": seed})
        with sole_writer(folder, console):
            if data is None:
                with reading(console) as progress:
                    data = load(settings, progress)
            settings, note = choose_start(settings, data, folder)
            print_notes([note] if note else [], console)
            settings = choose_length(settings, method, [seed], Processes(1), folder, console)
            self._train(Trial(settings, method, seed), data, folder, console)
        finished = Run.read(folder)
        _print(finished, console)
        console.print(f"Records and trained weights: {folder}", soft_wrap=True)
        if self.output.json:
            print_json(finished.result, console)

    def _train(self, trial: "Trial", data: "LabelledData", folder: Path, console: "Console") -> None:
        from metaux.runs.launch import run
        from metaux.runs.loading import check_unchanged
        from metaux.runs.log import catch_up
        from metaux.runs.plan import too_short
        from metaux.runs.progress import shown
        from metaux.runs.record import Run, is_finished
        from metaux.terminal import print_notes

        if is_finished(folder):
            check_unchanged([Run.read(folder)], data)
            catch_up(self.output.log, folder)
            return
        print_notes([*data.notices, *too_short(trial.settings, data)], console)
        with shown({folder: trial}, None, console):
            run(trial, data, folder, lambda note: print_notes([note], console), self.output.log)


def _best(settings: "Settings", data: "LabelledData") -> tuple[str, str]:
    """Return what `auto` stands for, and why: what a comparison with these settings says, if there is one."""
    from metaux.labels.sources import METHODS, best
    from metaux.runs.pretrained import starts_pretrained
    from metaux.runs.reading import read_kept
    from metaux.runs.record import COMPARISON
    from metaux.runs.store import default_folder

    compared = default_folder(settings) / COMPARISON
    row = read_kept(compared).get("row")
    if row in METHODS and not METHODS[row].asks:
        return row, f"as {compared} says (auto)"
    # On a pretrained network no source of labels was shown to help.
    method = "single" if starts_pretrained(settings, data) else best(data.kind)
    return method, f"for data of kind {data.kind} (auto; docs/quickstart.md)"


def _print(finished: "Run", console: "Console") -> None:
    from metaux.terminal import make_table
    from metaux.words import percent

    row = {
        "method": finished.method,
        "seed": str(finished.seed),
        "test accuracy": f"{percent(finished.accuracy, 2)} %",
        "balanced accuracy": f"{percent(finished.balanced_accuracy, 2)} %",
        "s per epoch": f"{finished.seconds_per_epoch:.2g}",
    }
    console.print(make_table(tuple(row), [tuple(row.values())]))
    if (reported := min(finished.trial.protocol.reported_epochs, len(finished.epochs))) > 1:
        console.print(f"Accuracies are means of the last {reported} epochs, as the protocol has it.")
