"""The benchmark from tuning to table: what is there is used, what is missing is trained, what was decided stays."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console

from metaux.data.samples import LabelledData
from metaux.errors import InputError, TrainingError
from metaux.evidence.comparison import Comparison
from metaux.evidence.table import table, to_csv, to_json
from metaux.evidence.verdict import judge
from metaux.files import write_json, write_text_atomic
from metaux.runs.launch import rehearse
from metaux.runs.loading import load_once
from metaux.runs.plan import check, make_plan
from metaux.runs.pool import longest_first, summarise_failures, train
from metaux.runs.reading import read_kept
from metaux.runs.store import PLACES, Store, check_writable
from metaux.runs.trial import Trial
from metaux.runs.workers import Workers
from metaux.settings import Settings, changed
from metaux.studies.benchmark.alternatives import alternatives, alternatives_table
from metaux.studies.benchmark.measured import measured, planned, shuffled
from metaux.studies.benchmark.plan import best, decide, longer, pilot, planned_values, tried, tuning
from metaux.studies.benchmark.rules import ENTRANTS, HUMAN, SINGLE, TUNED, Entrant, Rules
from metaux.terminal import make_table, print_notes, print_whole
from metaux.words import listed, percent, shell_command

Stage = Literal["tune", "plan", "test"]
PLAN, RESULT, TABLE = "plan.json", "benchmark.json", "benchmark.csv"
# What the result was called before.
_EARLIER_RESULT = "contest.json"


def benchmark(
    data_sets: Mapping[str, Settings],
    entrants: Sequence[Entrant],
    rules: Rules,
    out: Path,
    workers: Workers,
    stage: Stage,
    console: Console,
) -> dict[str, Comparison]:
    """Tune every row alike on validation data, fix the number of seeds, then measure on test data.

    Args:
        data_sets: settings by name.
        entrants: the rows, single task first.
        rules: the same for all.
        out: where the runs go, and a folder for each data set; `plan.json` in it is written before its first test run,
            and what it says is not decided again: the rows in it are neither tuned nor piloted any more.
        workers: who does the runs.
        stage: how far to go: `tune`, `plan` (the number of seeds is fixed), or `test`.
        console: for progress and tables.

    Returns:
        The comparison on each data set; none before the last stage.

    Raises:
        InputError: for bad input, before anything is trained.
        TrainingError: if single task could not be trained, or a run of a tuned configuration could not be finished.
    """
    _check(data_sets, rules, out)
    store = Store(out)
    each = [_OnDataSet(name, settings, entrants, rules, store) for name, settings in data_sets.items()]
    for own in each:
        own.folder.mkdir(parents=True, exist_ok=True)

    def work(trials: Sequence[Trial], what: str) -> list[str]:
        return train(longest_first(trials), store, workers, console, what, curve=False)

    print_notes([f"{own.name}: {note}" for own in each for note in own.notes], console)
    # A configuration that diverges is one that is not chosen.
    refused = work([trial for own in each for trial in own.tuning()], "tuning on validation data")
    for own in each:
        own.choose(refused)
    if refused:
        print_notes([summarise_failures(refused)], console)
    if stage == "tune":
        for own in each:
            own.say_tuned(console)
        return {}
    failures = work([trial for own in each for trial in own.pilots()], "pilot on validation data")
    for own in each:
        own.decide(console)
    if stage == "plan":
        _refuse(failures)
        return {}
    failures += work([trial for own in each for trial in own.tests()], "test")
    if store.missing(trial for own in each for trial in own.trials[SINGLE]):
        _refuse(failures)
    failures += work([trial for own in each for trial in own.shuffled()], "shuffled labels, test")
    comparisons = {own.name: own.compare(console) for own in each}
    _refuse(failures)
    return comparisons


def _check(data_sets: Mapping[str, Settings], rules: Rules, out: Path) -> None:
    if rules.most_seeds < rules.least_seeds:
        raise InputError(f"expected {rules.least_seeds} seeds or more, found {rules.most_seeds}; correct --most-seeds")
    check_writable(out)
    for settings in data_sets.values():
        check(settings)


class _OnDataSet:
    """The benchmark on one data set, stage by stage.

    Attributes:
        notes: in words, what cannot run on this data, or is not as it was asked for.
        trials: the runs on test data of each row, once they are planned.
    """

    def __init__(self, name: str, settings: Settings, entrants: Sequence[Entrant], rules: Rules, store: Store):
        self.name, self.settings, self.rules, self.store = name, settings, rules, store
        self.folder = store.out / name
        self.notes: list[str] = []
        entries = self._that_can_run(entrants)
        self.classical = [row for row in entries if row.classical]
        self.entries = [row for row in entries if not row.classical]
        self.plan = read_kept(self.folder / PLAN, seeds=int, why=str, rows=dict)
        self.planned = bool(self.plan)
        self.result = read_kept(self.folder / RESULT) or read_kept(self.folder / _EARLIER_RESULT)
        # Those by which the plan was made stay with it.
        self.made_by: Mapping[str, Any] = (self.result.get("rules") if self.planned else None) or asdict(rules)
        if self.planned:
            self._check_same()
            if self.made_by["most_seeds"] != rules.most_seeds:
                self.notes.append(f"the number of seeds stays as {PLAN} has it: --most-seeds comes too late")
        self.chosen = planned_values(self.plan)
        self.undecided = [row for row in self.entries if row.name not in self.chosen]
        self.tuned: dict[str, list[dict[str, Any]]] = {}
        self.trials: dict[str, list[Trial]] = {}

    def tuning(self) -> list[Trial]:
        """Return the runs of every configuration of the rows that are not in the plan."""
        return [trial for row in self.undecided for own in tuning(self.settings, row, self.rules) for trial in own]

    def choose(self, refused: Sequence[str]) -> None:
        """Choose the best configuration of each row; a row of which none came to its end is left out.

        Raises:
            TrainingError: if that is single task.
        """
        found = {row.name: tried(self.settings, row, self.rules, self.store) for row in self.undecided}
        self.chosen |= {name: values for name, own in found.items() if (values := best(own))}
        if SINGLE not in self.chosen:
            raise TrainingError(f"single task could not be trained on {self.name}: {summarise_failures(refused)}")
        self.notes += [f"{row.name} could not be trained" for row in self.entries if row.name not in self.chosen]
        self.entries = [row for row in self.entries if row.name in self.chosen]
        self.tuned = {name: own for name, own in found.items() if name in self.chosen}
        self._write({"tuning": {**self.result.get("tuning", {}), **self.tuned}})

    def say_tuned(self, console: Console) -> None:
        """Print what each configuration reached, and which was chosen."""
        if not self.tuned:
            console.print(f"{self.name}: every row was tuned before ({PLAN})", soft_wrap=True)
            return
        rows = [
            (
                row,
                *(f"{self.chosen[row][value]:g}" for value in TUNED),
                " ".join("–" if own["accuracy"] is None else percent(own["accuracy"]) for own in configurations),
            )
            for row, configurations in self.tuned.items()
        ]
        columns = ("row", *(value.replace("_", " ") for value in TUNED), "validation accuracy of each configuration")
        console.print(make_table(columns, rows, self.name))

    def pilots(self) -> list[Trial]:
        """Return the runs on validation data from whose spread the number of seeds follows."""
        rows = [row for row in self.entries if self.tuned and (row.name in self.tuned or row.name == SINGLE)]
        return [t for row in rows for t in pilot(self.settings, row, self.chosen[row.name], self.rules)]

    def decide(self, console: Console) -> None:
        """Fix the number of seeds, write the plan, and list the runs on test data that it asks for."""
        earlier = dict(self.plan)
        self.plan = decide(self.settings, self.entries, self.chosen, self.rules, self.store, self.plan or None)
        # The rows of earlier calls too, in the order of all rows.
        own = [row for row in ENTRANTS if row.name in self.plan["rows"]]
        self.known = [*own, *(row for row in self.entries if row not in ENTRANTS)]
        self.plan["longer"] = longer(self.known, self.plan, self.rules)
        if self.plan != earlier:
            write_json(self.folder / PLAN, self.plan)
        console.print(f"{self.name}: {self.plan['seeds']} seeds: {self.plan['why']}", soft_wrap=True)
        self.trials = planned(self.settings, self.known, self.plan)
        named, self.classical = self.classical, []
        for row in filter(lambda row: row.classical, ENTRANTS):
            trials = [Trial(self.settings, row.method, trial.seed) for trial in self.trials[SINGLE]]
            if row in named or self.store.find(trials[0]):  # those of earlier calls too
                self.classical.append(row)
                self.trials[row.name] = trials

    def tests(self) -> list[Trial]:
        """Return the runs on test data of the rows that are named now; of others, what is there is used."""
        earlier_only = {row.name for row in self.known} - {row.name for row in self.entries}
        return [trial for row, own in self.trials.items() if row not in earlier_only for trial in own]

    def shuffled(self) -> list[Trial]:
        """Return the controls that learn a method's labels, shuffled, once the method's runs are there."""
        found = shuffled(self.known, self.trials, self.store)
        self.trials |= found
        return [trial for own in found.values() for trial in own]

    def compare(self, console: Console) -> Comparison:
        """Compare the rows, write the result, and print it."""
        rows = [*self.known, *self.classical]
        comparison = measured(rows, self.trials, self.store)
        verdict = judge(comparison)
        command = self._command([row.name for row in rows if row.role != "control"])
        plain = to_json(comparison, verdict)
        self._write({"command": command, "plan": self.plan, "verdict": verdict.says, "table": plain["rows"]})
        write_text_atomic(self.folder / TABLE, to_csv(comparison, whole=True))
        console.print(table(comparison, console.width))
        if instead := alternatives(comparison):
            print_whole(alternatives_table(self.name, instead), console)
        console.print(f"{verdict.says}\n", soft_wrap=True)
        return comparison

    def _that_can_run(self, entrants: Sequence[Entrant]) -> list[Entrant]:
        """Return the rows that can run on this data, and note why others cannot."""
        data = load_once(self.settings)
        why = {row.name: self._why_not(row, data) for row in entrants}
        self.notes += [*data.notices, *(f"{name}: not run: {own}" for name, own in why.items() if own)]
        return [row for row in entrants if not why[row.name]]

    def _why_not(self, row: Entrant, data: LabelledData) -> str:
        if data.kind not in row.kinds:
            return f"for {listed(row.kinds)} data, this is {data.kind}"
        if row.method == HUMAN and data.train.human is None:
            return "no human sub-classes"
        if not row.pretrained:
            return ""
        # Its package may not be installed, or its weights can't be fetched.
        settings = replace(self.settings, **row.changes)
        try:
            if row.classical:
                rehearse(Trial(settings, row.method, 0), data)
                return ""
            check(settings)
            features = make_plan(Trial(settings, SINGLE, 0), data).features
            if features is not None:
                features(data.train.take(torch.arange(1)))
        except InputError as error:
            return str(error)
        return ""

    def _check_same(self) -> None:
        """Raise `InputError` if the plan was made for another data set of that name."""
        now = changed(self.settings, PLACES)
        before = {key: v for key, v in self.result.get("settings", now).items() if key not in PLACES}
        if differing := [key for key in {**before, **now} if before.get(key) != now.get(key)]:
            raise InputError(
                f"expected the data set {self.name} as it was when its plan was made, found another "
                f"{listed(differing)}; give another --out"
            )

    def _write(self, content: Mapping[str, Any]) -> None:
        """Write what is known so far; what was known before stays."""
        self.result |= {
            "data_set": self.name,
            "settings": changed(self.settings, ["root"]),
            "rules": self.made_by,
            "versions": {package: version(package) for package in ("metaux", "torch", "numpy", "scikit-learn")},
            "notes": self.notes,
            **content,
        }
        write_json(self.folder / RESULT, self.result)

    def _command(self, methods: Sequence[str]) -> str:
        most = self.made_by["most_seeds"]
        more = [] if most == Rules().most_seeds else ["--most-seeds", str(most)]
        return shell_command(["metaux", "benchmark", self.name, "--methods", *methods, *more])


def _refuse(failures: Sequence[str]) -> None:
    if failures:
        raise TrainingError(summarise_failures(failures))
