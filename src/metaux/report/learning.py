"""How did training go? Every recorded measure, epoch by epoch."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from metaux.report.chart import Axis, Chart, Line, Look, looks
from metaux.report.parts import Panel, Section
from metaux.report.recorded import Recorded
from metaux.runs.record import Run

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

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
        found = [curve(runs, measure.key, look[name]) for name, runs in recorded.networks.items()]
        lines = [_thinned(line) for line in found if line]
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


def curve(runs: Sequence[Run], key: str, look: Look) -> Line | None:
    """Return one recorded measure of a method's runs by epoch: the mean over seeds, and the lowest and highest seed.

    Args:
        runs: the method's.
        key: of the records; None is returned where no epoch has it in all runs.
        look: the line's.
    """
    import numpy as np

    values = np.stack([run.curve(key) for run in runs])
    measured = np.flatnonzero(np.isfinite(values).all(axis=0))
    if len(measured) == 0:
        return None
    values = values[:, measured]
    low, high = values.min(axis=0), values.max(axis=0)
    epochs = [int(epoch) + 1 for epoch in measured]
    return Line(runs[0].method, look, epochs, values.mean(axis=0).tolist(), low.tolist(), high.tolist())


def _thinned(line: Line) -> Line:
    """Return a line of no more points than a page needs; the last epoch is always among them."""
    import numpy as np

    if len(line.x) <= MOST_POINTS:
        return line
    kept = np.linspace(0, len(line.x) - 1, MOST_POINTS).round().astype(int)
    x, y, low, high = ([values[place] for place in kept] for values in (line.x, line.y, line.low, line.high))
    return replace(line, x=x, y=y, low=low, high=high)
