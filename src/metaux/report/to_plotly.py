"""Charts for the page: plotly's figures as plain values, in colours that the page adapts to dark."""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from metaux.evidence.statistics import Estimate
from metaux.report.chart import COLOURS, Axis, Chart, Cloud, Heat, Line, Point, Points, ends
from metaux.report.parts import rounded

Trace = dict[str, Any]

LONGEST_NAME = 26
MOST_MARKED = 10
# Of a matrix: from how many classes on it has no names, no numbers, no decimals.
MOST_NAMED, MOST_NUMBERED, MOST_WITH_DECIMALS = 12, 10, 5
LONGEST_TICK = 14
LEVEL = 30  # characters; more do not stand side by side under a matrix
# Nothing is the colour of the paper, which the page knows in light and dark.
SHADES = [[0, "#ffffff"], [1, COLOURS[1]]]
BOTH_WAYS = [[0, COLOURS[1]], [0.5, "#ffffff"], [1, COLOURS[4]]]


def figure(chart: Chart) -> dict[str, Any]:
    """Return a chart as plotly's figure; plotly checks every name and value."""
    import plotly.graph_objects as go

    traces: list[Trace] = []
    layout: dict[str, Any] = {"xaxis": _axis(chart.x), "yaxis": _axis(chart.y)}
    for place, mark in enumerate(chart.marks):
        match mark:
            case Line():
                traces += _line(mark, chart)
                last = mark.x[-1]
                # Of few epochs each is marked, and nothing between them.
                layout["xaxis"] |= {"dtick": 1} if chart.x.whole and last <= MOST_MARKED else {}
            case Points():
                traces += _points(mark, chart, 0.72 / len(chart.marks) * (place - (len(chart.marks) - 1) / 2))
            case Heat():
                traces.append(_heat(mark))
                layout |= _layout_of_heat(mark)
            case Cloud():
                traces.append(_cloud(mark))
                bare = {"visible": False, "fixedrange": True}
                layout |= {"xaxis": bare, "yaxis": {**bare, "scaleanchor": "x"}, "margin": dict.fromkeys("lrtb", 8)}
    common = {
        "template": None,
        "margin": {"l": 8, "r": 12, "t": 28 if chart.legend else 8, "b": 36},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12},
        "showlegend": chart.legend,
        "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
        "hovermode": "closest",
        "dragmode": False,
    }
    made = go.Figure(data=traces, layout={**common, **layout}).to_plotly_json()
    return {"data": made["data"], "layout": {key: value for key, value in made["layout"].items() if key != "template"}}


def plain(text: str) -> str:
    """Return a name as plotly shows it letter for letter: it would take `<b>` as an order.

    >>> plain("<b>cat</b> & dog")
    '&lt;b&gt;cat&lt;/b&gt; &amp; dog'
    """
    return escape(text, quote=False)


def short(names: Sequence[str], longest: int = LONGEST_NAME) -> list[str]:
    """Return names as an axis shows them: plain, without their middle where they are long, and no two alike.

    >>> short(["<b>", "one of the long names", "a long name of a cat", "a long name of the cat"], 12)
    ['&lt;b&gt;', 'one of…names', 'a long…a cat', 'a long…e cat']
    """
    half = longest // 2
    cut = [name if len(name) <= longest else f"{name[:half]}…{name[half + 1 - longest :]}" for name in names]
    alike = Counter(cut)
    return [
        plain(own if alike[own] == 1 else f"{name[: longest - 5]}… {place + 1}")
        for place, (name, own) in enumerate(zip(names, cut, strict=True))
    ]


def _axis(axis: Axis) -> dict[str, Any]:
    """Return an axis with the labels that it needs inside the chart."""
    made: dict[str, Any] = {"title": {"text": axis.title}, "automargin": True, "zeroline": axis.zero}
    made["fixedrange"] = True
    if axis.zero:
        made |= {"zerolinewidth": 2, "rangemode": "tozero"}
    if axis.limits:
        made["range"] = [axis.factor * end for end in axis.limits]
    if axis.names:
        count = len(axis.names)
        # By place: as categories, plotly loses a class called `constructor`.
        made |= {"tickvals": list(range(count)), "ticktext": short(axis.names)}
        made |= {"range": [count - 0.5, -0.5], "showgrid": False}
    return made


def _line(line: Line, chart: Chart) -> list[Trace]:
    x, y, low, high = (
        _scaled(values, axis)
        for values, axis in ((line.x, chart.x), (line.y, chart.y), (line.low, chart.y), (line.high, chart.y))
    )
    common = {"type": "scatter", "mode": "lines", "legendgroup": line.name, "x": x}
    band = {**common, "line": {"width": 0, "color": line.look.colour}, "hoverinfo": "skip"}
    said = f"{line.name}, {chart.x.title} %{{x}}: %{{y:.{chart.y.decimals}f}} {chart.y.unit}"
    own: Trace = {
        **common,
        "y": y,
        "name": line.name,
        "showlegend": bool(line.name),
        "line": {"color": line.look.colour, "dash": line.look.dash, "width": 1.8 if line.name else 1},
    }
    if line.sizes or len(x) == 1:
        own["mode"] = "lines+markers"
    if line.sizes:
        own["marker"] = {"size": list(line.sizes)}
    if line.texts:
        own["text"] = list(line.texts)
    own |= (
        {"hovertemplate": f"{'%{text}' if line.texts else said}<extra></extra>"} if line.name else {"hoverinfo": "skip"}
    )
    # Where both bounds are alike, as of a single seed, there is no band.
    bands = [{**band, "y": low}, {**band, "y": high, "fill": "tonexty"}] if low != high else []
    return [*bands, own]


def _points(points: Points, chart: Chart, offset: float) -> list[Trace]:
    """Return for the points of each colour: the thin intervals, the small dots, and the means with the thick ones."""
    by_colour: dict[str, list[Point]] = {}
    for point in points.points:
        by_colour.setdefault(chart.colour(points, point), []).append(point)
    factor, traces = chart.x.factor, list[Trace]()
    gap = 0.2 if len(chart.marks) == 1 else 0.08  # rows of a single set are narrow
    for place, (colour, own) in enumerate(by_colour.items()):
        common = {"type": "scatter", "mode": "markers", "legendgroup": points.name}
        quiet = {**common, "hoverinfo": "skip", "showlegend": False}
        means = [rounded(factor * point.seeds.mean) for point in own]
        marker = {"color": colour, "symbol": points.look.symbol}
        traces += [
            {
                **quiet,
                "x": means,
                "y": [point.row + offset - gap for point in own],
                "error_x": _bars([point.test or point.seeds for point in own], factor, colour, 1, 4),
                "marker": {**marker, "size": 1},
            },
            {
                **quiet,
                "x": [rounded(factor * value) for point in own for value in point.by_seed],
                "y": [point.row + offset + gap for point in own for _ in point.by_seed],
                "marker": {"color": colour, "size": 5, "opacity": 0.6},
            },
            {
                **common,
                "x": means,
                "y": [point.row + offset for point in own],
                "error_x": _bars([point.seeds for point in own], factor, colour, 4, 0),
                "marker": {**marker, "size": 10, "line": {"width": 1, "color": "#ffffff"}},
                "name": points.name,
                "showlegend": place == 0,
                "text": [point.text for point in own],
                "hovertemplate": "%{text}<extra></extra>",
            },
        ]
    return traces


def _bars(estimates: Iterable[Estimate], factor: float, colour: str, thickness: float, caps: int) -> dict[str, object]:
    """Return error bars; of no length where there is no interval."""
    reach = [(each.mean - low, high - each.mean) for each in estimates for low, high in [ends(each)]]
    return {
        "type": "data",
        "symmetric": False,
        "array": [rounded(factor * above) for _, above in reach],
        "arrayminus": [rounded(factor * below) for below, _ in reach],
        "color": colour,
        "thickness": thickness,
        "width": caps,
    }


def _heat(heat: Heat) -> Trace:
    few, sign = len(heat.names) <= MOST_NUMBERED, "+" if heat.signed else ""
    trace: Trace = {
        "type": "heatmap",
        "z": [[None if value is None else round(value, 1) for value in row] for row in heat.values],
        "colorscale": BOTH_WAYS if heat.signed else SHADES,
        "zmin": -heat.largest if heat.signed else 0,
        "zmax": heat.largest,
        "showscale": False,
        "xgap": 1 if few else 0,
        "ygap": 1 if few else 0,
        "hoverongaps": False,
        # The names stand once in the figure, and the page finds those of a cell by its place.
        "meta": [plain(name) for name in heat.names],
        "hovertemplate": f"%{{hovertext}}<br>%{{z:{sign}.1f}} {heat.unit}<extra></extra>",
    }
    if few:
        decimals = 1 if len(heat.names) <= MOST_WITH_DECIMALS else 0
        trace |= {
            "text": [[_number(value or 0.0, decimals, sign) for value in row] for row in heat.values],
            "texttemplate": "%{text}",
            "textfont": {"size": 11 if decimals else 10},
        }
    return trace


def _layout_of_heat(heat: Heat) -> dict[str, Any]:
    count = len(heat.names)
    level = count * (2 + max(len(name[:LONGEST_TICK]) for name in heat.names)) <= LEVEL
    common = {**_axis(Axis()), "showgrid": False}
    if count > MOST_NAMED:
        common["showticklabels"] = False
    else:
        common |= {"tickvals": list(range(count)), "ticktext": short(heat.names, LONGEST_TICK)}
    return {
        "xaxis": {**common, "range": [-0.5, count - 0.5], "tickangle": 0 if level else -45},
        "yaxis": {**common, "range": [count - 0.5, -0.5]},
        "margin": dict.fromkeys("lrtb", 8),
    }


def _number(value: float, decimals: int, sign: str) -> str:
    """Return what stands in a cell; nothing in place of zero."""
    value = round(value, decimals)
    return f"{value:{sign}.{decimals}f}" if value else ""


def _cloud(cloud: Cloud) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(cloud.x),
        "y": list(cloud.y),
        "marker": {
            "size": 7,
            "opacity": 0.85,
            "color": [look.colour for look in cloud.looks],
            "symbol": [look.symbol for look in cloud.looks],
        },
        "text": list(cloud.texts),
        "hovertemplate": "%{text}<extra></extra>",
    }


def _scaled(values: Sequence[float], axis: Axis) -> list[float | None]:
    return [rounded(axis.factor * value) for value in values]
