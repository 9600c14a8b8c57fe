"""Methods side by side on one data set or several: the NeurIPS table, focal loss, both protocols, target vectors."""

from collections.abc import Mapping

from metaux.evidence.comparison import Comparison
from metaux.evidence.intervals import difference_in_points
from metaux.evidence.statistics import Estimate
from metaux.report.figures import gain_rows
from metaux.studies.papers.curves import pair_needs, pair_title
from metaux.studies.papers.datasets import bed
from metaux.studies.papers.item import Findings, Item, need, paired
from metaux.studies.papers.numbers import write_table
from metaux.studies.papers.runs import Need
from metaux.studies.papers.scales import Scale
from metaux.words import listed

CONTROLS = ("single", "uniform", "frozen", "random")
# Which of its three networks the NeurIPS version used on which data set is not stated where we can read it: our choice.
TABLE_1: dict[str, dict[str, object]] = {
    "mnist": {"backbone": "conv4"},
    "svhn": {},
    "cifar10": {},
    "imagenet32": {},
    "cinic10": {},
    "ucf101": {"backbone": "resnet32", "image_size": 32},
    "cifar100": {},
}
PSI = 5


def _table1(scale: Scale, root: str) -> list[Need]:
    found = []
    for name, values in TABLE_1.items():
        levels = ("20", "100") if name == "cifar100" else ()
        on = bed(name, scale, root, PSI, *levels)
        own: dict[str, object] = {} if scale.changes.get("backbone") else values
        found += [need(on.title, method, method, on, scale, "neurips", **own) for method in (*CONTROLS, "maxl")]
    return found


def _draw_table1(findings: Findings) -> str:
    comparisons = findings.comparisons()
    write_table(comparisons, findings.folder / "table1.csv")
    _draw(findings, "table1", "NeurIPS table: gain over single task", {name: name for name in comparisons})
    above, gains = [], []
    for name, comparison in comparisons.items():
        row = comparison.row("maxl")
        if row is not None and (difference := row.differences.get("single")) is not None:
            above += [name] if difference.seeds.above else []
            gains += [name] if row.gain else []
    return (
        f"MAXL is above single task (95 % interval over seeds) on {len(above)} of {len(comparisons)} data sets"
        f"{_of(above)}, and above single task, uniform and frozen together on {len(gains)}{_of(gains)}. "
        + _of_all(findings, "maxl", "single")
    )


TABLE1 = Item(
    "table1",
    "single task against MAXL on seven image data sets, with every control",
    "MAXL outperforms single-task learning on 7 image data sets.",
    _table1,
    _draw_table1,
)


def _focal(scale: Scale, root: str) -> list[Need]:
    on = bed("cifar100", scale, root, 0, "20", "100")
    title = pair_title("20", "100")
    return [
        need(title, f"{method}, {loss}", method, on, scale, "iclr", **values)
        for method in ("single", "maxl", "human")
        for loss, values in (("focal loss", {}), ("cross entropy", {"focal_gamma": 0.0}))
    ]


def _draw_focal(findings: Findings) -> str:
    (runs,) = findings.panels.values()
    gains = {
        method: gain
        for method in ("single", "maxl", "human")
        if (gain := paired(runs, f"{method}, focal loss", f"{method}, cross entropy")) is not None
    }
    heading = ("Focal loss (gamma 2) against cross entropy", findings.setting())
    gain_rows({next(iter(findings.panels)): gains}, findings.folder, "focal", heading, "cross entropy")
    write_table(findings.comparisons(), findings.folder / "focal.csv")
    return "Focal loss minus cross entropy: " + "; ".join(
        f"{method} {difference_in_points(gain)}" for method, gain in gains.items()
    ) + "."  # fmt: skip


FOCAL = Item(
    "focal",
    "focal loss (gamma 2) against cross entropy",
    "Both tasks are trained with the focal loss, which is said to help.",
    _focal,
    _draw_focal,
)


def _protocols(scale: Scale, root: str) -> list[Need]:
    on = bed("cifar100", scale, root, 0, "20", "100")
    found = []
    for protocol, suffix in (("iclr", "-split"), ("neurips", "")):
        # With the meta split's samples given up, the controls are trained on what MAXL is trained on.
        for method in ("single", "uniform", "frozen"):
            found.append(need(protocol, method, method + suffix, on, scale, protocol))
        found.append(need(protocol, "maxl", "maxl", on, scale, protocol))
    return found


def _draw_protocols(findings: Findings) -> str:
    comparisons = findings.comparisons()
    write_table(comparisons, findings.folder / "protocols.csv")
    titles = {name: f"protocol {name}" for name in comparisons}
    _draw(findings, "protocols", "MAXL of both papers on CIFAR-100 (20 classes of 5)", titles)
    parts = []
    for name, comparison in comparisons.items():
        rows = {row.name: row for row in comparison.rows}
        reached = ", ".join(f"{method} {100 * row.accuracy.mean:.1f}" for method, row in rows.items())
        parts.append(f"{name}: {reached} per cent.")
    return " ".join(parts) + " " + _of_all(findings, "maxl", "single") + " " + _of_all(findings, "maxl", "frozen")


PROTOCOLS = Item(
    "protocols",
    "the ICLR submission's protocol beside the NeurIPS version's, each with controls on the same samples",
    "",
    _protocols,
    _draw_protocols,
)


def _vectors(scale: Scale, root: str) -> list[Need]:
    methods = ("single", "uniform", "frozen", "maxl")
    on = bed("cifar100", scale, root, 0, "20", "100")
    title = pair_title("20", "100")
    return pair_needs(scale, root, "20", "100", methods) + [
        need(title, method, method, on, scale, "iclr") for method in ("frozen-vector", "vector")
    ]


def _draw_vectors(findings: Findings) -> str:
    comparisons = findings.comparisons()
    write_table(comparisons, findings.folder / "vectors.csv")
    _draw(findings, "vectors", "Target vectors in place of sub-classes", {name: name for name in comparisons})
    return " ".join(_of_all(findings, "vector", other) for other in ("single", "frozen-vector", "maxl"))


VECTORS = Item(
    "vectors",
    "an arbitrary auxiliary task: a learned target vector per sample, beside MAXL and the controls",
    "Preliminary experiments on predicting arbitrary vectors as the auxiliary task were inconclusive.",
    _vectors,
    _draw_vectors,
)


def _draw(findings: Findings, name: str, title: str, titles: Mapping[str, str]) -> None:
    panels = {titles[panel]: _over_single(comparison) for panel, comparison in findings.comparisons().items()}
    gain_rows(panels, findings.folder, name, (title, findings.setting()), "single task")


def _over_single(comparison: Comparison) -> dict[str, Estimate]:
    return {row.name: row.differences["single"].seeds for row in comparison.rows if "single" in row.differences}


def _of_all(findings: Findings, first: str, second: str) -> str:
    found = {panel: paired(runs, first, second) for panel, runs in findings.panels.items()}
    told = [f"{panel} {difference_in_points(gain)}" for panel, gain in found.items() if gain is not None]
    return f"{first} minus {second}: " + "; ".join(told) + "."


def _of(names: list[str]) -> str:
    return f" ({listed(names)})" if names else ""
