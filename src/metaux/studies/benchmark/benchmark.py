"""The contest from tuning to table: what is there is used, what is missing is trained, what was decided stays."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console

from metaux.data.samples import LabelledData
from metaux.errors import InputError, TrainingError
from metaux.files import write_json, write_text_atomic
from metaux.runs.loading import load_once
from metaux.runs.plan import check, make_plan
from metaux.runs.pool import longest_first, summarise_failures, train
from metaux.runs.store import Store, check_writable
from metaux.settings import Settings, changed
from metaux.studies.benchmark.measured import Row, measured, planned, shuffled
from metaux.studies.benchmark.plan import best, decide, longer, pilot, planned_values, tried, tuning
from metaux.studies.benchmark.probe import is_probed, probe
from metaux.studies.benchmark.rules import CONTESTANTS, HUMAN, PROBE, SINGLE, Contestant, Rules
from metaux.studies.benchmark.table import alternatives, alternatives_table, table, to_csv, verdict
from metaux.studies.kept import read_kept
from metaux.terminal import make_table, print_notes, print_whole
from metaux.words import listed, percent

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
            what it says is not decided again: the rows in it are neither tuned nor piloted any more.
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
    earlier = {name: read_kept(out / name / PLAN, seeds=int, why=str, rows=dict) for name in beds}
    results = {name: read_kept(out / name / RESULT) for name in beds}
    made_by = {name: found if earlier[name] else {} for name, found in results.items()}
    for name, bed in beds.items():
        _check_same_bed(name, bed, made_by[name].get("settings"))
        if made_by[name].get("rules", {}).get("most_seeds", rules.most_seeds) != rules.most_seeds:
            notes[name].append(f"the number of seeds stays as {PLAN} has it: --most-seeds comes too late")
    print_notes([f"{name}: {note}" for name, own in notes.items() for note in own], console)
    chosen = {name: planned_values(earlier[name], rules) for name in beds}
    undecided = {name: [row for row in entries[name] if row.name not in chosen[name]] for name in beds}
    trials = [
        trial
        for name, bed in beds.items()
        for row in undecided[name]
        for own in tuning(bed, row, rules)
        for trial in own
    ]
    # A configuration that diverges is one that is not chosen.
    refused = train(longest_first(trials), Store(out), jobs, console, "tuning on validation data", curve=False)
    tuned = {name: {row.name: tried(bed, row, rules, out) for row in undecided[name]} for name, bed in beds.items()}
    for name, found in tuned.items():
        chosen[name].update({row: values for row, own in found.items() if (values := best(own))})
    for name in beds:
        if SINGLE not in chosen[name]:
            raise TrainingError(f"single task could not be trained on {name}: {summarise_failures(refused)}")
        notes[name] += [f"{row.name} could not be trained" for row in entries[name] if row.name not in chosen[name]]
        entries[name] = [row for row in entries[name] if row.name in chosen[name]]
        tuned[name] = {row: own for row, own in tuned[name].items() if row in chosen[name]}
        _write(out / name, name, beds[name], rules, notes[name], {"tuning": tuned[name]})
    if refused:
        print_notes([summarise_failures(refused)], console)
    if stage == "tune":
        _say_tuned(tuned, chosen, console)
        return {}
    pilots = [
        trial
        for name, bed in beds.items()
        for row in entries[name]
        if tuned[name] and (row.name in tuned[name] or row.name == SINGLE)
        for trial in pilot(bed, row, chosen[name][row.name], rules)
    ]
    failures = train(longest_first(pilots), Store(out), jobs, console, "pilot on validation data", curve=False)
    plans, known = {}, {}
    for name, bed in beds.items():
        plans[name] = decide(bed, entries[name], chosen[name], rules, out, earlier[name])
        known[name] = _known(entries[name], plans[name])
        plans[name]["longer"] = longer(known[name], plans[name], rules)
        if plans[name] != earlier[name]:
            write_json(out / name / PLAN, plans[name])
        console.print(f"{name}: {plans[name]['seeds']} seeds: {plans[name]['why']}", soft_wrap=True)
    if stage == "plan":
        _refuse(failures)
        return {}
    # The table has the rows of earlier calls too, as far as they were run; only those that are named now are trained.
    runs = {name: planned(bed, known[name], plans[name], rules) for name, bed in beds.items()}
    earlier_only = {name: {row.name for row in known[name]} - {row.name for row in entries[name]} for name in beds}
    tests = [t for name in beds for row, own in runs[name].items() if row not in earlier_only[name] for t in own]
    failures += train(longest_first(tests), Store(out), jobs, console, "test", curve=False)
    if any(Store(out).find(trial) is None for name in beds for trial in runs[name][SINGLE]):
        _refuse(failures)
    others = {name: shuffled(known[name], runs[name], Store(out)) for name in beds}
    failures += train(
        longest_first(t for own in others.values() for row in own.values() for t in row),
        Store(out),
        jobs,
        console,
        "shuffled labels, test",
        curve=False,
    )
    rows = {}
    for name, bed in beds.items():
        seeds = [trial.seed for trial in runs[name][SINGLE]]
        probing[name] = probing[name] or [row for row in CONTESTANTS if row.method == PROBE and is_probed(out / name)]
        with console.status(f"{name}: features of a pretrained network, and a linear classifier for each seed"):
            probes = {row.name: probe(bed, row, load_once(bed), seeds, out / name) for row in probing[name]}
        measurable = [*known[name], *probing[name]]
        rows[name] = measured(measurable, {**runs[name], **others[name]}, Store(out), probes)
        command = _command(
            name, [row.name for row in measurable if row.role != "control"], made_by[name].get("rules") or asdict(rules)
        )
        plain = [_plain(row) for row in rows[name]]
        content = {"command": command, "tuning": tuned[name], "plan": plans[name], "table": plain}
        _write(out / name, name, bed, rules, notes[name], content)
        write_text_atomic(out / name / TABLE, to_csv(name, rows[name]))
        print_whole(table(name, bed, rows[name]), console)
        if instead := alternatives(rows[name]):
            print_whole(alternatives_table(name, instead), console)
        console.print(f"{verdict(rows[name])}\n", soft_wrap=True)
    _refuse(failures)
    return rows


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
            elif row.method == HUMAN and data.train.human is None:
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
        features = make_plan(settings, SINGLE, 0, data).features
        if features is not None:
            features(data.train.take(torch.arange(1)))
    except InputError as error:
        return str(error)
    return ""


def _say_tuned(
    tuned: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]],
    chosen: Mapping[str, Mapping[str, Mapping[str, float]]],
    console: Console,
) -> None:
    for name, found in tuned.items():
        if not found:
            console.print(f"{name}: every row was tuned before ({PLAN})", soft_wrap=True)
            continue
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


def _write(
    folder: Path, name: str, bed: Settings, rules: Rules, notes: Sequence[str], content: Mapping[str, Any]
) -> None:
    """Write what is known so far; of other rows, what was tried before stays."""
    earlier = read_kept(folder / RESULT)
    content = {**content, "tuning": {**earlier.get("tuning", {}), **content["tuning"]}}
    about = {
        "bed": name,
        "settings": changed(bed, ["root"]),
        # Those by which the plan was made stay with it.
        "rules": earlier["rules"] if (folder / PLAN).is_file() and "rules" in earlier else asdict(rules),
        "versions": {package: version(package) for package in ("metaux", "torch", "numpy", "scikit-learn")},
        "notes": list(notes),
    }
    write_json(folder / RESULT, {**earlier, **about, **content})


def _known(entries: Sequence[Contestant], plan: Mapping[str, Any]) -> list[Contestant]:
    """Return the rows that are named and those that were planned before, in the order of all rows."""
    named = {row.name for row in CONTESTANTS}
    own = [row for row in CONTESTANTS if row.name in plan["rows"]]
    return [*own, *(row for row in entries if row.name not in named)]


def _check_same_bed(name: str, bed: Settings, planned_for: Mapping[str, Any] | None) -> None:
    elsewhere = ("root", "device", "processes", "threads")  # where it runs does not change what it is
    now = changed(bed, elsewhere)
    before = now if planned_for is None else {key: v for key, v in planned_for.items() if key not in elsewhere}
    if differing := [key for key in {**before, **now} if before.get(key) != now.get(key)]:
        raise InputError(
            f"expected the bed {name} as it was when its plan was made, found another {listed(differing)}; "
            "give another --out"
        )


def _command(bed: str, methods: Sequence[str], rules: Mapping[str, Any]) -> str:
    most = [] if rules["most_seeds"] == Rules().most_seeds else ["--most-seeds", str(rules["most_seeds"])]
    return shlex.join(["metaux", "contest", bed, "--methods", *methods, *most])


def _plain(row: Row) -> dict[str, Any]:
    return {**asdict(row), "beats_all": row.beats_all}


def _refuse(failures: Sequence[str]) -> None:
    if failures:
        raise TrainingError(summarise_failures(failures))
