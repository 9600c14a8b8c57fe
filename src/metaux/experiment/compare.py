"""Many runs: methods x seeds, side by side, resumable; then the comparison of them."""

import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from metaux.data.samples import LabelledData
from metaux.data.sources import load
from metaux.errors import InputError, TrainingError, choose
from metaux.experiment.comparison import Comparison, check_unchanged
from metaux.experiment.folders import claim, write_comparison
from metaux.experiment.log import catch_up, check_log
from metaux.experiment.plan import check, make_plan
from metaux.experiment.progress import Job, duration, shown
from metaux.experiment.records import Run, is_finished, run_folder
from metaux.experiment.reporting import write_report_of
from metaux.experiment.table import table, to_csv, to_json
from metaux.experiment.verdict import verdict
from metaux.experiment.work import START_OF_A_PROCESS, expected, told, work_through, workers_for
from metaux.files import write_json, write_text_atomic
from metaux.labels.catalogue import entry
from metaux.labels.registry import SOURCES
from metaux.protocols import resolve
from metaux.settings import Settings
from metaux.terminal import print_notes, reading
from metaux.training.devices import make_fabric, threads
from metaux.training.fit import Trainer


def default_methods(settings: Settings, data: LabelledData) -> tuple[str, ...]:
    """Return every method that is run without being asked for and suits this data and protocol.

    Human needs labels, the split controls a meta split.
    """
    has_split = resolve(settings).meta_fraction > 0
    return tuple(
        name
        for name in SOURCES
        if entry(name).default
        and data.kind in entry(name).kinds
        and (name != "human" or data.train.human is not None)
        and (has_split or not name.endswith("-split"))
    )


def compare(
    settings: Settings,
    methods: Sequence[str],
    seeds: int,
    jobs: int,
    out: Path,
    console: Console,
    report: bool = False,
    log: str | None = None,
) -> Comparison:
    """Train every method on every seed that is missing, compare them, and record the result.

    Args:
        settings: what all runs share.
        methods: names of label sources; all that suit the data if empty.
        seeds: how many; they count from 0.
        jobs: runs side by side; 0 for as many as suit the machine.
        out: where runs, table, verdict and figures go; runs that are there already are used.
        console: for estimate, progress, table and verdict.
        report: also write `report.html`.
        log: tensorboard or wandb, for a log of every epoch in the folder of its run.

    Raises:
        InputError: for bad input, before anything is written.
        TrainingError: if a run could not be finished; the others are, and have been compared.
    """
    _check_counts(seeds, jobs, settings.processes)
    for method in methods:
        choose("method", method, SOURCES)
    check(settings)
    check_log(log)
    claim(out, settings)
    start = time.perf_counter()
    with reading(console) as progress:
        data = load(settings, progress)
    reading_time = time.perf_counter() - start
    methods = tuple(dict.fromkeys(methods)) or default_methods(settings, data)
    print_notes(data.notices, console)
    wanted = [(method, seed, run_folder(out, method, seed)) for seed in range(seeds) for method in methods]
    # One that is damaged, or of other data, is found before the others are trained.
    check_unchanged(_read(folder for _, _, folder in wanted), data)
    failures: list[str] = []
    todo = _plan(settings, [run for run in wanted if not is_finished(run[2])], data, console)
    write_comparison(out, settings, methods, seeds)
    for _, _, folder in wanted:
        if is_finished(folder):
            catch_up(log, folder)
    if todo:
        workers = workers_for(todo, jobs)
        seconds = expected(todo, workers) + (START_OF_A_PROCESS + reading_time if workers > 1 else 0)
        console.print(
            f"{len(todo)} runs ({len(methods)} methods, {seeds} seeds, {todo[0].epochs} epochs), {workers} at a time: "
            f"about {duration(seconds)}"
        )
        with shown(todo, seconds, console):
            failures = work_through([replace(job, log=log) for job in todo], workers, lambda _: data)
    finished = _read(folder for _, _, folder in wanted)
    if not finished:
        raise TrainingError(told(failures))
    comparison = Comparison.of(finished)
    _write(comparison, finished, out)
    console.print(table(comparison))
    console.print(f"\n{verdict(comparison)}", style="bold")
    if report:
        write_report_of(finished, out, lambda: data)
    if failures:
        raise TrainingError(told(failures))
    return comparison


def _check_counts(seeds: int, jobs: int, processes: int) -> None:
    if seeds < 1:
        raise InputError(f"expected at least 1 seed, found {seeds}; correct --seeds")
    if jobs < 0:
        raise InputError(f"expected at least 1 job, or 0 for as many as suit the machine, found {jobs}; correct --jobs")
    if jobs > 1 and processes > 1:
        raise InputError(
            f"expected one run at a time where a run has several processes, found --jobs {jobs} and --processes "
            f"{processes}; leave one of them out"
        )


def _read(folders: Iterable[Path]) -> list[Run]:
    return [Run.read(folder) for folder in folders if is_finished(folder)]


def _plan(
    settings: Settings, missing: Sequence[tuple[str, int, Path]], data: LabelledData, console: Console
) -> list[Job]:
    """Return what is to be done, long runs first, so that no processor waits for the last of them.

    Each method's epoch is timed with a trainer that is thrown away; bad input is found on the way.
    """
    if not missing:
        return []
    seconds: dict[str, float] = {}
    notices: dict[str, None] = {}  # in order, each once: methods that learn their labels say the same
    epochs = resolve(settings).epochs
    single = make_fabric(replace(settings, processes=1))
    with console.status("timing a few steps") if console.is_terminal else nullcontext():
        for method, seed, _ in missing:
            plan = make_plan(settings, method, seed, data)
            if method not in seconds:
                with threads(settings.threads):
                    start = time.perf_counter()
                    trainer = Trainer(plan, single)
                    preparation = time.perf_counter() - start
                    seconds[method] = sum(trainer.time_epoch()) + preparation / epochs
                    notices[trainer.notice] = None
    print_notes([notice for notice in notices if notice], console)
    jobs = [Job(settings, method, seed, folder, epochs, seconds[method]) for method, seed, folder in missing]
    return sorted(jobs, key=lambda job: (-job.seconds, job.seed))


def _write(comparison: Comparison, runs: Sequence[Run], out: Path) -> None:
    from metaux.report.figures import differences, learning_curves

    write_json(out / "comparison.json", to_json(comparison))
    write_text_atomic(out / "comparison.csv", to_csv(comparison))
    learning_curves(runs, out)
    differences(comparison, out)
