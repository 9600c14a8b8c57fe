"""The test samples as the network sees them: its features in two dimensions, by t-SNE."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from metaux.report.chart import COLOURS, SYMBOLS, Chart, Cloud, Look
from metaux.report.parts import Panel, Section
from metaux.report.recorded import Recorded, subclass_name
from metaux.report.to_plotly import plain
from metaux.runs.record import Run

MOST_SAMPLES = 1000
# Half of scikit-learn's default: maps of the digits keep their neighbours as well (trustworthiness 0.992 of both).
STEPS = 500
FEWEST_SAMPLES = 5
PALETTE = (*COLOURS[1:], "#8c6d31", "#6b6ecf", COLOURS[0])


@dataclass(frozen=True)
class Features(Section):
    """The test samples of some runs in two dimensions.

    `keys` are, by option of the chart, the colours' meanings: name, colour and symbol; `test_rows` by method which
    samples are drawn.
    """

    keys: Mapping[str, Sequence[tuple[str, str, str]]]
    test_rows: Mapping[str, Sequence[int]]


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
        subclasses: by method, for each sample of `test_feature_rows`, what the network's auxiliary head says, from 0
            within its class.
    """
    if not runs:
        return None
    names = recorded.class_names
    charts: dict[str, Chart] = {}
    keys: dict[str, Sequence[tuple[str, str, str]]] = {}
    test_rows: dict[str, Sequence[int]] = {}
    table: list[dict[str, object]] = []
    for run in runs:
        rows = run.output("test_feature_rows")[:MOST_SAMPLES]
        primary = run.output("test_primary")[rows].tolist()
        predicted = run.output("test_probabilities").argmax(-1)[rows].tolist()
        slots = list(subclasses[run.method])[:MOST_SAMPLES] if run.method in subclasses else None
        called: list[str | None] = [None] * len(primary)
        if slots is not None:
            called = [subclass_name(run, *own) for own in zip(primary, slots, strict=True)]
        x, y = in_two_dimensions(run.output("test_features")[:MOST_SAMPLES].astype("float64")).round(2).T.tolist()
        texts = [
            plain(own or names[true]) + ("" if true == found else f"<br>predicted as {plain(names[found])}")
            for own, true, found in zip(called, primary, predicted, strict=True)
        ]
        test_rows[run.method] = rows.tolist()
        table += [
            {"method": run.method, "seed": run.seed, "test_sample": row, "x": left, "y": top}
            | {"class": names[true], "predicted": names[found], "subclass": own}
            for row, left, top, true, found, own in zip(rows.tolist(), x, y, primary, predicted, called, strict=True)
        ]
        for kind, numbers in {"class": primary, "subclass": slots}.items():
            if numbers is not None:
                meanings = names if kind == "class" else [f"sub-class {place}" for place in range(max(numbers) + 1)]
                looks = [_look(place) for place in range(len(meanings))]
                charts[f"{run.method}/{kind}"] = Chart([Cloud(x, y, [looks[number] for number in numbers], texts)])
                keys[f"{run.method}/{kind}"] = [
                    (name, look.colour, look.symbol) for name, look in zip(meanings, looks, strict=True)
                ]
    label = "Test samples by the features of the trained network, in two dimensions; the slider names each of them"
    return Features([Panel("features", label, charts, "features", 460)], {"features": table}, keys, test_rows)


def in_two_dimensions(features: NDArray[Any]) -> NDArray[Any]:
    """Return features `[n, d]` in two dimensions, `[n, 2]`, by t-SNE; the same bits on any number of cores."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    # Where all samples are alike there is no principal component to begin with.
    start = "pca" if (features != features[0]).any() and features.shape[1] > 1 else "random"
    # On cores that others use too, its threads wait for each other many times as long as they compute.
    with threadpool_limits(1):
        neighbours = min(30.0, (len(features) - 1) / 3)
        found = TSNE(random_state=0, init=start, perplexity=neighbours, max_iter=STEPS).fit_transform(features)
    flat: NDArray[Any] = found.astype("float64")
    return flat


def _look(place: int) -> Look:
    """Return a colour and a symbol, which together are different for 90 classes."""
    return Look(PALETTE[place % len(PALETTE)], symbol=SYMBOLS[place // len(PALETTE) % len(SYMBOLS)])
