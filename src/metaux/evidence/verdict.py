"""What a comparison supports and what it doesn't, in one sentence."""

import math
from collections.abc import Sequence

from metaux.evidence.comparison import Comparison, Difference, Row
from metaux.evidence.intervals import difference_in_points
from metaux.evidence.statistics import FEWEST_SAMPLES, seeds_needed
from metaux.labels.sources import baselines, entry
from metaux.words import counted, listed, percent, points

MANY_SEEDS = 100


def verdict(comparison: Comparison, effect: float = 0.005) -> str:
    """Return one sentence that says what the table supports and what it doesn't.

    A method *beats* single task and the controls if `Comparison.gain` says so. Human labels and those of a network
    trained on other data come from outside, so they are never a winner; they tell whether labels can matter on this
    data.

    Args:
        comparison: the table.
        effect: the gain, as a fraction, that is worth knowing of.
    """
    methods = [row for row in comparison.rows if entry(row.method).role == "method"]
    outside = [row for row in comparison.rows if entry(row.method).role == "outside"]
    human = sorted(outside, key=lambda row: row.method != "human")
    tried = methods or human
    if not tried:
        names = listed([row.method for row in comparison.rows])
        return f"Nothing to conclude: only controls were run ({names}); add a method such as maxl."
    best = _best(tried)
    if comparison.missing:
        return _without(comparison.lacking(best), best)
    judged = [row for row in tried if _is_judged(comparison, row)]
    if not judged:
        return _unjudgeable(comparison, best)
    human = [row for row in human if comparison.gain(row)]
    if not methods:
        return _human_only(judged, human)
    winners = [row for row in judged if comparison.gain(row)]
    if winners:
        return _gain(comparison, winners, [row for row in methods if row not in winners], human)
    return _no_gain(comparison, judged, human, effect)


def what_would_change_it(comparison: Comparison, effect: float = 0.005) -> str:
    """Return what would change the verdict, in one sentence; nothing where the verdict itself says it.

    Args:
        comparison: the table.
        effect: the gain, as a fraction, that is worth knowing of.
    """
    tried = [row for row in comparison.rows if entry(row.method).role == "method" and _is_judged(comparison, row)]
    winners = [row for row in tried if comparison.gain(row)]
    if winners:
        row = _best(winners)
        name, over, low = min(
            (
                (name, over, getattr(row.differences[name], over).low)
                for name in baselines(row.method)
                for over in ("seeds", "test")
            ),
            key=lambda found: found[2],
        )
        drawn = "seeds" if over == "seeds" else row.differences[name].drawn
        return (
            f"The closest call is {row.method} against {name}: its interval over {drawn} begins at "
            f"{points(low, 2)} points, and below zero there would be no gain."
        )
    if not tried:
        return ""
    best = _best(tried)
    said = _what_would_settle_it(comparison, best, effect)
    return "" if said in verdict(comparison, effect) else f"For {best.method}, the best of those judged: {said}."


def _gain(comparison: Comparison, winners: Sequence[Row], others: Sequence[Row], human: Sequence[Row]) -> str:
    if len(winners) == 1:
        row, drawn = winners[0], winners[0].differences["single"].drawn
        controls = baselines(row.method)[1:]
        control = min(controls, key=lambda name: row.differences[name].seeds.mean)
        closest = "closer" if len(controls) == 2 else "closest"
        sentence = (
            f"{row.method} beats {_judges_in_words(row.method)}, over seeds and over {drawn}: "
            f"{_over(row, 'single')} and {_over(row, control)}, the {closest} control "
            f"({_seeds(row.differences['single'])})"
        )
    else:
        own = any(entry(row.method).control for row in winners)
        sentence = (
            f"{listed([row.method for row in winners])} beat {_judges_in_words()}{', and their own' if own else ''}, "
            f"over seeds and over {winners[0].differences['single'].drawn}: "
            + ", ".join(f"{row.method} by {_over(row, 'single')}" for row in winners)
            + f" ({_seeds(winners[0].differences['single'])}); which of them is better is not tested"
        )
    if others:
        sentence += f"; no such gain is shown for {listed([row.method for row in others])}"
    sentence += "".join(f"; {unjudged}" for unjudged in _unjudged(comparison, others))
    if human:
        sentence += f"; {_labels_of(human[0])} gain {_over(human[0], 'single')}"
    return f"{sentence}; this holds for this data, network and protocol."


def _no_gain(comparison: Comparison, judged: Sequence[Row], human: Sequence[Row], effect: float) -> str:
    best = _best(judged)
    parts = [_shortfall(best)]
    worse = [row for row in judged if row is not best and row.differences["single"].below]
    if worse:
        parts.append(", ".join(f"{row.method} is worse than single ({_value(row, 'single')})" for row in worse))
    control = _helpful_control(comparison)
    if control:
        parts.append(control)
    parts += _unjudged(comparison, [row for row in comparison.rows if entry(row.method).role == "method"])
    if human:
        reached = best.differences["single"].seeds.high
        least = human[0].differences["single"].seeds.low
        apart = reached is not None and least is not None and reached < least
        parts.append(
            f"{_labels_of(human[0])} beat all three ({_over(human[0], 'single')}), so labels can matter here"
            + (" but the learned ones do not reach them" if apart else "; of learned ones it is not shown")
        )
    if not (control or human or best.differences["single"].below):
        parts.append(_what_would_settle_it(comparison, best, effect))
    own = "" if len(judged) == 1 else ", and its own" if any(entry(row.method).control for row in judged) else ""
    judges_of_all = _judges_in_words(best.method if len(judged) == 1 else "")
    return f"No method beats {judges_of_all}{own}: {'; '.join(parts)}."


def _unjudged(comparison: Comparison, rows: Sequence[Row]) -> list[str]:
    """Say which methods lack a control of their own, or seeds."""
    lacking = [(row.method, listed(comparison.lacking(row))) for row in rows]
    lacking += [(row.method, f"its {_numbered(seeds)}") for row in rows if (seeds := comparison.absent(row))]
    return [f"{method} is not judged without {what}" for method, what in lacking if what]


def _numbered(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {listed(list(map(str, seeds)))}"


def _judges_in_words(method: str = "") -> str:
    return f"single task and the controls {listed(baselines(method)[1:])}"


def _helpful_control(comparison: Comparison) -> str:
    """Say which control is better than single task without having learned anything; nothing if none is."""
    blank = [row for row in comparison.rows if entry(row.method).uninformed]
    helpful = [row for row in blank if _has_single(row) and row.differences["single"].above]
    if not helpful:
        return ""
    blind = [row for row in helpful if entry(row.method).uninformed == "blind"]
    beats = f"{listed([row.method for row in blind or helpful])} alone "
    beats += (
        f"beats single ({_value((blind or helpful)[0], 'single')})" if len(blind or helpful) == 1 else "beat single"
    )
    if blind:
        return f"{beats}, so an auxiliary task acts as regularisation here, even without information"
    return f"{beats}, so it is not what is learned that helps"


def _shortfall(row: Row) -> str:
    """Say which comparison fails, and by which interval."""
    name = next(name for name in baselines(row.method) if not row.differences[name].above)
    difference = row.differences[name]
    if difference.below:
        return f"{row.method} is worse than {name} ({_value(row, name)} over {_seeds(difference)})"
    beaten = baselines(row.method)[: baselines(row.method).index(name)]
    start = f"{row.method}'s"
    if beaten:
        start = f"{row.method} beats {listed(beaten)} ({_value(row, 'single')}), but its"
    # Where the seeds agree, it is the test set that leaves room for doubt.
    shown, over = (difference.test, difference.drawn) if difference.seeds.above else (difference.seeds, None)
    return f"{start} difference to {name} is {difference_in_points(shown)} over {over or _seeds(difference)}"


def _what_would_settle_it(comparison: Comparison, row: Row, effect: float) -> str:
    differences = list(row.differences.values())
    gain = f"a gain of {percent(effect)} points"
    single = comparison.row("single")
    if single is not None and 1 - single.accuracy.mean < effect:
        left = percent(1 - single.accuracy.mean)
        return f"single leaves only {left} points to gain, so another data set is needed"
    if ruled_out := [name for name, own in row.differences.items() if _ends_below(own, effect)]:
        return f"both intervals of its difference to {ruled_out[0]} end below {percent(effect)} points"
    if max(difference.floor for difference in differences) >= effect:
        few = counted(comparison.test_size, "test sample") if differences[0].groups is None else differences[0].drawn
        return (
            f"{few} are too few to settle {gain} with any number "
            "of seeds, so a larger test set or another data set is needed"
        )
    seeds = min(len(difference.by_seed) for difference in differences)
    needed = max(seeds_needed(_deviation(difference.by_seed), effect) for difference in differences)
    if needed > MANY_SEEDS:
        return f"to settle {gain} would take more than {MANY_SEEDS} seeds, so another data set is needed"
    # Where as many as there are should have been enough and the intervals still hold such a gain, one more at least.
    return f"about {counted(max(1, needed - seeds), 'more seed')} would settle {gain}, or another data set is needed"


def _ends_below(difference: Difference, effect: float) -> bool:
    """Return whether a gain of this size lies above the interval over seeds and above that over test samples.

    Where no test sample differs, that one has no width; the floor still has.
    """
    highs = (difference.seeds.high, difference.test.high, difference.test.mean + difference.floor)
    return all(high is not None and high < effect for high in highs)


def _without(names: Sequence[str], row: Row) -> str:
    missing = listed(names)
    seen = f": {_difference_to_single(row)}, but" if _has_single(row) else ", since"
    return (
        f"No conclusion without {missing}{seen} a gain is one over {_judges_in_words(row.method)}; "
        f"run {missing} too, with the same seeds."
    )


def _unjudgeable(comparison: Comparison, row: Row) -> str:
    if lacking := comparison.lacking(row):
        return _without(lacking, row)
    seen = f"{_difference_to_single(row)}, but " if _has_single(row) else ""
    if absent := comparison.absent(row):
        return (
            f"No conclusion: {seen}{row.method} has no run with {_numbered(absent)}, which single has, and with those "
            "alone that came through it can't be judged; repeat the command, or correct what made them fail."
        )
    if all(difference.seeds.low is not None for difference in row.differences.values()):
        return (
            f"No conclusion: {seen}fewer than {FEWEST_SAMPLES} test samples, or groups of them, are too few for an "
            "interval; measure on more."
        )
    return (
        f"No conclusion: {seen}without two seeds in common with each reference there is no interval; "
        "run at least 3 seeds of all."
    )


def _human_only(judged: Sequence[Row], gaining: Sequence[Row]) -> str:
    if gaining:
        return (
            f"{_capital(_labels_of(gaining[0]))} beat {_judges_in_words()} ({_over(gaining[0], 'single')}, "
            f"{_seeds(gaining[0].differences['single'])}): labels can matter here, "
            "and the table has no method that learns them."
        )
    return (
        f"{_capital(_labels_of(judged[0]))} do not beat {_judges_in_words()} ({_shortfall(judged[0])}), "
        "and the table has no method that learns labels."
    )


def _labels_of(row: Row) -> str:
    return "human labels" if row.method == "human" else f"labels of {row.method}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _best(rows: Sequence[Row]) -> Row:
    """Return the row with the highest difference to single, or accuracy where there is none."""
    return max(
        rows,
        key=lambda row: row.differences["single"].seeds.mean if _has_single(row) else row.accuracy.mean - 1,
    )


def _is_judged(comparison: Comparison, row: Row) -> bool:
    found = [row.differences.get(name) for name in baselines(row.method)]
    intervals = [interval for own in found for interval in ((own.seeds, own.test) if own else (None,))]
    return all(each is not None and each.low is not None for each in intervals) and not comparison.absent(row)


def _has_single(row: Row) -> bool:
    return "single" in row.differences


def _difference_to_single(row: Row) -> str:
    return f"{row.method}'s difference to single is {_value(row, 'single')}"


def _value(row: Row, reference: str) -> str:
    return difference_in_points(row.differences[reference].seeds)


def _over(row: Row, reference: str) -> str:
    return f"{_value(row, reference)} over {reference}"


def _seeds(difference: Difference) -> str:
    return counted(len(difference.by_seed), "seed")


def _deviation(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
