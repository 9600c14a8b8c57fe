"""`metaux predict`."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from metaux.cli.csv_output import check_csv, write_csv
from metaux.cli.options import Command, OutFile, RunFolder

COLUMNS = ("file", "class", "probability", "subclass")


@dataclass(frozen=True)
class Predict(Command):
    """Write the class of images, or of the rows of an .npz or a CSV file, as CSV.

    Its columns are file (of a table, the row), class, probability, and the sub-class that the network assigns.

    Text that a spreadsheet would take for a formula begins with an apostrophe.

    For example:
        metaux predict photos-maxl new/ holiday.jpg
        metaux predict results/runs/maxl-0 new.npz --out classes.csv
        metaux predict reviews-maxl new.csv

    Args:
        folder: the folder of a finished run.
        inputs: image files, folders of images, one .npz with x, or one CSV file (of texts or of the run's columns).
        out: the CSV file.
        device: auto, cpu, cuda, cuda:1 or mps.
        skip_damaged: go on without the images that can't be read, and say which they are.
    """

    folder: RunFolder
    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="IMAGES ...", help_behavior_hint="(required)")]
    out: OutFile = None
    device: str = "auto"
    skip_damaged: bool = False

    def run(self) -> None:
        """Write the predictions."""
        from metaux.data.sources import read_unlabelled
        from metaux.runs.classical import read_model
        from metaux.runs.record import Run
        from metaux.words import visible

        check_csv(COLUMNS, self.out)
        model = read_model(Run.read(self.folder), self.device)
        settings = replace(model.settings, skip_damaged=self.skip_damaged)
        samples = read_unlabelled(self.inputs, model.preprocessing, settings)
        for notice in samples.notices:
            print(f"note: {visible(notice)}", file=sys.stderr)
        logits, subclasses = model.predict(samples)
        top = logits.softmax(-1).max(-1)
        classes, finer = model.hierarchy.class_names, model.hierarchy.subclass_names
        found = [None] * len(logits) if subclasses is None else [finer[index] for index in subclasses.tolist()]
        rows = zip(
            samples.names,
            [classes[index] for index in top.indices.tolist()],
            [f"{probability:.6f}" for probability in top.values.tolist()],
            found,
            strict=True,
        )
        write_csv(COLUMNS, rows, self.out)
