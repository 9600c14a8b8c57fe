"""The answer in one plain line: what to use, whether auxiliary labels helped, what to expect on new samples."""

from metaux.evidence.comparison import Comparison, Row
from metaux.evidence.verdict import Verdict
from metaux.words import counted, percent, points

# What new samples are called, by kind of data.
SAMPLES = {"image": "images", "text": "texts", "table": "rows"}


def to_use(comparison: Comparison, verdict: Verdict) -> Row:
    """Return the row that a comparison supports: the simpler model, the best of those that gain, or single task."""
    if verdict.simpler:
        names: tuple[str, ...] = (verdict.simpler,)
    else:
        names = verdict.winners or ("single",)
    rows = [row for row in comparison.rows if row.name in names] or list(comparison.rows)
    return max(rows, key=lambda row: row.accuracy.mean)


def plain(comparison: Comparison, verdict: Verdict) -> str:
    """Return the line for a comparison."""
    row = to_use(comparison, verdict)
    return f"{use(row.name, comparison.epochs)} {_helped(comparison, verdict)} {expect(row, comparison.kind)}"


def use(name: str, epochs: int) -> str:
    """Return what to use, in a sentence; what has one epoch is no network.

    >>> use("single", 100), use("linear-probe", 1)
    ('Use single task, 100 epochs.', 'Use linear-probe.')
    """
    own = "single task" if name == "single" else name
    return f"Use {own}, {counted(epochs, 'epoch')}." if epochs > 1 else f"Use {own}."


def expect(row: Row, kind: str) -> str:
    """Return the accuracy to expect on new samples, in a sentence: a 95 % interval."""
    estimate = row.on_new
    if estimate.low is None or estimate.high is None:
        return f"What to expect on new {SAMPLES.get(kind, 'samples')} is not known: there are too few test samples."
    low, high = percent(estimate.low, 0), percent(estimate.high, 0)
    return f"Expect {f'{low} to {high}' if low != high else f'about {low}'} % on new {SAMPLES.get(kind, 'samples')}."


def _helped(comparison: Comparison, verdict: Verdict) -> str:
    methods = [row for row in comparison.rows if row.role == "method"]
    if verdict.winners:
        best = max((row for row in methods if row.name in verdict.winners), key=lambda row: row.accuracy.mean)
        return helped(best)
    if any(row.judged for row in methods):
        return "No auxiliary labels were shown to help."
    return "Whether auxiliary labels help was not tested." if not methods else "Whether auxiliary labels help is open."


def helped(row: Row) -> str:
    """Return by how much a method's labels helped, in a sentence."""
    return f"The auxiliary labels of {row.name} helped: {points(row.differences['single'].seeds.mean)} points."
