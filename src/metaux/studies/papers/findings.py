"""What an experiment found, and all that is written of it: its differences, its sentences, its CSV, its figure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from metaux.evidence.intervals import columns, difference_in_points
from metaux.evidence.statistics import Estimate, mean_over_seeds, paired
from metaux.files import to_csv, write_text_atomic
from metaux.labels.sources import REFERENCES
from metaux.report.chart import Axis
from metaux.report.figures import PERCENT, curve_panels, gain_rows
from metaux.report.to_matplotlib import Drawing, caption, lowest_to_highest, save
from metaux.runs.record import Run
from metaux.studies.papers.claims import Part
from metaux.studies.papers.scales import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = list[dict[str, Any]]
Measure = Callable[[Run], float]
accuracy: Measure = attrgetter("accuracy")


@dataclass(frozen=True)
class Findings:
    """What an experiment has to draw from, and where to.

    Args:
        name: the experiment's, and that of its files.
        panels: the finished runs of each panel, their methods being the labels of the figure.
        titles: what data each panel is on.
        scale: at which they ran.
        device: on which to measure what is not a run.
        folder: where figure and numbers go.
    """

    name: str
    panels: Mapping[str, Sequence[Run]]
    titles: Mapping[str, str]
    scale: Scale
    device: str
    folder: Path

    @cached_property
    def setting(self) -> str:
        """What the runs were made of, for a figure."""
        runs = [run for found in self.panels.values() for run in found]
        counts = [
            lowest_to_highest([run.train_size for run in runs], "training image"),
            lowest_to_highest([len(run.epochs) for run in runs], "epoch"),
            f"reported: last {lowest_to_highest([run.trial.protocol.reported_epochs for run in runs], 'epoch')}",
            lowest_to_highest([len({run.seed for run in found}) for found in self.panels.values()], "seed"),
        ]
        data = dict.fromkeys(self.titles[panel] for panel in self.panels)
        return f"{'; '.join(data)}: {', '.join(counts)}\n{self.scale.name} scale: {self.scale.says}"

    def groups(self) -> Iterator[tuple[str, str, list[Run]]]:
        """Yield each panel and label with its runs."""
        for panel, runs in self.panels.items():
            for label in dict.fromkeys(run.method for run in runs):
                yield panel, label, [run for run in runs if run.method == label]

    def measure(self, columns: Mapping[str, Mapping[str, Any]] | None = None, **measures: Measure) -> Rows:
        """Return the mean and interval over seeds of some measures of each label's runs.

        Args:
            columns: what a row has in place of its label, by label.
            measures: by name.
        """
        rows: Rows = []
        for panel, label, runs in self.groups():
            rows.append({"panel": panel, **(columns[label] if columns else {"method": label}), "n": len(runs)})
            for name, measure in measures.items():
                rows[-1] |= bounds(name, mean_over_seeds([measure(run) for run in runs]))
        return rows

    def runs(self, panel: str, label: str) -> list[Run]:
        """Return the runs of a label in a panel; none where there are none."""
        return [run for run in self.panels.get(panel, ()) if run.method == label]

    def compare(
        self, first: tuple[str, str], second: tuple[str, str], measure: Measure = accuracy, above: bool = True
    ) -> list[Part]:
        """Return the comparison of two labels, each with its panel, where they share a seed; else none.

        Args:
            first: panel and label.
            second: likewise; it is subtracted.
            measure: of a run.
            above: whether the papers say that the first measures more, not less.
        """
        own, theirs = (self.runs(*place) for place in (first, second))
        by_seed = paired(*({run.seed: measure(run) for run in runs} for runs in (own, theirs)))
        if not by_seed:
            return []
        (panel, label), (other, control) = first, second
        name = f"{label} minus {control}" if panel == other else f"{label}: {panel} minus {other}"
        return [Part(panel if panel == other else "", name, by_seed, above, movement(own))]

    def in_each_panel(self, first: str, *others: str, measure: Measure = accuracy, above: bool = True) -> list[Part]:
        """Return the comparison of a label with others in every panel that has both."""
        places = [(panel, other) for panel in self.panels for other in others]
        return [
            found for panel, other in places for found in self.compare((panel, first), (panel, other), measure, above)
        ]

    def maxl_against_controls(self) -> dict[str, list[Part]]:
        """Return what no paper claims, and every figure with MAXL is asked: the comparison with empty labels."""
        claim = "MAXL is better than uniform and frozen labels (our question)"
        return {claim: self.in_each_panel("maxl", "uniform", "frozen")}

    def differences(self, first: str, second: str, measure: Measure = accuracy) -> dict[str, Estimate]:
        """Return by panel how much higher one label's runs measure than another's, with 95 % intervals."""
        return {found.panel: found.estimate(0.95) for found in self.in_each_panel(first, second, measure=measure)}

    def minus(self, first: str, second: str) -> str:
        """Say by panel how much more accurate one label's runs are than another's."""
        return f"{first} minus {second}: {in_points(self.differences(first, second))}."

    def write_movement(self) -> None:
        """Write how far the labels of each run moved from those of its untrained generator, where they could."""
        rows = [
            {"panel": panel, "method": run.method, "seed": run.seed, **moved}
            for panel, runs in self.panels.items()
            for run in runs
            if (moved := run.result.get("label_movement"))
        ]
        if rows:
            self.write(rows, "-movement")

    def write(self, rows: Iterable[Mapping[str, object]], suffix: str = "") -> None:
        """Write rows, all with the same keys, as CSV."""
        write_text_atomic(self.folder / f"{self.name}{suffix}.csv", to_csv(list(rows)))

    def write_table(self) -> None:
        """Write what each method reached (mean of the reported epochs), and its differences to the references."""
        rows = self.measure(accuracy=accuracy)
        for row, (panel, label, runs) in zip(rows, self.groups(), strict=True):
            for name in REFERENCES:
                found = self.compare((panel, label), (panel, name)) if name != label else []
                row |= bounds(f"minus_{name}", found[0].estimate(0.95) if found else None)
            row["seconds_per_epoch"] = round(mean(run.seconds_per_epoch for run in runs), 3)
        self.write(rows)

    def save(
        self, draw: "Callable[[Figure], None]", inches: tuple[float, float], title: str, how: str, what: str = ""
    ) -> None:
        """Write a figure, under what it shows, what it was made of (the runs, by default) and how to read it."""

        def captioned(figure: "Figure") -> None:
            draw(figure)
            caption(figure, title, what or self.setting, how)

        save(captioned, self.folder, self.name, inches)

    def draw(self, drawing: Drawing, title: str, suffix: str = "") -> None:
        """Write a figure of charts, under its title and what its runs were made of."""
        drawing.save(self.folder, f"{self.name}{suffix}", title, self.setting)

    def draw_curves(
        self,
        title: str,
        measure: str = "test_accuracy",
        axis: Axis = PERCENT,
        suffix: str = "",
        numbers: str = "-curves",
        also: Sequence[str] = (),
    ) -> None:
        """Draw one recorded measure of every epoch, a panel each, and write it.

        Args:
            title: the figure's.
            measure: a key of the records.
            axis: of its values.
            suffix: of the files' names.
            numbers: of that of the CSV file, besides.
            also: other keys that are written.
        """
        self.draw(curve_panels(self.panels, measure, axis), title, suffix)
        rows = (
            {"panel": panel, "method": run.method, "seed": run.seed, "epoch": record["epoch"]}
            | {name: record.get(name) for name in (measure, *also)}
            for panel, runs in self.panels.items()
            for run in runs
            for record in run.epochs
            if measure in record
        )
        self.write(rows, suffix + numbers)

    def draw_gains(self, title: str, panel_title: str = "{}") -> None:
        """Draw how much more accurate each method is than single task, a panel each, and write the table."""
        panels: dict[str, dict[str, Estimate]] = {panel_title.format(panel): {} for panel in self.panels}
        for panel, label, _ in self.groups():
            for found in self.compare((panel, label), (panel, "single")) if label != "single" else []:
                panels[panel_title.format(panel)][label] = found.estimate(0.95)
        self.draw(gain_rows(panels, "single task"), title)
        self.write_table()


def bounds(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    """Return `columns`, with six decimals.

    >>> bounds("gain", Estimate(0.0123456789))
    {'gain': 0.012346, 'gain_low': None, 'gain_high': None}
    """
    return {key: None if value is None else round(value, 6) for key, value in columns(name, estimate).items()}


def by_panel(rows: Rows, text: Callable[[dict[str, Any]], str], best_first: str = "") -> str:
    """Say something of each row, panel by panel.

    Args:
        rows: as `Findings.measure` returns them.
        text: what to say of a row.
        best_first: the measure that orders the rows of a panel, if any.

    >>> rows = [{"panel": "a", "n": 3}, {"panel": "b", "n": 4}, {"panel": "a", "n": 5}]
    >>> by_panel(rows, lambda row: f"{row['n']} runs")
    'a: 3 runs, 5 runs; b: 4 runs'
    """
    panels: dict[str, Rows] = {}
    for row in rows:
        panels.setdefault(row["panel"], []).append(row)
    if best_first:
        panels = {panel: sorted(own, key=lambda row: -row[best_first]) for panel, own in panels.items()}
    return "; ".join(f"{panel}: {', '.join(map(text, own))}" for panel, own in panels.items())


def in_points(differences: Mapping[str, Estimate]) -> str:
    """Say differences by name, in percentage points with their intervals.

    >>> in_points({"maxl": Estimate(0.012, 0.004, 0.02), "human": Estimate(0.0)})
    'maxl +1.2 points [+0.4, +2.0]; human +0.0 points'
    """
    return "; ".join(f"{name} {difference_in_points(found)}" for name, found in differences.items())


def movement(runs: Sequence[Run]) -> float | None:
    """Return the mean total variation between the labels of runs and of their untrained generators; None without."""
    found = [run.result["label_movement"]["total_variation"] for run in runs if run.result.get("label_movement")]
    return sum(found) / len(found) if found else None
