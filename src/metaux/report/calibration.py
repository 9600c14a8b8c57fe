"""Are the probabilities what they say? Reliability diagrams and the expected calibration error."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from metaux.evidence.intervals import columns
from metaux.evidence.quality import Bin, calibration_error, reliability
from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.report.chart import COLOURS, FAINT, Axis, Chart, Line, Look
from metaux.report.parts import Panel, Rows, Section
from metaux.report.recorded import Recorded
from metaux.runs.record import Run

FEWEST_DRAWN = 10  # the accuracy of fewer samples is noise; the numbers to take away have them


@dataclass(frozen=True)
class Calibration(Section):
    """How good the probabilities are: `errors` are, by method, the expected calibration error over its seeds."""

    errors: Mapping[str, Estimate]


def calibration(recorded: Recorded) -> Calibration:
    """Measure every method."""
    found = {method: [_of_run(run) for run in runs] for method, runs in recorded.by_method.items()}
    bins = {
        method: reliability(*map(torch.cat, zip(*own, strict=True)))  # the samples of all seeds together
        for method, own in found.items()
    }
    errors = {method: mean_over_seeds([calibration_error(*each) for each in own]) for method, own in found.items()}
    tables: dict[str, Rows] = {
        "calibration-error": [{"method": name, **columns("mean", each, "seeds")} for name, each in errors.items()],
        "reliability": [{"method": name} | each._asdict() for name, own in bins.items() for each in own],
    }
    charts = {name: _chart({key: bins[key] for key in ("single", name) if key in bins}) for name in recorded.ranked}
    label = "Reliability diagram: accuracy of test samples by the confidence of their prediction"
    drawn = any(each.samples >= FEWEST_DRAWN for own in bins.values() for each in own)
    return Calibration([Panel("reliability", label, charts, "where", 340)] if drawn else [], tables, errors)


def _of_run(run: Run) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(run.output("test_probabilities")), torch.from_numpy(run.output("test_primary"))


def _chart(bins: dict[str, list[Bin]]) -> Chart:
    lines = [Line("", Look(FAINT, "dot"), [0, 1], [0, 1])]
    for name, own in bins.items():
        total = sum(each.samples for each in own)
        own = [each for each in own if each.samples >= FEWEST_DRAWN]
        if not own:
            continue
        lines.append(
            Line(
                name,
                Look(COLOURS[0], "dash") if name == "single" else Look(COLOURS[4]),
                [each.confidence for each in own],
                [each.accuracy for each in own],
                # The area tells how many samples a bin holds.
                sizes=[round(5 + 15 * (each.samples / total) ** 0.5, 1) for each in own],
                texts=[
                    f"{name}: {100 * each.samples / total:.1f} % of the samples"
                    f"<br>confidence {100 * each.confidence:.1f} %<br>accuracy {100 * each.accuracy:.1f} %"
                    for each in own
                ],
            )
        )
    x, y = (Axis(title, factor=100, limits=(0, 1.02)) for title in ("confidence, %", "accuracy, %"))
    return Chart(lines, x, y, legend=True)
