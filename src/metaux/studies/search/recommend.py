"""From data and minutes to a network to use: search on validation data, then an honest test of what was found."""

import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from metaux.data.samples import LabelledData
from metaux.data.sources import is_known
from metaux.errors import InputError, TrainingError
from metaux.evidence.table import table, to_json
from metaux.protocols import resolve
from metaux.report.recorded import Recorded, Search
from metaux.report.reporting import seconds_of_report, write_report
from metaux.runs.launch import rehearse
from metaux.runs.loading import load_once
from metaux.runs.plan import check
from metaux.runs.pool import summarise_failures, train
from metaux.runs.pretrained import choose_start
from metaux.runs.progress import finishing
from metaux.runs.record import RECOMMENDED, Run, write_settings
from metaux.runs.store import claim
from metaux.runs.trial import Trial
from metaux.runs.workers import Workers
from metaux.settings import Settings, as_words, to_mapping
from metaux.studies.benchmark.measured import FIRST_SEED, same_time_as
from metaux.studies.benchmark.rules import SINGLE
from metaux.studies.search.affordable import (
    DEFAULT,
    MOST_SEARCH,
    ROWS,
    SEARCH,
    TIMING,
    Affordable,
    Candidate,
    affordable,
    make_grid,
    needed,
    suitable,
    time_epochs,
)
from metaux.studies.search.beforehand import choose_folds, lengthened, with_mirroring
from metaux.studies.search.budget import Budget
from metaux.studies.search.choice import best_first, best_single, confirm, default_run
from metaux.studies.search.conclusion import Conclusion, conclude
from metaux.studies.search.final import Outcome, classical_models, entrants, measure, on_test
from metaux.studies.search.halving import COLUMNS, Halving, best_of_each
from metaux.terminal import print_notes, print_whole
from metaux.training.timing import Cost
from metaux.words import counted, duration, listed, shell_command


def recommend(settings: Settings, minutes: float, workers: Workers, out: Path, console: Console) -> dict[str, Any]:
    """Search for what helps on this data, and test it, in the time that is given.

    Args:
        settings: the data and what all runs share; epochs are the most, if they are given; learning rate and weight
            decay are searched.
        minutes: the budget; of a command that was interrupted, the rest of it.
        workers: who does the runs.
        out: where the runs, `recommend.json` and `report.html` go.
        console: for what is affordable, progress and the verdict.

    Returns:
        The content of `recommend.json`: what was affordable, searched, measured and concluded.

    Raises:
        InputError: for bad input, or too little time for anything.
        TrainingError: if no network could be trained.
    """
    if not 0 < minutes < float("inf"):
        raise InputError(f"expected minutes above 0, found {minutes}; correct --minutes")
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
    data = load_once(replace(settings, evaluate_on="validation", train_size=None, folds=None))
    settings, note = choose_start(settings, data, out)
    print_notes([*data.notices, *([note] if note else [])], console)
    try:
        concluded = _recommend(settings, data, budget, workers, out, console)
    finally:
        if "costs" in budget.state:
            budget.note()  # the time of what was stopped on the way counts too
    again = shell_command(["metaux", "recommend", *as_words(to_mapping(settings)), "--minutes", f"{minutes:g}"])
    search = Search(COLUMNS, best_of_each(budget.state["search"]), again, budget.said)
    recorded = Recorded(concluded.runs, concluded.comparison, concluded.verdict, search=search)
    seconds = seconds_of_report(recorded.comparison.test_size)
    with finishing("writing the report", seconds, budget.spent, console):
        page = write_report(recorded, out, lambda: load_once(concluded.runs[0].trial.settings))
    console.print(f"Report: {page}", soft_wrap=True)
    return budget.state


def _recommend(
    settings: Settings, data: LabelledData, budget: Budget, workers: Workers, out: Path, console: Console
) -> Conclusion:
    folds = choose_folds(settings)
    settings = replace(settings, folds=None, fold=0)
    known, epochs = budget.state, resolve(settings).epochs
    searched = replace(settings, train_size=settings.train_size and min(settings.train_size, len(data.train)))
    costs = {name: Cost(**cost) for name, cost in known.get("costs", {}).items()}
    slower = known.get("slower", 1.0)
    search = Halving(searched, costs, out, workers, console, slower, folds)
    floor = default_run(settings, epochs)
    _train_floor(floor, settings, data, search, budget)
    single = Candidate(ROWS[SINGLE], make_grid(settings)[0], epochs)
    if "classical" not in known:
        models = classical_models(searched, data, budget, console)
        search.costs |= models
        budget.note(classical=list(models), costs=search.plain_costs())
    classical = {name: Candidate(ROWS[name], {}, epochs) for name in known["classical"]}
    confirm(search, [*classical.values()], math.inf)
    settings, single = _as_trained(settings, data, search, single, budget)
    plan = _plan(settings, data, search, budget)
    ranked = search.run(plan, budget) if plan.grid else []
    tuned = [own for own in ranked if own.row.name == SINGLE][:1]
    winner = next((own for own in ranked if own.row.name != SINGLE), None)
    confirm(search, [*tuned, *([winner] if winner else [])], budget.of_search(MOST_SEARCH))
    chosen = best_single(search, floor, [single, *tuned])
    if winner and known.get("untested"):
        winner = None
    first = on_test(settings, replace(chosen, row=ROWS[SINGLE]), search.costs[SINGLE])
    times = known.get("times") or (_seconds(search, winner) / _seconds(search, single) if winner else 1.0)
    trials = entrants(settings, search.costs, first, winner, times)
    name = winner.row.name if winner else SINGLE
    choices = {SINGLE: chosen, **classical, **({name: winner} if winner else {})}
    if longer := trials.get(same_time_as(name)):
        choices[same_time_as(name)] = replace(chosen, epochs=longer.protocol.epochs)
        confirm(search, [choices[same_time_as(name)]], budget.of_search(MOST_SEARCH))
    if chosen != floor:
        trials[DEFAULT] = on_test(settings, floor, search.costs[DEFAULT])
    trials |= {row: on_test(settings, own, search.costs[row]) for row, own in classical.items()}
    print_whole(search.table(), console)
    budget.note(search=search.records, times=times, costs=search.plain_costs(), slower=search.slower)
    outcome = measure(trials, name, search, budget)
    found = conclude(outcome, winner if name in outcome.runs else None, best_first(search, floor, choices))
    if folds:
        rows = found.verdict.row, found.network_row
        model, network = (_trained(replace(trials[row], seed=FIRST_SEED), search) for row in rows)
        found = replace(found, chosen=model, network=network)
    _hand_over(found, outcome, budget, console)
    return found


def _as_trained(
    settings: Settings, data: LabelledData, search: Halving, single: Candidate, budget: Budget
) -> tuple[Settings, Candidate]:
    """Return settings and single task with what validation data says of mirroring and of the epochs."""
    known = budget.state
    if data.kind == "image" and settings.augment == "auto" and not is_known(settings.data):
        if "augment" not in known:
            budget.note(augment=with_mirroring(search, single, budget.left))
        search.data_set = replace(search.data_set, augment=known["augment"])
        settings = replace(settings, augment=known["augment"])
    if "epochs" not in known:
        epochs = lengthened(search, single, budget) if settings.epochs is None else single.epochs
        budget.note(epochs=epochs, costs=search.plain_costs())
    return settings, replace(single, epochs=known["epochs"])


def _trained(trial: Trial, search: Halving) -> Run:
    """Return the run without cross-validation that is handed over."""
    here = search.workers.one_by_one()
    failures = train([trial], search.store, here, search.console, "what is handed over", 0.0, curve=False)
    if (run := search.store.find(trial)) is None:
        raise TrainingError(summarise_failures(failures))
    return run


def _train_floor(floor: Candidate, settings: Settings, data: LabelledData, search: Halving, budget: Budget) -> None:
    """Train single task as `metaux train` has it, in any case and first: for validation data, and for test data."""
    if "costs" not in budget.state:
        search.costs[DEFAULT], _ = rehearse(floor.row.on_validation(search.data_set), data, curve=False)
        write_settings(search.store.out, settings)
        budget.note(costs=search.plain_costs(), slower=search.slower)
    what = f"{DEFAULT}, {counted(floor.epochs, 'epoch')}: what is handed over is not below it on validation data"
    failures = search.train([floor], 1, what)
    search.record(floor, 1)
    search.costs[SINGLE] = search.costs.get(SINGLE, search.costs[DEFAULT])
    trial = on_test(settings, floor, search.costs[DEFAULT])
    if not failures and search.store.find(trial) is None:
        begin, seconds = time.perf_counter(), search.costs[DEFAULT].of(floor.epochs)
        here = search.workers.one_by_one()
        failures = train([trial], search.store, here, search.console, None, 0.0, curve=False)
        search.took(time.perf_counter() - begin, seconds, seconds)  # the first one paid for what is set up once
    if failures:
        raise TrainingError(summarise_failures(failures))
    budget.note(costs=search.plain_costs(), slower=search.slower)


def _plan(settings: Settings, data: LabelledData, search: Halving, budget: Budget) -> Affordable:
    """Return what the time that is left pays for, and say it."""
    known, rows = budget.state, suitable(data)
    if "plan" not in known:
        search.costs |= time_epochs(search.data_set, rows, data, search.costs[SINGLE], TIMING * budget.left)
        costs = {name: search.costs[name] for name in (SINGLE, *(row.name for row in rows)) if name in search.costs}
        slower = {name: Cost(search.slower * own.preparation, search.slower * own.epoch) for name, own in costs.items()}
        plan = affordable(settings, slower, known["epochs"], budget.left, search.count)
        if left_out := [name for name in costs if name not in (SINGLE, *plan.methods)]:
            least = needed(slower, left_out[:1], plan.epochs, make_grid(settings, short=True), search.count)
            budget.missed(f"a search over {listed(left_out)}", least)
        budget.note(plan=asdict(plan), begun=budget.spent, costs=search.plain_costs())
    plan = Affordable(**known["plan"])
    each = ", ".join(f"{name} {own.epoch:.2g} s" for name, own in search.costs.items() if own.epoch)
    search.console.print(f"An epoch takes: {each}.", soft_wrap=True)
    if plan.grid:
        search.console.print(
            f"The time that is left pays for a search over {listed([SINGLE, *plan.methods])}, "
            f"{counted(len(plan.grid), 'configuration')} each, runs of up to {counted(plan.epochs, 'epoch')}; about "
            f"{100 * (1 - SEARCH):.0f} % of it are kept for the test.",
            soft_wrap=True,
        )
    if refused := [row.name for row in rows if row.name not in search.costs]:
        print_notes([f"not tried, for want of time or not for such data: {listed(refused)}"], search.console)
    return plan


def _seconds(search: Halving, own: Candidate) -> float:
    return search.costs[own.row.name].of(own.epochs)


def _hand_over(found: Conclusion, outcome: Outcome, budget: Budget, console: Console) -> None:
    """Print and record what was concluded, and how to train its network again."""
    run = found.network
    how = ("--method", str(run.result["method"]), "--seed", str(run.seed))
    command = shell_command(["metaux", "train", *as_words(run.settings), *how])
    console.print(table(found.comparison, console.width))
    console.print(f"\n{found.verdict.plain}\n", style="bold")
    console.print(f"{found.verdict.says}\n")
    print_notes(budget.said, console)
    budget.note(
        minutes=budget.total / 60,
        plain=found.verdict.plain,
        verdict=found.verdict.says,
        row=found.verdict.row,
        method=found.method,
        helps=found.helps,
        command=command,
        model=str(found.chosen.folder),
        network=str(run.folder),
        comparison=to_json(found.comparison, found.verdict),
        failed=outcome.failed,
        minus={name: asdict(difference.seeds) for name, difference in found.minus.items()},
    )
    if found.chosen is not run:
        console.print(f"Trained model ({found.chosen.method}): {found.chosen.folder}", soft_wrap=True)
    console.print(
        f"Trained network: {run.folder}\nTo train it again: {command}\nThis took {duration(budget.spent)} "
        f"of {duration(budget.total)}.",
        soft_wrap=True,
    )
