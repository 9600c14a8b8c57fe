"""The item that measures one meta step in time, memory and exactness: forward mode against double backward."""

import os
import platform
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from metaux.files import write_json
from metaux.report.chart import COLOURS
from metaux.settings import Settings
from metaux.studies.papers import meta_step
from metaux.studies.papers.findings import Findings, Rows
from metaux.studies.papers.item import Item, nothing
from metaux.training.devices import device_name, device_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What we hold ourselves to; see docs/performance.md.
TARGETS = {
    "time, forward_mode / released": 0.70,
    "memory, forward_mode / released": 0.70,
    "time, maxl_iteration / single_task_iteration": 6.0,
}


def measure(device: str) -> dict[str, Any]:
    """Return all that is measured, as plain values."""
    # Memory first: on Linux a child's peak starts from its parent's, which is small now.
    memory = {name: meta_step.peak_memory(name, device) for name in ("nothing", *meta_step.VARIANTS)}
    times = meta_step.seconds(device)
    table = {name: {"median_s": median(own), "peak_mb": memory[name]} for name, own in times.items()}
    return {
        "command": "metaux reproduce gradient",
        "setting": f"VGG-16-BN, {meta_step.CLASSES} classes x {meta_step.SLOTS}, batch {meta_step.BATCH}, float32",
        "device": device_name(torch.device(device)),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "idle_mb": memory["nothing"],
        "variants": table,
        "seconds": times,
        "ratios": ratios(table),
        "targets": TARGETS,
        "errors": meta_step.errors(device),
        "difference_errors": meta_step.difference_errors(device),
    }


def ratios(table: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return time and memory relative to the released code's step, and times relative to single task."""
    found = {
        f"{what}, {name} / released": table[name][column] / table["released"][column]
        for what, column in (("time", "median_s"), ("memory", "peak_mb"))
        for name in meta_step.META_STEPS
        if name != "released"
    }
    single = table["single_task_iteration"]["median_s"]
    return found | {
        f"time, {name} / single_task_iteration": row["median_s"] / single
        for name, row in table.items()
        if name != "single_task_iteration"
    }


def _draw(findings: Findings) -> str:
    record = measure(str(device_of(Settings(device=findings.device))))
    exact, rounded = record["errors"]["float64"], record["errors"]["float32"]
    write_json(findings.folder / "gradient.json", record)
    rows: Rows = [
        {"variant": name, **row, "error_float64": exact.get(name), "error_float32": rounded.get(name)}
        for name, row in record["variants"].items()
    ]
    findings.write(rows)

    def draw(figure: "Figure") -> None:
        shown = {
            "time": ("median_s", "seconds"),
            "peak memory": ("peak_mb", "MB"),
            "relative error in float32": ("error_float32", ""),
        }
        names = [row["variant"].replace("_", " ") for row in rows]
        for axes, (title, (key, unit)) in zip(figure.subplots(1, 3, sharey=True), shown.items(), strict=True):
            values = {place: row[key] for place, row in enumerate(rows) if row[key] is not None}
            bars = axes.barh(list(values), list(values.values()), color=COLOURS[1])
            axes.bar_label(bars, fmt=" %.3g", fontsize=8)
            axes.margins(x=0.25)
            axes.set_xlabel(unit)
            axes.set_title(title)
        figure.axes[0].set_yticks(range(len(names)), names)
        figure.axes[0].invert_yaxis()

    title = "One meta step: exact, forward mode, finite difference, released"
    what = f"{record['setting']}; {record['device']}, {record['threads']} threads"
    findings.save(draw, (11.0, 3.4), title, f"medians of {meta_step.REPEATS}", what)
    ratio = record["ratios"]
    return (
        f"Forward mode takes {ratio['time, forward_mode / released']:.2f} of the released step's time and "
        f"{ratio['memory, forward_mode / released']:.2f} of its memory; a MAXL iteration costs "
        f"{ratio['time, maxl_iteration / single_task_iteration']:.1f} single-task iterations. "
        f"Relative error in float64: forward mode {exact['forward_mode']:.0e}, finite difference "
        f"{exact['finite_difference']:.0e}; in float32: {rounded['forward_mode']:.2g}, "
        f"{rounded['finite_difference']:.2g}, double backward {rounded['double_backward']:.2g}."
    )


GRADIENT = Item(
    "gradient",
    "exact, forward-mode and finite-difference meta-gradients on VGG-16: time, memory, error",
    "",
    nothing,
    _draw,
)
