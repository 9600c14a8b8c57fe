"""The answer in plain sentences: what to use, whether auxiliary labels helped, what to expect on new samples."""

from collections.abc import Sequence

from metaux.evidence.comparison import Comparison, Row
from metaux.words import counted, percent, points

# What new samples are called, by kind of data.
SAMPLES = {"image": "images", "text": "texts", "table": "rows"}


def to_use(comparison: Comparison, winners: Sequence[str], simpler: str) -> Row:
    """Return the row that a comparison supports: the simpler model, the best of those that gain, or single task."""
    names = (simpler,) if simpler else winners or ("single",)
    rows = [row for row in comparison.rows if row.name in names] or list(comparison.rows)
    return max(rows, key=lambda row: row.accuracy.mean)


def use(name: str, epochs: int) -> str:
    """Return what to use, in a sentence; what has one epoch is no network.

    >>> use("single", 100), use("linear-probe", 1)
    ('Use single task, 100 epochs.', 'Use linear-probe.')
    """
    own = "single task" if name == "single" else name
    return f"Use {own}, {counted(epochs, 'epoch')}." if epochs > 1 else f"Use {own}."


def helped(comparison: Comparison, winners: Sequence[str]) -> str:
    """Return whether auxiliary labels helped, in a sentence; of several methods that gain, the best one."""
    methods = [row for row in comparison.rows if row.role == "method"]
    if winners:
        best = max((row for row in methods if row.name in winners), key=lambda row: row.accuracy.mean)
        return f"The auxiliary labels of {best.name} helped: {points(best.differences['single'].seeds.mean)} points."
    if any(row.judged for row in methods):
        return "No auxiliary labels were shown to help."
    return f"Whether auxiliary labels help {'is open' if methods else 'was not tested'}."


def expect(row: Row, kind: str) -> str:
    """Return the accuracy to expect on new samples, in a sentence: a 95 % interval."""
    estimate, what = row.on_new, SAMPLES.get(kind, "samples")
    if estimate.low is None or estimate.high is None:
        return f"What to expect on new {what} is not known: there are too few test samples."
    low, high = percent(estimate.low, 0), percent(estimate.high, 0)
    return f"Expect {f'{low} to {high}' if low != high else f'about {low}'} % on new {what}."
