"""Reproducing an experiment: train what is missing, draw, and set the result beside what the paper says."""

import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from metaux.errors import InputError, TrainingError, choose
from metaux.files import write_json
from metaux.runs.plan import check
from metaux.runs.pool import summarise_failures
from metaux.runs.record import Run
from metaux.runs.store import Store, check_writable
from metaux.settings import changed
from metaux.studies.papers.catalogue import ITEMS
from metaux.studies.papers.estimate import Clock
from metaux.studies.papers.item import Findings, Item
from metaux.studies.papers.runs import Need, finished, train_missing, trials_of
from metaux.studies.papers.scales import Scale
from metaux.terminal import make_table, print_notes
from metaux.words import counted, duration


def reproduce(
    names: Sequence[str], scale: Scale, root: str, out: Path, seeds: int, jobs: int, device: str, console: Console
) -> None:
    """Do one experiment after the other; runs that are there already are used, interrupted ones go on.

    Args:
        names: of the experiments.
        scale: at which.
        root: where the data is.
        out: where the runs go, and a folder for each experiment.
        seeds: how many; they count from 0.
        jobs: runs side by side; 0 for as many as suit the machine.
        device: as `Settings.device`.
        console: for progress and results.

    Raises:
        InputError: for bad input, before anything is trained, and for runs that were trained on other data.
        TrainingError: if a run could not be finished; the others are, and have been drawn.
    """
    if seeds < 1 or jobs < 0:
        raise InputError(f"expected 1 seed or more, found {seeds}, and 0 jobs or more, found {jobs}; correct that")
    items = []
    for name in dict.fromkeys(names):
        choose("item", name, ITEMS)
        items.append((ITEMS[name], _available(ITEMS[name], scale, root, device)))
    check_writable(out)
    clock, failures = Clock(), []
    for item, (needs, notes) in items:
        console.print(f"{item.name}: {item.shows}", style="bold", soft_wrap=True)
        print_notes(notes, console)
        failures += train_missing(needs, seeds, out, jobs, clock, console)
        panels = finished(needs, seeds, out)
        if needs and not panels:
            continue
        folder = out / item.name
        titles = {need.panel: need.bed.title for need in needs}
        start = time.perf_counter()
        found = item.draw(Findings(panels, titles, notes, scale, device, folder))
        write_json(folder / "summary.json", _summary(item, scale, seeds, found, notes, panels, needs, start))
        console.print(*([f"The paper: {item.claim}"] if item.claim else []), f"Here: {found}", sep="\n", soft_wrap=True)
        console.print(f"Figure, numbers and settings: {folder}\n", soft_wrap=True)
    if failures:
        raise TrainingError(summarise_failures(failures))


def list_items(scales: Sequence[Scale], root: str, out: Path, seeds: int, device: str, console: Console) -> None:
    """Print what there is to reproduce, which data it is on, and what it takes at each scale."""
    clock, rows = Clock(), []
    with console.status("timing a few steps"):
        for item in ITEMS.values():
            needs = {scale.name: [_on(need, device) for need in item.needs(scale, root)] for scale in scales}
            published = next(needs[scale.name] for scale in scales if not scale.stand_ins)
            data = [need.bed.title + (" (not there)" if need.bed.missing else "") for need in published]
            costs = [_cost(needs[scale.name], seeds, out / scale.name, clock) for scale in scales]
            rows.append((item.name, item.shows, ", ".join(dict.fromkeys(data)) or "none", *costs))
    columns = ("item", "shows", "data", *(f"{scale.name}: runs, time here" for scale in scales))
    console.print(make_table(columns, rows))
    console.print(
        f"Runs for {counted(seeds, 'seed')}, shared between items; times for one run after the other, from a short "
        f"timing on this device. Data is looked for below '{root}' (--root); docs/data.md says where it comes from. "
        "For example: metaux reproduce figure3 --scale small",
        soft_wrap=True,
    )


def _cost(needs: Sequence[Need], seeds: int, out: Path, clock: Clock) -> str:
    """Say how many runs there are, how long those that are missing take, and what data stands in."""
    if not needs:
        return "no runs"
    there = [need for need in needs if not need.bed.missing]
    if not there:
        return "no data"
    every = trials_of(there, seeds, clock)
    todo, count = Store(out).missing(every), len(set(map(Store(out).folder, every)))
    seconds = sum(trial.seconds * trial.protocol.epochs for trial in todo.values())
    told = f"{count - len(todo)} of {count} done" + (f", {duration(seconds)} left" if todo else "")
    return "\n".join([told, *dict.fromkeys(need.bed.title for need in there if need.bed.stands_in)])


def _available(item: Item, scale: Scale, root: str, device: str) -> tuple[list[Need], tuple[str, ...]]:
    """Return the lines that can be run, and in words what cannot and what stands in for what.

    Raises:
        InputError: if none of the data is there.
    """
    needs = [_on(need, device) for need in item.needs(scale, root)]
    there = [need for need in needs if not need.bed.missing]
    lost = {need.bed.title: need.bed.missing for need in needs if need.bed.missing}
    if needs and not there:
        title, why = next(iter(lost.items()))
        raise InputError(f"expected {title} for {item.name}, {why}; see docs/data.md, or give --root where it is")
    for need in there:
        check(need.settings)
    replaced = [need.bed.title for need in there if need.bed.stands_in]
    notes = [f"{title}: not run: no data ({why})" for title, why in lost.items()]
    return there, tuple(dict.fromkeys([*replaced, *notes]))


def _on(need: Need, device: str) -> Need:
    return replace(need, settings=replace(need.settings, device=device))


def _summary(
    item: Item,
    scale: Scale,
    seeds: int,
    found: str,
    notes: Sequence[str],
    panels: dict[str, list[Run]],
    needs: Sequence[Need],
    start: float,
) -> dict[str, Any]:
    """Return what is recorded of an experiment beside its numbers."""
    runs = {run.folder: run for own in panels.values() for run in own}
    command = f"metaux reproduce {item.name} --scale {scale.name}"
    command += " --trial" if scale.trial else f" --seeds {seeds}" if needs else ""
    return {
        "item": item.name,
        "shows": item.shows,
        "scale": scale.name,
        "says": scale.says,
        "claim": item.claim,
        "found": found,
        "notes": list(notes),
        "command": command,
        "runs": len(runs),
        "seeds": len({run.seed for run in runs.values()}),
        "training_seconds": sum(run.seconds_per_epoch * len(run.epochs) for run in runs.values()),
        "drawing_seconds": time.perf_counter() - start,
        "devices": sorted({str(run.result["device"]) for run in runs.values()}),
        "versions": {name: version(name) for name in ("metaux", "torch", "torchvision", "numpy", "scikit-learn")},
        "lines": [
            {
                "panel": need.panel,
                "label": need.label,
                "method": need.method,
                "data": need.bed.title,
                **changed(need.settings, ["data", "root", "device"]),
            }
            for need in needs
        ],
    }
