"""Reproducing an experiment: train what is missing, draw, and set the result beside what the paper says."""

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from metaux.errors import InputError, TrainingError, choose
from metaux.files import check_in_place, write_json
from metaux.runs.plan import check
from metaux.runs.pool import START_OF_A_PROCESS, summarise_failures, train
from metaux.runs.reading import parse_json, read_mapping
from metaux.runs.record import RESULT
from metaux.runs.results import VERSIONS
from metaux.runs.store import Store, check_writable
from metaux.runs.workers import Workers
from metaux.settings import changed
from metaux.studies.papers.claims import judged
from metaux.studies.papers.complexity import FIGURE4, FIGURE7
from metaux.studies.papers.curves import COSINE, FIGURE3
from metaux.studies.papers.estimate import Clock
from metaux.studies.papers.findings import Findings
from metaux.studies.papers.gradient import GRADIENT
from metaux.studies.papers.invented import AGREEMENT, COLLAPSE
from metaux.studies.papers.item import Item, Line, finished, trials
from metaux.studies.papers.pictures import FIGURE5, FIGURE6
from metaux.studies.papers.scales import Scale
from metaux.studies.papers.structure import HIERARCHY, MASK_SOFTMAX
from metaux.studies.papers.tables import FOCAL, PROTOCOLS, TABLE1, VECTORS
from metaux.terminal import make_table, print_notes
from metaux.words import counted, duration

# By the name that the command line knows it by.
ITEMS = {
    item.name: item
    for item in (
        *(MASK_SOFTMAX, FIGURE3, FIGURE4, FIGURE5, FIGURE6, FIGURE7, TABLE1, COSINE, GRADIENT, HIERARCHY),
        *(AGREEMENT, COLLAPSE, FOCAL, PROTOCOLS, VECTORS),
    )
}


def reproduce(
    names: Sequence[str],
    scale: Scale,
    root: str,
    out: Path,
    seeds: int,
    workers: Workers,
    device: str,
    console: Console,
) -> None:
    """Do one experiment after the other; runs that are there already are used, interrupted ones go on.

    Args:
        names: of the experiments.
        scale: at which.
        root: where the data is.
        out: where the runs go, and a folder for each experiment.
        seeds: how many; they count from 0.
        workers: who does the runs.
        device: as `Settings.device`.
        console: for progress and results.

    Raises:
        InputError: for bad input, before anything is trained, and for runs that were trained on other data.
        TrainingError: if a run could not be finished; the others are, and have been drawn.
    """
    if seeds < 1:
        raise InputError(f"expected 1 seed or more, found {seeds}; correct --seeds")
    items = []
    for name in dict.fromkeys(names):
        choose("item", name, ITEMS)
        items.append((ITEMS[name], *_available(ITEMS[name], scale.on(device), root)))
    check_writable(out)
    out.mkdir(parents=True, exist_ok=True)
    print_notes(_of_earlier_versions(out), console)
    clock, store, failures = Clock(scale.curve), Store(out), []
    for item, lines, notes in items:
        console.print(f"{item.name}: {item.shows}", style="bold", soft_wrap=True)
        print_notes(notes, console)
        todo = trials(lines, seeds, store, clock)
        failures += train(todo, store, workers, console, start=START_OF_A_PROCESS, curve=scale.curve)
        panels = finished(lines, seeds, store)
        if lines and not panels:
            continue
        titles = {line.panel: line.data.title for line in lines}
        findings = Findings(item.name, panels, titles, scale, device, out / item.name)
        check_in_place(out)
        findings.folder.mkdir(exist_ok=True)
        start = time.perf_counter()
        verdicts, comparisons, sentence = judged(item.claims(findings))
        if comparisons:
            findings.write(comparisons, "-claims")
        findings.write_movement()
        found = f"{item.draw(findings)} {sentence}".strip()
        said: dict[str, Any] = {"item": item.name, "shows": item.shows, "claim": item.claim}
        said |= {"verdicts": verdicts, "found": found, "notes": notes}
        said |= {"drawing_seconds": time.perf_counter() - start, **_summary(findings, lines, seeds)}
        write_json(findings.folder / "summary.json", said)
        if item.claim:
            console.print(f"The paper: {item.claim}", soft_wrap=True)
        console.print(f"Here: {found}", f"Figure, numbers and settings: {findings.folder}\n", sep="\n", soft_wrap=True)
    if failures:
        raise TrainingError(summarise_failures(failures))


def list_items(scales: Sequence[Scale], root: str, out: Path, seeds: int, device: str, console: Console) -> None:
    """Print what there is to reproduce, which data it is on, and what it takes at each scale."""
    clocks, rows = {scale.name: Clock(scale.curve) for scale in scales}, []
    with console.status("timing a few steps"):
        for item in ITEMS.values():
            lines = {scale.name: item.lines(scale.on(device), root) for scale in scales}
            published = next(lines[scale.name] for scale in scales if not scale.stand_ins)
            data = [line.data.title + (" (not there)" if line.data.missing else "") for line in published]
            costs = [_cost(lines[scale.name], seeds, Store(out / scale.name), clocks[scale.name]) for scale in scales]
            rows.append((item.name, item.shows, ", ".join(dict.fromkeys(data)) or "none", *costs))
    columns = ("item", "shows", "data", *(f"{scale.name}: runs, time here" for scale in scales))
    console.print(make_table(columns, rows))
    console.print(
        f"Runs for {counted(seeds, 'seed')}, shared between items; times for one run after the other, from a short "
        f"timing on this device. Data is looked for below '{root}' (--root); docs/published-data.md says where it "
        "comes from. "
        "For example: metaux reproduce figure3 --scale small",
        soft_wrap=True,
    )


def _cost(lines: Sequence[Line], seeds: int, store: Store, clock: Clock) -> str:
    """Say how many runs there are, how long those that are missing take, and what data stands in."""
    there = [line for line in lines if not line.data.missing]
    if not there:
        return "no data" if lines else "no runs"
    every = trials(there, seeds, store, clock)
    count, todo = len(set(map(store.folder, every))), store.missing(every)
    seconds = sum(trial.seconds * trial.protocol.epochs for trial in todo.values())
    done = f"{count - len(todo)} of {count} done" + (f", {duration(seconds)} left" if todo else "")
    return "\n".join([done, *_stand_ins(there)])


def _available(item: Item, scale: Scale, root: str) -> tuple[list[Line], list[str]]:
    """Return the lines that can be run, and in words what cannot and what stands in for what.

    Raises:
        InputError: if none of the data is there.
    """
    lines = item.lines(scale, root)
    there = [line for line in lines if not line.data.missing]
    lost = {line.data.title: line.data.missing for line in lines if line.data.missing}
    if lines and not there:
        title, why = next(iter(lost.items()))
        raise InputError(
            f"expected {title} for {item.name}, {why}; see docs/published-data.md, or give --root where it is"
        )
    for line in there:
        check(line.settings)
    return there, [*_stand_ins(there), *(f"{title}: not run: no data ({why})" for title, why in lost.items())]


def _of_earlier_versions(out: Path) -> list[str]:
    """Say how many runs started from another initialisation, in folders of other names: they are trained anew."""
    results = (read_mapping(path, parse_json) for path in out.glob(f"runs/*/{RESULT}"))
    count = sum("initialisation" not in result for result in results)
    if not count:
        return []
    runs = counted(count, "run")
    return [f"{runs} of an earlier version, of networks that started otherwise, are not used; what is needed runs anew"]


def _stand_ins(lines: Sequence[Line]) -> list[str]:
    return list(dict.fromkeys(line.data.title for line in lines if line.data.stands_in))


def _summary(findings: Findings, lines: Sequence[Line], seeds: int) -> dict[str, Any]:
    """Return what an experiment was made of, and how to repeat it."""
    scale = findings.scale
    runs = {run.folder: run for own in findings.panels.values() for run in own}.values()
    command = f"metaux reproduce {findings.name} --scale {scale.name}"
    command += " --trial" if scale.trial else f" --seeds {seeds}" if lines else ""
    return {
        "scale": scale.name,
        "says": scale.says,
        "command": command,
        "runs": len(runs),
        "seeds": len({run.seed for run in runs}),
        "training_seconds": sum(run.seconds_per_epoch * len(run.epochs) for run in runs),
        "devices": sorted({str(run.result["device"]) for run in runs}),
        "versions": {name: version(name) for name in VERSIONS},
        "lines": [
            {
                "panel": line.panel,
                "label": line.label,
                "method": line.method,
                "data": line.data.title,
                **changed(line.settings, ["data", "root", "device"]),
            }
            for line in lines
        ],
    }
