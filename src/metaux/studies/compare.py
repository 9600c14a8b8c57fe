"""Many runs: methods x seeds, side by side, resumable; then the comparison of them."""

import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from metaux.data.samples import LabelledData
from metaux.data.sources import load
from metaux.errors import InputError, TrainingError, choose
from metaux.evidence.comparison import Comparison
from metaux.evidence.table import table, to_csv, to_json
from metaux.evidence.verdict import verdict
from metaux.files import write_json, write_text_atomic
from metaux.labels.catalogue import REFERENCES, entry
from metaux.labels.registry import SOURCES
from metaux.protocols import resolve
from metaux.report.html.methods import Recorded
from metaux.report.reporting import write_report_of
from metaux.runs.log import catch_up, check_log
from metaux.runs.plan import check, make_plan, too_short
from metaux.runs.pool import START_OF_A_PROCESS, expected, summarise_failures, work_through, workers_for
from metaux.runs.progress import Job, shown
from metaux.runs.record import RECOMMENDED, Run, check_unchanged, is_finished, run_folder, write_settings
from metaux.runs.store import claim
from metaux.runs.worker import CHECKPOINT
from metaux.settings import Settings
from metaux.terminal import print_notes, reading
from metaux.training.devices import computing, make_fabric
from metaux.training.fit import read_checkpoint
from metaux.training.timing import time_run
from metaux.words import counted, duration, listed


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
    if (out / RECOMMENDED).is_file():
        raise InputError(f"expected the folder of a comparison at '{out}', found that of a search; give another --out")
    start = time.perf_counter()
    with reading(console) as progress:
        data = load(settings, progress)
    reading_time = time.perf_counter() - start
    asked = tuple(dict.fromkeys(methods))
    methods = asked or default_methods(settings, data)
    print_notes([*data.notices, *too_short(settings, data)], console)
    wanted = [(method, seed, run_folder(out, method, seed)) for seed in range(seeds) for method in methods]
    # One that is damaged, or of other data, is found before the others are trained.
    check_unchanged(_read(folder for _, _, folder in wanted), data)
    for _, _, folder in wanted:
        if not is_finished(folder) and (folder / CHECKPOINT).exists():
            read_checkpoint(folder / CHECKPOINT, data.digest, torch.device("cpu"))
    failures: list[str] = []
    todo, refused = _plan(settings, [run for run in wanted if not is_finished(run[2])], data, asked, console)
    methods = tuple(method for method in methods if method not in refused)
    wanted = [run for run in wanted if run[0] in methods]
    write_settings(out, settings, methods=list(methods), seeds=seeds)
    for _, _, folder in wanted:
        if is_finished(folder):
            catch_up(log, folder)
    if todo:
        workers = workers_for(todo, jobs)
        seconds = expected(todo, workers) + (START_OF_A_PROCESS + reading_time if workers > 1 else 0)
        console.print(
            f"{counted(len(todo), 'run')} ({counted(len(methods), 'method')}, {counted(seeds, 'seed')}, "
            f"{counted(todo[0].epochs, 'epoch')}), {workers} at a time: "
            f"about {duration(seconds)}"
        )
        with shown(todo, seconds, console):
            failures = work_through([replace(job, log=log) for job in todo], workers, lambda _: data)
    finished = _read(folder for _, _, folder in wanted)
    if not finished:
        raise TrainingError(summarise_failures(failures))
    print_notes(_different_versions(finished), console)
    comparison = Comparison.of(finished)
    _write(comparison, finished, out)
    console.print(table(comparison))
    console.print(f"\n{verdict(comparison)}", style="bold")
    if report:
        write_report_of(Recorded(finished, comparison), out, lambda: data)
    if failures:
        raise TrainingError(summarise_failures(failures))
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


def _different_versions(runs: Iterable[Run]) -> list[str]:
    """Say of which packages the runs had different versions."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, version in run.result.get("versions", {}).items():
            found.setdefault(name, {})[str(version)] = None
    told = [f"{name} {listed(list(versions))}" for name, versions in found.items() if len(versions) > 1]
    return [f"the runs are of different versions, which may matter, too: {', '.join(told)}"] if told else []


def _read(folders: Iterable[Path]) -> list[Run]:
    return [Run.read(folder) for folder in folders if is_finished(folder)]


def _plan(
    settings: Settings,
    missing: Sequence[tuple[str, int, Path]],
    data: LabelledData,
    asked: Collection[str],
    console: Console,
) -> tuple[list[Job], set[str]]:
    """Return what is to be done, long runs first, so that no processor waits for the last of them.

    Each method's epoch is timed with a trainer that is thrown away; bad input is found on the way.

    Returns:
        The runs, and the methods that refuse this data, as far as nobody asked for them, or for features for them.
    """
    if not missing:
        return [], set()
    seconds: dict[str, float] = {}
    refused: set[str] = set()
    notices: dict[str, None] = {}  # in order, each once: methods that learn their labels say the same
    epochs = resolve(settings).epochs
    single = make_fabric(replace(settings, processes=1))
    with console.status("timing a few steps") if console.is_terminal else nullcontext():
        for method, seed, _ in missing:
            if method in seconds or method in refused:
                continue
            try:
                with computing(settings.threads):
                    cost, notice = time_run(make_plan(settings, method, seed, data), single)
            except InputError as error:
                if method in (*asked, *REFERENCES) or settings.features != Settings().features:
                    raise
                refused.add(method)
                notices[f"{method}: not run: {error}"] = None
                continue
            seconds[method] = cost.of(epochs) / epochs
            notices[notice] = None
    print_notes([notice for notice in notices if notice], console)
    jobs = [Job(settings, m, seed, folder, epochs, seconds[m]) for m, seed, folder in missing if m not in refused]
    return sorted(jobs, key=lambda job: (-job.seconds, job.seed)), refused


def _write(comparison: Comparison, runs: Sequence[Run], out: Path) -> None:
    from metaux.report.figures import differences, learning_curves

    write_json(out / "comparison.json", to_json(comparison))
    write_text_atomic(out / "comparison.csv", to_csv(comparison))
    learning_curves(runs, out)
    differences(comparison, out)
