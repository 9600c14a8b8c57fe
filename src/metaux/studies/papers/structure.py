"""What needs no training: Mask SoftMax beside SoftMax (Figure 2b), and CIFAR-100's four levels (appendix A)."""

from typing import TYPE_CHECKING

import torch

from metaux.data.levels import Levels
from metaux.hierarchy import Hierarchy
from metaux.losses import mask_softmax
from metaux.report.chart import COLOURS, FAINT
from metaux.report.to_matplotlib import caption, save
from metaux.studies.papers.item import Findings, Item, nothing
from metaux.studies.papers.numbers import write_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PSI = (2, 2, 1)  # the paper's example
LOGITS = (1.0, 0.3, -0.4, 0.8, 0.1)
COUNTS = {"3": 3, "10": 10, "20": 20, "100": 100}


def _draw_mask_softmax(findings: Findings) -> str:
    hierarchy, logits = Hierarchy(PSI), torch.tensor(LOGITS)
    plain = logits.softmax(-1)
    masked = {class_: mask_softmax(logits, hierarchy.mask(torch.tensor(class_))) for class_ in range(len(PSI))}
    shown = {"SoftMax": plain, **{f"Mask SoftMax, y = {class_}": values for class_, values in masked.items()}}
    rows = [
        {"label": label, "subclass": place, "probability": round(value, 6)}
        for label, values in shown.items()
        for place, value in enumerate(values.tolist())
    ]
    write_rows(findings.folder / "mask-softmax.csv", rows)
    parents = hierarchy.parent.tolist()

    def draw(figure: "Figure") -> None:
        panels = figure.subplots(1, 1 + len(PSI), sharey=True)
        for axes, (title, values) in zip(panels, shown.items(), strict=True):
            axes.bar(range(len(values)), values.tolist(), color=[COLOURS[1 + parent] for parent in parents])
            for place, value in enumerate(values.tolist()):
                axes.text(
                    place, value + 0.01, f"{value:.2f}", ha="center", fontsize=8, color=FAINT if value == 0 else "black"
                )
            axes.set_title(title)
            axes.set_xticks(range(len(values)), [f"{parent}.{place}" for place, parent in enumerate(parents)])
            axes.set_xlabel("class.sub-class")
        panels[0].set_ylabel("probability")
        what = f"psi = {list(PSI)}, logits = {list(LOGITS)}, the same in all panels"
        caption(figure, "Figure 2b: SoftMax and Mask SoftMax", what, "colours: primary classes")

    save(draw, findings.folder, "mask-softmax", (10.0, 3.2))
    sums = ", ".join(f"{float(values.sum()):.6f}" for values in masked.values())
    outside = max(float(values[~hierarchy.mask(torch.tensor(c))].max()) for c, values in masked.items())
    return (
        f"For psi = {list(PSI)} the masked distributions sum to {sums}, and give {outside:g} to sub-classes of other "
        "classes. The formula as printed, exp(M * z), would give them exp(0) = 1 before normalisation."
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
    write_rows(findings.folder / "hierarchy.csv", [dict(zip(levels.names, row, strict=True)) for row in levels.rows])
    counts = {name: len(levels.classes(name)) for name in levels.names}
    finest = [row[-1] for row in levels.rows]
    names = list(levels.names)
    sizes = [
        f"{coarse} to {fine}: {min(slots)} to {max(slots)}"
        for place, coarse in enumerate(names)
        for fine in names[place + 1 :]
        for slots in [levels.hierarchy(coarse, fine).slots]
    ]

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
        axes.set_xticks(range(len(names)), [f"{counts[name]} classes" for name in names])
        axes.margins(y=0)
        axes.invert_yaxis()
        axes.set_yticks([])
        axes.grid(visible=False)
        caption(figure, "Appendix A: CIFAR-100 in four levels", "as shipped with metaux", "heights: fine classes")

    save(draw, findings.folder, "hierarchy", (9.0, 13.0))
    right = counts == COUNTS and len(set(finest)) == len(finest) == 100
    found = " / ".join(map(str, counts.values()))
    return (
        f"{found} classes, every fine class {'once' if right else 'NOT once'}. "
        f"Sub-classes per class: {'; '.join(sizes)}."
    )


HIERARCHY = Item(
    "hierarchy",
    "appendix A: CIFAR-100 in four levels, printed and checked",
    "CIFAR-100's two levels (20 and 100 classes) are expanded by two coarser ones, of 3 and 10 classes.",
    nothing,
    _draw_hierarchy,
)
