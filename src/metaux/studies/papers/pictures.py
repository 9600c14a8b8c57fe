"""Pictures of what was learned: Figure 5 (t-SNE of the features) and Figure 6 (examples of auxiliary classes)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from metaux.data.samples import Samples
from metaux.evidence.statistics import mean_over_seeds
from metaux.report.to_matplotlib import caption, save
from metaux.runs.loading import load_once
from metaux.runs.model import Model
from metaux.runs.record import Run
from metaux.studies.papers.curves import pair_needs
from metaux.studies.papers.datasets import bed
from metaux.studies.papers.item import Findings, Item, need
from metaux.studies.papers.numbers import bounds, write_rows
from metaux.studies.papers.runs import Need
from metaux.studies.papers.scales import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]
SHOWN_CLASSES, SHOWN_SUBCLASSES, EXAMPLES = 4, 3, 5


def _figure5(scale: Scale, root: str) -> list[Need]:
    return [
        line
        for pair in (("3", "10"), ("20", "100"))
        for line in pair_needs(scale, root, *pair, ("single", "human", "maxl"))
    ]


def _draw_figure5(findings: Findings) -> str:
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_score

    places: dict[str, dict[str, tuple[Array, Array]]] = {}
    separation, points = [], []
    for panel, runs in findings.panels.items():
        for method in dict.fromkeys(run.method for run in runs):
            scores = []
            for run in (run for run in runs if run.method == method):
                features, primary = run.output("test_features"), _primary(run)
                scores.append(float(silhouette_score(features, primary)))
                if run.seed == min(other.seed for other in runs):
                    flat = TSNE(random_state=0, init="pca").fit_transform(features)
                    places.setdefault(panel, {})[method] = flat, primary
                    points += [
                        {"panel": panel, "method": method, "class": int(label), "x": f"{x:.3f}", "y": f"{y:.3f}"}
                        for (x, y), label in zip(flat, primary, strict=True)
                    ]
            separation.append({"panel": panel, "method": method, "n": len(scores)})
            separation[-1] |= bounds("silhouette", mean_over_seeds(scores))
    write_rows(findings.folder / "figure5.csv", separation)
    write_rows(findings.folder / "figure5-points.csv", points)
    _draw_embeddings(places, findings)
    told = [f"{row['panel']}, {row['method']} {float(str(row['silhouette'])):.3f}" for row in separation]
    return (
        "Separation of the primary classes in the features (silhouette coefficient of up to 1,000 test samples, mean "
        f"over seeds): {'; '.join(told)}."
    )


def _primary(run: Run) -> Array:
    found: Array = run.output("test_primary")[run.output("test_feature_rows")]
    return found


def _draw_embeddings(places: Mapping[str, Mapping[str, tuple[Array, Array]]], findings: Findings) -> None:
    columns = max(map(len, places.values()))

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(len(places), columns, squeeze=False)
        for row, (panel, methods) in zip(grid, places.items(), strict=True):
            for axes, (method, (flat, primary)) in zip(row, methods.items(), strict=False):
                colours = "tab20" if primary.max() >= 10 else "tab10"
                axes.scatter(*flat.T, c=primary, cmap=colours, vmin=0, vmax=19 if colours == "tab20" else 9, s=4)
                axes.set_title(f"{panel}: {method}")
                axes.set_axis_off()
        how = "one seed, 1,000 test images, coloured by primary class"
        caption(figure, "Figure 5: t-SNE of the last feature layer", findings.setting(), how)

    save(draw, findings.folder, "figure5", (3.6 * columns, 3.4 * len(places) + 0.8))


FIGURE5 = Item(
    "figure5",
    "t-SNE of the last feature layer on CIFAR-100's test set: single task, human labels, MAXL",
    "Both MAXL and Human show better separation of the principal classes than Single Task.",
    _figure5,
    _draw_figure5,
)


def _figure6(scale: Scale, root: str) -> list[Need]:
    digits = bed("mnist", scale, root, 3)
    larger = {} if "image_size" in scale.changes else {"image_size": 32}
    return [
        *pair_needs(scale, root, "20", "100", ("maxl",)),
        need("10 classes of 3", "maxl", "maxl", digits, scale, "iclr", **larger),
    ]


def _draw_figure6(findings: Findings) -> str:
    rows: list[dict[str, object]] = []
    shared = []
    sheets: dict[str, list[tuple[str, Array]]] = {}
    for panel, runs in findings.panels.items():
        tops = []
        for run in runs:
            model = Model.read(run.folder)
            samples = load_once(model.settings).test
            logits = model.auxiliary(samples)
            assert logits is not None
            probabilities = logits.softmax(-1)
            top = probabilities.topk(EXAMPLES, dim=0).indices.T  # [K, examples]
            tops.append({tuple(found) for found in top.sort(-1).values.tolist()})
            if run is runs[0]:
                sheets[panel] = _sheet(model, samples, probabilities, top, rows, panel)
        shared.append(len(set.intersection(*tops)) if len(tops) > 1 else None)
    write_rows(findings.folder / "figure6.csv", rows)
    _draw_sheets(sheets, findings)
    told = [
        f"{panel}: {number} of all sub-classes have the same five examples in every run"
        for panel, number in zip(findings.panels, shared, strict=True)
        if number is not None
    ]
    own = sum(row["class"] == row["true_class"] for row in rows)
    return f"Of the examples shown, {own} of {len(rows)} are of the sub-class's own primary class. {'; '.join(told)}."


def _sheet(
    model: Model,
    samples: Samples,
    probabilities: torch.Tensor,
    top: torch.Tensor,
    rows: list[dict[str, object]],
    panel: str,
) -> list[tuple[str, Array]]:
    """Return a strip of examples for each sub-class shown, and note them down."""
    hierarchy, strips = model.hierarchy, []
    stream = np.random.default_rng(0)
    classes = sorted(stream.choice(hierarchy.classes, min(SHOWN_CLASSES, hierarchy.classes), replace=False).tolist())
    for class_ in classes:
        first = int(hierarchy.offsets[class_])
        slots = stream.choice(hierarchy.slots[class_], min(SHOWN_SUBCLASSES, hierarchy.slots[class_]), replace=False)
        for slot in sorted(slots.tolist()):
            images = samples.inputs[0][top[first + slot]]
            strips.append((f"{hierarchy.class_names[class_]} {slot + 1}", _strip(images)))
            rows += [
                {
                    "panel": panel,
                    "class": hierarchy.class_names[class_],
                    "subclass": slot + 1,
                    "test_row": row,
                    "true_class": hierarchy.class_names[int(samples.primary[row])],
                    "probability": round(float(probabilities[row, first + slot]), 4),
                }
                for row in top[first + slot].tolist()
            ]
    return strips


def _strip(images: torch.Tensor) -> Array:
    """Return images `[n, channels, height, width]` side by side, `[height, n (width + 1), 3]`."""
    colour = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images[:, :3]
    framed = torch.nn.functional.pad(colour, (0, 1, 0, 0), value=255)
    strip: Array = torch.cat(list(framed), dim=-1).permute(1, 2, 0).numpy()
    return strip


def _draw_sheets(sheets: Mapping[str, Sequence[tuple[str, Array]]], findings: Findings) -> None:
    most = max(map(len, sheets.values()))

    def draw(figure: "Figure") -> None:
        grid = figure.subplots(most, len(sheets), squeeze=False)
        for column, (panel, strips) in enumerate(sheets.items()):
            for axes in grid[:, column]:
                axes.set_axis_off()
            grid[0, column].set_title(panel)
            for axes, (name, strip) in zip(grid[:, column], strips, strict=False):
                axes.imshow(strip, interpolation="nearest")
                axes.text(-0.02, 0.5, name, transform=axes.transAxes, ha="right", va="center", fontsize=7)
        how = "each row: the five test images with the highest predicted probability of one auxiliary class; one seed"
        caption(figure, "Figure 6: examples of auxiliary classes", findings.setting(), how)

    save(draw, findings.folder, "figure6", (5.2 * len(sheets), 0.62 * most + 1.2))


FIGURE6 = Item(
    "figure6",
    "the five test images with the highest predicted probability of some auxiliary classes",
    "The generated auxiliary labels show no clear human-understandable knowledge, no obvious similarities within each "
    "auxiliary class; the top candidates are different when the network is re-trained.",
    _figure6,
    _draw_figure6,
)
