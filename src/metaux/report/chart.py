"""What a chart shows, whatever draws it: `to_matplotlib` as a figure, `to_plotly` on the page.

Values are as they were recorded, accuracies as fractions; an axis says by what they are multiplied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from metaux.evidence.statistics import Estimate

# Okabe and Ito's colours, which colour-blind readers tell apart, without yellow, too pale on white; two of Tol's.
# A method is known by its dashes and symbol too.
COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#332288", "#882255")
BETTER, WORSE = COLOURS[3], COLOURS[4]
FAINT = "#8c8c8c"
DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "pentagon", "hexagon", "bowtie")


class Look(NamedTuple):
    """How a method, reference or class is drawn, in plotly's words."""

    colour: str = COLOURS[0]
    dash: str = "solid"
    symbol: str = "circle"


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return a different look for each name, in their order.

    >>> looks(["single", "maxl"])["maxl"]
    Look(colour='#0072B2', dash='dash', symbol='square')
    """
    return {
        name: Look(COLOURS[place % len(COLOURS)], DASHES[(place + place // len(COLOURS)) % 6], SYMBOLS[place % 10])
        for place, name in enumerate(names)
    }


@dataclass(frozen=True)
class Line:
    """Values in order, joined by a line.

    Args:
        name: what the legend calls it; nameless lines are in no legend.
        look: its colour, dashes and symbol.
        x: where the values are.
        y: the values.
        low: the lower bound of each value; none if empty.
        high: the upper bounds.
        bars: whether the bounds are bars at each value, not a band.
        sizes: of a marker at each value, in pixels; no markers if empty.
        texts: what is said of each value.
    """

    name: str
    look: Look
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    bars: bool = False
    sizes: Sequence[float] = ()
    texts: Sequence[str] = ()


def ends(estimate: Estimate) -> tuple[float, float]:
    """Return the ends of an interval; where there is none, the mean itself twice."""
    mean, low, high = estimate.mean, estimate.low, estimate.high
    return (mean, mean) if low is None or high is None else (low, high)


class Point(NamedTuple):
    """A mean in a row of a chart, with its intervals.

    `row` counts from the top; `seeds` has the thick interval, `test` the thin one; `by_seed` are small dots; `text` is
    what is said of it.
    """

    row: int
    seeds: Estimate
    test: Estimate | None = None
    by_seed: Sequence[float] = ()
    text: str = ""

    @property
    def above(self) -> bool:
        """Whether every interval is above zero."""
        return self.seeds.above and (self.test is None or self.test.above)

    @property
    def below(self) -> bool:
        """Whether every interval is below zero."""
        return self.seeds.below and (self.test is None or self.test.below)


@dataclass(frozen=True)
class Points:
    """Means with their intervals, one or none in each row; `remarks` say by row why there is none."""

    name: str
    look: Look
    points: Sequence[Point]
    remarks: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True)
class Heat:
    """A square matrix, a colour for each number.

    Args:
        names: of its rows and columns.
        values: `[rows][columns]`; None is blank.
        largest: what has the full colour.
        unit: of the numbers.
        signed: whether there are numbers below zero.
    """

    names: Sequence[str]
    values: Sequence[Sequence[float | None]]
    largest: float
    unit: str
    signed: bool = False


@dataclass(frozen=True)
class Cloud:
    """Samples in a plane, each with a look and a text."""

    x: Sequence[float]
    y: Sequence[float]
    looks: Sequence[Look]
    texts: Sequence[str]


Mark = Line | Points | Heat | Cloud


class Axis(NamedTuple):
    """One axis.

    `unit` and `decimals` are of what is said of a value; `factor` multiplies values; `limits` are the ends, in values;
    `names` are those of rows, from the top; `zero` shows and marks zero; `whole` has ticks at whole numbers only.
    """

    title: str = ""
    unit: str = ""
    factor: float = 1.0
    decimals: int = 3
    limits: tuple[float, float] | None = None
    names: tuple[str, ...] = ()
    zero: bool = False
    whole: bool = False
    log: bool = False


BARE = Axis()


@dataclass(frozen=True)
class Chart:
    """One chart: what it shows, of one kind, and its axes."""

    marks: Sequence[Mark]
    x: Axis = BARE
    y: Axis = BARE
    title: str = ""
    legend: bool = False

    def colour(self, points: Points, point: Point) -> str:
        """Return a point's colour: of several sets each has its own, of a single one around zero each side has one."""
        if len(self.marks) > 1 or not self.x.zero or not (point.above or point.below):
            return points.look.colour
        return BETTER if point.above else WORSE
