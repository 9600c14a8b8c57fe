"""What the test of a search supports, and which network to use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from metaux.evidence.comparison import Comparison, Difference, difference
from metaux.evidence.contender import Contender, Result
from metaux.evidence.intervals import difference_in_points
from metaux.evidence.verdict import Verdict, judge
from metaux.labels.sources import CLASSICAL, baselines, entry
from metaux.runs.record import Run
from metaux.studies.benchmark.measured import SHUFFLED, same_time_as
from metaux.studies.benchmark.rules import SINGLE
from metaux.studies.search.affordable import Candidate
from metaux.studies.search.final import Outcome
from metaux.words import counted, listed

_SINGLE_TASK = "use single task, tuned"


@dataclass(frozen=True)
class Conclusion:
    """What the numbers support.

    Args:
        method: the label source to use, `single` where nothing helps; or the classical model.
        helps: whether a method is above single task and every control, and not below single task trained as long.
        chosen: the run to use.
        network: the same, or the best network where `chosen` is a classical model.
        runs: of the test, by the method that the comparison calls them.
        comparison: of them.
        verdict: on it, with what to use.
        minus: the tested method's differences to its own labels, shuffled, and to single task for the same time.
    """

    method: str
    helps: bool
    chosen: Run
    network: Run
    runs: Sequence[Run]
    comparison: Comparison
    verdict: Verdict
    minus: Mapping[str, Difference]


def conclude(outcome: Outcome, winner: Candidate | None, longer_runs: str = "") -> Conclusion:
    """Return what the test supports.

    Args:
        outcome: what was measured.
        winner: the method that the search found; None for single task alone.
        longer_runs: what would give all methods longer runs, in words; empty where nothing is known of that.
    """
    runs, name = outcome.runs, winner.row.method if winner else SINGLE
    shuffled = entry(name).shuffled or SHUFFLED
    own = tuple(dict.fromkeys([*baselines(name), *([shuffled] if shuffled in runs else [])]))
    classical = [row for row in runs if row in CLASSICAL]
    rows = [Contender.of(row, runs[row]) for row in (*own, name, *classical) if row in runs]
    rows = [replace(row, baselines=own) if row.name == name != SINGLE else row for row in rows]
    comparison = Comparison.of(rows, runs[SINGLE])
    row, longer = comparison.row(name), runs.get(same_time_as(name), ())
    lost = any(name in failed for failed in outcome.failed.values())
    helps = winner is not None and row is not None and row.gain and not lost
    minus = {"its own labels, shuffled": found} if row and (found := row.differences.get(shuffled)) else {}
    method, use = name if helps else SINGLE, f"Nothing is shown to help here: {_SINGLE_TASK}"
    if winner is not None and helps:
        use = f"Use {winner.row.in_words()}"
    elif row is not None and row.gain:
        use = f"What cannot be trained with every seed is not recommended: {_SINGLE_TASK}"
    chosen = runs[method][0]
    if found := _between(runs.get(name, ()), longer):
        epochs = counted(len(longer[0].epochs), "epoch")
        minus[f"single task for the same time, {epochs}"] = found
        better = _between(longer, runs[method])
        if better is not None and better.above:
            method, helps, chosen = SINGLE, False, longer[0]
            use = f"More training helps more here: {_SINGLE_TASK}, for {epochs}"
            use += f"; {longer_runs}" if longer_runs else ""
    verdict, network = judge(comparison), chosen
    tested = longer if longer and chosen is longer[0] else runs[method]
    if verdict.simpler and _mean(runs[verdict.simpler]) > _mean(tested):
        method, helps, chosen = verdict.simpler, False, runs[verdict.simpler][0]
        use = f"Use {verdict.simpler}"
    if winner is None:
        says = "No method could be trained on this data beside single task."
    else:
        says = verdict.says if row is not None else f"{name} is not judged: no seed has all runs."
    says += "".join(f" {name} minus {other}: {difference_in_points(own.seeds)}." for other, own in minus.items())
    if outcome.failed:
        names = listed(sorted({row for rows in outcome.failed.values() for row in rows}))
        says += f" {counted(len(outcome.failed), 'seed')} could not be used, since {names} could not be trained."
    shown = [run.labelled(row.name) for row in comparison.rows for run in runs[row.name]]
    return Conclusion(method, helps, chosen, network, shown, comparison, replace(verdict, says=f"{says} {use}."), minus)


def _mean(runs: Sequence[Run]) -> float:
    return fmean(run.accuracy for run in runs)


def _between(own: Sequence[Run], others: Sequence[Run]) -> Difference | None:
    groups = own[0].test_groups if own else None
    return difference(map(Result.of, own), map(Result.of, others), groups)
