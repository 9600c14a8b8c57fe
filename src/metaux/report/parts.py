"""What the sections of the page are made of: panels of charts, and the numbers behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaux.report.chart import Chart

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Panel:
    """One chart, or several of which a selector of the page shows one.

    Args:
        name: its own on the page.
        label: what a screen reader says of it.
        charts: by the selector's option; the only one of a panel without selector is called ``.
        group: the selector.
        height: in pixels.
        title: above it.
        unit: beside the title.
        note: below it.
    """

    name: str
    label: str
    charts: Mapping[str, Chart]
    group: str = ""
    height: int = 320
    title: str = ""
    unit: str = ""
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page: its charts, and by name all its numbers, to be taken away as CSV and JSON."""

    panels: Sequence[Panel]
    tables: Mapping[str, Rows]


def rounded(value: float | None) -> float | None:
    """Return a number with six significant digits, since the page has no use for more.

    >>> rounded(0.123456789), rounded(None), rounded(float("nan"))
    (0.123457, None, None)
    """
    return None if value is None or value != value else float(f"{value:.6g}")
