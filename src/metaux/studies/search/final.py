"""The test of what a search found: test data, on as many paired seeds as there is time for."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.console import Console

from metaux.data.samples import LabelledData
from metaux.errors import InputError, TrainingError
from metaux.labels.sources import CLASSICAL, REFERENCES, entry
from metaux.runs.launch import rehearse
from metaux.runs.pool import longest_first, summarise_failures, train
from metaux.runs.record import Run
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.studies.benchmark.measured import FIRST_SEED, same_time_as, shuffled_labels, shuffled_of
from metaux.studies.benchmark.rules import ENTRANTS, SINGLE
from metaux.studies.search.affordable import DEFAULT, ROWS, Candidate
from metaux.studies.search.budget import Budget
from metaux.studies.search.halving import Halving, of_seed
from metaux.terminal import print_notes
from metaux.training.timing import Cost
from metaux.words import listed

# At the most.
SEEDS = range(FIRST_SEED, FIRST_SEED + 20)
# Of the budget: for one classical model.
MOST_CLASSICAL = 0.25


@dataclass(frozen=True)
class Outcome:
    """What was measured.

    Args:
        runs: of each row, on the seeds on which all rows have one; where there is no such seed, of single task alone.
        failed: other seeds, and the rows that could not be trained with them.
    """

    runs: Mapping[str, Sequence[Run]]
    failed: Mapping[int, Sequence[str]] = field(default_factory=dict)


def entrants(
    data_set: Settings,
    costs: Mapping[str, Cost],
    single: Trial,
    winner: Candidate | None = None,
    times: float = 1.0,
) -> dict[str, Trial]:
    """Return the runs that are tested, by the row of each; controls have the winner's configuration.

    Args:
        data_set: its settings.
        costs: of each row, as measured.
        single: single task, as chosen.
        winner: the best method; None for single task alone.
        times: how many times as long as single task the winner takes; if longer, another run is single task with the
            epochs that this would pay for.
    """
    found = {SINGLE: single}
    if winner is not None:
        row, dear = winner.row, costs[winner.row.name]
        for entrant in (row, *ENTRANTS):
            if entrant.name in (row.name, *REFERENCES[1:], *row.controls):
                # The controls of its own see what it sees; the others' labels cost next to nothing.
                cost = dear if entrant.name in (row.name, *row.controls) else costs[SINGLE]
                found[entrant.name] = on_test(data_set, replace(winner, row=entrant), cost)
        longer = round(times * winner.epochs)
        if longer > winner.epochs and longer != single.protocol.epochs:
            found[same_time_as(row.name)] = single.changed(epochs=longer)
    return found


def on_test(data_set: Settings, candidate: Candidate, cost: Cost) -> Trial:
    """Return a candidate's first run on test data."""
    epochs = candidate.epochs
    first = candidate.row.trial(data_set, **candidate.values, epochs=epochs, evaluate_on="test")
    return replace(first, seed=FIRST_SEED, seconds=cost.of(epochs) / epochs)


def classical_models(data_set: Settings, data: LabelledData, budget: Budget, console: Console) -> dict[str, Cost]:
    """Return the classical models that suit the data, with what they cost; say which can't be run.

    Args:
        data_set: its settings.
        data: read.
        budget: of which one model may take `MOST_CLASSICAL`.
        console: for notes.
    """
    found = {}
    for name in CLASSICAL:
        if data.kind not in entry(name).kinds:
            continue
        try:
            cost, _ = rehearse(ROWS[name].on_validation(data_set), data)
        except InputError as error:
            print_notes([f"{name}: not run: {error}"], console)
            continue
        if cost.preparation > MOST_CLASSICAL * budget.total:
            budget.missed(name, cost.preparation / MOST_CLASSICAL)
        else:
            found[name] = cost
    return found


class _Seeds:
    """The runs of each row by seed, as far as they are there."""

    def __init__(self, trials: Mapping[str, Trial], tested: str, search: Halving, folds: int | None = None):
        self.trials, self.tested, self.search, self.folds = trials, tested, search, folds
        each = {name: own for name, own in trials.items() if folds or not _same_for_all(own)}
        seconds = {name: trial.seconds * trial.protocol.epochs for name, trial in each.items()}
        shuffled = seconds[SINGLE] if tested != SINGLE else 0.0  # they wait for the method's own
        self.each, self.longest = sum(seconds.values()) + shuffled, max(seconds.values()) + shuffled

    def rows(self, seed: int) -> dict[str, Trial]:
        """Return a seed's runs; among them the method's labels, shuffled, once they are recorded."""
        own = {
            name: trial if not self.folds and _same_for_all(trial) else of_seed(trial, seed, self.folds)
            for name, trial in self.trials.items()
        }
        if (run := self.search.store.find(own[self.tested])) is not None and "train_labels" in run.outputs():
            own[shuffled_of(self.tested)] = shuffled_labels(own[self.tested], run)
        return own

    def runs(self, seed: int) -> dict[str, Run]:
        """Return a seed's finished runs."""
        found = ((name, self.search.store.find(trial)) for name, trial in self.rows(seed).items())
        return {name: replace(run, seed=seed) for name, run in found if run}

    def lacking(self, seed: int) -> list[str]:
        """Return the rows that a seed has no finished run of."""
        found = self.runs(seed)
        return [name for name in self.rows(seed) if name not in found]

    def expected(self, count: int) -> float:
        """Return how long so many seeds will take."""
        return self.search.expected(count * self.each, self.longest)

    def train(self, seeds: Sequence[int]) -> list[str]:
        """Train what these seeds lack; return for each run that could not be finished, why."""
        search, begin = self.search, time.perf_counter()
        workers = search.workers_for(len(seeds) * self.each, self.longest)
        failed: list[str] = []
        for more in (False, True):  # shuffled labels wait for those that they are made of
            rows = [(name, t) for seed in seeds for name, t in self.rows(seed).items()]
            trials = [t for name, t in rows if (name == shuffled_of(self.tested)) == more]
            failed += train(
                longest_first(trials), search.store, workers, search.console, None, search.start, curve=False
            )
        search.took(time.perf_counter() - begin, len(seeds) * self.each, self.longest)
        return failed


def _same_for_all(trial: Trial) -> bool:
    """Return whether every seed would give the same run: a classical model on all training samples."""
    return trial.method in CLASSICAL and trial.settings.train_size is None


def measure(trials: Mapping[str, Trial], tested: str, search: Halving, budget: Budget) -> Outcome:
    """Train on as many paired seeds as there is time for, and return the runs of those that are whole.

    Single task and the classical models run with a first seed in any case, without cross-validation. The method that
    the search found does so with its controls, if there is time for a seed of all.

    Args:
        trials: a run of each row.
        tested: the row whose labels, shuffled, are a control, if its runs record them.
        search: that came before, which knows how much slower than estimated runs are.
        budget: for all of it, which keeps the seeds that an earlier call has trained on.

    Raises:
        TrainingError: if single task could not be trained either.
    """
    alone = {name: trial for name, trial in trials.items() if name in (SINGLE, DEFAULT, *CLASSICAL)}
    folds, done = search.folds, set(budget.state.get("tried", ()))
    seeds, first = _Seeds(trials, tested, search, folds), _Seeds(alone, SINGLE, search)
    failures = first.train([FIRST_SEED]) if first.lacking(FIRST_SEED) else []
    if tested != SINGLE and not done and budget.left <= (seconds := seeds.expected(1)):
        budget.missed(f"a test of {tested} and its controls", seconds)
        seeds = _Seeds(alone, SINGLE, search, folds)
        budget.note(untested=tested)
    parts = "" if folds is None else f", each on another of {folds} parts of all samples (cross-validation)"
    search.console.print(
        f"test of {listed(list(seeds.trials))}, with as many seeds as there is time for{parts}", soft_wrap=True
    )
    missing = [seed for seed in SEEDS if seeds.lacking(seed)]
    while missing and budget.left > seeds.expected(1):
        count = next((many for many in range(search.count, 1, -1) if seeds.expected(many) < budget.left), 1)
        now, missing = missing[:count], missing[count:]
        if failed := seeds.train(now):
            print_notes([f"{summarise_failures(failed)}; seeds with such a run do not count"], search.console)
        failures += failed
        done |= set(now)
        budget.note(tried=sorted(done))
    lost = {seed: names for seed in sorted(done) if (names := seeds.lacking(seed))}
    whole = [seeds.runs(seed) for seed in SEEDS if not seeds.lacking(seed)]
    if not whole and folds and not done and not first.lacking(FIRST_SEED):
        whole = [first.runs(FIRST_SEED)]
    if whole:
        return Outcome({name: [own[name] for own in whole] for name in whole[0]}, lost)
    if not (single := [run for seed in sorted({FIRST_SEED, *done}) if (run := seeds.runs(seed).get(SINGLE))]):
        raise TrainingError(summarise_failures(failures))
    return Outcome({SINGLE: single}, lost)
