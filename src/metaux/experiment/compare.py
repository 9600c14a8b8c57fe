"""Many runs: methods x seeds, side by side, resumable, with a time estimate and live progress."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from metaux.data.samples import LabelledData
from metaux.data.sources import load
from metaux.errors import InputError, TrainingError, choose
from metaux.experiment.comparison import Comparison
from metaux.experiment.records import SETTINGS, is_finished, read_runs, run_folder
from metaux.experiment.run import make_plan, run
from metaux.experiment.table import table, to_csv, to_json
from metaux.experiment.verdict import verdict
from metaux.files import write_json, write_text_atomic
from metaux.labels.registry import SOURCES
from metaux.protocols import resolve
from metaux.settings import Settings, from_mapping
from metaux.training.devices import make_fabric, threads
from metaux.training.fit import Trainer


def default_methods(settings: Settings, data: LabelledData) -> tuple[str, ...]:
    """Return every method that this data and protocol have: human needs labels, the split controls a meta split."""
    has_split = resolve(settings).meta_fraction > 0
    return tuple(
        name
        for name in SOURCES
        if (name != "human" or data.train.human is not None) and (has_split or not name.endswith("-split"))
    )


def default_folder(settings: Settings, name: str = "") -> Path:
    """Return `metaux-runs/<data>-...-<digest>`: the same settings find their folder again, others get their own."""
    digest = hashlib.blake2b(json.dumps(asdict(settings), sort_keys=True).encode(), digest_size=3).hexdigest()
    return Path("metaux-runs") / "-".join(filter(None, [Path(settings.data).stem, name, digest]))


def claim(out: Path, settings: Settings, further: Mapping[str, object] | None = None) -> None:
    """Check that the folder is new or holds what these settings made; nothing is written.

    Args:
        out: the folder.
        settings: what is to be done in it.
        further: what else must be as it was, by name.

    Raises:
        InputError: if it holds something else, or something made with other settings.
    """
    file, now = out / SETTINGS, {**asdict(settings), **(further or {})}
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not file.is_file()):
        raise InputError(f"expected a new folder or one of earlier runs at {out}, found something else; use another --out")
    if not file.is_file():
        return
    found = yaml.safe_load(file.read_text(encoding="utf-8"))
    earlier, rest = from_mapping(found if isinstance(found, dict) else {}, {"method": str, "seed": int})
    before = {**asdict(earlier), **rest}
    for name in {**now, **before}:
        if before.get(name) != now.get(name):
            raise InputError(
                f"{out} holds runs with {name} {before.get(name)}, this command has {now.get(name)}; "
                "use another --out, or the same value"
            )


@dataclass(frozen=True)
class Job:
    """One run to be done."""

    method: str
    seed: int
    folder: Path


def compare(
    settings: Settings,
    methods: Sequence[str],
    seeds: int,
    jobs: int,
    out: Path,
    console: Console,
) -> Comparison:
    """Train every method on every seed that is missing, compare all that is there, and record the result.

    Args:
        settings: what all runs share.
        methods: names of label sources; all that suit the data if empty.
        seeds: how many; they count from 0.
        jobs: runs side by side; 0 for one per processor.
        out: where runs, table, verdict and figures go; what is there already is used.
        console: for estimate, progress, table and verdict.

    Raises:
        InputError: for bad input, before anything is written.
        TrainingError: if a run could not be finished; the others are.
    """
    claim(out, settings)
    data = _load(settings)
    methods = tuple(methods) or default_methods(settings, data)
    for method in methods:
        choose("method", method, SOURCES)
    if seeds < 1:
        raise InputError(f"expected at least 1 seed, found {seeds}")
    for notice in data.notices:
        console.print(f"note: {notice}", highlight=False)
    todo = [
        Job(method, seed, folder)
        for seed in range(seeds)
        for method in methods
        if not is_finished(folder := run_folder(out, method, seed))
    ]
    # Long runs first, so that no processor waits for the last of them.
    costs = {method: _seconds_per_epoch(settings, method, data) for method in {job.method: None for job in todo}}
    todo.sort(key=lambda job: (-costs[job.method], job.seed))
    workers = min(jobs or max(1, (os.cpu_count() or 1) // settings.threads), max(1, len(todo)))
    epochs = resolve(settings).epochs
    seconds = sum(costs[job.method] * epochs for job in todo) / workers
    write_text_atomic(out / SETTINGS, yaml.safe_dump(_plain(settings), sort_keys=False, allow_unicode=True))
    if todo:
        console.print(
            f"{len(todo)} runs ({len(methods)} methods, {seeds} seeds, {epochs} epochs), {workers} at a time: "
            f"about {_duration(seconds)}",
            highlight=False,
        )
        _work_through(settings, todo, workers, epochs, console)
    comparison = Comparison.of([r for r in read_runs(out) if r.seed < seeds and r.method in methods])
    _write(comparison, out)
    console.print(table(comparison))
    console.print(f"\n{verdict(comparison)}", style="bold", highlight=False)
    return comparison


@lru_cache(maxsize=1)
def _load(settings: Settings) -> LabelledData:
    return load(settings)


def _plain(settings: Settings) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()}


def _seconds_per_epoch(settings: Settings, method: str, data: LabelledData) -> float:
    """Return an estimate from a few steps of a trainer that is thrown away; bad input is found on the way."""
    plan = make_plan(settings, method, 0, data)
    with threads(settings.threads):
        return Trainer(plan, make_fabric(settings)).time_epoch()


def _work_through(settings: Settings, todo: Sequence[Job], workers: int, epochs: int, console: Console) -> None:
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=workers, return_as="generator_unordered")
    with _progress(todo, epochs, console):
        failures = [text for text in parallel(delayed(_work)(settings, job) for job in todo) if text]
    if failures:
        raise TrainingError("; ".join(sorted(failures)))


def _work(settings: Settings, job: Job) -> str:
    """Do one run in a process of its own; return why it could not be finished, if so."""
    try:
        run(settings, job.method, job.seed, _load(settings), job.folder)
    except TrainingError as error:
        return f"{job.method} with seed {job.seed}: {error}"
    return ""


@contextmanager
def _progress(todo: Sequence[Job], epochs: int, console: Console) -> Iterator[None]:
    """Show how far the runs are, read from what they record: it works for any number of processes and machines."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("training", total=epochs * len(todo))
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.5):
                done, latest = 0, {}
                for job in todo:
                    records = _records(job.folder)
                    done += len(records)
                    if records:
                        latest[job.method] = records[-1].get("test_accuracy", 0.0)
                shown = "  ".join(f"{method} {100 * accuracy:.1f}" for method, accuracy in latest.items())
                progress.update(task, completed=done, description=shown or "training")

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()


def _records(folder: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    except FileNotFoundError:
        return []


def _write(comparison: Comparison, out: Path) -> None:
    from metaux.report.figures import differences, learning_curves

    write_json(out / "comparison.json", to_json(comparison))
    write_text_atomic(out / "comparison.csv", to_csv(comparison))
    learning_curves(read_runs(out), out)
    differences(comparison, out)


def _duration(seconds: float) -> str:
    """Return a duration for a person.

    >>> _duration(42), _duration(600), _duration(9000)
    ('42 seconds', '10 minutes', '2.5 hours')
    """
    if seconds < 100:
        return f"{max(1, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"


