"""What the generator invents: whether its labels are the same in every run, and whether they collapse."""

from collections.abc import Iterable
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.runs.record import Run
from metaux.studies.papers.claims import Part
from metaux.studies.papers.curves import PAIRS
from metaux.studies.papers.datasets import data_set
from metaux.studies.papers.findings import Findings, Rows, accuracy, bounds, by_panel, movement
from metaux.studies.papers.item import METHODS, Item, Line, line, on_pairs
from metaux.studies.papers.scales import Scale
from metaux.training.generated_labels import agreement_within_classes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RUNS, HUMAN, CHANCE = "between runs", "with human labels", ", by chance"


def _draw_agreement(findings: Findings) -> str:
    rows: Rows = []
    for panel, method, runs in findings.groups():
        # Pairs that share a run are not independent: their mean has no interval.
        pairs = np.array([between_runs(*pair) for pair in combinations(runs, 2)])
        own = {RUNS: [Estimate(float(mean)) for mean in pairs.mean(0)]} if len(pairs) else {}
        own[HUMAN] = [mean_over_seeds(values) for values in zip(*map(_with_human, runs), strict=True)]
        rows += [
            {"panel": panel, "method": method, "of": kind + chance, "n": len(runs), **bounds("nmi", found)}
            for kind, estimates in own.items()
            for chance, found in zip(("", CHANCE), estimates, strict=True)
        ]
    findings.write(rows)
    _draw_bars(findings, rows)

    def mean(kind: str, method: str = "maxl") -> str:
        values = [row["nmi"] for row in rows if row["of"] == kind and row["method"] == method]
        return f"{np.mean(values):.3f}" if values else "not measured"

    return (
        "Normalised mutual information of the most probable sub-classes within each class, mean over the pairs of "
        f"levels. MAXL: between runs {mean(RUNS)} (by chance {mean(RUNS + CHANCE)}), with human labels {mean(HUMAN)} "
        f"(by chance {mean(HUMAN + CHANCE)}). Prototypical with human labels: {mean(HUMAN, 'prototypical')}; k-means: "
        f"{mean(HUMAN, 'kmeans')}."
    )


def between_runs(first: Run, second: Run) -> tuple[float, float]:
    """Return the agreement on the samples that both were trained on, and what chance gives."""
    _, own, other = np.intersect1d(first.output("train_ids"), second.output("train_ids"), return_indices=True)
    labels = first.output("train_labels").argmax(-1)[own], second.output("train_labels").argmax(-1)[other]
    return _and_by_chance(*labels, first.output("train_primary")[own])


def _with_human(run: Run) -> tuple[float, float]:
    return _and_by_chance(run.output("train_labels").argmax(-1), run.output("train_human"), run.output("train_primary"))


def _and_by_chance(first: NDArray[Any], second: NDArray[Any], primary: NDArray[Any]) -> tuple[float, float]:
    """Return the agreement of two labellings within classes; and the same with one of them shuffled within each class.

    Chance is not zero: with few samples per sub-class, shuffled labels share information too.
    """
    rng, shuffled = np.random.default_rng(0), second.copy()
    for class_ in np.unique(primary):
        rows = np.flatnonzero(primary == class_)
        shuffled[rows] = second[rng.permutation(rows)]
    return agreement_within_classes(first, second, primary), agreement_within_classes(first, shuffled, primary)


def _draw_bars(findings: Findings, rows: Rows) -> None:
    panels = list(findings.panels)
    methods = list(dict.fromkeys(row["method"] for row in rows))

    def values(kind: str, method: str) -> dict[int, float]:
        own = [row for row in rows if row["of"] == kind and row["method"] == method]
        return {panels.index(row["panel"]): row["nmi"] for row in own}

    def draw(figure: "Figure") -> None:
        for axes, kind in zip(figure.subplots(1, 2, sharey=True), (RUNS, HUMAN), strict=True):
            for place, method in enumerate(methods):
                found, by_chance = values(kind, method), values(kind + CHANCE, method)
                where = [panel + 0.25 * (place - 1) for panel in found]
                axes.bar(where, found.values(), 0.23, label=method)
                axes.plot(where, by_chance.values(), "k_", markersize=9, label=None if place else "by chance")
            axes.set_title(kind)
            axes.set_xticks(range(len(panels)), [panel.replace(", ", "\n") for panel in panels], fontsize=7)
        figure.axes[0].set_ylabel("normalised mutual information")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)

    findings.save(draw, (10.0, 4.2), "Agreement of the labels", "means over pairs of seeds, and over seeds")


def _claims_of_agreement(findings: Findings) -> dict[str, list[Part]]:
    """Compare, in each pair of levels, with half of the information; the pairs of levels are what is repeated."""
    own = {panel: findings.runs(panel, "maxl") for panel in findings.panels}
    between = {panel: [between_runs(*pair)[0] for pair in combinations(runs, 2)] for panel, runs in own.items()}
    human = {panel: [_with_human(run)[0] for run in runs] for panel, runs in own.items()}
    moved = movement([run for runs in own.values() for run in runs])

    def below_half(name: str, found: dict[str, list[float]]) -> list[Part]:
        values = [float(np.mean(nmi)) - 0.5 for nmi in found.values() if nmi]
        return [Part("", f"{name} minus 0.5, over pairs of levels", values, False, moved)] if values else []

    return {
        "two runs share less than half of their labels' information": below_half("NMI between runs", between),
        "and so do generated and human labels": below_half("NMI with human labels", human),
    }


AGREEMENT = Item(
    "agreement",
    "whether generated labels are the same in different runs, and like human ones",
    "The generated auxiliary knowledge is not deterministic: the top candidates are different when the network is "
    "re-trained from scratch; and it shows no clear human-understandable knowledge.",
    on_pairs(*PAIRS, methods={name: METHODS[name] for name in ("maxl", "prototypical", "kmeans")}),
    _draw_agreement,
    _claims_of_agreement,
)

SIZES = (2, 10, 100)
RATES = (1e-5, 1e-3, 1e-1)
PANELS: dict[str, dict[str, float]] = {"with the entropy loss": {}, "without the entropy loss": {"entropy_weight": 0.0}}
CELLS: dict[str, dict[str, Any]] = {
    f"psi {psi}, rate {rate:g}": {"psi": psi, "generator_learning_rate": rate} for psi, rate in product(SIZES, RATES)
}


def _collapse(scale: Scale, root: str) -> list[Line]:
    found = []
    for label, cell in CELLS.items():
        data = data_set("cifar10.1", scale, root, psi=cell["psi"])  # as in Figure 4, which has some of these runs
        rate = {"generator_learning_rate": cell["generator_learning_rate"]}
        found += [line(panel, label, "maxl", data, scale, "iclr", **rate, **more) for panel, more in PANELS.items()]
    return found


def effective_share(run: Run) -> float:
    """Return exp(entropy of a class's mean label) / psi: 1 where all sub-classes are used alike.

    The share that is the most probable one of some sample would count labels that are all but uniform as collapsed.
    """
    slots: list[int] = run.result["model"]["slots"]
    return float(np.exp(run.curve("class_entropy")[-1])) * len(slots) / sum(slots)


def _draw_collapse(findings: Findings) -> str:
    rows = findings.measure(
        CELLS,
        effective_share=effective_share,
        most_probable_share=lambda run: float(run.curve("subclasses_used")[-1]) / sum(run.result["model"]["slots"]),
        top_probability=lambda run: float(run.curve("label_top_probability")[-1]),
        accuracy=accuracy,
    )
    findings.write(rows)
    _draw_grid(findings, rows)

    def share(row: dict[str, Any]) -> str:
        return f"psi {row['psi']} at {row['generator_learning_rate']:g} {100 * row['effective_share']:.0f} %"

    shares = by_panel(rows, share)
    return f"Effective share of sub-classes, exp(entropy of a class's mean label) / psi: {shares}."


def _draw_grid(findings: Findings, rows: Rows) -> None:
    panels = list(findings.panels)

    def draw(figure: "Figure") -> None:
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False, sharey=True)[0], panels, strict=True):
            grid = np.full((len(SIZES), len(RATES)), np.nan)
            for row in (row for row in rows if row["panel"] == panel):
                place = SIZES.index(row["psi"]), RATES.index(row["generator_learning_rate"])
                grid[place] = 100 * row["effective_share"]
                box = {"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 1.5}
                text = f"{grid[place]:.0f} %\n({100 * row['most_probable_share']:.0f} %)"
                axes.text(*place[::-1], text, ha="center", va="center", fontsize=8, bbox=box)
            axes.imshow(grid, vmin=0, vmax=100, aspect="auto", cmap="viridis")
            axes.set_xticks(range(len(RATES)), [f"{rate:g}" for rate in RATES])
            axes.set_yticks(range(len(SIZES)), list(map(str, SIZES)))
            axes.set_title(panel)
            axes.set_xlabel("published generator learning rate")
            axes.grid(visible=False)
        figure.axes[0].set_ylabel("sub-classes per class")
        figure.colorbar(figure.axes[0].images[0], ax=figure.axes, label="effective share of sub-classes (%)")

    how = (
        "means over seeds of exp(entropy of a class's mean label) / psi (intervals in collapse.csv); in brackets: the "
        "share that is the most probable one of some sample"
    )
    findings.save(draw, (9.0, 3.8), "Sub-classes in use after training", how)


def _claims_of_collapse(findings: Findings) -> dict[str, list[Part]]:
    used, without = list(PANELS)
    small, large = min(RATES), max(RATES)

    def cell(panel: str, psi: int, rate: float) -> tuple[str, str]:
        return panel, f"psi {psi}, rate {rate:g}"

    def all_of(pairs: Iterable[tuple[tuple[str, str], tuple[str, str]]], above: bool) -> list[Part]:
        return [found for pair in pairs for found in findings.compare(*pair, effective_share, above)]

    return {
        "without the entropy loss, fewer sub-classes are used at a large rate": all_of(
            ((cell(without, psi, large), cell(without, psi, small)) for psi in SIZES), False
        ),
        "and with a large psi": all_of(
            ((cell(without, max(SIZES), rate), cell(without, min(SIZES), rate)) for rate in RATES), False
        ),
        "the entropy loss prevents it": all_of(
            ((cell(used, psi, large), cell(without, psi, large)) for psi in SIZES), True
        ),
    }


COLLAPSE = Item(
    "collapse",
    "sub-classes in use over generator learning rate and psi, with and without the entropy loss",
    "Collapse into fewer sub-classes is particularly apparent with a large learning rate of the generator or a large "
    "psi; the entropy loss prevents it.",
    _collapse,
    _draw_collapse,
    _claims_of_collapse,
)
