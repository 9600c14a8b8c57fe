"""Successive halving on validation data: short runs of everything, longer ones of the better half."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from metaux.runs.length import Reached
from metaux.runs.pool import START_OF_A_PROCESS, longest_first, train
from metaux.runs.record import Run
from metaux.runs.store import Store
from metaux.runs.trial import Trial
from metaux.runs.workers import Workers
from metaux.settings import Settings
from metaux.studies.benchmark.rules import SINGLE
from metaux.studies.search.affordable import MOST_SEARCH, REPEATED, RUNGS, SEARCH, Affordable, Candidate, side_by_side
from metaux.studies.search.budget import Budget
from metaux.terminal import make_table
from metaux.training.timing import Cost
from metaux.words import counted, percent

# Of a table of what a search found.
COLUMNS = ("row", "learning rate", "weight decay", "epochs", "seeds", "validation, %")


class Halving:
    """The search, rung by rung; what is trained already is used.

    Args:
        data_set: its settings.
        costs: of each row; measured again with every run.
        out: where the runs go.
        workers: who does the runs.
        console: for progress.
        slower: how many times slower than the costs say all of it is, as far as an earlier call has seen.
        folds: parts of cross-validation, of which each seed measures another; None for one validation part.
    """

    def __init__(
        self,
        data_set: Settings,
        costs: Mapping[str, Cost],
        out: Path,
        workers: Workers,
        console: Console,
        slower: float = 1.0,
        folds: int | None = None,
    ):
        self.data_set, self.costs, self.store = data_set, dict(costs), Store(out)
        self.workers, self.count = workers, workers.count(data_set)
        self.console, self.folds = console, folds
        self.slower = slower  # measuring, recording and other runs beside it take time as well
        self.start = START_OF_A_PROCESS if self.count > 1 else 0.0  # once, since processes are kept
        self.records: list[dict[str, Any]] = []

    def expected(self, together: float, longest: float) -> float:
        """Return how long runs will take that were estimated at so many seconds together, and for the longest."""
        several = self.slower * side_by_side(together, longest, self.count) + self.start
        return min(self.slower * together, several)

    def workers_for(self, together: float, longest: float) -> Workers:
        """Return who does such runs: one after another, where it is not worth the start of processes."""
        worth = self.expected(together, longest) < self.slower * together
        return self.workers if worth else self.workers.one_by_one()

    def took(self, seconds: float, together: float, longest: float) -> None:
        """Learn from how long such runs took."""
        started = self.expected(together, longest) < self.slower * together
        self.slower *= seconds / self.expected(together, longest)
        if started:
            self.start = 0.0

    def trials(self, candidate: Candidate, seeds: int) -> list[Trial]:
        """Return a candidate's runs on validation data."""
        row, epochs = candidate.row, candidate.epochs
        seconds = self.slower * self.costs[row.name].of(epochs) / epochs
        first = replace(row.on_validation(self.data_set, **candidate.values, epochs=epochs), seconds=seconds)
        return [of_seed(first, seed, self.folds) for seed in range(seeds)]

    def runs(self, candidate: Candidate, seeds: int) -> list[Run]:
        """Return the same once they are trained; none, if one of them is missing."""
        found = self.store.found(self.trials(candidate, seeds))
        return found if len(found) == seeds else []

    def missing(self, candidates: Sequence[Candidate], seeds: int) -> list[Candidate]:
        """Return the candidate of each run that is not there."""
        return [own for own in candidates for trial in self.trials(own, seeds) if self.store.find(trial) is None]

    def estimated(self, candidates: Sequence[Candidate]) -> tuple[float, float]:
        """Return the seconds of a run of each candidate: all together, and the longest."""
        each = [self.costs[own.row.name].of(own.epochs) for own in candidates]
        return sum(each), max(each, default=0.0)

    def fits(self, candidates: Sequence[Candidate], seeds: int, seconds: float) -> bool:
        """Return whether so many seconds are enough for what is not trained yet."""
        missing = self.missing(candidates, seeds)
        return not missing or self.expected(*self.estimated(missing)) <= seconds

    def train(self, candidates: Sequence[Candidate], seeds: int, what: str) -> list[str]:
        """Train the runs that are not there; return for each that could not be finished, why."""
        missing = self.missing(candidates, seeds)
        trials = [trial for candidate in candidates for trial in self.trials(candidate, seeds)]
        begin, workers = time.perf_counter(), self.workers_for(*self.estimated(missing))
        failures = train(longest_first(trials), self.store, workers, self.console, what, self.start, curve=False)
        if missing and not failures:  # what diverges takes less
            for candidate in candidates:
                self.costs[candidate.row.name] = _measured(self.runs(candidate, seeds))
            self.took(time.perf_counter() - begin, *self.estimated(missing))
        return failures

    def reached(self, candidate: Candidate, seeds: int) -> Reached:
        """Return what a candidate's runs reach on validation data; less than any, if one is missing."""
        runs = self.runs(candidate, seeds)
        return Reached.of(runs) if runs else Reached(0.0, math.inf)

    def run(self, plan: Affordable, budget: Budget) -> list[Candidate]:
        """Return the candidates of the last rung that there was time for, best first, with the epochs of whole runs."""
        ranked, rungs = plan.candidates(), budget.state.get("rungs", 0)
        steps = [*((share, 1, MOST_SEARCH) for share in RUNGS), *((RUNGS[-1], seeds, SEARCH) for seeds in REPEATED)]
        for number, (share, seeds, most) in enumerate(steps):
            epochs = max(1, int(plan.epochs * share))
            candidates = [replace(own, epochs=epochs) for own in (_better_half(ranked) if number else ranked)]
            if number >= max(1, rungs) and not self.fits(candidates, seeds, budget.of_search(most)):
                if seeds == 1:
                    self.console.print("no time for longer runs of the search")
                break
            what = f"search, {counted(epochs, 'epoch')}" + (f", {seeds} seeds" if seeds > 1 else "")
            self.train(candidates, seeds, what)
            ranked = self._ranked(candidates, seeds) or ranked
            budget.note(rungs=max(rungs, number + 1), slower=self.slower)
        return [replace(own, epochs=plan.epochs) for own in ranked]

    def plain_costs(self) -> dict[str, dict[str, float]]:
        """Return what each row costs, for a file."""
        return {name: asdict(cost) for name, cost in self.costs.items()}

    def table(self) -> Table:
        """Return `best_of_each` of what was recorded as a table."""
        return make_table(COLUMNS, best_of_each(self.records), "the best configuration of each, as far as it came")

    def _ranked(self, candidates: Sequence[Candidate], seeds: int) -> list[Candidate]:
        """Return those that came to their end, the most accurate first; of equal ones that of the lower loss."""
        found = [candidate for candidate in candidates if self.record(candidate, seeds)]
        return sorted(found, key=lambda candidate: self.reached(candidate, seeds), reverse=True)

    def record(self, candidate: Candidate, seeds: int) -> bool:
        """Keep what a candidate reached, to be shown; return whether all of its runs came to their end."""
        runs = self.runs(candidate, seeds)
        if runs:
            reached = self.reached(candidate, seeds)
            self.records.append(
                {
                    "epochs": len(runs[0].epochs),
                    "seeds": seeds,
                    "row": candidate.row.name,
                    **candidate.values,
                    "validation_accuracy": reached.accuracy,
                    "validation_loss": reached.loss,
                    "seconds": statistics.median(run.training_seconds for run in runs),
                }
            )
        return bool(runs)


def of_seed(trial: Trial, seed: int, folds: int | None) -> Trial:
    """Return a run with another seed; in cross-validation each seed measures another part."""
    own = replace(trial, seed=seed)
    return own if folds is None else own.changed(folds=folds, fold=seed % folds)


def _measured(runs: Sequence[Run]) -> Cost:
    """Return what runs of one row took."""
    preparation = statistics.median(float(run.result.get("preparation_seconds", 0.0)) for run in runs)
    return Cost(preparation, statistics.median((run.training_seconds - preparation) / len(run.epochs) for run in runs))


def best_of_each(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the best configuration of each row in the last rung that it came to, the best row first, as `COLUMNS`."""
    best: dict[str, Mapping[str, Any]] = {}
    for own in records:
        if own["row"] not in best or _reached(own) > _reached(best[own["row"]]):
            best[own["row"]] = own
    return [
        (
            own["row"],
            *(f"{own[name]:g}" if name in own else "–" for name in ("learning_rate", "weight_decay")),
            *(f"{own[name]:g}" for name in ("epochs", "seeds")),
            percent(own["validation_accuracy"]),
        )
        for own in sorted(best.values(), key=_reached, reverse=True)
    ]


def _reached(record: Mapping[str, Any]) -> tuple[float, ...]:
    """Return how far a configuration came, and how good it was there."""
    return record["epochs"], record["seeds"], record["validation_accuracy"], -record["validation_loss"]


def _better_half(ranked: Sequence[Candidate]) -> list[Candidate]:
    """Return the better half of single task's configurations, and of those of the methods."""
    single, methods = ([c for c in ranked if (c.row.name == SINGLE) == of_single] for of_single in (True, False))
    kept = [*single[: (len(single) + 1) // 2], *methods[: (len(methods) + 1) // 2]]
    return [candidate for candidate in ranked if candidate in kept]
