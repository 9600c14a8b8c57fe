"""Learning curves: Figure 3 (CIFAR-100's six pairs of levels), and the cosine between the two tasks' gradients."""

from typing import Any

from metaux.report.chart import Axis
from metaux.studies.papers.claims import Part
from metaux.studies.papers.findings import Findings, by_panel
from metaux.studies.papers.item import METHODS, Item, on_pairs

PAIRS = (("3", "10"), ("3", "20"), ("3", "100"), ("10", "20"), ("10", "100"), ("20", "100"))
BASELINES = ("single", "random", "prototypical", "kmeans")


def _draw_figure3(findings: Findings) -> str:
    findings.draw_curves("Figure 3: learning curves")
    findings.write_table()
    return f"{findings.minus('maxl', 'human')} {findings.minus('human', 'single')}"


def _claims3(findings: Findings) -> dict[str, list[Part]]:
    return {
        "MAXL is better than the papers' baselines": findings.in_each_panel("maxl", *BASELINES),
        **findings.maxl_against_controls(),
        "human labels are better than single task": findings.in_each_panel("human", "single"),
    }


FIGURE3 = Item(
    "figure3",
    "learning curves on CIFAR-100's six pairs of levels, all baselines and controls",
    "MAXL performs similarly to human labels in 4 of the 6 pairs and worse in 2; at least as well as all other "
    "baselines, and in the majority of cases significantly better.",
    on_pairs(*PAIRS),
    _draw_figure3,
    _claims3,
)


def _draw_cosine(findings: Findings) -> str:
    title = "Cosine between the gradients of the two tasks on the shared layers"
    findings.draw_curves(title, "mean_cosine", Axis("cosine"), numbers="", also=("gradient_cosine",))
    rows = findings.measure(
        cosine=lambda run: float(run.curve("mean_cosine").mean()),
        one_batch=lambda run: float(run.curve("gradient_cosine").mean()),
    )
    return (
        "As the released code measures it, on ten training batches of an epoch; mean over epochs, 95 % intervals over "
        f"seeds. {by_panel(rows, _signed, 'cosine')}. One cosine of all shared weights, on one batch without "
        f"augmentation, orders them: {by_panel(rows, lambda row: row['method'], 'one_batch')}."
    )


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
