"""From data and minutes to a network to use: search on validation data, then an honest test of what was found."""

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from metaux.data.samples import LabelledData
from metaux.errors import InputError
from metaux.evidence.comparison import Comparison, Difference, difference
from metaux.evidence.intervals import difference_in_points
from metaux.evidence.table import table, to_json
from metaux.evidence.verdict import verdict
from metaux.files import write_json
from metaux.labels.sources import baselines, entry
from metaux.report.recorded import Recorded, Search
from metaux.report.reporting import write_report
from metaux.runs.loading import load_once
from metaux.runs.plan import check
from metaux.runs.pool import default_workers
from metaux.runs.record import RECOMMENDED, Run, write_settings
from metaux.runs.store import claim
from metaux.settings import Settings, as_words, to_mapping
from metaux.studies.benchmark.measured import EQUAL_COMPUTE, SHUFFLED
from metaux.studies.benchmark.rules import SINGLE
from metaux.studies.kept import read_kept
from metaux.studies.search.affordable import (
    ROWS,
    SEARCH,
    TIMING,
    Affordable,
    Candidate,
    affordable,
    suitable,
    time_epochs,
)
from metaux.studies.search.final import Outcome, entrants, measure
from metaux.studies.search.halving import COLUMNS, Race, best_of_each
from metaux.studies.search.length import lengthened, minutes_for_longer
from metaux.terminal import print_notes, print_whole
from metaux.training.timing import Cost
from metaux.words import counted, duration, listed

OWN_SHUFFLED = "its own labels, shuffled"
_SINGLE_TASK = "use single task, tuned"
# What tuning changes; the table's rows differ in it.
_TUNED = ("learning_rate", "weight_decay", "evaluate_on")


@dataclass(frozen=True)
class Recommendation:
    """What came of it.

    Args:
        method: the label source to use; `single` where nothing helps.
        helps: whether a method is above single task and every control, and not below single task trained as long.
        says: the verdict, with its uncertainty.
        folder: of the trained network.
        command: that trains it again.
        runs: of the test, by the method that the comparison calls them.
        comparison: of them.
        seconds: that all of it took, earlier calls included.
        details: what was affordable, searched and measured.
    """

    method: str
    helps: bool
    says: str
    folder: Path
    command: str
    runs: Sequence[Run]
    comparison: Comparison
    seconds: float
    details: Mapping[str, Any]


class _Budget:
    """The seconds that there are, and what earlier calls of the same command have spent of them."""

    def __init__(self, minutes: float, path: Path):
        self.path, self.total = path, 60 * minutes
        self.state = read_kept(path, plan=dict, costs=dict, seconds=float)
        self.concluded = self.state.get("minutes") == self.total / 60
        self.before, self.start = float(self.state.get("seconds", 0.0)), time.perf_counter()

    @property
    def spent(self) -> float:
        """The seconds that were spent; to look at a result once more costs none."""
        return self.before if self.concluded else self.before + time.perf_counter() - self.start

    @property
    def left(self) -> float:
        """The seconds that are left; none once the same minutes have come to their end."""
        return 0 if self.concluded else self.total - self.spent

    def note(self, **values: Any) -> None:
        """Record what is known, with the time that it took."""
        self.state |= {**values, "seconds": self.spent}
        write_json(self.path, self.state)


def recommend(settings: Settings, minutes: float, jobs: int, out: Path, console: Console) -> Recommendation:
    """Search for what helps on this data, and test it, in the time that is given.

    Args:
        settings: the data and what all runs share; epochs are the most, if they are given; learning rate and weight
            decay are searched.
        minutes: the budget; of a command that was interrupted, the rest of it.
        jobs: runs side by side; 0 for as many as suit the machine.
        out: where the runs, `recommend.json` and `report.html` go.
        console: for what is affordable, progress and the verdict.

    Raises:
        InputError: for bad input, or too little time for anything.
        TrainingError: if no network could be trained.
    """
    if not 0 < minutes < float("inf") or jobs < 0:
        raise InputError(f"expected minutes above 0, found {minutes}, and 0 jobs or more, found {jobs}; correct that")
    if settings.evaluate_on != "test":
        raise InputError(
            f"expected a test part to measure the winner on, found --evaluate-on {settings.evaluate_on}; leave it out "
            "(the search is on validation data in any case)"
        )
    check(settings)
    claim(out, settings)
    if (out / "runs").is_dir() and not (out / RECOMMENDED).is_file():
        raise InputError(
            f"expected a new folder or one of an earlier search at '{out}', found runs; give another --out"
        )
    budget = _Budget(minutes, out / RECOMMENDED)
    if settings.train_size is not None:
        load_once(settings)  # checks that there are so many; the search does with what a validation part leaves
    data = load_once(replace(settings, evaluate_on="validation", train_size=None))
    print_notes(data.notices, console)
    try:
        found = _recommend(settings, data, budget, jobs, out, console)
    finally:
        if "plan" in budget.state:
            budget.note()  # the time of what was stopped on the way counts too
    again = shlex.join(["metaux", "recommend", *as_words(to_mapping(settings)), "--minutes", f"{minutes:g}"])
    search = Search(found.says, COLUMNS, best_of_each(found.details["search"]), again)
    page = write_report(Recorded(found.runs, found.comparison, search=search), out, lambda: load_once(settings))
    console.print(f"Report: {page}", soft_wrap=True)
    return found


def _recommend(
    settings: Settings, data: LabelledData, budget: _Budget, jobs: int, out: Path, console: Console
) -> Recommendation:
    workers = jobs or default_workers(settings)
    searched = replace(settings, train_size=settings.train_size and min(settings.train_size, len(data.train)))
    if "plan" not in budget.state:
        costs = time_epochs(searched, [ROWS[SINGLE], *suitable(data)], data, TIMING * budget.total)
        plan = affordable(settings, costs, budget.total - budget.spent, workers)
        write_settings(out, settings)
        budget.note(plan=asdict(plan), costs={name: asdict(cost) for name, cost in costs.items()})
    costs = {name: Cost(**cost) for name, cost in budget.state["costs"].items()}
    known = budget.state["plan"]
    plan = Affordable(known["epochs"], tuple(known["methods"]), tuple(known["grid"]))
    _say(plan, costs, budget.total / 60, console)
    left_out = [row.name for row in suitable(data) if row.name not in plan.methods]
    print_notes([f"not tried, for want of time or not for such data: {listed(left_out)}"] if left_out else [], console)
    race = Race(searched, plan, costs, out, workers, console, budget.state.get("slower", 1.0))
    if settings.epochs is None and "rungs" not in budget.state:
        race.plan = plan = lengthened(race, lambda: budget.left)
        budget.note(plan=asdict(plan), minutes_for_longer=minutes_for_longer(race))
    # Once the test has begun, more minutes are for more seeds: the search is over.
    over = "times" in budget.state
    ranked = race.run(
        lambda share: 0 if over else share * budget.total - budget.spent, budget.state.get("rungs", 0), budget.note
    )
    print_whole(race.table(), console)
    single = next(candidate for candidate in ranked if candidate.row.name == SINGLE)
    winner = next((candidate for candidate in ranked if candidate.row.name != SINGLE), None)
    times = budget.state.get("times") or (race.seconds(winner) / race.seconds(single) if winner else 1.0)
    budget.note(search=race.records, times=times)
    trials = entrants(settings, plan, costs, single, winner, times)
    method = winner.row.method if winner else SINGLE
    outcome = measure(trials, method, race, lambda: budget.left, budget.state.get("tried", ()), budget.note)
    return _conclude(outcome, winner, budget, console)


def _say(plan: Affordable, costs: Mapping[str, Cost], minutes: float, console: Console) -> None:
    each = ", ".join(f"{name} {cost.epoch:.2g} s" for name, cost in costs.items())
    console.print(
        f"An epoch takes: {each}. {duration(60 * minutes)} pay for a search over "
        f"{listed(['single task', *plan.methods])}, {counted(len(plan.grid), 'configuration')} each, with runs of up "
        f"to {counted(plan.epochs, 'epoch')}; about {100 * (1 - SEARCH):.0f} % are kept to test the winner.",
        soft_wrap=True,
    )


def _conclude(outcome: Outcome, winner: Candidate | None, budget: _Budget, console: Console) -> Recommendation:
    """Say what the numbers support, and which network to use."""
    runs, name = outcome.runs, winner.row.method if winner else SINGLE
    own = runs.get(name, ())
    labelled = [run.labelled(row) for row in (*baselines(name), name) for run in runs.get(row, ())]
    comparison = Comparison.of(labelled, vary={*_TUNED, *(winner.row.changes if winner else ())})
    row = comparison.row(name)
    minus: dict[str, Difference] = {}
    if found := difference(own, runs.get(entry(name).shuffled or SHUFFLED, ())):
        minus[OWN_SHUFFLED] = found
    gains = winner is not None and row is not None and comparison.gain(row)
    lost = any(name in rows for rows in outcome.failed.values())
    helps = gains and all(found.above for found in minus.values()) and not lost
    method = name if helps else SINGLE
    if winner is not None and helps:
        use = f"Use {winner.row.in_words()}"
    elif not gains:
        use = f"Nothing is shown to help here: {_SINGLE_TASK}"
    elif lost:
        use = f"What cannot be trained with every seed is not recommended: {_SINGLE_TASK}"
    else:
        use = (
            f"{name} is not shown to beat {OWN_SHUFFLED}, so what they say of a sample is not shown to help: "
            f"{_SINGLE_TASK}"
        )
    chosen = runs[method][0]
    longer = runs.get(f"{EQUAL_COMPUTE} {name}", ())
    if found := difference(own, longer):
        epochs = counted(len(longer[0].epochs), "epoch")
        minus[f"single task for the same time, {epochs}"] = found
        better = difference(longer, runs[method])
        if better is not None and better.above:
            method, helps, chosen = SINGLE, False, longer[0]
            use = f"More training helps more here: {_SINGLE_TASK}, for {epochs}"
            if (minutes := budget.state.get("minutes_for_longer", 0)) > budget.total / 60:
                twice = counted(2 * budget.state["plan"]["epochs"], "epoch")
                use += f"; with --minutes {minutes} and another --out, all methods would have the time for {twice}"
    says = verdict(comparison) if own else f"{name} is not judged: no seed has all runs."
    if winner is None:
        says = "No method could be trained on this data beside single task."
    says += "".join(f" {name} minus {other}: {difference_in_points(own.seeds)}." for other, own in minus.items())
    if outcome.failed:
        names = listed(sorted({row for rows in outcome.failed.values() for row in rows}))
        says += f" {counted(len(outcome.failed), 'seed')} could not be used, since {names} could not be trained."
    says += f" {use}."
    how = ("--method", str(chosen.result["method"]), "--seed", str(chosen.seed))
    command = shlex.join(["metaux", "train", *as_words(chosen.settings), *how])
    console.print(table(comparison))
    console.print(f"\n{says}\n", style="bold")
    details = {
        "minutes": budget.total / 60,
        "verdict": says,
        "method": method,
        "helps": helps,
        "command": command,
        "model": str(chosen.folder),
        "comparison": to_json(comparison),
        "failed": outcome.failed,
        "minus": {other: asdict(own.seeds) for other, own in minus.items()},
    }
    budget.note(**details)
    took = f"This took {duration(budget.spent)} of {duration(budget.total)}."
    console.print(f"Trained network: {chosen.folder}\nTo train it again: {command}\n{took}", soft_wrap=True)
    return Recommendation(method, helps, says, chosen.folder, command, labelled, comparison, budget.spent, budget.state)
