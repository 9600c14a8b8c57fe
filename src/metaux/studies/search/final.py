"""The test of what a search found: test data, on as many paired seeds as there is time for."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from metaux.errors import TrainingError
from metaux.labels.sources import REFERENCES
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
from metaux.words import listed

# At the most.
SEEDS = range(FIRST_SEED, FIRST_SEED + 20)


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
    return found


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

    def rows(seed: int) -> dict[str, Trial]:
        own = {name: replace(trial, seed=seed) for name, trial in trials.items()}
        if (run := search.store.find(own[method])) is not None and "train_labels" in run.outputs():
            own[SHUFFLED] = shuffled_labels(own[method], run)
        return own

    def lacking(seed: int) -> list[str]:
        return [name for name, trial in rows(seed).items() if search.store.find(trial) is None]

    def of_single() -> list[Run]:
        runs = (search.store.find(replace(trials[SINGLE], seed=seed)) for seed in sorted(done))
        return [run for run in runs if run is not None]

    def expected(count: int) -> float:
        return search.expected(count * each, longest)

    search.console.print(f"test of {listed(list(trials))}, with as many seeds as there is time for", soft_wrap=True)
    seconds = {name: trial.seconds * trial.protocol.epochs for name, trial in trials.items()}
    each = sum(seconds.values()) + seconds[SINGLE]  # of a seed; the second single task is for the shuffled labels
    longest = max(seconds.values()) + seconds[SINGLE]
    missing = [seed for seed in SEEDS if lacking(seed)]
    done, failures = set(tried), list[str]()
    in_any_case = not of_single()
    while missing and (in_any_case or left() > expected(1)):
        in_any_case = False
        count = next((many for many in range(search.workers, 1, -1) if expected(many) < left()), 1)
        now, missing = missing[:count], missing[count:]
        begin = time.perf_counter()
        workers = search.workers_for(len(now) * each, longest)
        failed = train(
            longest_first(trial for seed in now for trial in rows(seed).values()),
            search.store,
            workers,
            search.console,
            curve=False,
        )
        more = [own[SHUFFLED] for own in map(rows, now) if SHUFFLED in own]
        failed += train(longest_first(more), search.store, workers, search.console, curve=False)
        search.took(time.perf_counter() - begin, len(now) * each, longest)
        if failed:
            print_notes([f"{summarise_failures(failed)}; seeds with such a run do not count"], search.console)
        failures += failed
        done |= set(now)
        note(tried=sorted(done))
    lost = {seed: names for seed in sorted(done) if (names := lacking(seed))}
    whole = [rows(seed) for seed in SEEDS if not lacking(seed)]
    if whole:
        runs = {name: [run for own in whole if (run := search.store.find(own[name]))] for name in whole[0]}
        return Outcome(runs, lost)
    if not (single := of_single()):
        raise TrainingError(summarise_failures(failures))
    return Outcome({SINGLE: single}, lost)
