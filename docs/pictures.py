"""The pictures of the documentation: `python docs/pictures.py`, after what is drawn or recorded has changed.

The papers' Figures 1 and 2 redrawn, the second by the functions themselves; the README's first table; the screened
leads.
"""

import sys
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import torch

from metaux.evidence.statistics import Estimate, mean_over_seeds
from metaux.hierarchy import Hierarchy
from metaux.losses import mask_softmax
from metaux.report.chart import COLOURS
from metaux.report.to_matplotlib import caption, names_below, save

sys.path.insert(0, str(Path(__file__).parent.parent / "results"))
from tables import CONTESTS, STUDIED, screen, studied

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

BLUE, ORANGE, GREY = COLOURS[1], COLOURS[2], "#666666"
STUDY_COLOURS = {
    "ensemble of two": COLOURS[5],
    "uniform": "#a0a0a0",
    "frozen": "#666666",
    "MAXL": COLOURS[4],
    "best other": COLOURS[1],
    "human labels": COLOURS[2],
}
# What its name does not say: which leads are controls, and what the changes are to.
LEAD_KINDS = dict.fromkeys(
    ("lead-weights-random", "lead-gated-frozen", "lead-gated-human", "lead-start-frozen"), "other labels and controls"
) | {"maxl": "MAXL"}
LEAD_COLOURS = {"change to MAXL": BLUE, "MAXL": COLOURS[4], "other labels and controls": ORANGE}


def box(axes: "Axes", place: tuple[float, float], text: str, colour: str) -> "Text":
    """Write a text in a box."""
    shape = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": colour, "linewidth": 1.6}
    return axes.text(*place, text, ha="center", va="center", fontsize=9, bbox=shape, zorder=3)


def arrow(
    axes: "Axes", start: "Text", end: "Text", colour: str = GREY, bend: float = 0.0, dashed: bool = False
) -> None:
    """Draw an arrow from one box to another."""
    style = {
        "arrowstyle": "-|>",
        "color": colour,
        "linestyle": "--" if dashed else "-",
        "connectionstyle": f"arc3,rad={bend}",
        "patchA": start.get_bbox_patch(),
        "patchB": end.get_bbox_patch(),
        "shrinkA": 4,
        "shrinkB": 4,
    }
    axes.annotate("", end.get_position(), start.get_position(), arrowprops=style)


def draw_scheme(figure: "Figure") -> None:
    """Draw the two networks and the two steps: the papers' Figure 1."""
    left, right = figure.subplots(1, 2)
    titles = "training step: the multi-task network learns", "meta step: the generator learns"
    for axes, title in zip((left, right), titles, strict=True):
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_title(title)
    sample = box(left, (0.1, 0.5), "x, y", GREY)
    generator = box(left, (0.45, 0.8), "label generator\ng(x, y)", ORANGE)
    network = box(left, (0.45, 0.2), "multi-task network\nf(x)", BLUE)
    losses = box(left, (0.86, 0.5), "primary loss +\nauxiliary loss", GREY)
    arrow(left, sample, generator)
    arrow(left, sample, network)
    arrow(left, generator, losses, dashed=True)
    arrow(left, network, losses)
    arrow(left, losses, network, BLUE, bend=-0.5)
    left.text(0.72, 0.78, "labels, fixed", fontsize=8, color=GREY)
    left.text(0.76, 0.14, "gradient", fontsize=8, color=BLUE)
    generator = box(right, (0.12, 0.8), "label generator\ng(x, y)", ORANGE)
    network = box(right, (0.12, 0.2), "network f\nat theta", BLUE)
    step = box(right, (0.5, 0.5), "look-ahead:\none step on\nboth losses", GREY)
    ahead = box(right, (0.88, 0.8), "network f\nat theta+", BLUE)
    loss = box(right, (0.88, 0.2), "primary loss\nat theta+", GREY)
    arrow(right, generator, step)
    arrow(right, network, step)
    arrow(right, step, ahead)
    arrow(right, ahead, loss)
    arrow(right, loss, step, ORANGE, bend=-0.35, dashed=True)
    arrow(right, step, generator, ORANGE, bend=0.45, dashed=True)
    right.text(0.36, 0.82, "meta-gradient", fontsize=8, color=ORANGE)
    right.text(0.3, 0.62, "labels", fontsize=8, color=GREY, ha="right")


def draw_mask(figure: "Figure") -> None:
    """Draw Mask SoftMax for psi = [2, 2, 1], the papers' example in Figure 2."""
    hierarchy, logits = Hierarchy([2, 2, 1]), torch.tensor([1.0, 0.3, -0.4, 0.8, 0.1])
    colours = [COLOURS[1 + parent] for parent in hierarchy.parent.tolist()]
    panels = figure.subplots(1, 4, sharey=True)
    shown = {"SoftMax": logits.softmax(-1)}
    shown |= {f"Mask SoftMax, class {c}": mask_softmax(logits, hierarchy.mask(torch.tensor(c))) for c in range(3)}
    for axes, (title, values) in zip(panels, shown.items(), strict=True):
        axes.bar(range(5), values.tolist(), color=colours)
        axes.set_title(title)
        axes.set_xticks(range(5), ["0.0", "0.1", "1.0", "1.1", "2.0"])
        axes.set_xlabel("class.sub-class")
    panels[0].set_ylabel("probability")


def draw_study(figure: "Figure") -> None:
    """Draw the README's first table: a group for each bed, a line for each row."""
    names = {"maxl": "MAXL", "human": "human labels"}
    beds, axes = studied(), figure.subplots()
    handles = {}
    for group, rows in enumerate(beds.values()):
        for place, (row, found) in enumerate((row, found) for row, found in rows.items() if row != "single"):
            kind = names.get(row, row) if row in STUDIED else "best other"
            colour = STUDY_COLOURS[kind]
            gain, height = Estimate(**found["differences"]["single"]), group + 0.13 * (place - 2.5)
            axes.plot([100 * gain.low, 100 * gain.high], [height, height], color=colour, linewidth=2)
            [handles[kind]] = axes.plot(100 * gain.mean, height, "D", color=colour, markersize=4)
            if kind == "best other":
                axes.annotate(
                    row, (100 * gain.high, height), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
                )
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(beds)), [fill(CONTESTS[name], 26) for name in beds])
    axes.set_ylim(len(beds) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("points over tuned single task, at equal epochs")
    names_below(figure, {kind: handles[kind] for kind in STUDY_COLOURS})
    how = "diamonds: means of paired differences; bars: 95 % intervals over 4 to 8 seeds (Student t)"
    caption(figure, "The contest: every row tuned alike on validation data, measured once on test data", "", how)


def draw_leads(figure: "Figure") -> None:
    """Draw what each lead gains over an untrained generator's labels, where they were screened."""
    found = screen()
    frozen, axes = found.pop("frozen"), figure.subplots()
    handles = {}
    for height, (name, own) in enumerate(found.items()):
        gain = mean_over_seeds([value - frozen[seed] for seed, value in own.items()])
        unnamed = "change to MAXL" if name.startswith("lead-") else "other labels and controls"
        kind = LEAD_KINDS.get(name, unnamed)
        axes.plot([100 * gain.low, 100 * gain.high], [height, height], color=LEAD_COLOURS[kind], linewidth=2)
        [handles[kind]] = axes.plot(100 * gain.mean, height, "D", color=LEAD_COLOURS[kind], markersize=4)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(found)), [name.removeprefix("lead-") for name in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_xlabel("points over frozen, an untrained generator's labels")
    names_below(figure, {kind: handles[kind] for kind in LEAD_COLOURS})
    how = "diamonds: means of paired differences; bars: 95 % intervals over 3 seeds (Student t)"
    caption(figure, "The leads, MAXL and the controls on validation data, 12 epochs", "", how)


def draw_all(folder: Path) -> None:
    """Write all pictures."""
    folder.mkdir(exist_ok=True)
    save(draw_study, folder, "study", (8.5, 7.6))
    save(draw_leads, folder, "leads", (7.5, 7.0))
    save(draw_scheme, folder, "scheme", (9.5, 3.8))
    save(draw_mask, folder, "mask-softmax", (9.5, 2.8))


if __name__ == "__main__":
    draw_all(Path(__file__).parent / "_static")
