"""What would change a verdict: the closest interval of a gain, and how much more of what would show one."""

import statistics

from metaux.evidence.comparison import Comparison, Difference, Row
from metaux.evidence.statistics import seeds_needed
from metaux.words import counted, percent, points

# The gain, as a fraction, that is worth knowing of.
EFFECT = 0.005
MANY_SEEDS = 100


def closest_call(row: Row) -> str:
    """Say which of a gain's intervals begins nearest to zero."""
    lows = [
        (low, name, over)
        for name in row.baselines
        for over, low in (
            ("seeds", row.differences[name].seeds.low),
            (row.differences[name].drawn, row.differences[name].test.low),
        )
        if low is not None
    ]
    low, name, over = min(lows, key=lambda found: found[0])
    return (
        f"The closest call is {row.name} against {name}: its interval over {over} begins at {points(low, 2)} points, "
        "and below zero there would be no gain."
    )


def what_would_settle_it(comparison: Comparison, row: Row) -> str:
    """Say what would show a gain of `EFFECT`, or what rules it out."""
    differences = list(row.differences.values())
    gain = f"a gain of {percent(EFFECT)} points"
    single = comparison.row("single")
    if single is not None and 1 - single.accuracy.mean < EFFECT:
        left = percent(1 - single.accuracy.mean)
        return f"single leaves only {left} points to gain, so another data set is needed"
    if ruled_out := [name for name, own in row.differences.items() if _ends_below(own)]:
        return f"both intervals of its difference to {ruled_out[0]} end below {percent(EFFECT)} points"
    if max(difference.floor for difference in differences) >= EFFECT:
        few = counted(comparison.test_size, "test sample") if differences[0].groups is None else differences[0].drawn
        return (
            f"{few} are too few to settle {gain} with any number of seeds, so a larger test set or another data set is "
            "needed"
        )
    seeds = min(len(difference.by_seed) for difference in differences)
    needed = max(seeds_needed(statistics.stdev(difference.by_seed), EFFECT) for difference in differences)
    if needed > MANY_SEEDS:
        return f"to settle {gain} would take more than {MANY_SEEDS} seeds, so another data set is needed"
    # Where as many as there are should have been enough and the intervals still hold such a gain, one more at least.
    return f"about {counted(max(1, needed - seeds), 'more seed')} would settle {gain}, or another data set is needed"


def _ends_below(difference: Difference) -> bool:
    """Return whether a gain of `EFFECT` lies above the interval over seeds and above that over test samples.

    Where no test sample differs, that one has no width; the floor still has.
    """
    highs = (difference.seeds.high, difference.test.high, difference.test.mean + difference.floor)
    return all(high is not None and high < EFFECT for high in highs)
