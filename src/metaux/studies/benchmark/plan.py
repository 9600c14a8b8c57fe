"""What is decided on validation data, and written down before any test sample is looked at."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from metaux.evidence.statistics import seeds_needed
from metaux.protocols import resolve
from metaux.runs.length import Reached
from metaux.runs.record import Run
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.studies.benchmark.rules import SINGLE, TUNED, Entrant, Rules
from metaux.words import counted, percent


def tuning(data_set: Settings, entrant: Entrant, rules: Rules) -> list[list[Trial]]:
    """Return for each configuration of the grid its runs."""
    return [
        _of_seeds(entrant.on_validation(data_set, **values), rules.tuning_seeds) for values in rules.grid_of(data_set)
    ]


def tried(data_set: Settings, entrant: Entrant, rules: Rules, store: Store) -> list[dict[str, Any]]:
    """Return what each configuration reached on validation data: none, where a run of it did not come to its end."""
    found: list[dict[str, Any]] = []
    for values, trials in zip(rules.grid_of(data_set), tuning(data_set, entrant, rules), strict=True):
        runs = store.found(trials)
        reached = asdict(Reached.of(runs)) if len(runs) == len(trials) else {"accuracy": None, "loss": None}
        found.append({**values, **reached})
    return found


def best(configurations: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Return the most accurate configuration, of equal ones that of the lower loss; None if none came to its end.

    >>> rates = {"learning_rate": 0.1, "weight_decay": 1}, {"learning_rate": 0.1, "weight_decay": 2}
    >>> best([{**rates[0], "accuracy": 0.8, "loss": 0.5}, {**rates[1], "accuracy": 0.8, "loss": 0.4}])
    {'learning_rate': 0.1, 'weight_decay': 2}
    """
    whole = [values for values in configurations if values["accuracy"] is not None]
    chosen = max(whole, key=lambda values: (values["accuracy"], -values["loss"]), default=None)
    return None if chosen is None else {name: chosen[name] for name in TUNED}


def planned_values(plan: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the tuned values of each row of a plan; none of an empty one.

    >>> planned_values({"rows": {"single": {"learning_rate": 0.1, "weight_decay": 0.01, "cost": 1.0}}})
    {'single': {'learning_rate': 0.1, 'weight_decay': 0.01}}
    """
    return {name: {value: own[value] for value in TUNED} for name, own in plan.get("rows", {}).items()}


def pilot(data_set: Settings, entrant: Entrant, chosen: Mapping[str, float], rules: Rules) -> list[Trial]:
    """Return the runs of the chosen configuration on validation data, from which the spread is seen."""
    return _of_seeds(entrant.on_validation(data_set, **chosen), rules.pilot_seeds)


def decide(
    data_set: Settings,
    entrants: Sequence[Entrant],
    chosen: Mapping[str, dict[str, float]],
    rules: Rules,
    store: Store,
    earlier: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the plan of the measurement on test data.

    Args:
        data_set: its settings.
        entrants: the rows.
        chosen: the tuned values of each.
        rules: of the benchmark.
        store: where the runs are.
        earlier: a plan that was written before, for some of the rows; what it says stays.
    """
    runs = {
        row.name: {run.seed: run for run in store.found(pilot(data_set, row, chosen[row.name], rules))}
        for row in entrants
    }
    single, epochs = runs[SINGLE], resolve(data_set).epochs
    rows: dict[str, Any] = dict(earlier["rows"]) if earlier else {}
    for row in entrants:
        own = runs[row.name]
        if row.name in rows or not own:
            continue
        differences = [run.accuracy - single[seed].accuracy for seed, run in own.items() if seed in single]
        cost = _seconds_of(own.values()) / _seconds_of(single.values())
        rows[row.name] = {
            **chosen[row.name],
            "validation_accuracies": [run.accuracy for run in own.values()],
            "minus_single": differences if row.name != SINGLE else [],
            "cost": cost,
            "epochs_of_equal_compute": max(epochs, round(epochs * cost)),
        }
    if earlier:
        return {**earlier, "rows": rows}
    methods = [row.name for row in entrants if row.role == "method" and row.name in rows]
    spreads = [
        statistics.variance(rows[name]["minus_single"])
        for name in methods or [name for name in rows if name != SINGLE]
        if len(rows[name]["minus_single"]) > 1
    ]
    return {**_seeds(statistics.fmean(spreads) ** 0.5 if spreads else None, rules), "rows": rows}


def longer(entrants: Sequence[Entrant], plan: Mapping[str, Any], rules: Rules) -> list[str]:
    """Return the methods for whose cost single task is trained longer: the best on validation data.

    Those that were so when fewer rows had been planned stay.
    """
    methods = [row.name for row in entrants if row.role == "method" and row.name in plan["rows"]]
    mean = {name: statistics.fmean(plan["rows"][name]["validation_accuracies"]) for name in methods}
    best = sorted(methods, key=lambda name: -mean[name])[: rules.finalists]
    return list(dict.fromkeys([*plan.get("longer", []), *best]))


def _seeds(deviation: float | None, rules: Rules) -> dict[str, Any]:
    """Return how many seeds test data is measured with, and why."""
    bounds = f"at least {rules.least_seeds}, at most {rules.most_seeds}"
    if deviation is None:
        seeds, why = rules.most_seeds, f"no spread is known: the most that the rules allow ({bounds})"
        return {"seeds": seeds, "needed": None, "deviation": None, "why": why}
    needed = seeds_needed(deviation, rules.effect)
    why = (
        "paired differences to single task on validation data have a standard deviation of "
        f"{percent(deviation)} points (pooled over methods, {counted(rules.pilot_seeds, 'seed')} each): "
        f"{counted(needed, 'seed')} would show {percent(rules.effect)} points with power 0.8 at 5 % two-sided; {bounds}"
    )
    seeds = min(max(needed, rules.least_seeds), rules.most_seeds)
    return {"seeds": seeds, "needed": needed, "deviation": deviation, "why": why}


def _of_seeds(first: Trial, count: int) -> list[Trial]:
    return [replace(first, seed=seed) for seed in range(count)]


def _seconds_of(runs: Iterable[Run]) -> float:
    return statistics.median(run.training_seconds for run in runs)
