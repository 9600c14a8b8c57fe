"""Did it help? Every difference of a comparison with its intervals: one chart, for the figure and for the page."""

from collections.abc import Sequence

from metaux.evidence.comparison import OWN, Comparison, Difference, Row
from metaux.evidence.intervals import decimals_for, interval_of_points
from metaux.labels.sources import REFERENCES
from metaux.report.chart import COLOURS, SYMBOLS, Axis, Chart, Look, Point, Points
from metaux.report.parts import Panel, Section
from metaux.words import points

LOOKS = {
    name: Look(colour, symbol=symbol)
    for name, colour, symbol in zip((*REFERENCES, OWN), COLOURS[1:], SYMBOLS, strict=False)
}


def differences_chart(comparison: Comparison) -> Chart | None:
    """Return the differences to each reference, and to each method's own control; None where there are none."""
    rows = [row for row in comparison.rows if row.differences]
    if not rows:
        return None
    return Chart(
        [_to(name, rows) for name in comparison.columns],
        Axis("percentage points of test accuracy", factor=100, zero=True),
        Axis(names=tuple(row.name for row in rows)),
        legend=True,
    )


def differences(comparison: Comparison) -> Section:
    """Make the section's chart; the comparison itself is its table."""
    chart = differences_chart(comparison)
    if chart is None:
        return Section([], {})
    height = 90 + max(34, 20 * len(chart.marks)) * len(chart.y.names)
    label = "Differences in test accuracy of each method to each reference, with intervals; the table has the numbers"
    return Section([Panel("differences", label, {"": chart}, height=height)], {})


def _to(name: str, rows: Sequence[Row]) -> Points:
    found, remarks = [], []
    for place, row in enumerate(rows):
        if own := row.difference(name):
            other = next(other for other, each in row.differences.items() if each is own)
            text = f"<b>{row.name} minus {other}</b>: {_in_words(own)}"
            found.append(Point(place, own.seeds, own.test, own.by_seed, text))
        else:
            none = name == OWN and not row.controls
            remarks.append(
                (place, "has none" if none else "is the reference" if row.name == name else "no seed in common")
            )
    return Points(f"minus {name}", LOOKS[name], found, remarks)


def _in_words(difference: Difference) -> str:
    seeds, test = interval_of_points(difference.seeds), interval_of_points(difference.test)
    return "<br>".join(
        [
            f"{points(difference.seeds.mean, decimals_for(difference.seeds))} points",
            f"over seeds {seeds}" if seeds else "one seed, so no interval over seeds",
            f"over {difference.drawn} {test}" if test else "too few test samples for an interval",
        ]
    )
