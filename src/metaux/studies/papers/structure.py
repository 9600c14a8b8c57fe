"""What needs no training: Mask SoftMax beside SoftMax (Figure 2b), and CIFAR-100's four levels (appendix A)."""

from itertools import combinations
from typing import TYPE_CHECKING

import torch

from metaux.data.levels import Levels
from metaux.hierarchy import Hierarchy
from metaux.losses import mask_softmax
from metaux.report.chart import COLOURS, FAINT
from metaux.studies.papers.findings import Findings
from metaux.studies.papers.item import Item, nothing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PSI = (2, 2, 1)  # the paper's example
LOGITS = (1.0, 0.3, -0.4, 0.8, 0.1)
COUNTS = (3, 10, 20, 100)


def _draw_mask_softmax(findings: Findings) -> str:
    hierarchy, logits = Hierarchy(PSI), torch.tensor(LOGITS)
    masks = hierarchy.mask(torch.arange(len(PSI)))
    masked = mask_softmax(logits.expand(len(PSI), -1), masks)
    panels = {f"Mask SoftMax, y = {class_}": values.tolist() for class_, values in enumerate(masked)}
    panels = {"SoftMax": logits.softmax(-1).tolist(), **panels}
    parents = hierarchy.parent.tolist()

    def draw(figure: "Figure") -> None:
        for axes, (title, values) in zip(figure.subplots(1, len(panels), sharey=True), panels.items(), strict=True):
            bars = axes.bar(range(len(values)), values, color=[COLOURS[1 + parent] for parent in parents])
            for text, value in zip(axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=8), values, strict=True):
                text.set_color("black" if value else FAINT)
            axes.set_title(title)
            axes.set_xticks(range(len(values)), [f"{parent}.{place}" for place, parent in enumerate(parents)])
            axes.set_xlabel("class.sub-class")
        figure.axes[0].set_ylabel("probability")

    what = f"psi = {list(PSI)}, logits = {list(LOGITS)}, the same in all panels"
    findings.save(draw, (10.0, 3.2), "Figure 2b: SoftMax and Mask SoftMax", "colours: primary classes", what)
    findings.write(
        {"label": label, "subclass": place, "probability": round(value, 6)}
        for label, values in panels.items()
        for place, value in enumerate(values)
    )
    sums = ", ".join(f"{float(values.sum()):.6f}" for values in masked)
    return (
        f"For psi = {list(PSI)} the masked distributions sum to {sums}, and give {float(masked[~masks].max()):g} to "
        "sub-classes of other classes. The formula as printed, exp(M * z), would give them exp(0) = 1 before "
        "normalisation."
    )


MASK_SOFTMAX = Item(
    "mask-softmax",
    "Figure 2b: Mask SoftMax beside SoftMax, by the functions that training uses",
    "For psi = [2, 2, 1] the masks are [1,1,0,0,0], [0,0,1,1,0] and [0,0,0,0,1].",
    nothing,
    _draw_mask_softmax,
)


def _draw_hierarchy(findings: Findings) -> str:
    levels = Levels.cifar100()
    names = list(levels.names)
    counts = [len(levels.classes(name)) for name in names]
    findings.write(dict(zip(names, row, strict=True)) for row in levels.rows)

    def draw(figure: "Figure") -> None:
        axes = figure.subplots()
        for place in range(len(names)):
            start = 0
            above = [row[: place + 1] for row in levels.rows]
            for own in dict.fromkeys(above):
                size = above.count(own)
                colour = COLOURS[1 + list(levels.classes(names[0])).index(own[0])]
                axes.bar(place, size, 0.96, start, color=colour, alpha=0.25 + 0.2 * (start % 2 == 0), edgecolor="white")
                axes.text(place, start + size / 2, own[-1].replace("_", " "), ha="center", va="center", fontsize=5.5)
                start += size
        axes.set_xticks(range(len(names)), [f"{count} classes" for count in counts])
        axes.margins(y=0)
        axes.invert_yaxis()
        axes.set_yticks([])
        axes.grid(visible=False)

    title = "Appendix A: CIFAR-100 in four levels"
    findings.save(draw, (9.0, 13.0), title, "heights: fine classes", "as shipped with metaux")
    right = tuple(counts) == COUNTS and len({row[-1] for row in levels.rows}) == len(levels.rows) == 100
    sizes = [
        f"{coarse} to {fine}: {min(slots)} to {max(slots)}"
        for coarse, fine in combinations(names, 2)
        for slots in [levels.hierarchy(coarse, fine).slots]
    ]
    return (
        f"{' / '.join(map(str, counts))} classes, every fine class {'once' if right else 'NOT once'}. Sub-classes per "
        f"class: {'; '.join(sizes)}."
    )


HIERARCHY = Item(
    "hierarchy",
    "appendix A: CIFAR-100 in four levels, printed and checked",
    "CIFAR-100's two levels (20 and 100 classes) are expanded by two coarser ones, of 3 and 10 classes.",
    nothing,
    _draw_hierarchy,
)
