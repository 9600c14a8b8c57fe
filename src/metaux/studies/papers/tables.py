"""Methods side by side on one data set or several: the NeurIPS table, focal loss, both protocols, target vectors."""

from dataclasses import replace

from metaux.labels.sources import ON_SPLIT
from metaux.report.figures import gain_rows
from metaux.studies.papers.claims import Part
from metaux.studies.papers.datasets import data_set
from metaux.studies.papers.findings import Findings, accuracy, by_panel, in_points
from metaux.studies.papers.item import Item, Line, line, on_pairs, pair_title
from metaux.studies.papers.scales import Scale
from metaux.words import percent

# Which of its three networks the NeurIPS version used on which data set is not stated where we can read it: our choice.
TABLE_1: dict[str, dict[str, object]] = {
    "mnist": {"backbone": "conv4"},
    "svhn": {},
    "cifar10": {},
    "imagenet32": {},
    "cinic10": {},
    "ucf101": {"backbone": "resnet32", "image_size": 32, "resize": "stretch"},
    "cifar100": {},
}
PSI = 5


def _table1(scale: Scale, root: str) -> list[Line]:
    found = []
    for name, values in TABLE_1.items():
        levels = ("20", "100") if name == "cifar100" else ()
        data = data_set(name, scale, root, *levels, psi=PSI)
        found += [
            line(data.title, method, method, data, scale, "neurips", **values)
            for method in ("single", "uniform", "frozen", "random", "maxl")
        ]
    return found


def _draw_table1(findings: Findings) -> str:
    findings.draw_gains("NeurIPS table: gain over single task")
    return findings.minus("maxl", "single")


def _maxl_is_better(findings: Findings) -> dict[str, list[Part]]:
    single = findings.in_each_panel("maxl", "single")
    return {"MAXL is better than single task": single, **findings.maxl_against_controls()}


TABLE1 = Item(
    "table1",
    "single task against MAXL on seven image data sets, with every control",
    "MAXL outperforms single-task learning on 7 image data sets.",
    _table1,
    _draw_table1,
    _maxl_is_better,
)


LOSSES: dict[str, dict[str, float]] = {"focal loss": {}, "cross entropy": {"focal_gamma": 0.0}}
WITH_EACH_LOSS = ("single", "maxl", "human")


def _focal(scale: Scale, root: str) -> list[Line]:
    data = data_set("cifar100", scale, root, "20", "100")
    return [
        line(pair_title("20", "100"), f"{method}, {loss}", method, data, scale, "iclr", **values)
        for method in WITH_EACH_LOSS
        for loss, values in LOSSES.items()
    ]


def _draw_focal(findings: Findings) -> str:
    focal, cross_entropy = LOSSES
    gains = {
        method: gain
        for method in WITH_EACH_LOSS
        for gain in findings.differences(f"{method}, {focal}", f"{method}, {cross_entropy}").values()
    }
    drawing = gain_rows({pair_title("20", "100"): gains}, "cross entropy")
    findings.draw(drawing, "Focal loss (gamma 2) against cross entropy")
    findings.write_table()
    return f"Focal loss minus cross entropy: {in_points(gains)}."


FOCAL = Item(
    "focal",
    "focal loss (gamma 2) against cross entropy",
    "Both tasks are trained with the focal loss, which is said to help.",
    _focal,
    _draw_focal,
    lambda findings: {
        "the focal loss helps": [
            found
            for method in WITH_EACH_LOSS
            for found in findings.in_each_panel(*(f"{method}, {loss}" for loss in LOSSES))
        ]
    },
)


OF_A_PROTOCOL = {
    "neurips": {name: name for name in ("single", "random", "uniform", "frozen", "maxl", "human")},
    "iclr": {name: ON_SPLIT.get(name, name) for name in ("single", "uniform", "frozen", "maxl")},
}
PUBLISHED_RATE = "maxl, published rate"


def _protocols(scale: Scale, root: str) -> list[Line]:
    data = data_set("cifar100", scale, root, "20", "100")
    found = [
        line(protocol, label, method, data, scale, protocol)
        for protocol, methods in OF_A_PROTOCOL.items()
        for label, method in methods.items()
    ]
    if scale.shorter != 1:
        scaled = [own for own in found if own.label == "maxl"]
        found += [
            replace(own, label=PUBLISHED_RATE, settings=replace(own.settings, generator_learning_rate=None), seeds=1)
            for own in scaled
        ]
    return found


def _draw_protocols(findings: Findings) -> str:
    findings.draw_gains("MAXL of both papers on CIFAR-100 (20 classes of 5)", "protocol {}")
    rows = findings.measure(accuracy=accuracy)
    reached = by_panel(rows, lambda row: f"{row['method']} {percent(row['accuracy'])}")
    return f"Test accuracy (%): {reached}. {findings.minus('maxl', 'single')} {findings.minus('maxl', 'frozen')}"


PROTOCOLS = Item(
    "protocols",
    "the ICLR submission's protocol beside the NeurIPS version's, each with controls on the same samples",
    "MAXL outperforms single-task learning.",
    _protocols,
    _draw_protocols,
    _maxl_is_better,
)


def _draw_vectors(findings: Findings) -> str:
    findings.draw_gains("Target vectors in place of sub-classes")
    return " ".join(findings.minus("vector", other) for other in ("single", "frozen-vector", "maxl"))


WITH_VECTORS = ("single", "uniform", "frozen", "maxl", "frozen-vector", "vector")
VECTORS = Item(
    "vectors",
    "an arbitrary auxiliary task: a learned target vector per sample, beside MAXL and the controls",
    "Preliminary experiments on predicting arbitrary vectors as the auxiliary task were inconclusive.",
    on_pairs(("20", "100"), methods={name: ON_SPLIT.get(name, name) for name in WITH_VECTORS}),
    _draw_vectors,
    lambda findings: {
        "learned vectors are better than an untrained generator's (our question)": findings.in_each_panel(
            "vector", "frozen-vector"
        )
    },
)
