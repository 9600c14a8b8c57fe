"""The test samples as the network sees them: its features in two dimensions, by t-SNE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaux.report.chart import COLOURS, SYMBOLS, Chart, Cloud, Look
from metaux.report.parts import Panel, Table
from metaux.report.recorded import Recorded, subclass_name
from metaux.report.to_plotly import plain
from metaux.runs.record import Run

MOST_SAMPLES = 1000
FEWEST_SAMPLES = 5
PALETTE = (*COLOURS[1:], "#8c6d31", "#6b6ecf", COLOURS[0])


@dataclass(frozen=True)
class Map:
    """The test samples of one run in two dimensions.

    Args:
        run: whose they are.
        rows: which test samples, and
        x: where they lie,
        y: likewise.
        primary: their classes.
        predicted: what the network takes them for.
        subclasses: the sub-class that the network gives them within their class, from 0; None where it has none.
    """

    run: Run
    rows: Sequence[int]
    x: Sequence[float]
    y: Sequence[float]
    primary: Sequence[int]
    predicted: Sequence[int]
    subclasses: Sequence[int] | None

    @property
    def called(self) -> list[str]:
        """The names of the sub-classes; those of the classes where there are none."""
        if self.subclasses is None:
            return [str(self.run.result["class_names"][class_]) for class_ in self.primary]
        pairs = zip(self.primary, self.subclasses, strict=True)
        return [subclass_name(self.run, class_, slot) for class_, slot in pairs]


@dataclass(frozen=True)
class Features:
    """The maps by method, their chart, and what its colours mean by option."""

    maps: Mapping[str, Map]
    panels: Sequence[Panel]
    keys: Mapping[str, Sequence[tuple[str, str, str]]]
    names: Sequence[str]

    @property
    def tables(self) -> list[Table]:
        """All numbers."""
        rows: list[tuple[object, ...]] = []
        for method, each in self.maps.items():
            subclasses = [None] * len(each.rows) if each.subclasses is None else each.called
            for row, x, y, primary, found, subclass in zip(
                each.rows, each.x, each.y, each.primary, each.predicted, subclasses, strict=True
            ):
                rows.append((method, each.run.seed, row, x, y, self.names[primary], self.names[found], subclass))
        columns = ("method", "seed", "test_sample", "x", "y", "class", "predicted", "subclass")
        return [Table("features", columns, rows)]


def mapped(recorded: Recorded) -> list[Run]:
    """Return the runs whose features are shown: of the first of the methods to look at, and of single."""
    shown = dict.fromkeys([recorded.ranked[0], "single"])
    return [
        run
        for run in (recorded.by_method[name][0] for name in shown if name in recorded.by_method)
        if {"test_features", "test_feature_rows"} <= set(run.outputs())
        and len(run.output("test_feature_rows")) >= FEWEST_SAMPLES
    ]


def features(recorded: Recorded, runs: Sequence[Run], subclasses: Mapping[str, Sequence[int]]) -> Features | None:
    """Make the maps; None where there are no runs with features.

    Args:
        recorded: all runs.
        runs: those of `mapped`.
        subclasses: by method, for each sample of `test_feature_rows`, what the network's auxiliary head says.
    """
    maps = {run.method: _map(run, subclasses.get(run.method)) for run in runs}
    if not maps:
        return None
    names = recorded.class_names
    charts: dict[str, Chart] = {}
    keys: dict[str, Sequence[tuple[str, str, str]]] = {}
    for method, each in maps.items():
        coloured = {"class": each.primary} | ({} if each.subclasses is None else {"subclass": each.subclasses})
        for kind, numbers in coloured.items():
            called = names if kind == "class" else [f"sub-class {place}" for place in range(max(numbers) + 1)]
            looks = [_look(place) for place in range(len(called))]
            cloud = Cloud(each.x, each.y, [looks[number] for number in numbers], _texts(each, names))
            charts[f"{method}/{kind}"] = Chart([cloud])
            keys[f"{method}/{kind}"] = [(name, own.colour, own.symbol) for name, own in zip(called, looks, strict=True)]
    label = "Test samples by the features of the trained network, in two dimensions; the slider names each of them"
    return Features(maps, [Panel("features", label, charts, "features", 460)], keys, names)


def _map(run: Run, subclasses: Sequence[int] | None) -> Map:
    from sklearn.manifold import TSNE

    rows = run.output("test_feature_rows")[:MOST_SAMPLES]
    perplexity = min(30.0, (len(rows) - 1) / 3)
    found = run.output("test_features")[:MOST_SAMPLES].astype("float64")
    # Where all features are alike there is no principal component to begin with.
    start = "pca" if found.std() > 0 and found.shape[1] > 1 else "random"
    flat = TSNE(random_state=0, init=start, perplexity=perplexity).fit_transform(found)
    x, y = flat.astype("float64").round(2).T.tolist()
    return Map(
        run=run,
        rows=rows.tolist(),
        x=x,
        y=y,
        primary=run.output("test_primary")[rows].tolist(),
        predicted=run.output("test_probabilities").argmax(-1)[rows].tolist(),
        subclasses=None if subclasses is None else list(subclasses)[:MOST_SAMPLES],
    )


def _look(place: int) -> Look:
    """Return a colour and a symbol, which together are different for 90 classes."""
    return Look(PALETTE[place % len(PALETTE)], symbol=SYMBOLS[place // len(PALETTE) % len(SYMBOLS)])


def _texts(each: Map, names: Sequence[str]) -> list[str]:
    return [
        plain(called) + ("" if primary == found else f"<br>predicted as {plain(names[found])}")
        for called, primary, found in zip(each.called, each.primary, each.predicted, strict=True)
    ]
