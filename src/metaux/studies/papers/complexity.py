"""How many sub-classes are good, with and without the entropy loss: Figures 4 and 7."""

from collections.abc import Sequence

from metaux.evidence.intervals import difference_in_points
from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.report.figures import PERCENT, curve_panels, gains_along
from metaux.runs.record import Run
from metaux.studies.papers.datasets import SOURCES, bed
from metaux.studies.papers.item import Findings, Item, need, paired
from metaux.studies.papers.numbers import bounds, write_curves, write_rows
from metaux.studies.papers.runs import Need
from metaux.studies.papers.scales import Scale

PSI = (2, 5, 10, 20, 50, 100)
WITH, WITHOUT = "maxl", "maxl without entropy loss"


def _needs(scale: Scale, root: str) -> list[Need]:
    found = []
    for psi in PSI:
        on = bed("cifar10.1", scale, root, psi)
        title = f"{psi} sub-classes per class"
        found += [
            need(title, method, method, on, scale, "iclr") for method in ("single", "uniform", "frozen", "random")
        ]
        found.append(need(title, WITH, "maxl", on, scale, "iclr"))
        found.append(need(title, WITHOUT, "maxl", on, scale, "iclr", entropy_weight=0.0))
    return found


def _draw_figure4(findings: Findings) -> str:
    panels = {name: _gains(findings, measure) for name, measure in _tests(findings).items()}
    heading = ("Figure 4: gain over single task by the number of sub-classes", findings.setting())
    gains_along(panels, findings.folder, "figure4", heading, "sub-classes per class")
    write_rows(
        findings.folder / "figure4.csv",
        [
            {"test_set": name, "method": method, "psi": int(psi), **bounds("gain", gain)}
            for name, lines in panels.items()
            for method, points in lines.items()
            for psi, gain in points
        ],
    )
    parts = []
    for name, lines in panels.items():
        best_psi, best = max(lines[WITH], key=lambda point: point[1].mean)
        above = sum(gain.above for _, gain in lines[WITH])
        parts.append(
            f"{name}: MAXL with the entropy loss gains most at psi {best_psi:g} ({difference_in_points(best)}); its "
            f"interval is above zero at {above} of {len(lines[WITH])} psi."
        )
        for control in ("uniform", "frozen"):
            means = {psi: gain.mean for psi, gain in lines.get(control, ())}
            higher = sum(g.low is not None and psi in means and g.low > means[psi] for psi, g in lines[WITH])
            parts.append(f"Its whole interval lies above the mean gain of {control} labels at {higher} psi.")
    with_and_without = [d for runs in findings.panels.values() if (d := paired(runs, WITH, WITHOUT)) is not None]
    parts.append(
        f"With against without the entropy loss: better at {sum(d.above for d in with_and_without)}, worse at "
        f"{sum(d.below for d in with_and_without)} of {len(with_and_without)} psi."
    )
    return " ".join(parts)


def _tests(findings: Findings) -> dict[str, str]:
    """Return the recorded accuracy of each test set by its name; CIFAR-10's own is measured beside CIFAR-10.1's."""
    title = next(iter(findings.titles.values()))
    if title == SOURCES["cifar10.1"].title:
        return {"CIFAR-10": "validation_accuracy", "CIFAR-10.1v6": "test_accuracy"}
    return {title: "test_accuracy"}


def _gains(findings: Findings, measure: str) -> dict[str, list[tuple[float, Estimate]]]:
    lines: dict[str, list[tuple[float, Estimate]]] = {}
    for title, runs in findings.panels.items():
        psi = float(title.split()[0])
        single = {run.seed: _last(run, measure) for run in runs if run.method == "single"}
        for method in (WITH, WITHOUT, "uniform", "frozen", "random"):
            own = [
                _last(run, measure) - single[run.seed] for run in runs if run.method == method and run.seed in single
            ]
            if own:
                lines.setdefault(method, []).append((psi, mean_over_seeds(own)))
    return lines


def _last(run: Run, measure: str) -> float:
    """Return the mean of the last five epochs, as the paper reports it."""
    return float(run.curve(measure)[-5:].mean())


FIGURE4 = Item(
    "figure4",
    "gain over single task for 2 to 100 sub-classes per class, with and without the entropy loss",
    "Test performance rises as the number of auxiliary classes increases, but then begins to fall; the entropy loss "
    "is essential.",
    _needs,
    _draw_figure4,
)


def _draw_figure7(findings: Findings) -> str:
    heading = ("Figure 7: learning curves by the number of sub-classes", findings.setting())
    for name, measure in _tests(findings).items():
        suffix = "" if measure == "test_accuracy" else "-cifar10"
        axis = PERCENT._replace(title=f"accuracy on {name} (%)") if suffix else PERCENT
        curve_panels(findings.panels, findings.folder, f"figure7{suffix}", heading, measure, axis)
        write_curves(findings, findings.folder / f"figure7{suffix}-curves.csv", measure)
    ends = {
        title: sorted({run.method for run in runs}, key=lambda label: -_mean(runs, label))
        for title, runs in findings.panels.items()
    }
    return (
        "Best to worst in the mean of the last five epochs: "
        + "; ".join(f"{title}: {', '.join(order)}" for title, order in ends.items())
        + "."
    )


def _mean(runs: Sequence[Run], label: str) -> float:
    return mean_over_seeds([run.accuracy for run in runs if run.method == label]).mean


FIGURE7 = Item(
    "figure7",
    "the learning curves behind Figure 4",
    "",
    _needs,
    _draw_figure7,
)
