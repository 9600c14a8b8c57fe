"""What the commands do; kept apart from the command line so that asking for help does not import torch."""

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from torch import Tensor

from metaux.data.sources import load, load_for_evaluation
from metaux.data.unlabelled import read_unlabelled
from metaux.errors import InputError, choose
from metaux.experiment.compare import claim, compare, default_folder
from metaux.experiment.model import Model
from metaux.experiment.quality import calibration_error, confusion
from metaux.experiment.records import Run, is_finished
from metaux.experiment.run import run
from metaux.files import write_text_atomic
from metaux.labels.registry import SOURCES
from metaux.protocols import resolve
from metaux.settings import Settings, from_mapping
from metaux.training.devices import make_fabric
from metaux.training.evaluate import measures

SHOWN_CLASSES = 20


def compare_command(settings: Settings, methods: Sequence[str], seeds: int, jobs: int, out: Path | None) -> None:
    """Compare methods; see `metaux compare --help`."""
    folder, console = out or default_folder(settings), Console()
    compare(settings, methods, seeds, jobs, folder, console)
    console.print(f"\nRecords, figures and trained weights: {folder}", highlight=False)


def train_command(settings: Settings, method: str, seed: int, out: Path | None) -> None:
    """Train one network; see `metaux train --help`."""
    choose("method", method, SOURCES)
    console = Console()
    folder = out or default_folder(settings, f"{method}-{seed}")
    claim(folder, settings, {"method": method, "seed": seed})
    data = load(settings)
    for notice in data.notices:
        console.print(f"note: {notice}", highlight=False)
    epochs = resolve(settings).epochs
    if not is_finished(folder):
        with console.status("preparing") as status:
            run(
                settings,
                method,
                seed,
                data,
                folder,
                lambda records: status.update(
                    f"epoch {len(records)} of {epochs}: test accuracy {100 * records[-1]['test_accuracy']:.2f} %, "
                    f"about {sum(r['seconds'] for r in records) / len(records) * (epochs - len(records)):.0f} s left"
                ),
            )
    _print_quality(Run.read(folder), console)
    console.print(f"Records and trained weights: {folder}", highlight=False)


def _print_quality(finished: Run, console: Console) -> None:
    reported = resolve(from_mapping(finished.settings, {"method": str, "seed": int})[0]).reported_epochs
    of = "final weights" if reported == 1 else f"mean of the last {reported} epochs"
    table = Table("method", "seed", f"test accuracy ({of})", "balanced accuracy", "seconds per epoch")
    table.add_row(
        finished.method,
        str(finished.seed),
        f"{100 * finished.accuracy:.2f} %",
        f"{100 * finished.balanced_accuracy:.2f} %",
        f"{finished.seconds_per_epoch:.3g}",
    )
    console.print(table)


def predict_command(folder: Path, inputs: Sequence[Path], out: Path | None, device: str) -> None:
    """Predict; see `metaux predict --help`."""
    model = Model.read(folder, make_fabric(Settings(device=device)).device)
    samples = read_unlabelled(inputs, model.preprocessing)
    top = model.logits(samples).softmax(-1).max(-1)
    subclasses = model.subclasses(samples)
    classes, finer = model.hierarchy.class_names, model.hierarchy.subclass_names
    rows = (
        [name, classes[int(index)], f"{float(probability):.6f}", "" if subclasses is None else finer[subclasses[row]]]
        for row, (name, probability, index) in enumerate(zip(samples.names, top.values, top.indices, strict=True))
    )
    _write_csv(["file", "class", "probability", "subclass"], rows, out)


def evaluate_command(folder: Path, data: str | None, device: str) -> None:
    """Evaluate; see `metaux evaluate --help`."""
    finished, model = Run.read(folder), Model.read(folder, make_fabric(Settings(device=device)).device)
    settings, _ = from_mapping(finished.settings, {"method": str, "seed": int})
    samples = load_for_evaluation(settings, model.hierarchy.class_names, model.preprocessing, data)
    logits = model.logits(samples)
    found = measures(logits, samples.primary)
    console = Console()
    table = Table("measure", "value", title=f"{len(samples)} samples of {data or settings.data}", title_justify="left")
    table.add_row("accuracy", f"{100 * found['accuracy']:.2f} %")
    table.add_row("balanced accuracy", f"{100 * found['balanced_accuracy']:.2f} %")
    table.add_row("log loss", f"{found['loss']:.4f}")
    table.add_row("calibration error", f"{calibration_error(logits.softmax(-1), samples.primary):.4f}")
    console.print(table)
    reported = resolve(settings).reported_epochs
    if reported > 1:
        console.print(f"note: the run's table has the mean of its last {reported} epochs; this is its final weights")
    counts = confusion(logits.argmax(-1), samples.primary, model.hierarchy.classes)
    _print_confusion(counts, model.hierarchy.class_names, console)


def _print_confusion(counts: Tensor, names: Sequence[str], console: Console) -> None:
    """Print the whole matrix of a few classes, and the most frequent confusions of many."""
    if len(names) <= SHOWN_CLASSES:
        table = Table("true \\ predicted", *names, title="confusion matrix", title_justify="left")
        for name, row in zip(names, counts.tolist(), strict=True):
            table.add_row(name, *map(str, row))
    else:
        table = Table("true", "predicted", "samples", title="most frequent confusions", title_justify="left")
        wrong = counts.clone().fill_diagonal_(0).flatten()
        for place in wrong.argsort(descending=True, stable=True)[:SHOWN_CLASSES].tolist():
            table.add_row(names[place // len(names)], names[place % len(names)], str(int(wrong[place])))
    console.print(table)


def labels_command(folder: Path, out: Path | None) -> None:
    """Write the auxiliary labels; see `metaux labels --help`."""
    finished = Run.read(folder)
    if "train_labels" not in finished.outputs():
        raise InputError(f"expected a run with sub-class labels in {folder}, found method {finished.method}, without any")
    model = finished.result["model"]
    labels, primary, ids = (finished.output(f"train_{name}") for name in ("labels", "primary", "ids"))
    first = [sum(model["slots"][:class_]) for class_ in range(len(model["slots"]))]
    names = finished.result["train_names"] or [""] * len(ids)
    slots = labels.argmax(-1)
    rows = (
        [int(id_), name, model["class_names"][class_], model["subclass_names"][first[class_] + slot], f"{label[slot]:.4f}"]
        for id_, name, class_, slot, label in zip(ids, names, primary, slots, labels, strict=True)
    )
    _write_csv(["sample", "file", "class", "subclass", "probability"], rows, out)


def _write_csv(header: Sequence[str], rows: Iterable[Sequence[object]], out: Path | None) -> None:
    if out is None:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        return
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text_atomic(out, file.getvalue())
