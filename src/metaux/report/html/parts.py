"""What the sections of the page are made of: charts, and the tables behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Figure = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """One chart, or several of which a selector of the page shows one.

    Args:
        name: its own on the page.
        label: what a screen reader says of it.
        figures: by option, plotly's figures as plain values.
        group: the selector that chooses the option; empty for a chart of one figure.
        height: in pixels.
    """

    name: str
    label: str
    figures: Mapping[str, Figure]
    group: str = ""
    height: int = 320


@dataclass(frozen=True)
class Table:
    """Numbers of the page, to be taken away as CSV and JSON.

    Args:
        name: of the file, without ending.
        columns: their names.
        rows: plain values, one per column; None is unknown.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def rounded(value: float | None) -> float | None:
    """Return a number with so many significant digits, since the page has no use for more.

    >>> rounded(0.123456789), rounded(None), rounded(float("nan"))
    (0.123457, None, None)
    """
    return None if value is None or value != value else float(f"{value:.6g}")
