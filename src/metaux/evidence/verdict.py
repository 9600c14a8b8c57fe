"""What a comparison supports and what it doesn't, in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

from metaux.evidence.comparison import Comparison, Difference, Row
from metaux.evidence.intervals import difference_in_points
from metaux.evidence.plain import expect, helped, to_use, use
from metaux.evidence.settling import closest_call, what_would_settle_it
from metaux.evidence.statistics import FEWEST_SAMPLES, mean_over_seeds
from metaux.labels.sources import REFERENCES, entry
from metaux.words import counted, listed


@dataclass(frozen=True)
class Verdict:
    """What a comparison supports.

    Args:
        says: one sentence.
        change: what would change it, in one sentence; empty where the verdict itself says it.
        winners: the methods that are above all of their baselines.
        simpler: the classical model that is better than all of the networks; empty where there is none.
        row: the one to use.
        use: what to use and whether auxiliary labels helped, in plain sentences.
        expect: the accuracy to expect on new samples, likewise.
    """

    says: str
    change: str
    winners: tuple[str, ...]
    simpler: str
    row: str
    use: str
    expect: str

    @property
    def plain(self) -> str:
        """The answer in one plain line."""
        return f"{self.use} {self.expect}"


def judge(comparison: Comparison, chosen: str = "") -> Verdict:
    """Return what the table supports and what it doesn't.

    A method *beats* single task and the controls if `Row.gain` says so. Human labels and those of a network trained on
    other data come from outside, so they are never a winner; they tell whether labels can matter on this data. A
    classical model that is better than all of them is named first.

    Args:
        comparison: the table.
        chosen: the row that validation data chose, where it did; no other classical model is named first.
    """
    methods = [row for row in comparison.rows if row.role == "method"]
    judged = [row for row in methods if row.judged]
    winners = [row for row in judged if row.gain]
    says = _verdict(comparison, methods, winners)
    change = closest_call(_best(winners)) if winners else ""
    if not winners and judged and (settle := what_would_settle_it(comparison, _best(judged))) not in says:
        change = f"For {_best(judged).name}, the best of those judged: {settle}."
    if (simpler := _simpler(comparison)) and chosen not in ("", simpler.name):
        simpler = None
    if simpler:
        says = f"Simpler is better here: use {simpler.name} ({_over(simpler, 'single')}). {says}"
    names, simple = tuple(row.name for row in winners), simpler.name if simpler else ""
    row = to_use(comparison, names, simple)
    line = f"{use(row.name, 1 if row.role == 'classical' else comparison.epochs)} {helped(comparison, names)}"
    return Verdict(says, change, names, simple, row.name, line, expect(row, comparison.kind))


def _simpler(comparison: Comparison) -> Row | None:
    """Return the best classical model if no row is more accurate, and it differs significantly from single task."""
    classical = [row for row in comparison.rows if row.role == "classical" and "single" in row.differences]
    best = max(comparison.rows, key=lambda row: row.accuracy.mean)
    return best if best in classical and _differs(best, len(classical)) > 0 else None


def _verdict(comparison: Comparison, methods: Sequence[Row], winners: Sequence[Row]) -> str:
    outside = sorted((row for row in comparison.rows if row.role == "outside"), key=lambda row: row.name != "human")
    tried = methods or outside
    if not tried:
        names = listed([row.name for row in comparison.rows if row.role == "control"])
        return f"Nothing to conclude: only controls were run ({names}); add a method such as maxl."
    best = _best(tried)
    if any(comparison.row(name) is None for name in REFERENCES):
        return _without_baselines(best)
    judged = [row for row in tried if row.judged]
    if not judged:
        return _unjudgeable(best)
    helpful = [row for row in outside if row.gain]
    if not methods:
        return _outside_only(judged, helpful)
    if winners:
        return _gain(winners, [row for row in methods if row not in winners], helpful)
    return _no_gain(comparison, methods, judged, helpful)


def _gain(winners: Sequence[Row], others: Sequence[Row], outside: Sequence[Row]) -> str:
    first = winners[0].differences["single"]
    if len(winners) == 1:
        row, controls = winners[0], winners[0].baselines[1:]
        control = min(controls, key=lambda name: row.differences[name].seeds.mean)
        closest = "closer" if len(controls) == 2 else "closest"
        sentence = (
            f"{row.name} beats {_baselines_of(row)}, over seeds and over {first.drawn}: {_over(row, 'single')} and "
            f"{_over(row, control)}, the {closest} control ({_seeds(first)})"
        )
    else:
        each = ", ".join(f"{row.name} by {_over(row, 'single')}" for row in winners)
        sentence = (
            f"{listed([row.name for row in winners])} beat {_baselines_of_all(winners)}, over seeds and over "
            f"{first.drawn}: {each} ({_seeds(first)}); which of them is better is not tested"
        )
    if others:
        sentence += f"; no such gain is shown for {listed([row.name for row in others])}"
    sentence += "".join(f"; {unjudged}" for unjudged in _unjudged(others))
    if outside:
        sentence += f"; {_labels_of(outside[0])} gain {_over(outside[0], 'single')}"
    return f"{sentence}; this holds for this data, network and protocol."


def _no_gain(comparison: Comparison, methods: Sequence[Row], judged: Sequence[Row], outside: Sequence[Row]) -> str:
    best = _best(judged)
    parts = [_shortfall(best)]
    if worse := [row for row in judged if row is not best and _differs(row, len(judged)) < 0]:
        parts.append(", ".join(f"{row.name} is worse than single ({_value(row, 'single')})" for row in worse))
    control = _helpful_control(comparison)
    parts += [control] if control else []
    parts += _unjudged(methods)
    if outside:
        reached, least = best.differences["single"].seeds.high, outside[0].differences["single"].seeds.low
        apart = reached is not None and least is not None and reached < least
        parts.append(
            f"{_labels_of(outside[0])} beat all three ({_over(outside[0], 'single')}), so labels can matter here"
            + (" but the learned ones do not reach them" if apart else "; of learned ones it is not shown")
        )
    if not (control or outside or best.differences["single"].below):
        parts.append(what_would_settle_it(comparison, best))
    return f"No method beats {_baselines_of_all(judged)}: {'; '.join(parts)}."


def _outside_only(judged: Sequence[Row], helpful: Sequence[Row]) -> str:
    if helpful:
        row = helpful[0]
        told = f"beat {_baselines_of_all([])} ({_over(row, 'single')}, {_seeds(row.differences['single'])})"
        end = f"{told}: labels can matter here, and the table has no method that learns them."
    else:
        row = judged[0]
        told = f"do not beat {_baselines_of_all([])} ({_shortfall(row)})"
        end = f"{told}, and the table has no method that learns labels."
    labels = _labels_of(row)
    return f"{labels[0].upper()}{labels[1:]} {end}"


def _unjudged(rows: Sequence[Row]) -> list[str]:
    """Say which rows lack a control of their own, or seeds."""
    lacking = [(row.name, listed(row.lacking)) for row in rows]
    lacking += [(row.name, f"its {_numbered(row.absent)}") for row in rows if row.absent]
    return [f"{name} is not judged without {what}" for name, what in lacking if what]


def _without_baselines(row: Row) -> str:
    missing = listed(row.lacking)
    seen = f": {_difference_to_single(row)}, but" if "single" in row.differences else ", since"
    return (
        f"No conclusion without {missing}{seen} a gain is one over {_baselines_of(row)}; run {missing} too, with the "
        "same seeds."
    )


def _unjudgeable(row: Row) -> str:
    if row.lacking:
        return _without_baselines(row)
    seen = _difference_to_single(row)
    if row.absent:
        return (
            f"No conclusion: {seen}, but {row.name} has no run with {_numbered(row.absent)}, which single has, and "
            "with those alone that came through it can't be judged; repeat the command, or correct what made them fail."
        )
    if all(difference.seeds.low is not None for difference in row.differences.values()):
        return (
            f"No conclusion: {seen}, but fewer than {FEWEST_SAMPLES} test samples, or groups of them, are too few for "
            "an interval; measure on more."
        )
    return (
        f"No conclusion: {seen}, but without two seeds in common with each reference there is no interval; "
        "run at least 3 seeds of all."
    )


def _helpful_control(comparison: Comparison) -> str:
    """Say which control is better than single task without having learned anything; nothing if none is."""
    controls = [row for row in comparison.rows if entry(row.name).uninformed and "single" in row.differences]
    helpful = [row for row in controls if _differs(row, len(controls)) > 0]
    blind = [row for row in helpful if entry(row.name).uninformed == "blind"]
    if not helpful:
        return ""
    first, *more = blind or helpful
    beats = "alone beat single" if more else f"alone beats single ({_value(first, 'single')})"
    beats = f"{listed([row.name for row in (first, *more)])} {beats}"
    if blind:
        return f"{beats}, so an auxiliary task acts as regularisation here, even without information"
    return f"{beats}, so it is not what is learned that helps"


def _differs(row: Row, rows: int) -> int:
    """Return on which side of single task a row is, 1 or -1, with the error rate of 5 % shared by all rows looked at.

    0 where the interval over seeds of that level, or the one over test samples, includes zero (Bonferroni).
    """
    difference = row.differences["single"]
    seeds = mean_over_seeds(difference.by_seed, level=1 - 0.05 / rows, overlap=difference.overlap)
    return int(seeds.above and difference.test.above) - int(seeds.below and difference.test.below)


def _shortfall(row: Row) -> str:
    """Say which comparison fails, and by which interval."""
    name = next(name for name in row.baselines if not row.differences[name].above)
    difference = row.differences[name]
    if difference.below:
        return f"{row.name} is worse than {name} ({_value(row, name)} over {_seeds(difference)})"
    beaten = row.baselines[: row.baselines.index(name)]
    start = f"{row.name} beats {listed(beaten)} ({_value(row, 'single')}), but its" if beaten else f"{row.name}'s"
    # Where the seeds agree, it is the test set that leaves room for doubt.
    shown, over = (difference.test, difference.drawn) if difference.seeds.above else (difference.seeds, None)
    return f"{start} difference to {name} is {difference_in_points(shown)} over {over or _seeds(difference)}"


def _best(rows: Sequence[Row]) -> Row:
    """Return the row with the highest difference to single, or accuracy where there is none."""
    single = "single"
    return max(rows, key=lambda r: r.differences[single].seeds.mean if single in r.differences else r.accuracy.mean - 1)


def _baselines_of(row: Row) -> str:
    return f"single task and the controls {listed(row.baselines[1:])}"


def _baselines_of_all(rows: Sequence[Row]) -> str:
    if len(rows) == 1:
        return _baselines_of(rows[0])
    own = ", and their own controls" if any(row.gain for row in rows) else ", and its own control"
    return f"single task and the controls {listed(REFERENCES[1:])}{own if any(row.controls for row in rows) else ''}"


def _labels_of(row: Row) -> str:
    return "human labels" if row.name == "human" else f"labels of {row.name}"


def _difference_to_single(row: Row) -> str:
    return f"{row.name}'s difference to single is {_value(row, 'single')}"


def _numbered(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {listed(list(map(str, seeds)))}"


def _value(row: Row, baseline: str) -> str:
    return difference_in_points(row.differences[baseline].seeds)


def _over(row: Row, baseline: str) -> str:
    return f"{_value(row, baseline)} over {baseline}"


def _seeds(difference: Difference) -> str:
    return counted(len(difference.by_seed), "seed")
