"""What the test of a search supports, and which network to use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from metaux.evidence.comparison import Comparison, Difference, difference
from metaux.evidence.contender import Result
from metaux.evidence.intervals import difference_in_points
from metaux.evidence.plain import expect, helped, use
from metaux.evidence.verdict import Verdict, judge
from metaux.labels.sources import CLASSICAL
from metaux.runs.record import Run
from metaux.studies.benchmark.measured import contender, same_time_as, shuffled_of
from metaux.studies.benchmark.rules import SINGLE
from metaux.studies.search.affordable import ROWS, Candidate
from metaux.studies.search.final import Outcome
from metaux.words import counted, listed


@dataclass(frozen=True)
class Conclusion:
    """What the numbers support.

    Args:
        method: its label source, `single` where nothing helps; or the classical model.
        helps: whether a method is above single task and every control, not below single task trained as long, and
            handed over.
        chosen: the run to use.
        network: the same, or the best network where `chosen` is a classical model.
        network_row: the row of that.
        runs: of the test, by the row that the comparison calls them.
        comparison: of them.
        verdict: on it, with what to use.
        minus: the tested method's differences to its own labels, shuffled, and to single task for the same time.
    """

    method: str
    helps: bool
    chosen: Run
    network: Run
    network_row: str
    runs: Sequence[Run]
    comparison: Comparison
    verdict: Verdict
    minus: Mapping[str, Difference]


def conclude(outcome: Outcome, winner: Candidate | None, best_first: Sequence[str]) -> Conclusion:
    """Return what the test supports.

    Validation data alone chooses among single task, single task for longer, and the classical models. A method takes
    part only if the test confirms that its labels help.

    Args:
        outcome: what was measured.
        winner: the method that the search found and the test measured; None for single task alone.
        best_first: the rows that are not below the default single task on validation data, the best first.
    """
    runs, name = outcome.runs, winner.row.name if winner else SINGLE
    contenders = [contender(row, list(map(Result.of, own)), ROWS.get(row), runs) for row, own in runs.items()]
    comparison = Comparison.of(contenders, runs[SINGLE])
    row, longer = comparison.row(name), same_time_as(name)
    lost = [name for failed in outcome.failed.values() for name in failed]
    others = {"its own labels, shuffled": shuffled_of(name)}
    if longer in runs:
        others[f"single task for the same time, {counted(len(runs[longer][0].epochs), 'epoch')}"] = longer
    minus = {said: found for said, other in others.items() if (found := _between(runs, name, other))}
    better = _between(runs, longer, name)
    gains = winner is not None and row is not None and row.gain and not (better and better.above)
    helps = gains and name not in lost
    rows = [own for own in best_first if own in runs and (helps or winner is None or own != name)] or [SINGLE]
    use_row, network_row = rows[0], next((own for own in rows if own not in CLASSICAL), SINGLE)
    helps = helps and use_row == name
    verdict = judge(comparison, use_row)
    chosen = runs[use_row][0]
    says = verdict.says if winner is not None else "No auxiliary labels were tested."
    if winner is not None and row is None:
        says = f"{name} is not judged: no seed has all runs."
    says += "".join(f" {name} minus {other}: {difference_in_points(own.seeds)}." for other, own in minus.items())
    if use_row in CLASSICAL:
        says += f" On validation data {use_row} is the best, so it is handed over."
    elif gains and name not in lost and not helps:
        says += f" On validation data {name} is below {use_row}, so it is not handed over."
    if outcome.failed:
        says += f" {counted(len(outcome.failed), 'seed')} could not be used, since {listed(sorted(set(lost)))} failed."
    used = comparison.row(use_row)
    assert used is not None
    entrant = ROWS[SINGLE if use_row == longer else use_row]
    line = f"{use(entrant.in_words(), len(chosen.epochs))} {helped(comparison, [use_row] if helps else [])}"
    shown = [run.labelled(row.name) for row in comparison.rows for run in runs[row.name]]
    verdict = replace(verdict, says=says, row=use_row, use=line, expect=expect(used, comparison.kind))
    return Conclusion(
        entrant.method, helps, chosen, runs[network_row][0], network_row, shown, comparison, verdict, minus
    )


def _between(runs: Mapping[str, Sequence[Run]], name: str, other: str) -> Difference | None:
    own = runs.get(name, ())
    groups = own[0].test_groups if own else None
    return difference(map(Result.of, own), map(Result.of, runs.get(other, ())), groups)
