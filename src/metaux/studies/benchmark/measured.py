"""The runs on test data: which there are, and the rows that come of them."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from metaux.evidence.comparison import Comparison
from metaux.evidence.contender import Contender, Result
from metaux.labels.sources import ON_SPLIT, REFERENCES
from metaux.runs.record import Run
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.studies.benchmark.plan import planned_values
from metaux.studies.benchmark.rules import SINGLE, Entrant
from metaux.training.evaluate import class_recalls

# Apart from the seeds that anything was chosen with.
FIRST_SEED = 100
SECOND_NETWORK = 1000
ENSEMBLE = "ensemble of two"
SHUFFLED = "shuffled"


def same_time_as(name: str) -> str:
    """Return what the row is called that is single task with the epochs that another row costs.

    >>> same_time_as("maxl")
    'single, compute of maxl'
    """
    return f"{SINGLE}, compute of {name}"


def shuffled_of(name: str) -> str:
    """Return what the row is called that learns another row's labels, shuffled.

    >>> shuffled_of("maxl")
    'maxl, shuffled'
    """
    return f"{name}, {SHUFFLED}"


def planned(data_set: Settings, entrants: Sequence[Entrant], plan: Mapping[str, Any]) -> dict[str, list[Trial]]:
    """Return the runs on test data of each row, but for those that need another's labels."""
    found: dict[str, list[Trial]] = {}
    seeds = range(FIRST_SEED, FIRST_SEED + plan["seeds"])
    tuned = planned_values(plan)
    for row in entrants:
        if row.name in tuned:
            first = replace(row.trial(data_set, **tuned[row.name]), seconds=plan["rows"][row.name]["cost"])
            found[row.name] = [replace(first, seed=seed) for seed in seeds]
    single = found[SINGLE]
    for name in plan["longer"]:
        epochs = plan["rows"][name]["epochs_of_equal_compute"]
        if plan["rows"][name]["cost"] > 1 and (longer := [trial.changed(epochs=epochs) for trial in single]) != single:
            found[same_time_as(name)] = longer
    # The same samples for both networks: an ensemble's gain must not be that of more data.
    found[ENSEMBLE] = [
        Trial(trial.changed(train_seed=trial.seed).settings, trial.method, trial.seed + SECOND_NETWORK)
        for trial in single
    ]
    return found


def shuffled(
    entrants: Iterable[Entrant], trials: Mapping[str, Sequence[Trial]], store: Store
) -> dict[str, list[Trial]]:
    """Return the control of each method whose labels are recorded: another sample's label of the same class."""
    found: dict[str, list[Trial]] = {}
    for row in entrants:
        if (row.role == "method" or row.pretrained) and row.name in trials:
            runs = [(trial, run) for trial in trials[row.name] if (run := store.find(trial)) is not None]
            if runs and all("train_labels" in run.outputs() for _, run in runs):
                found[shuffled_of(row.name)] = [shuffled_labels(trial, run) for trial, run in runs]
    return found


def shuffled_labels(trial: Trial, run: Run) -> Trial:
    """Return the control of a run whose labels are recorded, on the samples that have one.

    Those of a meta split have none: the control gives them up as well, so that both learn the same samples' classes.
    """
    method = ON_SPLIT[SHUFFLED] if "meta_ids" in run.outputs() else SHUFFLED
    return Trial(trial.changed(labels=str(run.folder)).settings, method, trial.seed)


def measured(
    entrants: Sequence[Entrant],
    trials: Mapping[str, Sequence[Trial]],
    store: Store,
) -> Comparison:
    """Return what each row reached, in the order of the table: baselines, then each row above its shuffled labels.

    Args:
        entrants: the rows, single task first.
        trials: their runs, and those of the rows that follow from them.
        store: where the runs are.
    """
    runs = {name: store.found(own) for name, own in trials.items()}
    results = {name: [Result.of(run) for run in own] for name, own in runs.items()}
    results[ENSEMBLE] = _ensembles(runs[SINGLE], runs[ENSEMBLE])
    by_name = {row.name: row for row in entrants}
    beside = [name for row in entrants for name in (row.name, shuffled_of(row.name))]
    order = [SINGLE, *sorted(results.keys() - set(beside)), *beside]
    contenders = [  # a row's shuffled labels may be an entrant of their own
        contender(name, results.get(name, ()), by_name.get(name), results) for name in dict.fromkeys(order)
    ]
    return Comparison.of(contenders, runs[SINGLE])


def contender(name: str, results: Sequence[Result], entrant: Entrant | None, rows: Container[str]) -> Contender:
    """Return a row of the table: what it has to beat are the references, its own controls and its shuffled labels.

    Single task alone is what a classical model has to beat, and what is no entrant, such as longer training.

    Args:
        name: of the row.
        results: one for each seed.
        entrant: that it is; None if it is none.
        rows: the names of all rows that there are.
    """
    if entrant is None:
        return Contender(name, results, "control", (SINGLE,))
    references = (SINGLE,) if entrant.classical else REFERENCES
    others = (*references, *entrant.controls, *([shuffled_of(name)] if shuffled_of(name) in rows else []))
    return Contender(name, results, entrant.role, tuple(other for other in dict.fromkeys(others) if other != name))


def _ensembles(first: Sequence[Run], second: Sequence[Run]) -> list[Result]:
    """Return what pairs of networks reach on the test samples by their mean probabilities."""
    partner = {run.seed - SECOND_NETWORK: run for run in second}
    found = []
    for run in first:
        if other := partner.get(run.seed):
            probabilities = run.output("test_probabilities") + other.output("test_probabilities")
            primary = torch.from_numpy(run.output("test_primary"))
            correct = torch.from_numpy(probabilities.argmax(-1)) == primary
            balanced = float(class_recalls(correct, primary).mean())
            seconds = run.training_seconds + other.training_seconds
            per_epoch = run.seconds_per_epoch + other.seconds_per_epoch
            numbers = correct.numpy().astype(np.float64)
            found.append(Result(run.seed, float(numbers.mean()), balanced, numbers, seconds, per_epoch))
    return found
