"""How did training go? Every recorded measure, epoch by epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from metaux.report.chart import Axis, Chart, Line, Look, looks
from metaux.report.parts import Panel, Section
from metaux.report.recorded import Recorded
from metaux.runs.record import Run

MOST_POINTS = 150
EPOCH = Axis("epoch", whole=True)


class Measure(NamedTuple):
    """A key of the records: the chart's title, its unit, and what it tells."""

    key: str
    title: str
    unit: str = ""
    note: str = ""

    @property
    def axis(self) -> Axis:
        """The axis of its values."""
        return Axis(unit="%", factor=100, decimals=1) if self.unit == "%" else Axis(unit=self.unit)


MEASURES = (
    Measure("test_accuracy", "Test accuracy", "%"),
    Measure("train_accuracy", "Training accuracy", "%", "While training, with augmentation."),
    Measure("test_loss", "Test loss", "nats"),
    Measure(
        "label_entropy",
        "Entropy of a label",
        "nats",
        "0 when one sub-class has all the probability; the logarithm of their number when all have the same.",
    ),
    Measure("subclasses_used", "Sub-classes in use", "", "Those that are the most probable one of a training sample."),
    Measure(
        "label_human_nmi", "Agreement with human sub-classes", "NMI", "1: the same partition. 0: nothing in common."
    ),
    Measure(
        "gradient_cosine", "Cosine of the two tasks’ gradients", "", "Above 0 the tasks agree, below 0 they conflict."
    ),
    Measure("seconds", "Time per epoch", "seconds"),
)


def learning(recorded: Recorded) -> Section:
    """Make the section: a chart of each measure that any method has."""
    look, panels = looks(list(recorded.networks)), []
    rows: list[dict[str, object]] = []
    for measure in MEASURES:
        lines = [_thinned(line) for line in curves(recorded.networks, measure.key, look)]
        if not lines:
            continue
        label = f"{measure.title} by epoch, a line per method"
        chart = Chart(lines, EPOCH, measure.axis)
        told = {"title": measure.title, "unit": measure.unit, "note": measure.note}
        panels.append(Panel(f"training-{measure.key}", label, {"": chart}, height=250, **told))
        rows += [
            {"measure": measure.key, "method": line.name, "epoch": x, "mean": y, "lowest": low, "highest": high}
            for line in lines
            for x, y, low, high in zip(line.x, line.y, line.low, line.high, strict=True)
        ]
    return Section(panels, {"training": rows})


def curves(by_method: Mapping[str, Sequence[Run]], key: str, look: Mapping[str, Look]) -> list[Line]:
    """Return one recorded measure of each method's runs by epoch: the mean over seeds, lowest and highest seed.

    Args:
        by_method: the runs of each.
        key: of the records; methods of which no epoch has it in all runs are left out.
        look: of each method's line.
    """
    lines = []
    for method, runs in by_method.items():
        values = np.stack([run.curve(key) for run in runs])
        measured = np.flatnonzero(np.isfinite(values).all(axis=0))
        if len(measured):
            values = values[:, measured]
            mean, low, high = (of(axis=0).tolist() for of in (values.mean, values.min, values.max))
            lines.append(Line(method, look[method], [int(epoch) + 1 for epoch in measured], mean, low, high))
    return lines


def _thinned(line: Line) -> Line:
    """Return a line of no more points than a page needs; the last epoch is always among them."""
    if len(line.x) <= MOST_POINTS:
        return line
    kept = np.linspace(0, len(line.x) - 1, MOST_POINTS).round().astype(int)
    x, y, low, high = ([values[place] for place in kept] for values in (line.x, line.y, line.low, line.high))
    return replace(line, x=x, y=y, low=low, high=high)
