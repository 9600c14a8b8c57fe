"""What the generator invents: whether its labels are the same in every run, and whether they collapse."""

from collections.abc import Sequence
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.report.to_matplotlib import caption, save
from metaux.runs.record import Run
from metaux.studies.papers.curves import PAIRS, pair_needs
from metaux.studies.papers.datasets import bed
from metaux.studies.papers.item import Findings, Item, need
from metaux.studies.papers.numbers import bounds, write_rows
from metaux.studies.papers.runs import Need
from metaux.studies.papers.scales import Scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]
RATES = (1e-5, 1e-3, 1e-1)
SIZES = (2, 10, 100)


def _agreement(scale: Scale, root: str) -> list[Need]:
    return [line for pair in PAIRS for line in pair_needs(scale, root, *pair, ("maxl", "prototypical", "kmeans"))]


def _draw_agreement(findings: Findings) -> str:
    rows = []
    for panel, runs in findings.panels.items():
        for method in dict.fromkeys(run.method for run in runs):
            own = [run for run in runs if run.method == method]
            pairs = [between_runs(first, second) for first, second in combinations(own, 2)]
            human = [_with_human(run) for run in own]
            kinds = {
                "between runs": (_mean_of_pairs, [found for found, _ in pairs]),
                "between runs, by chance": (_mean_of_pairs, [chance for _, chance in pairs]),
                "with human labels": (mean_over_seeds, [found for found, _ in human]),
                "with human labels, by chance": (mean_over_seeds, [chance for _, chance in human]),
            }
            for kind, (estimate, values) in kinds.items():
                if values:
                    rows.append({"panel": panel, "method": method, "of": kind, "n": len(own)})
                    rows[-1] |= bounds("nmi", estimate(values))
    write_rows(findings.folder / "agreement.csv", rows)
    _draw_bars(findings, rows)

    def mean(kind: str, method: str = "maxl") -> str:
        values = [float(str(row["nmi"])) for row in rows if row["of"] == kind and row["method"] == method]
        return f"{np.mean(values):.3f}" if values else "not measured"

    return (
        "Normalised mutual information of the most probable sub-classes within each class, mean over the pairs of "
        f"levels. MAXL: between runs {mean('between runs')} (by chance {mean('between runs, by chance')}), with human "
        f"labels {mean('with human labels')} (by chance {mean('with human labels, by chance')}). Prototypical with "
        f"human labels: {mean('with human labels', 'prototypical')}; k-means: {mean('with human labels', 'kmeans')}."
    )


def _mean_of_pairs(values: Sequence[float]) -> Estimate:
    """Return a mean without an interval: pairs that share a run are not independent."""
    return Estimate(float(np.mean(values)))


def between_runs(first: Run, second: Run) -> tuple[float, float]:
    """Return the agreement on the samples that both were trained on, and what chance gives."""
    _, own, other = np.intersect1d(first.output("train_ids"), second.output("train_ids"), return_indices=True)
    labels = first.output("train_labels").argmax(-1)[own], second.output("train_labels").argmax(-1)[other]
    return _within_classes(*labels, first.output("train_primary")[own])


def _with_human(run: Run) -> tuple[float, float]:
    return _within_classes(
        run.output("train_labels").argmax(-1), run.output("train_human"), run.output("train_primary")
    )


def _within_classes(first: Array, second: Array, primary: Array) -> tuple[float, float]:
    """Return the mean over samples of the agreement within each class; and the same with one side shuffled.

    Chance is not zero: with few samples per sub-class, shuffled labels share information too.
    """
    from sklearn.metrics import normalized_mutual_info_score

    stream, found, chance = np.random.default_rng(0), 0.0, 0.0
    for class_ in np.unique(primary):
        rows = np.flatnonzero(primary == class_)
        found += len(rows) * normalized_mutual_info_score(first[rows], second[rows])
        chance += len(rows) * normalized_mutual_info_score(first[rows], second[stream.permutation(rows)])
    return found / len(primary), chance / len(primary)


def _draw_bars(findings: Findings, rows: "list[dict[str, object]]") -> None:
    panels = list(dict.fromkeys(str(row["panel"]) for row in rows))
    kinds = ("between runs", "with human labels")
    methods = list(dict.fromkeys(str(row["method"]) for row in rows))

    def draw(figure: "Figure") -> None:
        for axes, kind in zip(figure.subplots(1, 2, sharey=True), kinds, strict=True):
            for place, method in enumerate(methods):
                shown = [row for row in rows if row["of"] == kind and row["method"] == method]
                where = [panels.index(str(row["panel"])) + 0.25 * (place - 1) for row in shown]
                values = [float(str(row["nmi"])) for row in shown]
                axes.bar(where, values, 0.23, label=method)
                chance = [
                    float(str(row["nmi"]))
                    for row in rows
                    if row["of"] == f"{kind}, by chance" and row["method"] == method
                ]
                axes.plot(where, chance, "k_", markersize=9, label="by chance" if place == 0 else None)
            axes.set_title(kind)
            axes.set_xticks(range(len(panels)), [panel.replace(", ", "\n") for panel in panels], fontsize=7)
        figure.axes[0].set_ylabel("normalised mutual information")
        figure.axes[0].legend(frameon=False)
        how = "means over pairs of seeds, and over seeds"
        caption(figure, "Agreement of the labels", findings.setting(), how)

    save(draw, findings.folder, "agreement", (10.0, 4.2))


AGREEMENT = Item(
    "agreement",
    "whether generated labels are the same in different runs, and like human ones",
    "The generated auxiliary knowledge is not deterministic: the top candidates are different when the network is "
    "re-trained from scratch; and it shows no clear human-understandable knowledge.",
    _agreement,
    _draw_agreement,
)


def _collapse(scale: Scale, root: str) -> list[Need]:
    found = []
    for psi in SIZES:
        on = bed("cifar10.1", scale, root, psi)  # as in Figure 4, which has some of these runs
        for rate in RATES:
            for panel, values in (("with the entropy loss", {}), ("without the entropy loss", {"entropy_weight": 0.0})):
                label = _cell(psi, rate)
                found.append(need(panel, label, "maxl", on, scale, "iclr", generator_learning_rate=rate, **values))
    return found


def _draw_collapse(findings: Findings) -> str:
    rows = []
    for panel, runs in findings.panels.items():
        for psi, rate in product(SIZES, RATES):
            own = [run for run in runs if run.method == _cell(psi, rate)]
            row: dict[str, object] = {"panel": panel, "psi": psi, "generator_learning_rate": rate, "n": len(own)}
            for name, values in {
                "share_in_use": [_share_in_use(run) for run in own],
                "effective_subclasses": [float(np.exp(run.curve("class_entropy")[-1])) for run in own],
                "top_probability": [float(run.curve("label_top_probability")[-1]) for run in own],
                "accuracy": [run.accuracy for run in own],
            }.items():
                row |= bounds(name, mean_over_seeds(values) if own else None)
            rows += [row] if own else []
    write_rows(findings.folder / "collapse.csv", rows)
    _draw_grid(findings, rows)
    parts = []
    for panel in findings.panels:
        shares = [
            f"psi {row['psi']} at {row['generator_learning_rate']:g} {100 * float(str(row['share_in_use'])):.0f} %"
            for row in rows
            if row["panel"] == panel
        ]
        parts.append(f"{panel}: {', '.join(shares)}")
    return "Share of sub-classes that are the most probable one of some training sample: " + "; ".join(parts) + "."


def _cell(psi: int, rate: float) -> str:
    return f"psi {psi}, rate {rate:g}"


def _share_in_use(run: Run) -> float:
    slots: list[int] = run.result["model"]["slots"]
    return float(run.curve("subclasses_used")[-1]) / sum(slots)


def _draw_grid(findings: Findings, rows: Sequence[dict[str, object]]) -> None:
    panels = list(findings.panels)

    def draw(figure: "Figure") -> None:
        image = None
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels, strict=True):
            grid = np.full((len(SIZES), len(RATES)), np.nan)
            for row in (row for row in rows if row["panel"] == panel):
                place = SIZES.index(int(str(row["psi"]))), RATES.index(float(str(row["generator_learning_rate"])))
                grid[place] = 100 * float(str(row["share_in_use"]))
                used = float(str(row["effective_subclasses"]))
                box = {"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 1.5}
                text = f"{grid[place]:.0f} %\n({used:.1f})"
                axes.text(place[1], place[0], text, ha="center", va="center", fontsize=8, bbox=box)
            image = axes.imshow(grid, vmin=0, vmax=100, aspect="auto", cmap="viridis")
            axes.set_xticks(range(len(RATES)), [f"{rate:g}" for rate in RATES])
            axes.set_yticks(range(len(SIZES)), list(map(str, SIZES)))
            axes.set_title(panel)
            axes.set_xlabel("generator learning rate")
            axes.grid(visible=False)
        figure.axes[0].set_ylabel("sub-classes per class")
        if image is not None:
            figure.colorbar(image, ax=figure.axes, label="sub-classes in use (%)")
        how = "means over seeds (intervals in collapse.csv); in brackets: exp(entropy of a class's mean label)"
        caption(figure, "Sub-classes in use after training", findings.setting(), how)

    save(draw, findings.folder, "collapse", (9.0, 3.8))


COLLAPSE = Item(
    "collapse",
    "sub-classes in use over generator learning rate and psi, with and without the entropy loss",
    "Collapse into fewer sub-classes is particularly apparent with a large learning rate of the generator or a large "
    "psi; the entropy loss prevents it.",
    _collapse,
    _draw_collapse,
)
