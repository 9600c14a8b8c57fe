"""The test of what a search found: test data, on as many paired seeds as there is time for."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from metaux.studies.benchmark.measured import FIRST_SEED, SHUFFLED, same_time_as, shuffled_labels
from metaux.studies.benchmark.plan import on_validation
from metaux.studies.benchmark.rules import ENTRANTS, SINGLE
from metaux.studies.search.affordable import Affordable, Candidate
from metaux.studies.search.halving import Halving
from metaux.terminal import print_notes
from metaux.training.timing import Cost
from metaux.words import duration, listed

# At the most.
SEEDS = range(FIRST_SEED, FIRST_SEED + 20)
MOST_CLASSICAL = 0.02


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
    plan: Affordable,
    costs: Mapping[str, Cost],
    single: Candidate,
    winner: Candidate | None = None,
    times: float = 1.0,
    classical: Sequence[Trial] = (),
) -> dict[str, Trial]:
    """Return the runs that are tested, by the method of each; controls have the winner's configuration.

    Args:
        data_set: its settings.
        plan: how long the runs are.
        costs: of each row, as estimated.
        single: single task as tuned.
        winner: the best method; None for single task alone.
        times: how many times as long as single task the winner takes; if longer, another run is single task with the
            epochs that this would pay for.
        classical: runs of classical models, with what they take.
    """

    def trial(candidate: Candidate, cost: Cost) -> Trial:
        base = on_validation(data_set, candidate.row).changed(
            **candidate.values, epochs=plan.epochs, evaluate_on="test"
        )
        return replace(base, seconds=cost.of(plan.epochs) / plan.epochs)

    found = {SINGLE: trial(single, costs[SINGLE])}
    if winner is not None:
        row, dear = winner.row, costs[winner.row.name]
        found[row.method] = trial(winner, dear)
        for control in ENTRANTS:
            if control.name in (*REFERENCES[1:], *row.controls):
                # The controls of its own see what it sees; the others' labels cost next to nothing.
                cost = dear if control.name in row.controls else costs[SINGLE]
                found[control.method] = trial(replace(winner, row=control), cost)
        if (epochs := round(times * plan.epochs)) > plan.epochs:
            found[same_time_as(row.method)] = found[SINGLE].changed(epochs=epochs)
    return found | {trial.method: trial for trial in classical}


def classical_trials(data_set: Settings, data: LabelledData, seconds: float, console: Console) -> list[Trial]:
    """Return the runs of classical models that suit the data, with what they take; say which can't be run.

    Args:
        data_set: its settings.
        data: read.
        seconds: the budget, of which one model may take `MOST_CLASSICAL` for each seed.
        console: for notes.
    """
    found = []
    for name in CLASSICAL:
        if data.kind not in entry(name).kinds:
            continue
        trial = Trial(replace(data_set, evaluate_on="test"), name, FIRST_SEED)
        try:
            cost, _ = rehearse(trial, data)
        except InputError as error:
            print_notes([f"{name}: not run: {error}"], console)
            continue
        epochs = trial.protocol.epochs
        if cost.of(epochs) > MOST_CLASSICAL * seconds:
            least = math.ceil(cost.of(epochs) / MOST_CLASSICAL / 60)
            print_notes([f"{name}: not run: it takes {duration(cost.of(epochs))}; give --minutes {least}"], console)
            continue
        found.append(replace(trial, seconds=cost.of(epochs) / epochs))
    return found


class _Seeds:
    """The runs of each row by seed, as far as they are there."""

    def __init__(self, trials: Mapping[str, Trial], method: str, search: Halving):
        self.trials, self.method, self.search = trials, method, search
        seconds = {name: trial.seconds * trial.protocol.epochs for name, trial in trials.items()}
        self.each = sum(seconds.values()) + seconds[SINGLE]  # the second single task is for the shuffled labels
        self.longest = max(seconds.values()) + seconds[SINGLE]

    def rows(self, seed: int) -> dict[str, Trial]:
        """Return a seed's runs; among them the method's labels, shuffled, once they are recorded."""
        own = {name: replace(trial, seed=seed) for name, trial in self.trials.items()}
        if (run := self.search.store.find(own[self.method])) is not None and "train_labels" in run.outputs():
            own[SHUFFLED] = shuffled_labels(own[self.method], run)
        return own

    def runs(self, seed: int) -> dict[str, Run]:
        """Return a seed's finished runs."""
        return {name: run for name, trial in self.rows(seed).items() if (run := self.search.store.find(trial))}

    def lacking(self, seed: int) -> list[str]:
        """Return the rows that a seed has no finished run of."""
        return [name for name in self.rows(seed) if name not in self.runs(seed)]

    def expected(self, count: int) -> float:
        """Return how long so many seeds will take."""
        return self.search.expected(count * self.each, self.longest)

    def train(self, seeds: Sequence[int]) -> list[str]:
        """Train what these seeds lack; return for each run that could not be finished, why."""
        search, begin = self.search, time.perf_counter()
        workers = search.workers_for(len(seeds) * self.each, self.longest)
        failed: list[str] = []
        for more in (False, True):  # shuffled labels wait for those that they are made of
            trials = [t for seed in seeds for name, t in self.rows(seed).items() if (name == SHUFFLED) == more]
            failed += train(longest_first(trials), search.store, workers, search.console, None, curve=False)
        search.took(time.perf_counter() - begin, len(seeds) * self.each, self.longest)
        return failed


def measure(
    trials: Mapping[str, Trial],
    method: str,
    search: Halving,
    left: Callable[[], float],
    tried: Iterable[int],
    note: Callable[..., None],
) -> Outcome:
    """Train on as many paired seeds as there is time for, and return the runs of those that are whole.

    Args:
        trials: a run of each row.
        method: the row whose labels, shuffled, are a control, if its runs record them.
        search: that came before, which knows how much slower than estimated runs are.
        left: the seconds that are left; a first seed is trained in any case.
        tried: the seeds that an earlier call has trained on.
        note: keeps what the next call should know: `tried`.

    Raises:
        TrainingError: if single task could not be trained either.
    """
    seeds = _Seeds(trials, method, search)
    search.console.print(f"test of {listed(list(trials))}, with as many seeds as there is time for", soft_wrap=True)
    missing = [seed for seed in SEEDS if seeds.lacking(seed)]
    done, failures = set(tried), list[str]()
    in_any_case = not any(SINGLE in seeds.runs(seed) for seed in done)
    while missing and (in_any_case or left() > seeds.expected(1)):
        in_any_case = False
        count = next((many for many in range(search.workers, 1, -1) if seeds.expected(many) < left()), 1)
        now, missing = missing[:count], missing[count:]
        if failed := seeds.train(now):
            print_notes([f"{summarise_failures(failed)}; seeds with such a run do not count"], search.console)
        failures += failed
        done |= set(now)
        note(tried=sorted(done))
    lost = {seed: names for seed in sorted(done) if (names := seeds.lacking(seed))}
    if whole := [seeds.runs(seed) for seed in SEEDS if not seeds.lacking(seed)]:
        return Outcome({name: [own[name] for own in whole] for name in whole[0]}, lost)
    if not (single := [run for seed in sorted(done) if (run := seeds.runs(seed).get(SINGLE))]):
        raise TrainingError(summarise_failures(failures))
    return Outcome({SINGLE: single}, lost)
