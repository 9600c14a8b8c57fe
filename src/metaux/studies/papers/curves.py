"""Learning curves: Figure 3 (CIFAR-100's six pairs of levels), and the cosine between the two tasks' gradients."""

from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.report.chart import Axis
from metaux.report.figures import curve_panels
from metaux.studies.papers.datasets import bed
from metaux.studies.papers.item import Findings, Item, need, paired
from metaux.studies.papers.numbers import write_curves, write_table
from metaux.studies.papers.runs import Need
from metaux.studies.papers.scales import Scale

PAIRS = (("3", "10"), ("3", "20"), ("3", "100"), ("10", "20"), ("10", "100"), ("20", "100"))
# The baselines of both papers, and two controls of ours. Each has the settings of its own.
METHODS: dict[str, dict[str, str]] = {
    "single": {},
    "uniform": {},
    "frozen": {},
    "random": {},
    "prototypical": {},
    "kmeans": {"features": "autoencoder"},
    "maxl": {},
    "human": {},
}


def pair_title(primary: str, auxiliary: str) -> str:
    """Return how figures call a pair of CIFAR-100's levels.

    >>> pair_title("20", "100")
    'primary 20, auxiliary 100'
    """
    return f"primary {primary}, auxiliary {auxiliary}"


def pair_needs(
    scale: Scale, root: str, primary: str, auxiliary: str, methods: tuple[str, ...] = tuple(METHODS)
) -> list[Need]:
    """Return the lines for one pair of levels; every experiment on that pair takes its runs from here."""
    found = bed("cifar100", scale, root, 0, primary, auxiliary)
    title = pair_title(primary, auxiliary)
    return [need(title, method, method, found, scale, "iclr", **METHODS[method]) for method in methods]


def _figure3(scale: Scale, root: str) -> list[Need]:
    return [line for pair in PAIRS for line in pair_needs(scale, root, *pair)]


def _draw_figure3(findings: Findings) -> str:
    curve_panels(findings.panels, findings.folder, "figure3", ("Figure 3: learning curves", findings.setting()))
    write_curves(findings, findings.folder / "figure3-curves.csv")
    comparisons = findings.comparisons()
    write_table(comparisons, findings.folder / "figure3.csv")
    to_human = _differences(findings, "human")
    others = {
        other: found
        for other in ("single", "random", "prototypical", "kmeans", "uniform", "frozen")
        if (found := _differences(findings, other))
    }
    gains = sum(row is not None and row.gain for c in comparisons.values() for row in [c.row("maxl")])
    parts = [
        f"MAXL is not told apart from human labels in {_within(to_human)} of {len(to_human)} pairs "
        f"(the 95 % interval of the difference holds zero), worse in {sum(d.below for d in to_human)}, "
        f"better in {sum(d.above for d in to_human)}."
    ]
    for name, found in others.items():
        better, worse = sum(d.above for d in found), sum(d.below for d in found)
        parts.append(f"Against {name}: better in {better}, worse in {worse} of {len(found)}.")
    human = [d for runs in findings.panels.values() if (d := paired(runs, "human", "single")) is not None]
    parts += [
        f"It beats single task, uniform and frozen together in {gains} of {len(comparisons)}.",
        f"Human labels beat single task in {sum(d.above for d in human)} of {len(human)}: where they do not, being "
        "like them says nothing.",
    ]
    return " ".join(parts)


def _differences(findings: Findings, other: str) -> list[Estimate]:
    found = [paired(runs, "maxl", other) for runs in findings.panels.values()]
    return [difference for difference in found if difference is not None]


def _within(differences: list[Estimate]) -> int:
    return sum(not d.above and not d.below and d.low is not None for d in differences)


FIGURE3 = Item(
    "figure3",
    "learning curves on CIFAR-100's six pairs of levels, all baselines and controls",
    "MAXL performs similarly to human labels in 4 of the 6 pairs and worse in 2; at least as well as all other "
    "baselines, and in the majority of cases significantly better.",
    _figure3,
    _draw_figure3,
)


def _cosine(scale: Scale, root: str) -> list[Need]:
    methods = tuple(method for method in METHODS if method != "single")
    return [line for pair in (("3", "100"), ("20", "100")) for line in pair_needs(scale, root, *pair, methods)]


def _draw_cosine(findings: Findings) -> str:
    heading = ("Cosine between the gradients of the two tasks on the shared layers", findings.setting())
    curve_panels(findings.panels, findings.folder, "cosine", heading, "gradient_cosine", Axis("cosine"))
    write_curves(findings, findings.folder / "cosine.csv", "gradient_cosine")
    parts = []
    for title, runs in findings.panels.items():
        means = {
            method: mean_over_seeds(
                [float(run.curve("gradient_cosine").mean()) for run in runs if run.method == method]
            )
            for method in dict.fromkeys(run.method for run in runs)
        }
        ranked = sorted(means, key=lambda method: -means[method].mean)
        parts.append(f"{title}: " + ", ".join(f"{method} {_signed(means[method])}" for method in ranked))
    return "Mean over epochs, with 95 % intervals over seeds. " + "; ".join(parts) + "."


def _signed(estimate: Estimate) -> str:
    interval = "" if estimate.low is None else f" [{estimate.low:+.3f}, {estimate.high:+.3f}]"
    return f"{estimate.mean:+.3f}{interval}"


COSINE = Item(
    "cosine",
    "the cosine between the gradients of the primary and the auxiliary loss on the shared layers, per epoch",
    "",
    _cosine,
    _draw_cosine,
)
