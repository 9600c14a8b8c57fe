"""Draw the pictures of the documentation from the CSV files in results/: `python docs/pictures.py` fills docs/_static/.

It needs pandas and matplotlib, and nothing of metaux.
"""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
# Okabe and Ito's colours, which colour-blind readers tell apart.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8c8c8c"
STYLE = {
    "svg.hashsalt": "metaux",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
}
JOINT = "joint class x transformation labels"
# By data set: what is drawn, its run, row and name. On the first three, MAXL ran in the second run.
ON_CIFAR = (
    ("second", "maxl", "MAXL"),
    ("first", "transformation", JOINT),
    ("first", "human", "human labels"),
    ("first", "single, compute of transformation", "single task for the time of joint labels"),
)
GAINS = {
    **dict.fromkeys(("cifar100-3-10k", "cifar100-3-50k", "cifar100-20-10k"), ON_CIFAR),
    "cifar100-3-10k-short": (("first", "maxl", "MAXL"), ("first", "human", "human labels")),
    "fashion-500": (
        ("first", "maxl", "MAXL"),
        ("first", "transformation", JOINT),
        ("first", "transformation apart", JOINT + ", apart"),
        ("first", "single, compute of transformation apart", "single task for the time of joint labels"),
    ),
}
GAIN_COLOURS = {
    "MAXL": RED,
    JOINT: BLUE,
    JOINT + ", apart": "#56B4E9",
    "human labels": ORANGE,
    "single task for the time of joint labels": GREY,
}
KIND_COLOURS = {
    "variant": (BLUE, "variant of MAXL"),
    "maxl": (RED, "MAXL"),
    "control": (GREY, "single task and controls"),
    "other labels": (GREEN, "rotation"),
    "human labels": (ORANGE, "human labels"),
}


def interval(axes: Axes, line: pd.Series, height: float, colour: str, name: str) -> None:
    """Draw a mean difference and its interval, in percentage points."""
    axes.plot([100 * line["low"], 100 * line["high"]], [height, height], color=colour, linewidth=2)
    axes.plot(100 * line["mean"], height, "D", color=colour, markersize=4, label=name)


def legend(figure: Figure, axes: Axes, columns: int) -> None:
    """Write each name once, under the figure."""
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns, frameon=False)


def draw_gains(figure: Figure) -> None:
    """Draw what labels gain over tuned single task, and what single task gains from the same time."""
    sets = pd.read_csv(RESULTS / "benchmark" / "data-sets.csv").drop_duplicates("data_set").set_index("data_set")
    found = pd.read_csv(RESULTS / "benchmark" / "differences.csv")
    gains = found[found["minus"] == "single"].set_index(["data_set", "run", "row"])
    axes = figure.subplots()
    for group, (data_set, rows) in enumerate(GAINS.items()):
        for place, (run, row, name) in enumerate(rows):
            height = group + 0.18 * (place - (len(rows) - 1) / 2)
            interval(axes, gains.loc[data_set, run, row], height, GAIN_COLOURS[name], name)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(GAINS)), [sets["title"][name].replace(", ", "\n") for name in GAINS])
    axes.set_ylim(len(GAINS) - 0.5, -0.5)
    axes.grid(axis="x")
    axes.set_xlabel("percentage points over tuned single task; diamonds: means, bars: 95 % intervals over 4 seeds")
    legend(figure, axes, 2)


def draw_variants(figure: Figure) -> None:
    """Draw how far each variant of MAXL is from an untrained generator's labels on validation data."""
    rows = pd.read_csv(RESULTS / "variants" / "screened-rows.csv").set_index("row")
    found = pd.read_csv(RESULTS / "variants" / "screened-differences.csv")
    differences = found[found["minus"] == "frozen"].set_index("row")
    axes = figure.subplots()
    for height, (row, line) in enumerate(differences.iterrows()):
        interval(axes, line, height, *KIND_COLOURS[rows["kind"][row]])
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(differences)), list(differences.index))
    axes.set_ylim(len(differences) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.set_xlabel("percentage points over frozen; diamonds: means, bars: 95 % intervals over 3 seeds")
    legend(figure, axes, 3)


def box(axes: Axes, place: tuple[float, float], text: str, colour: str) -> Text:
    """Write a text in a box."""
    shape = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": colour, "linewidth": 1.6}
    return axes.text(*place, text, ha="center", va="center", fontsize=9, bbox=shape, zorder=3)


def arrow(axes: Axes, start: Text, end: Text, colour: str = GREY, bend: float = 0.0, dashed: bool = False) -> None:
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


def draw_scheme(figure: Figure) -> None:
    """Draw the two networks and the two steps: the papers' Figure 1."""
    left, right = figure.subplots(1, 2)
    titles = "training step: the multi-task network learns", "meta step: the label generator learns"
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


PICTURES = {
    "gains": (draw_gains, (8.5, 6.0)),
    "variants": (draw_variants, (7.5, 7.0)),
    "scheme": (draw_scheme, (9.5, 3.8)),
}


def draw_all(folder: Path) -> None:
    """Write all pictures as SVG, with the same bytes each time."""
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        for name, (draw, inches) in PICTURES.items():
            figure = Figure(figsize=inches, layout="constrained")
            draw(figure)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    draw_all(HERE / "_static")
