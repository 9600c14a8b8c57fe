"""What the commands do; kept apart from the command line so that asking for help does not import torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console
from torch import Tensor

from metaux.data.sources import load
from metaux.data.unlabelled import read_unlabelled
from metaux.errors import InputError, choose
from metaux.evidence.quality import calibration_error, confusion
from metaux.evidence.table import to_json
from metaux.labels.sources import AUTO, SOURCES, best
from metaux.protocols import resolve
from metaux.report.reporting import report, settings_of
from metaux.runs.launch import run
from metaux.runs.log import catch_up, check_log
from metaux.runs.measuring import samples_to_measure
from metaux.runs.model import Model, read_description
from metaux.runs.plan import check, too_short
from metaux.runs.progress import shown
from metaux.runs.record import Run, check_unchanged, is_finished
from metaux.runs.store import check_writable, claim, default_folder
from metaux.runs.trial import Trial
from metaux.settings import Said, Settings, from_mapping
from metaux.studies.compare import compare
from metaux.terminal import make_console, make_table, print_json, print_notes, print_whole, reading, write_csv
from metaux.training.evaluate import measures

SHOWN_CLASSES = 20
PREDICTED = ("file", "class", "probability", "subclass")
LABELLED = ("sample", "file", "class", "subclass", "probability")


def compare_command(
    settings: Settings,
    methods: Sequence[str],
    seeds: int,
    jobs: int,
    out: Path | None,
    report: bool,
    said: Said,
) -> None:
    """Compare methods; see `metaux compare --help`."""
    folder, console = out or default_folder(settings), make_console(said.quiet or said.json)
    comparison = compare(settings, methods, seeds, jobs, folder, console, report, said.log)
    page = f"; report: {folder / 'report.html'}" if report else ""
    console.print(f"\nRecords, figures and trained weights: {folder}{page}", soft_wrap=True)
    if said.json:
        print_json(to_json(comparison))


def report_command(folder: Path) -> None:
    """Write the report; see `metaux report --help`."""
    settings, console = settings_of(folder), make_console()
    check_writable(folder, "copy it to where you can write")
    with reading(console) as progress:
        path = report(folder, lambda: load(settings, progress))
    console.print(f"Report: {path}", soft_wrap=True)


def train_command(settings: Settings, method: str, seed: int, out: Path | None, said: Said) -> None:
    """Train one network; see `metaux train --help`."""
    choose("method", method, (AUTO, *SOURCES))
    check(settings)
    check_log(said.log)
    console, data = make_console(said.quiet or said.json), None
    if method == AUTO:
        with reading(console) as progress:
            data = load(settings, progress)
        method = best(data.kind)
        print_notes([f"method {method}, for data of kind {data.kind} (auto; docs/quickstart.md)"], console)
    folder = out or default_folder(settings, f"{method}-{seed}")
    claim(folder, settings, {"method": method, "seed": seed})
    if data is None:
        with reading(console) as progress:
            data = load(settings, progress)
    if is_finished(folder):
        check_unchanged([Run.read(folder)], data)
        catch_up(said.log, folder)
    else:
        print_notes([*data.notices, *too_short(settings, data)], console)
        with shown({folder: Trial(settings, method, seed)}, None, console):
            run(settings, method, seed, data, folder, lambda note: print_notes([note], console), said.log)
    finished = Run.read(folder)
    _print_run(finished, console)
    console.print(f"Records and trained weights: {folder}", soft_wrap=True)
    if said.json:
        print_json(finished.result)


def _print_run(finished: Run, console: Console) -> None:
    reported = resolve(from_mapping(finished.settings, {"method": str, "seed": int})[0]).reported_epochs
    reported = min(reported, len(finished.epochs))
    row = (
        finished.method,
        str(finished.seed),
        _percent(finished.accuracy),
        _percent(finished.balanced_accuracy),
        f"{finished.seconds_per_epoch:.2g}",
    )
    columns = ("method", "seed", "test accuracy", "balanced accuracy", "s per epoch")
    console.print(make_table(columns, [row]))
    if reported > 1:
        console.print(f"Accuracies are means of the last {reported} epochs, as the protocol has it.")


def predict_command(folder: Path, inputs: Sequence[Path], out: Path | None, device: str) -> None:
    """Predict; see `metaux predict --help`."""
    if out is not None:
        check_file(out, PREDICTED)
    model = Model.read(folder, device)
    samples = read_unlabelled(inputs, model.preprocessing)
    logits, subclasses = model.predict(samples)
    top = logits.softmax(-1).max(-1)
    classes, finer = model.hierarchy.class_names, model.hierarchy.subclass_names
    rows = (
        [
            name,
            classes[int(index)],
            f"{float(probability):.6f}",
            "" if subclasses is None else finer[int(subclasses[row])],
        ]
        for row, (name, probability, index) in enumerate(zip(samples.names, top.values, top.indices, strict=True))
    )
    write_csv(PREDICTED, rows, out)


def evaluate_command(
    folder: Path, data: str | None, device: str, hierarchy: str | None = None, json: bool = False
) -> None:
    """Evaluate; see `metaux evaluate --help`."""
    model, console = Model.read(folder, device), make_console(quiet=json)
    settings, names = model.settings, model.hierarchy.class_names
    with reading(console) as progress:
        samples, part, notice = samples_to_measure(Run.read(folder), model, data, hierarchy, progress)
    logits, _ = model.predict(samples)
    found = measures(logits, samples.primary)
    calibration = calibration_error(logits.softmax(-1), samples.primary)
    counts = confusion(logits.argmax(-1), samples.primary, len(names))
    if json:
        print_json(
            {
                "accuracy": found["accuracy"],
                "balanced_accuracy": found["balanced_accuracy"],
                "log_loss": found["loss"],
                "calibration_error": calibration,
                "samples": len(samples),
                "part": part,
                "class_names": names,
                "confusion": counts.tolist(),
            }
        )
    rows = [
        ("accuracy", _percent(found["accuracy"])),
        ("balanced accuracy", _percent(found["balanced_accuracy"])),
        ("log loss", f"{found['loss']:.4f}"),
        ("calibration error", f"{calibration:.4f}"),
    ]
    of = f"{len(samples):,} {'samples, all' if part == 'all' else f'{part} samples'} of {data or settings.data}"
    console.print(make_table(("measure", "value"), rows, of))
    print_notes([notice] if notice else [], console)
    protocol = resolve(settings)
    if (reported := min(protocol.reported_epochs, protocol.epochs)) > 1:
        console.print(f"The run's own table has the mean of its last {reported} epochs; this is its final weights.")
    _print_confusion(counts, names, console)


def _print_confusion(counts: Tensor, names: Sequence[str], console: Console) -> None:
    """Print the whole matrix of a few classes, numbered if that makes it fit, and the most frequent confusions of many.

    Where the output is a file, a wide matrix is not folded.
    """
    if len(names) <= SHOWN_CLASSES:
        title = "confusion matrix: a row for each true class, a column for each predicted one"
        matrix = make_table(("", *names), _labelled(names, counts), title)
        if console.measure(matrix, options=console.options.update(width=10_000)).maximum > console.width:
            numbers = [str(place + 1) for place in range(len(names))]
            numbered = [f"{number} {name}" for number, name in zip(numbers, names, strict=True)]
            matrix = make_table(("", *numbers), _labelled(numbered, counts), title)
        print_whole(matrix, console)
        return
    wrong = counts.clone().fill_diagonal_(0).flatten()
    places = wrong.argsort(descending=True, stable=True)[:SHOWN_CLASSES].tolist()
    rows = [
        (names[place // len(names)], names[place % len(names)], str(int(wrong[place])))
        for place in places
        if wrong[place]
    ]
    console.print(make_table(("true", "predicted", "samples"), rows, "most frequent confusions"))


def _labelled(names: Sequence[str], counts: Tensor) -> list[tuple[str, ...]]:
    return [(name, *map(str, row)) for name, row in zip(names, counts.tolist(), strict=True)]


def reproduce_command(
    names: Sequence[str], scale: str, trial: bool, root: str, out: Path, seeds: int, jobs: int, device: str
) -> None:
    """Reproduce the papers' experiments, or list them; see `metaux reproduce --help`."""
    from metaux.studies.papers.reproduce import list_items, reproduce
    from metaux.studies.papers.scales import SCALES, cut_down

    console = make_console()
    if not names:
        list_items(tuple(SCALES.values()), root, out, seeds, device, console)
    elif trial:
        reproduce(names, cut_down(SCALES[scale]), root, out / f"{scale}-trial", 1, jobs, device, console)
    else:
        reproduce(names, SCALES[scale], root, out / scale, seeds, jobs, device, console)


def recommend_command(settings: Settings, minutes: float, jobs: int, out: Path | None, quiet: bool, json: bool) -> None:
    """Search, test and hand over; see `metaux recommend --help`."""
    from metaux.studies.search.recommend import recommend

    folder, console = out or default_folder(settings, "recommend"), make_console(quiet or json)
    found = recommend(settings, minutes, jobs, folder, console)
    if json:
        print_json(found.details)


def contest_command(
    names: Sequence[str],
    methods: tuple[str, ...],
    stage: Literal["tune", "plan", "test"],
    most_seeds: int,
    root: str,
    out: Path,
    jobs: int,
    device: str,
) -> None:
    """Let methods compete; see `metaux contest --help`."""
    from metaux.studies.benchmark.benchmark import contest
    from metaux.studies.benchmark.datasets import BEDS, found
    from metaux.studies.benchmark.rules import Rules, entered

    for name in names:
        choose("bed", name, BEDS)
    contestants, console = entered(methods), make_console()
    beds, notes = found({name: BEDS[name] for name in names or BEDS}, root, device)
    print_notes(notes, console)
    contest(beds, contestants, Rules(most_seeds=most_seeds), out, jobs, stage, console)
    console.print(f"Runs, plans and tables: {out}", soft_wrap=True)


def labels_command(folder: Path, out: Path | None) -> None:
    """Write the auxiliary labels; see `metaux labels --help`."""
    if out is not None:
        check_file(out, LABELLED)
    finished = Run.read(folder)
    if "train_labels" not in finished.outputs():
        raise InputError(
            f"expected a run with sub-class labels in '{folder}', found method {finished.method}, which has none; "
            "give a run of another method"
        )
    hierarchy, _, _ = read_description(finished)
    labels, primary, ids = (finished.output(f"train_{name}") for name in ("labels", "primary", "ids"))
    offsets, slots = hierarchy.offsets.tolist(), labels.argmax(-1)
    names = finished.result["train_names"] or [""] * len(ids)
    classes, finer = hierarchy.class_names, hierarchy.subclass_names
    rows = (
        [int(id_), name, classes[class_], finer[offsets[class_] + slot], f"{label[slot]:.4f}"]
        for id_, name, class_, slot, label in zip(ids, names, primary, slots, labels, strict=True)
    )
    write_csv(LABELLED, rows, out)


def export_command(folder: Path, to: str, out: Path | None) -> None:
    """Export a network; see `metaux export --help`."""
    from metaux.export.export import CARD, export

    written = export(folder, to, out)
    make_console().print(f"Exported: {written} ({CARD} says how to load it)", soft_wrap=True)


def check_file(path: Path, header: Sequence[str]) -> None:
    """Check, before the work that makes its content, that a file can be written there, and is no other kind of file."""
    if path.is_file():
        with path.open("rb") as file:
            before = file.readline(1000).strip()
        if before and before != ",".join(header).encode():
            raise InputError(
                f"expected no file or an earlier {','.join(header)} at '{path}', found another one, which would be "
                "lost; give another --out"
            )
    elif path.exists():
        kind = "folder" if path.is_dir() else "device"
        raise InputError(f"expected a file to write to, found the {kind} '{path}'; give --out FILE")
    check_writable(path.absolute().parent)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f} %"
