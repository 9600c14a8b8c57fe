"""What all charts of the page share: plotly's figures as plain values, in colours that the page adapts to dark."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from metaux.report.canvas import COLOURS
from metaux.report.html.parts import Figure

DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "pentagon", "hexagon", "bowtie")
LONGEST_NAME = 26


def figure(traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> Figure:
    """Return a figure; plotly checks every name and value.

    Args:
        traces: each with its `type`.
        layout: beyond what all figures have.
    """
    import plotly.graph_objects as go

    common = {
        "template": None,
        "margin": {"l": 8, "r": 12, "t": 28, "b": 36},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12},
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": False,
    }
    made = go.Figure(data=list(traces), layout={**common, **layout}).to_plotly_json()
    return {"data": made["data"], "layout": {key: value for key, value in made["layout"].items() if key != "template"}}


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """Return an axis with the labels that it needs inside the chart."""
    return {"title": {"text": title}, "automargin": True, "zeroline": False, "fixedrange": True, **more}


def colour(place: int) -> str:
    """Return the colour of the method at this place."""
    return COLOURS[place % len(COLOURS)]


def dash(place: int) -> str:
    """Return the line of the method at this place, which tells it apart without its colour."""
    return DASHES[(place + place // len(COLOURS)) % len(DASHES)]


def plain(text: str) -> str:
    """Return a name as plotly shows it letter for letter: it would take `<b>` as an order.

    >>> plain("<b>cat</b> & dog")
    '&lt;b&gt;cat&lt;/b&gt; &amp; dog'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def short(names: Sequence[str], longest: int = LONGEST_NAME) -> dict[str, str]:
    """Return each name as an axis shows it: plain, without its middle where it is long, and no two alike.

    >>> list(short(["<b>", "one of the long names", "a long name of a cat", "a long name of the cat"], 12).values())
    ['&lt;b&gt;', 'one of…names', 'a long…a cat', 'a long…e cat']
    """
    half = longest // 2
    cut = [name if len(name) <= longest else f"{name[:half]}…{name[half + 1 - longest :]}" for name in names]
    alike = Counter(cut)
    return {
        name: plain(own if alike[own] == 1 else f"{name[: longest - 5]}… {place + 1}")
        for place, (name, own) in enumerate(zip(names, cut, strict=True))
    }
