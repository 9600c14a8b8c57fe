"""What the sections of the page are made of: panels of charts, and the tables behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from metaux.report.chart import Chart


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


class Section(Protocol):
    """A part of the page: its charts, and all its numbers."""

    @property
    def panels(self) -> Sequence[Panel]:
        """The charts, in the order of the page."""

    @property
    def tables(self) -> Sequence[Table]:
        """The numbers."""


def rounded(value: float | None) -> float | None:
    """Return a number with six significant digits, since the page has no use for more.

    >>> rounded(0.123456789), rounded(None), rounded(float("nan"))
    (0.123457, None, None)
    """
    return None if value is None or value != value else float(f"{value:.6g}")
