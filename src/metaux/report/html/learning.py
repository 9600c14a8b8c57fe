"""How did training go? Every recorded measure, epoch by epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from metaux.report.html.charts import axis, colour, dash, figure
from metaux.report.html.methods import Recorded
from metaux.report.html.parts import Chart, Figure, Table, rounded

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

MOST_POINTS = 150
MOST_MARKED = 10


class Measure(NamedTuple):
    """A key of the records: the chart's title, its unit, a factor on the values, and what it tells."""

    key: str
    title: str
    unit: str
    factor: float
    note: str


MEASURES = (
    Measure("test_accuracy", "Test accuracy", "%", 100, ""),
    Measure("train_accuracy", "Training accuracy", "%", 100, "While training, with augmentation."),
    Measure("test_loss", "Test loss", "nats", 1, ""),
    Measure(
        "label_entropy",
        "Entropy of a label",
        "nats",
        1,
        "At the logarithm of the number of sub-classes it says nothing.",
    ),
    Measure("subclasses_used", "Sub-classes in use", "", 1, "The most probable one of some training sample."),
    Measure("label_human_nmi", "Agreement with human sub-classes", "NMI", 1, "1 is the same partition, 0 none of it."),
    Measure(
        "gradient_cosine",
        "Cosine of the two tasks’ gradients",
        "",
        1,
        "Above 0 the tasks pull the same way, below 0 apart.",
    ),
    Measure("seconds", "Time per epoch", "seconds", 1, ""),
)


@dataclass(frozen=True)
class Curve:
    """A measure of one method at some epochs: mean, lowest and highest over its seeds."""

    method: str
    epochs: Sequence[int]
    mean: Sequence[float | None]
    low: Sequence[float | None]
    high: Sequence[float | None]


@dataclass(frozen=True)
class Learning:
    """The curves by measure, and their charts."""

    curves: dict[Measure, list[Curve]]
    charts: Sequence[tuple[Measure, Chart]]
    methods: Sequence[str]

    def table(self) -> Table:
        """Return all numbers."""
        return Table(
            "training",
            ("measure", "method", "epoch", "mean", "lowest", "highest"),
            [
                (measure.key, curve.method, *point)
                for measure, curves in self.curves.items()
                for curve in curves
                for point in zip(curve.epochs, curve.mean, curve.low, curve.high, strict=True)
            ],
        )


def learning(recorded: Recorded) -> Learning:
    """Make the section."""
    curves = {
        measure: [curve for method in recorded.methods if (curve := _curve(recorded, method, measure)) is not None]
        for measure in MEASURES
    }
    curves = {measure: own for measure, own in curves.items() if own}
    charts = [
        (
            measure,
            Chart(
                f"training-{measure.key}",
                f"{measure.title} by epoch, a line per method",
                {"": _figure(measure, own, recorded.methods)},
                height=250,
            ),
        )
        for measure, own in curves.items()
    ]
    return Learning(curves, charts, recorded.methods)


def _curve(recorded: Recorded, method: str, measure: Measure) -> Curve | None:
    import numpy as np

    values = np.stack([run.curve(measure.key) for run in recorded.of_method(method)])
    measured = np.flatnonzero(np.isfinite(values).all(axis=0))
    if len(measured) == 0:
        return None
    # The last epoch is always among them.
    shown = measured[np.unique(np.linspace(0, len(measured) - 1, min(len(measured), MOST_POINTS)).round().astype(int))]
    values = values[:, shown]
    mean, low, high = (
        [rounded(float(value)) for value in each]
        for each in (values.mean(axis=0), values.min(axis=0), values.max(axis=0))
    )
    return Curve(method, [int(epoch) + 1 for epoch in shown], mean, low, high)


def _figure(measure: Measure, curves: Sequence[Curve], methods: Sequence[str]) -> Figure:
    traces: list[dict[str, object]] = []
    decimals = 3 if measure.factor == 1 else 1
    for curve in curves:
        place = methods.index(curve.method)
        common = {"type": "scatter", "mode": "lines", "legendgroup": curve.method}
        low, mean, high = (_scaled(values, measure.factor) for values in (curve.low, curve.mean, curve.high))
        if low != high:
            band = {**common, "line": {"width": 0, "color": colour(place)}, "hoverinfo": "skip"}
            traces.append({**band, "x": list(curve.epochs), "y": low})
            traces.append({**band, "x": list(curve.epochs), "y": high, "fill": "tonexty"})
        traces.append(
            {
                **common,
                "mode": "lines+markers" if len(curve.epochs) == 1 else "lines",
                "x": list(curve.epochs),
                "y": mean,
                "line": {"color": colour(place), "dash": dash(place), "width": 1.8},
                "hovertemplate": f"{curve.method}, epoch %{{x}}: %{{y:.{decimals}f}} {measure.unit}<extra></extra>",
            }
        )
    # Of few epochs each is marked, and nothing between them.
    epochs = axis("epoch", dtick=1) if curves[0].epochs[-1] <= MOST_MARKED else axis("epoch")
    return figure(traces, {"xaxis": epochs, "yaxis": axis(), "margin": {"l": 8, "r": 12, "t": 8, "b": 36}})


def _scaled(values: Sequence[float | None], factor: float) -> list[float | None]:
    return [None if value is None else rounded(factor * value) for value in values]
