"""The test samples as the network sees them: its features in two dimensions, by t-SNE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaux.report.canvas import COLOURS
from metaux.report.html.charts import SYMBOLS, figure, plain
from metaux.report.html.methods import Recorded, predicted, subclass_name
from metaux.report.html.parts import Chart, Figure, Table
from metaux.runs.record import Run

MOST_SAMPLES = 1000
FEWEST_SAMPLES = 5
PALETTE = (*COLOURS[1:], "#8c6d31", "#6b6ecf", COLOURS[0])


@dataclass(frozen=True)
class Map:
    """The test samples of one run in two dimensions.

    Args:
        method: whose run it is.
        seed: the run's.
        rows: which test samples, and
        x: where they lie,
        y: likewise.
        primary: their classes.
        predicted: what the network takes them for.
        subclasses: the sub-class that the network gives them within their class, from 0; None where it has none.
        called: the names of these; those of the classes where there are none.
    """

    method: str
    seed: int
    rows: Sequence[int]
    x: Sequence[float]
    y: Sequence[float]
    primary: Sequence[int]
    predicted: Sequence[int]
    subclasses: Sequence[int] | None
    called: Sequence[str]


@dataclass(frozen=True)
class Features:
    """The maps by method, the chart, and what its colours mean by option."""

    maps: Mapping[str, Map]
    chart: Chart
    keys: Mapping[str, Sequence[tuple[str, str, str]]]
    names: Sequence[str]

    def table(self) -> Table:
        """Return all numbers."""
        rows: list[tuple[object, ...]] = []
        for each in self.maps.values():
            for row, x, y, primary, found, called in zip(
                each.rows, each.x, each.y, each.primary, each.predicted, each.called, strict=True
            ):
                subclass = None if each.subclasses is None else called
                rows.append((each.method, each.seed, row, x, y, self.names[primary], self.names[found], subclass))
        columns = ("method", "seed", "test_sample", "x", "y", "class", "predicted", "subclass")
        return Table("features", columns, rows)


def mapped(recorded: Recorded) -> list[Run]:
    """Return the runs whose features are shown: of the first of the methods to look at, and of single."""
    shown = dict.fromkeys([recorded.ranked()[0], "single"])
    runs = [recorded.of_method(name)[0] for name in shown if name in recorded.methods]
    return [
        run
        for run in runs
        if {"test_features", "test_feature_rows"} <= set(run.outputs())
        and len(run.output("test_feature_rows")) >= FEWEST_SAMPLES
    ]


def features(recorded: Recorded, subclasses: Mapping[str, Sequence[int]]) -> Features | None:
    """Make the maps; None where no run has recorded features.

    Args:
        recorded: the runs.
        subclasses: by method, for each sample of `test_feature_rows`, what the network's auxiliary head says.
    """
    maps = {run.method: _map(run, subclasses.get(run.method)) for run in mapped(recorded)}
    if not maps:
        return None
    names = recorded.class_names
    figures: dict[str, Figure] = {}
    keys: dict[str, Sequence[tuple[str, str, str]]] = {}
    for method, each in maps.items():
        coloured = {"class": each.primary} | ({} if each.subclasses is None else {"subclass": each.subclasses})
        for kind, numbers in coloured.items():
            called = names if kind == "class" else [f"sub-class {place}" for place in range(max(numbers) + 1)]
            figures[f"{method}/{kind}"] = _figure(each, numbers, names)
            keys[f"{method}/{kind}"] = [(name, *_look(place)) for place, name in enumerate(called)]
    label = "Test samples by the features of the trained network, in two dimensions; the slider names each of them"
    return Features(maps, Chart("features", label, figures, "features", 460), keys, names)


def _map(run: Run, subclasses: Sequence[int] | None) -> Map:
    from sklearn.manifold import TSNE

    rows = run.output("test_feature_rows")[:MOST_SAMPLES]
    perplexity = min(30.0, (len(rows) - 1) / 3)
    found = run.output("test_features")[:MOST_SAMPLES].astype("float64")
    # Where all features are alike there is no principal component to begin with.
    start = "pca" if found.std() > 0 and found.shape[1] > 1 else "random"
    flat = TSNE(random_state=0, init=start, perplexity=perplexity).fit_transform(found)
    primary: list[int] = run.output("test_primary")[rows].tolist()
    slots = None if subclasses is None else list(subclasses)[:MOST_SAMPLES]
    return Map(
        method=run.method,
        seed=run.seed,
        rows=rows.tolist(),
        x=[round(float(value), 2) for value in flat[:, 0]],
        y=[round(float(value), 2) for value in flat[:, 1]],
        primary=primary,
        predicted=predicted(run)[rows].tolist(),
        subclasses=slots,
        called=[str(run.result["class_names"][class_]) for class_ in primary]
        if slots is None
        else [subclass_name(run, class_, slot) for class_, slot in zip(primary, slots, strict=True)],
    )


def _look(place: int) -> tuple[str, str]:
    """Return a colour and a symbol, which together are different for 100 classes."""
    return PALETTE[place % len(PALETTE)], SYMBOLS[place // len(PALETTE) % len(SYMBOLS)]


def _figure(each: Map, numbers: Sequence[int], names: Sequence[str]) -> Figure:
    looks = [_look(number) for number in numbers]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": each.x,
        "y": each.y,
        "marker": {"size": 7, "opacity": 0.85, "color": [c for c, _ in looks], "symbol": [s for _, s in looks]},
        "text": _texts(each, names),
        "hovertemplate": "%{text}<extra></extra>",
    }
    bare = {"visible": False, "fixedrange": True}
    return figure([trace], {"xaxis": bare, "yaxis": {**bare, "scaleanchor": "x"}, "margin": dict.fromkeys("lrtb", 8)})


def _texts(each: Map, names: Sequence[str]) -> list[str]:
    return [
        plain(called) + ("" if primary == found else f"<br>taken for {plain(names[found])}")
        for called, primary, found in zip(each.called, each.primary, each.predicted, strict=True)
    ]
