"""The contest from tuning to table: what is there is used, what is missing is trained, what was decided stays."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from metaux.contest.measured import Row, measured, planned, shuffled
from metaux.contest.plan import best, decide, pilot, tried, tuning
from metaux.contest.probe import probe
from metaux.contest.rules import PROBE, SINGLE, Contestant, Rules
from metaux.contest.trials import train
from metaux.data.samples import LabelledData
from metaux.errors import InputError, TrainingError
from metaux.experiment.folders import check_writable
from metaux.experiment.plan import check, make_plan
from metaux.experiment.run import load_once
from metaux.experiment.statistics import Estimate
from metaux.experiment.wording import interval_of_points, listed, percent, points
from metaux.experiment.work import told
from metaux.files import write_json, write_text_atomic
from metaux.settings import Settings, to_mapping
from metaux.terminal import make_table, print_notes

if TYPE_CHECKING:
    from rich.table import Table

Stage = Literal["tune", "plan", "test"]
PLAN, RESULT, TABLE = "plan.json", "contest.json", "contest.csv"


def contest(
    beds: Mapping[str, Settings],
    contestants: Sequence[Contestant],
    rules: Rules,
    out: Path,
    jobs: int,
    stage: Stage,
    console: Console,
) -> dict[str, list[Row]]:
    """Tune every row alike on validation data, fix the number of seeds, then measure on test data.

    Args:
        beds: the data to compete on, by name.
        contestants: the rows, single task first.
        rules: the same for all.
        out: where the runs go, and a folder for each bed; `plan.json` in it is written before its first test run, and
            what it says is not decided again.
        jobs: runs side by side; 0 for as many as suit the machine.
        stage: how far to go: `tune`, `plan` (the number of seeds is fixed), or `test`.
        console: for progress and tables.

    Returns:
        The rows of each bed; none before the last stage.

    Raises:
        InputError: for bad input, before anything is trained.
        TrainingError: if single task could not be trained, or a run of a tuned configuration could not be finished.
    """
    if jobs < 0 or rules.most_seeds < rules.least_seeds:
        raise InputError(
            f"expected 0 jobs or more, found {jobs}, and {rules.least_seeds} seeds or more, found {rules.most_seeds}; "
            "correct --jobs or --most-seeds"
        )
    check_writable(out)
    for bed in beds.values():
        check(bed)
    entries, notes = _entries(beds, contestants)
    probing = {name: [row for row in own if row.method == PROBE] for name, own in entries.items()}
    entries = {name: [row for row in own if row.method != PROBE] for name, own in entries.items()}
    print_notes([f"{name}: {note}" for name, own in notes.items() for note in own], console)
    trials = [
        trial for name, bed in beds.items() for row in entries[name] for own in tuning(bed, row, rules) for trial in own
    ]
    # A configuration that diverges is one that is not chosen.
    refused = train(trials, "tuning on validation data", out, jobs, console)
    tuned = {name: {row.name: tried(bed, row, rules, out) for row in entries[name]} for name, bed in beds.items()}
    chosen = {
        name: {row: values for row, own in found.items() if (values := best(own))} for name, found in tuned.items()
    }
    for name in beds:
        if SINGLE not in chosen[name]:
            raise TrainingError(f"single task could not be trained on {name}: {told(refused)}")
        notes[name] += [f"{row.name} could not be trained" for row in entries[name] if row.name not in chosen[name]]
        entries[name] = [row for row in entries[name] if row.name in chosen[name]]
        tuned[name] = {row.name: tuned[name][row.name] for row in entries[name]}
        _write(out / name, name, beds[name], rules, notes[name], {"tuning": tuned[name]})
    if refused:
        print_notes([told(refused)], console)
    if stage == "tune":
        _say_tuned(tuned, chosen, console)
        return {}
    pilots = [
        t for name, bed in beds.items() for row in entries[name] for t in pilot(bed, row, chosen[name][row.name], rules)
    ]
    failures = train(pilots, "pilot on validation data", out, jobs, console)
    plans = {}
    for name, bed in beds.items():
        earlier = _read(out / name / PLAN)
        plans[name] = decide(bed, entries[name], chosen[name], rules, out, earlier)
        if plans[name] != earlier:
            write_json(out / name / PLAN, plans[name])
        console.print(f"{name}: {plans[name]['seeds']} seeds: {plans[name]['why']}", soft_wrap=True)
    if stage == "plan":
        _refuse(failures)
        return {}
    runs = {name: planned(bed, entries[name], plans[name], rules) for name, bed in beds.items()}
    failures += train([t for own in runs.values() for row in own.values() for t in row], "test", out, jobs, console)
    others = {name: shuffled(entries[name], runs[name], out) for name in beds}
    failures += train(
        [t for own in others.values() for row in own.values() for t in row], "shuffled labels, test", out, jobs, console
    )
    rows = {}
    for name, bed in beds.items():
        seeds = [trial.seed for trial in runs[name][SINGLE]]
        probes = {row.name: probe(bed, row, load_once(bed), seeds, out / name) for row in probing[name]}
        rows[name] = measured([*entries[name], *probing[name]], {**runs[name], **others[name]}, out, probes)
        content = {"tuning": tuned[name], "plan": plans[name], "table": [_plain(row) for row in rows[name]]}
        _write(out / name, name, bed, rules, notes[name], content)
        write_text_atomic(out / name / TABLE, to_csv(name, rows[name]))
        console.print(table(name, bed, rows[name]), f"{_verdict(rows[name])}\n", sep="\n")
    _refuse(failures)
    return rows


def table(name: str, bed: Settings, rows: Sequence[Row]) -> "Table":
    """Return the rows of a bed as a table; accuracies in per cent, differences in points, with 95 % intervals."""
    columns = ("row", "accuracy", "minus single", "minus uniform", "minus frozen", "minus own control", "cost")
    cells = []
    for row in rows:
        own = [f"{other} {_points(d)}" for other, d in row.differences.items() if other not in _COLUMNS]
        cells.append(
            (
                row.name,
                f"{percent(row.accuracy.mean)} {_interval(row.accuracy)}".strip(),
                *(_points(row.differences[other]) if other in row.differences else "–" for other in _COLUMNS),
                "\n".join(own) or "–",
                f"×{row.cost:.2f}",
            )
        )
    seeds = max(len(row.seeds) for row in rows)
    return make_table(columns, cells, f"{name}: test accuracy, {seeds} paired seeds, {bed.epochs} epochs")


def to_csv(name: str, rows: Sequence[Row]) -> str:
    """Return the rows as CSV; accuracies are fractions, the unknown is empty."""
    compared = dict.fromkeys(other for row in rows for other in row.differences)
    lines = []
    for row in rows:
        line: dict[str, object] = {"bed": name, "row": row.name, "role": row.role, "n": len(row.seeds)}
        line |= _bounds("accuracy", row.accuracy)
        for other in compared:
            line |= _bounds(f"minus_{other}", row.differences.get(other))
        lines.append({**line, "cost": row.cost, "beats_all": row.beats_all})
    file = io.StringIO()
    writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


_COLUMNS = ("single", "uniform", "frozen")


def _entries(
    beds: Mapping[str, Settings], contestants: Sequence[Contestant]
) -> tuple[dict[str, list[Contestant]], dict[str, list[str]]]:
    """Return the rows that can run on each bed, and in words why others cannot."""
    entries: dict[str, list[Contestant]] = {}
    notes: dict[str, list[str]] = {}
    for name, bed in beds.items():
        data = load_once(bed)
        entries[name], notes[name] = [], list(data.notices)
        for row in contestants:
            if data.kind not in row.kinds:
                notes[name].append(f"{row.name}: not run: for {listed(row.kinds)} data, this is {data.kind}")
            elif row.method == "human" and data.train.human is None:
                notes[name].append(f"{row.name}: not run: no human sub-classes")
            elif row.role == "pretrained" and (why := _refused(bed, row, data)):
                notes[name].append(f"{row.name}: not run: {why}")
            else:
                entries[name].append(row)
    return entries, notes


def _refused(bed: Settings, row: Contestant, data: LabelledData) -> str:
    """Say why a pretrained network can't be had: its package isn't installed, or its weights can't be fetched."""
    settings = replace(bed, **row.changes)
    try:
        check(settings)
        make_plan(settings, SINGLE, 0, data)
    except InputError as error:
        return str(error)
    return ""


def _say_tuned(
    tuned: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]],
    chosen: Mapping[str, Mapping[str, Mapping[str, float]]],
    console: Console,
) -> None:
    for name, found in tuned.items():
        rows = [
            (
                row,
                *(f"{chosen[name][row][value]:g}" if row in chosen[name] else "–" for value in _TUNED),
                " ".join("–" if own["accuracy"] is None else percent(own["accuracy"]) for own in configurations),
            )
            for row, configurations in found.items()
        ]
        columns = ("row", *(value.replace("_", " ") for value in _TUNED), "validation accuracy of each configuration")
        console.print(make_table(columns, rows, name))


_TUNED = ("learning_rate", "weight_decay")


def _verdict(rows: Sequence[Row]) -> str:
    """Say which methods are above single task, and which above all that they are compared with."""
    methods = [row for row in rows if row.role == "method"]
    above = [row.name for row in methods if (single := row.differences.get(SINGLE)) and single.above]
    all_ = [row.name for row in methods if row.beats_all]
    return (
        f"Above tuned single task (95 % interval over seeds): {listed(above) or 'none'}; "
        f"above every control too: {listed(all_) or 'none'}."
    )


def _write(
    folder: Path, name: str, bed: Settings, rules: Rules, notes: Sequence[str], content: Mapping[str, Any]
) -> None:
    """Write what is known so far; of other rows, what was tried before stays."""
    earlier = _read(folder / RESULT) or {}
    content = {**content, "tuning": {**earlier.get("tuning", {}), **content["tuning"]}}
    defaults = to_mapping(Settings())
    settings = {key: value for key, value in to_mapping(bed).items() if value != defaults[key] and key != "root"}
    about = {
        "bed": name,
        "command": f"metaux contest {name}",
        "settings": settings,
        "rules": asdict(rules),
        "versions": {package: version(package) for package in ("metaux", "torch", "numpy", "scikit-learn")},
        "notes": list(notes),
    }
    write_json(folder / RESULT, {**earlier, **about, **content})


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _plain(row: Row) -> dict[str, Any]:
    return {**asdict(row), "beats_all": row.beats_all}


def _refuse(failures: Sequence[str]) -> None:
    if failures:
        raise TrainingError(told(failures))


def _points(difference: Estimate) -> str:
    return f"{points(difference.mean)} {interval_of_points(difference)}".strip()


def _interval(accuracy: Estimate) -> str:
    if accuracy.low is None or accuracy.high is None:
        return ""
    return f"[{percent(accuracy.low)}, {percent(accuracy.high)}]"


def _bounds(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    return {
        name: estimate.mean if estimate else None,
        f"{name}_low": estimate.low if estimate else None,
        f"{name}_high": estimate.high if estimate else None,
    }
