"""How many sub-classes are good, with and without the entropy loss: Figures 4 and 7."""

from metaux.evidence.statistics import Estimate
from metaux.report.figures import PERCENT, gains_along
from metaux.studies.papers.claims import Part
from metaux.studies.papers.datasets import SOURCES, data_set
from metaux.studies.papers.findings import Findings, Measure, accuracy, bounds, by_panel, in_points
from metaux.studies.papers.item import ON_SAMPLES_OF_MAXL, Item, Line, line
from metaux.studies.papers.scales import Scale

PANELS = {f"{psi} sub-classes per class": psi for psi in (2, 5, 10, 20, 50, 100)}
WITH, WITHOUT = "maxl", "maxl without entropy loss"
CONTROLS = {"single": "single", "random": "random", **ON_SAMPLES_OF_MAXL}


def _lines(scale: Scale, root: str) -> list[Line]:
    found = []
    for panel, psi in PANELS.items():
        data = data_set("cifar10.1", scale, root, psi=psi)
        found += [line(panel, label, method, data, scale, "iclr") for label, method in {**CONTROLS, WITH: WITH}.items()]
        found.append(line(panel, WITHOUT, "maxl", data, scale, "iclr", entropy_weight=0.0))
    return found


def _tests(findings: Findings) -> dict[str, str]:
    """Return the recorded accuracy of each test set by its name; CIFAR-10's own is measured beside CIFAR-10.1's."""
    title = next(iter(findings.titles.values()))
    if title == SOURCES["cifar10.1"].title:
        return {"CIFAR-10": "validation_accuracy", "CIFAR-10.1v6": "test_accuracy"}
    return {title: "test_accuracy"}


def _of_last_epochs(name: str) -> Measure:
    """Return the mean of a recorded measure over the reported epochs."""
    return lambda run: float(run.curve(name)[-run.trial.protocol.reported_epochs :].mean())


def _draw_figure4(findings: Findings) -> str:
    tests: dict[str, dict[str, list[tuple[int, Estimate]]]] = {}
    for name, measure in _tests(findings).items():
        for method in (WITH, WITHOUT, *CONTROLS):
            if gains := findings.differences(method, "single", _of_last_epochs(measure)):
                tests.setdefault(name, {})[method] = [(PANELS[panel], gain) for panel, gain in gains.items()]
    title = "Figure 4: gain over single task by the number of sub-classes"
    findings.draw(gains_along(tests, "sub-classes per class"), title)
    findings.write(
        {"test_set": name, "method": method, "psi": psi, **bounds("gain", gain)}
        for name, methods in tests.items()
        for method, gains in methods.items()
        for psi, gain in gains
    )
    parts = [
        f"{name}: MAXL minus single task: " + in_points({f"psi {psi}": gain for psi, gain in methods[WITH]})
        for name, methods in tests.items()
        if WITH in methods
    ]
    return ". ".join(parts) + "."


def _claims4(findings: Findings) -> dict[str, list[Part]]:
    few, some, many = ((f"{psi} sub-classes per class", WITH) for psi in (2, 10, 100))
    return {
        "accuracy rises with psi (10 minus 2)": findings.compare(some, few),
        "and then falls (100 minus 10)": findings.compare(many, some, above=False),
        "MAXL is better than single task": findings.in_each_panel(WITH, "single"),
        "the entropy loss is essential": findings.in_each_panel(WITH, WITHOUT),
        **findings.maxl_against_controls(),
    }


FIGURE4 = Item(
    "figure4",
    "gain over single task for 2 to 100 sub-classes per class, with and without the entropy loss",
    "Test performance rises as the number of auxiliary classes increases, but then begins to fall; the entropy loss "
    "is essential.",
    _lines,
    _draw_figure4,
    _claims4,
)


def _draw_figure7(findings: Findings) -> str:
    for name, measure in _tests(findings).items():
        title = "Figure 7: learning curves by the number of sub-classes"
        if measure == "test_accuracy":
            findings.draw_curves(title)
        else:
            findings.draw_curves(title, measure, PERCENT._replace(title=f"accuracy on {name} (%)"), "-cifar10")
    order = by_panel(findings.measure(accuracy=accuracy), lambda row: row["method"], "accuracy")
    return f"Best to worst in the mean of the reported epochs: {order}."


FIGURE7 = Item("figure7", "the learning curves behind Figure 4", "", _lines, _draw_figure7)
