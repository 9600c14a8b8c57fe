"""Learning curves: Figure 3 (CIFAR-100's six pairs of levels), and the cosine between the two tasks' gradients."""

from typing import Any

from metaux.report.chart import Axis
from metaux.studies.papers.findings import Findings, by_panel, tally
from metaux.studies.papers.item import METHODS, Item, on_pairs

PAIRS = (("3", "10"), ("3", "20"), ("3", "100"), ("10", "20"), ("10", "100"), ("20", "100"))
BASELINES = ("single", "random", "prototypical", "kmeans", "uniform", "frozen")


def _draw_figure3(findings: Findings) -> str:
    findings.draw_curves("Figure 3: learning curves")
    findings.write_table()
    to_human, human = findings.differences("maxl", "human"), findings.differences("human", "single")
    gains = findings.gains("maxl")
    undecided = sum(not (d.above or d.below or d.low is None) for d in to_human.values())
    return " ".join(
        [
            f"MAXL does not differ significantly from human labels in {undecided} of {len(to_human)} pairs (the 95 % "
            f"interval of the difference includes zero); it is {tally(to_human)}.",
            *(
                f"Against {name}: {tally(found)}."
                for name in BASELINES
                if (found := findings.differences("maxl", name))
            ),
            f"MAXL beats single task, uniform and frozen together in {len(gains)} of {len(findings.panels)}.",
            f"Human labels beat single task in {sum(d.above for d in human.values())} of {len(human)}: where they do "
            "not, to be like them shows nothing.",
        ]
    )


FIGURE3 = Item(
    "figure3",
    "learning curves on CIFAR-100's six pairs of levels, all baselines and controls",
    "MAXL performs similarly to human labels in 4 of the 6 pairs and worse in 2; at least as well as all other "
    "baselines, and in the majority of cases significantly better.",
    on_pairs(*PAIRS),
    _draw_figure3,
)


def _draw_cosine(findings: Findings) -> str:
    title = "Cosine between the gradients of the two tasks on the shared layers"
    findings.draw_curves(title, "gradient_cosine", Axis("cosine"), numbers="")
    rows = findings.measure(cosine=lambda run: float(run.curve("gradient_cosine").mean()))
    return f"Mean over epochs, with 95 % intervals over seeds. {by_panel(rows, _signed, 'cosine')}."


def _signed(row: dict[str, Any]) -> str:
    interval = "" if row["cosine_low"] is None else f" [{row['cosine_low']:+.3f}, {row['cosine_high']:+.3f}]"
    return f"{row['method']} {row['cosine']:+.3f}{interval}"


_WITH_A_TASK = {label: method for label, method in METHODS.items() if label not in ("single", "single-split")}
COSINE = Item(
    "cosine",
    "the cosine between the gradients of the primary and the auxiliary loss on the shared layers, per epoch",
    "",
    on_pairs(
        ("3", "100"),
        ("20", "100"),
        methods=_WITH_A_TASK,
    ),
    _draw_cosine,
)
