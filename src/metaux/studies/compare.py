"""Many runs: methods x seeds, side by side, resumable; then the comparison of them."""

import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from metaux.data.samples import LabelledData
from metaux.data.sources import load
from metaux.errors import InputError, TrainingError, choose
from metaux.evidence.comparison import Comparison, compare_runs
from metaux.evidence.table import table, to_csv, to_json
from metaux.evidence.verdict import Verdict, judge
from metaux.files import write_json, write_text_atomic
from metaux.labels.sources import REFERENCES, SOURCES
from metaux.protocols import resolve
from metaux.report.recorded import Recorded
from metaux.report.reporting import write_report
from metaux.runs.launch import rehearse
from metaux.runs.log import catch_up, check_log
from metaux.runs.plan import check, too_short
from metaux.runs.pool import START_OF_A_PROCESS, longest_first, summarise_failures, train
from metaux.runs.record import RECOMMENDED, Run, check_unchanged, is_finished, write_settings
from metaux.runs.store import Store, by_method, claim
from metaux.runs.trial import Trial
from metaux.runs.worker import CHECKPOINT
from metaux.settings import Settings
from metaux.terminal import print_notes, reading
from metaux.training.checkpoint import Checkpoint
from metaux.words import counted, listed


def default_methods(settings: Settings, data: LabelledData) -> tuple[str, ...]:
    """Return every method that is run without being asked for and suits this data and protocol.

    Human needs labels, the split controls a meta split.
    """
    has_split = resolve(settings).meta_fraction > 0
    return tuple(
        name
        for name, known in SOURCES.items()
        if known.default
        and data.kind in known.kinds
        and (known.asks != "human" or data.train.human is not None)
        and (has_split or not known.gives_up_split)
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
) -> tuple[Comparison, Verdict]:
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
    store = Store(out, by_method)
    wanted = [Trial(settings, method, seed) for seed in range(seeds) for method in methods]
    # One that is damaged, or of other data, is found before the others are trained.
    check_unchanged(filter(None, map(store.find, wanted)), data)
    missing = store.missing(wanted)
    for folder in missing:
        Checkpoint(folder / CHECKPOINT, data.digest).read()
    seconds, refused = _time_methods(missing.values(), data, asked, console)
    wanted = [replace(t, seconds=seconds.get(t.method, 1.0)) for t in wanted if t.method not in refused]
    methods = tuple(method for method in methods if method not in refused)
    write_settings(out, settings, methods=list(methods), seeds=seeds)
    for trial in wanted:
        if is_finished(store.folder(trial)):
            catch_up(log, store.folder(trial))
    what = f"{counted(len(methods), 'method')}, {counted(seeds, 'seed')}, {counted(wanted[0].protocol.epochs, 'epoch')}"
    start = START_OF_A_PROCESS + reading_time
    failures = train(longest_first(wanted), store, jobs, console, what, start, log, load=lambda _: data)
    finished = [run for trial in wanted if (run := store.find(trial)) is not None]
    if not finished:
        raise TrainingError(summarise_failures(failures))
    print_notes(_different_versions(finished), console)
    comparison = compare_runs(finished)
    verdict = judge(comparison)
    _write(comparison, verdict, finished, out)
    console.print(table(comparison, console.width))
    console.print(f"\n{verdict.says}", style="bold")
    if report:
        write_report(Recorded(finished, comparison, verdict), out, lambda: data)
    if failures:
        raise TrainingError(summarise_failures(failures))
    return comparison, verdict


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


def _time_methods(
    trials: Iterable[Trial], data: LabelledData, asked: Collection[str], console: Console
) -> tuple[dict[str, float], set[str]]:
    """Return the seconds that an epoch of each method takes, evaluation and its share of the preparation included.

    Each is timed with a trainer that is thrown away; bad input is found on the way.

    Returns:
        The seconds, and the methods that refuse this data, as far as nobody asked for them, or for features for them.
    """
    seconds: dict[str, float] = {}
    refused: set[str] = set()
    notices: dict[str, None] = {}  # in order, each once: methods that learn their labels say the same
    with console.status("timing a few steps") if console.is_terminal else nullcontext():
        for trial in trials:
            method, settings = trial.method, trial.settings
            if method in seconds or method in refused:
                continue
            try:
                cost, notice = rehearse(trial, data)
            except InputError as error:
                if method in (*asked, *REFERENCES) or settings.features != Settings().features:
                    raise
                refused.add(method)
                notices[f"{method}: not run: {error}"] = None
                continue
            epochs = trial.protocol.epochs
            seconds[method] = cost.of(epochs) / epochs
            notices[notice] = None
    print_notes([notice for notice in notices if notice], console)
    return seconds, refused


def _write(comparison: Comparison, verdict: Verdict, runs: Sequence[Run], out: Path) -> None:
    from metaux.report.figures import differences, learning_curves

    write_json(out / "comparison.json", to_json(comparison, verdict))
    write_text_atomic(out / "comparison.csv", to_csv(comparison))
    learning_curves(runs, out)
    differences(comparison, out)
