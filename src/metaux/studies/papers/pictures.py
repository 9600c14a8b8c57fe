"""Pictures of what was learned: Figure 5 (t-SNE of the features) and Figure 6 (examples of auxiliary classes)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from metaux.data.samples import Samples
from metaux.hierarchy import Hierarchy
from metaux.report.features import in_two_dimensions
from metaux.runs.loading import load_once
from metaux.runs.model import Model
from metaux.runs.record import Run
from metaux.studies.papers.datasets import data_set
from metaux.studies.papers.findings import Findings, Rows
from metaux.studies.papers.item import METHODS, Item, Line, line, on_pairs
from metaux.studies.papers.scales import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_CLASSES, SHOWN_SUBCLASSES, EXAMPLES = 4, 3, 5


def _draw_figure5(findings: Findings) -> str:
    maps: dict[str, dict[str, tuple[NDArray[Any], NDArray[Any]]]] = {}
    points: Rows = []
    for panel, method, runs in findings.groups():
        first = min(run.seed for run in findings.panels[panel])
        for features, primary in (_features(run) for run in runs if run.seed == first):
            flat = in_two_dimensions(features)
            maps.setdefault(panel, {})[method] = flat, primary
            points += [
                {"panel": panel, "method": method, "class": int(label), "x": f"{x:.3f}", "y": f"{y:.3f}"}
                for (x, y), label in zip(flat, primary, strict=True)
            ]
    separation = findings.measure(silhouette=_separation)
    findings.write(separation)
    findings.write(points, "-points")
    _draw_maps(findings, maps)
    parts = [f"{row['panel']}, {row['method']} {row['silhouette']:.3f}" for row in separation]
    return (
        "Separation of the primary classes in the features (silhouette coefficient of up to 1,000 test samples, mean "
        f"over seeds): {'; '.join(parts)}."
    )


def _separation(run: Run) -> float:
    """Return the silhouette coefficient of the primary classes in the recorded features."""
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(*_features(run)))


def _features(run: Run) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the recorded features of test samples, and their primary classes."""
    return run.output("test_features"), run.output("test_primary")[run.output("test_feature_rows")]


def _draw_maps(findings: Findings, maps: Mapping[str, Mapping[str, tuple[NDArray[Any], NDArray[Any]]]]) -> None:
    columns = max(map(len, maps.values()))

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(len(maps), columns, squeeze=False)
        for row, (panel, methods) in zip(grid, maps.items(), strict=True):
            for axes, (method, (flat, primary)) in zip(row, methods.items(), strict=False):
                colours = "tab20" if primary.max() >= 10 else "tab10"
                axes.scatter(*flat.T, c=primary, cmap=colours, vmin=0, vmax=19 if colours == "tab20" else 9, s=4)
                axes.set_title(f"{panel}: {method}")
                axes.set_axis_off()

    how = "one seed, 1,000 test images, coloured by primary class"
    inches = (3.6 * columns, 3.4 * len(maps) + 0.8)
    findings.save(draw, inches, "Figure 5: t-SNE of the last feature layer", how)


COMPARED = ("single", "single-split", "human", "maxl")
FIGURE5 = Item(
    "figure5",
    "t-SNE of the last feature layer on CIFAR-100's test set: single task, human labels, MAXL",
    "Both MAXL and Human show better separation of the principal classes than Single Task.",
    on_pairs(
        ("3", "10"),
        ("20", "100"),
        methods={name: METHODS[name] for name in COMPARED},
    ),
    _draw_figure5,
    lambda findings: {
        f"{name} separates the classes better than single task": findings.in_each_panel(
            label, *controls, measure=_separation
        )
        for name, label, controls in (("MAXL", "maxl", ("single", "single-split")), ("human", "human", ("single",)))
    },
)


def _figure6(scale: Scale, root: str) -> list[Line]:
    digits = data_set("mnist", scale, root, psi=3)
    return [
        *on_pairs(("20", "100"), methods={"maxl": "maxl"})(scale, root),
        line("10 classes of 3", "maxl", "maxl", digits, scale, "iclr", image_size=32),
    ]


def _draw_figure6(findings: Findings) -> str:
    rows: Rows = []
    sheets: dict[str, dict[str, NDArray[Any]]] = {}
    parts = []
    for panel, runs in findings.panels.items():
        models = [Model.read(run.folder) for run in runs]
        samples, hierarchy = load_once(models[0].settings).test, models[0].hierarchy
        probabilities = [_probabilities(model, samples) for model in models]
        examples = [found.topk(EXAMPLES, dim=0).indices.T.tolist() for found in probabilities]  # [runs, K, examples]
        if len(runs) > 1:
            same = len(set.intersection(*({tuple(sorted(rows)) for rows in found} for found in examples)))
            parts.append(f"{panel}: {same} of all sub-classes have the same five examples in every run")
        for class_, slot in _chosen(hierarchy):
            name, place = hierarchy.class_names[class_], int(hierarchy.offsets[class_]) + slot
            shown = examples[0][place]
            sheets.setdefault(panel, {})[f"{name} {slot + 1}"] = _strip(samples.at(torch.tensor(shown))[0])
            rows += [
                {
                    "panel": panel,
                    "class": name,
                    "subclass": slot + 1,
                    "test_row": row,
                    "true_class": hierarchy.class_names[int(samples.primary[row])],
                    "probability": round(float(probabilities[0][row, place]), 4),
                }
                for row in shown
            ]
    findings.write(rows)
    _draw_sheets(findings, sheets)
    for panel in sheets:
        own = [row["class"] == row["true_class"] for row in rows if row["panel"] == panel]
        parts.append(f"{panel}: {sum(own)} of {len(own)} examples shown are of the sub-class's own primary class")
    return f"{'; '.join(parts)}."


def _probabilities(model: Model, samples: Samples) -> torch.Tensor:
    """Return the predicted probability of every auxiliary class, `[n, K]`."""
    logits = model.auxiliary(samples)
    assert logits is not None
    return logits.softmax(-1)


def _chosen(hierarchy: Hierarchy) -> Iterator[tuple[int, int]]:
    """Yield the classes and slots that are shown, a few drawn at random."""
    rng = np.random.default_rng(0)

    def few(count: int, most: int) -> list[int]:
        return sorted(rng.choice(count, min(most, count), replace=False).tolist())

    for class_ in few(hierarchy.classes, SHOWN_CLASSES):
        for slot in few(hierarchy.slots[class_], SHOWN_SUBCLASSES):
            yield class_, slot


def _strip(images: torch.Tensor) -> NDArray[Any]:
    """Return images `[n, channels, height, width]` side by side, `[height, n (width + 1), 3]`."""
    colour = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images[:, :3]
    framed = torch.nn.functional.pad(colour, (0, 1, 0, 0), value=255)
    strip: NDArray[Any] = torch.cat(list(framed), dim=-1).permute(1, 2, 0).numpy()
    return strip


def _draw_sheets(findings: Findings, sheets: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    most = max(map(len, sheets.values()))

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(most, len(sheets), squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for column, (panel, strips) in zip(grid.T, sheets.items(), strict=True):
            column[0].set_title(panel)
            for axes, (name, strip) in zip(column, strips.items(), strict=False):
                axes.imshow(strip, interpolation="nearest")
                axes.text(-0.02, 0.5, name, transform=axes.transAxes, ha="right", va="center", fontsize=7)

    how = "each row: the five test images with the highest predicted probability of one auxiliary class; one seed"
    findings.save(draw, (5.2 * len(sheets), 0.62 * most + 1.2), "Figure 6: examples of auxiliary classes", how)


FIGURE6 = Item(
    "figure6",
    "the five test images with the highest predicted probability of some auxiliary classes",
    "The generated auxiliary labels show no clear human-understandable knowledge, no obvious similarities within each "
    "auxiliary class; the top candidates are different when the network is re-trained.",
    _figure6,
    _draw_figure6,
)
