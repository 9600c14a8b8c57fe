"""`metaux evaluate`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from metaux.cli.options import Command, RunFolder

if TYPE_CHECKING:
    from rich.console import Console

MOST_CLASSES = 20
"""Whose whole confusion matrix is shown; of more, as many confusions."""


@dataclass(frozen=True)
class Evaluate(Command):
    """Print accuracy, balanced accuracy, log loss, calibration error and confusion matrix.

    For example:
        metaux evaluate photos-maxl
        metaux evaluate photos-maxl other-photos/
        metaux evaluate cifar100-maxl cifar100-as-folders/ --hierarchy cifar100

    Args:
        folder: the folder of a finished run.
        data: labelled data of the run's classes or finer ones, in any form that train takes. Its test part is used, or
            all of it if it has none.
        hierarchy: a YAML or CSV file (or: cifar100) that says which of the run's classes the data's labels belong to.
        device: auto, cpu, cuda, cuda:1 or mps.
        json: print one JSON object instead, for scripts.
    """

    folder: RunFolder
    data: Annotated[
        Positional[str | None], arg(metavar="[DATA]", help_behavior_hint="(default: the run's own test set)")
    ] = None
    hierarchy: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="(default: the run's)")] = None
    device: str = "auto"
    json: bool = False

    def run(self) -> None:
        """Measure, and print."""
        from metaux.evidence.quality import calibration_error, confusion
        from metaux.runs.classical import read_model
        from metaux.runs.measuring import samples_to_measure
        from metaux.runs.record import Run
        from metaux.terminal import make_console, make_table, print_json, print_notes, reading
        from metaux.training.evaluate import measures
        from metaux.words import percent

        run, console = Run.read(self.folder), make_console(quiet=self.json)
        model = read_model(run, self.device)
        settings, names = model.settings, model.hierarchy.class_names
        with reading(console) as progress:
            samples, part, notices = samples_to_measure(run, model, self.data, self.hierarchy, progress)
        logits, _ = model.predict(samples)
        found = measures(logits, samples.primary)
        calibration = calibration_error(logits.softmax(-1), samples.primary)
        counts = confusion(logits.argmax(-1), samples.primary, len(names)).tolist()
        if self.json:
            print_json(
                {
                    "accuracy": found["accuracy"],
                    "balanced_accuracy": found["balanced_accuracy"],
                    "log_loss": found["loss"],
                    "calibration_error": calibration,
                    "samples": len(samples),
                    "part": part,
                    "class_names": names,
                    "confusion": counts,
                    "notices": notices,
                }
            )
            return
        rows = [
            ("accuracy", f"{percent(found['accuracy'], 2)} %"),
            ("balanced accuracy", f"{percent(found['balanced_accuracy'], 2)} %"),
            ("log loss", f"{found['loss']:.4f}"),
            ("calibration error", f"{calibration:.4f}"),
        ]
        which = "samples, all" if part == "all" else f"{part} samples"
        console.print(
            make_table(("measure", "value"), rows, f"{len(samples):,} {which} of {self.data or settings.data}")
        )
        print_notes(notices, console)
        if (reported := min(run.trial.protocol.reported_epochs, len(run.epochs))) > 1:
            console.print(f"The run's own table has the mean of its last {reported} epochs; this is its final weights.")
        print_confusion(counts, names, console)


def print_confusion(counts: Sequence[Sequence[int]], names: Sequence[str], console: "Console") -> None:
    """Print the whole confusion matrix of a few classes, and the most frequent confusions of many.

    Where the matrix with the names of its columns does not fit, they are numbers. Where the output is a file, a wide
    matrix is not folded.

    Args:
        counts: samples, by true and predicted class.
        names: of the classes.
        console: to print to.
    """
    from metaux.terminal import make_table, print_whole, width_of

    if len(names) > MOST_CLASSES:
        wrong = [
            (count, names[true], names[predicted])
            for true, row in enumerate(counts)
            for predicted, count in enumerate(row)
            if count and true != predicted
        ]
        most = sorted(wrong, key=lambda cell: -cell[0])[:MOST_CLASSES]
        cells = [[true, predicted, str(count)] for count, true, predicted in most]
        console.print(make_table(("true", "predicted", "samples"), cells, "most frequent confusions"))
        return
    title = "confusion matrix: a row for each true class, a column for each predicted one"
    cells = [list(map(str, row)) for row in counts]
    matrix = make_table(("", *names), [(name, *row) for name, row in zip(names, cells, strict=True)], title)
    if width_of(matrix, console) > console.width:
        numbers = [str(number) for number in range(1, len(names) + 1)]
        numbered = [(f"{number} {name}", *row) for number, name, row in zip(numbers, names, cells, strict=True)]
        matrix = make_table(("", *numbers), numbered, title)
    print_whole(matrix, console)
