"""`metaux labels`."""

from dataclasses import dataclass

from metaux.cli.csv_output import check_csv, write_csv
from metaux.cli.options import Command, OutFile, RunFolder
from metaux.errors import InputError

COLUMNS = ("sample", "file", "class", "subclass", "probability")


@dataclass(frozen=True)
class Labels(Command):
    """Write the auxiliary label of every training sample as CSV.

    Its columns are sample, file, class, the most probable sub-class, and its probability.

    Text that a spreadsheet would take for a formula begins with an apostrophe.

    For example:
        metaux labels photos-maxl --out labels.csv

    Args:
        folder: the folder of a finished run.
        out: the CSV file.
    """

    folder: RunFolder
    out: OutFile = None

    def run(self) -> None:
        """Write the labels."""
        from metaux.runs.model import read_description
        from metaux.runs.record import Run

        check_csv(COLUMNS, self.out)
        finished = Run.read(self.folder)
        if "train_labels" not in finished.outputs():
            raise InputError(
                f"expected a run with sub-class labels in '{self.folder}', found method {finished.method}, which has "
                "none; give a run of another method"
            )
        hierarchy, _, _ = read_description(finished)
        labels, primary, ids = (finished.output(f"train_{name}") for name in ("labels", "primary", "ids"))
        offsets, slots = hierarchy.offsets.tolist(), labels.argmax(-1)
        names = finished.result.get("train_names") or [""] * len(ids)
        classes, finer = hierarchy.class_names, hierarchy.subclass_names
        rows = (
            (int(id_), name, classes[class_], finer[offsets[class_] + slot], f"{label[slot]:.4f}")
            for id_, name, class_, slot, label in zip(ids, names, primary, slots, labels, strict=True)
        )
        write_csv(COLUMNS, rows, self.out)
