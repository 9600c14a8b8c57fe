"""From data and minutes to a network to use: search on validation data, then an honest test of what was found."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from metaux.data.samples import LabelledData
from metaux.data.sources import is_known
from metaux.errors import InputError
from metaux.evidence.table import table, to_json
from metaux.files import write_json
from metaux.report.recorded import Recorded, Search
from metaux.report.reporting import write_report
from metaux.runs.loading import load_once
from metaux.runs.plan import check
from metaux.runs.pool import default_workers
from metaux.runs.reading import read_kept
from metaux.runs.record import RECOMMENDED, write_settings
from metaux.runs.store import claim
from metaux.settings import Settings, as_words, to_mapping
from metaux.studies.benchmark.rules import SINGLE
from metaux.studies.search.affordable import (
    ROWS,
    SEARCH,
    TIMING,
    Affordable,
    affordable,
    suitable,
    time_epochs,
)
from metaux.studies.search.conclusion import Conclusion, conclude
from metaux.studies.search.final import Outcome, classical_trials, entrants, measure
from metaux.studies.search.halving import COLUMNS, Halving, best_of_each
from metaux.studies.search.length import lengthened, minutes_for_longer
from metaux.studies.search.mirroring import with_mirroring
from metaux.terminal import print_notes, print_whole
from metaux.training.timing import Cost
from metaux.words import counted, duration, listed, shell_command


@dataclass(frozen=True)
class Recommendation:
    """What came of it.

    Args:
        conclusion: what the test showed, and the network to use.
        command: that trains it again.
        seconds: that all of it took, earlier calls included.
        details: what was affordable, searched and measured.
    """

    conclusion: Conclusion
    command: str
    seconds: float
    details: Mapping[str, Any]


class Budget:
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
    budget = Budget(minutes, out / RECOMMENDED)
    if settings.train_size is not None:
        load_once(settings)  # checks that there are so many; the search does with what a validation part leaves
    data = load_once(replace(settings, evaluate_on="validation", train_size=None))
    print_notes(data.notices, console)
    try:
        found = _recommend(settings, data, budget, jobs, out, console)
    finally:
        if "plan" in budget.state:
            budget.note()  # the time of what was stopped on the way counts too
    again = shell_command(["metaux", "recommend", *as_words(to_mapping(settings)), "--minutes", f"{minutes:g}"])
    search = Search(COLUMNS, best_of_each(found.details["search"]), again)
    concluded = found.conclusion
    recorded = Recorded(concluded.runs, concluded.comparison, concluded.verdict, search=search)
    page = write_report(recorded, out, lambda: load_once(settings))
    console.print(f"Report: {page}", soft_wrap=True)
    return found


def _recommend(
    settings: Settings, data: LabelledData, budget: Budget, jobs: int, out: Path, console: Console
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
    search = Halving(searched, plan, costs, out, workers, console, budget.state.get("slower", 1.0))
    if data.kind == "image" and settings.augment == "auto" and not is_known(settings.data):
        if "augment" not in budget.state:
            budget.note(augment=with_mirroring(search, budget.left))
        search.data_set = searched = replace(searched, augment=budget.state["augment"])
        settings = replace(settings, augment=budget.state["augment"])
    if settings.epochs is None and "rungs" not in budget.state:
        search.plan = plan = lengthened(search, lambda: budget.left)
        budget.note(plan=asdict(plan), minutes_for_longer=minutes_for_longer(search))
    # Once the test has begun, more minutes are for more seeds: the search is over.
    over = "times" in budget.state
    ranked = search.run(
        lambda share: 0 if over else share * budget.total - budget.spent, budget.state.get("rungs", 0), budget.note
    )
    print_whole(search.table(), console)
    single = next(candidate for candidate in ranked if candidate.row.name == SINGLE)
    winner = next((candidate for candidate in ranked if candidate.row.name != SINGLE), None)
    times = budget.state.get("times") or (search.seconds(winner) / search.seconds(single) if winner else 1.0)
    budget.note(search=search.records, times=times)
    trials = entrants(
        settings, plan, costs, single, winner, times, classical_trials(settings, data, budget.total, console)
    )
    method = winner.row.method if winner else SINGLE
    outcome = measure(trials, method, search, lambda: budget.left, budget.state.get("tried", ()), budget.note)
    return _hand_over(conclude(outcome, winner, _longer_runs(budget)), outcome, budget, console)


def _say(plan: Affordable, costs: Mapping[str, Cost], minutes: float, console: Console) -> None:
    each = ", ".join(f"{name} {cost.epoch:.2g} s" for name, cost in costs.items())
    console.print(
        f"An epoch takes: {each}. {duration(60 * minutes)} pay for a search over "
        f"{listed(['single task', *plan.methods])}, {counted(len(plan.grid), 'configuration')} each, with runs of up "
        f"to {counted(plan.epochs, 'epoch')}; about {100 * (1 - SEARCH):.0f} % are kept to test the winner.",
        soft_wrap=True,
    )


def _longer_runs(budget: Budget) -> str:
    """Return what would give all methods longer runs, where these minutes do not."""
    minutes = budget.state.get("minutes_for_longer", 0)
    if minutes <= budget.total / 60:
        return ""
    twice = counted(2 * budget.state["plan"]["epochs"], "epoch")
    return f"with --minutes {minutes} and another --out, all methods would have the time for {twice}"


def _hand_over(found: Conclusion, outcome: Outcome, budget: Budget, console: Console) -> Recommendation:
    """Print and record what was concluded, and how to train its network again."""
    run = found.network
    how = ("--method", str(run.result["method"]), "--seed", str(run.seed))
    command = shell_command(["metaux", "train", *as_words(run.settings), *how])
    console.print(table(found.comparison, console.width))
    console.print(f"\n{found.verdict.says}\n", style="bold")
    budget.note(
        minutes=budget.total / 60,
        verdict=found.verdict.says,
        method=found.method,
        helps=found.helps,
        command=command,
        model=str(found.chosen.folder),
        network=str(run.folder),
        comparison=to_json(found.comparison, found.verdict),
        failed=outcome.failed,
        minus={name: asdict(difference.seeds) for name, difference in found.minus.items()},
    )
    took = f"This took {duration(budget.spent)} of {duration(budget.total)}."
    if found.chosen is not run:
        console.print(f"Trained model ({found.chosen.method}): {found.chosen.folder}", soft_wrap=True)
    console.print(f"Trained network: {run.folder}\nTo train it again: {command}\n{took}", soft_wrap=True)
    return Recommendation(found, command, budget.spent, budget.state)
