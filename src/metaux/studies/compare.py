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
from metaux.evidence.comparison import Comparison, compare_runs
from metaux.evidence.table import table, to_csv, to_json
from metaux.evidence.verdict import Verdict, judge
from metaux.files import write_json, write_text_atomic
from metaux.labels.sources import METHODS, REFERENCES
from metaux.protocols import resolve
from metaux.report.figures import differences, learning_curves
from metaux.report.recorded import Recorded
from metaux.report.reporting import SECONDS_OF_FIGURES, seconds_of_report, write_report
from metaux.runs.launch import rehearse
from metaux.runs.length import choose_length
from metaux.runs.loading import check_unchanged
from metaux.runs.log import catch_up, check_log
from metaux.runs.plan import check, too_short
from metaux.runs.pool import START_OF_A_PROCESS, longest_first, summarise_failures, train
from metaux.runs.pretrained import choose_start
from metaux.runs.process import CHECKPOINT
from metaux.runs.progress import finishing
from metaux.runs.record import COMPARISON, RECOMMENDED, Run, is_finished, write_settings
from metaux.runs.store import Store, by_method, claim
from metaux.runs.trial import Trial
from metaux.runs.workers import Workers
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
        for name, known in METHODS.items()
        if known.default
        and data.kind in known.kinds
        and (known.asks != "human" or data.train.human is not None)
        and (has_split or not known.gives_up_split)
    )


def compare(
    settings: Settings,
    methods: Sequence[str],
    seeds: int,
    workers: Workers,
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
        workers: who does the runs.
        out: where runs, table, verdict and figures go; runs that are there already are used.
        console: for estimate, progress, table and verdict.
        report: also write `report.html`.
        log: tensorboard or wandb, for a log of every epoch in the folder of its run.

    Raises:
        InputError: for bad input, before anything is written.
        TrainingError: if a run could not be finished; the others are, and have been compared.
    """
    _check(settings, methods, seeds, workers.jobs, out)
    check_log(log)
    began = time.perf_counter()
    with reading(console) as progress:
        data = load(settings, progress)
    start = START_OF_A_PROCESS + time.perf_counter() - began
    settings, start_note = choose_start(settings, data, out)
    settings = choose_length(settings, REFERENCES[0], range(seeds), workers, out, console)
    print_notes([*data.notices, *filter(None, [start_note]), *too_short(settings, data)], console)
    store = Store(out, by_method)
    trials = _trials(settings, tuple(dict.fromkeys(methods)), seeds, data, store, console)
    compared = list(dict.fromkeys(trial.method for trial in trials))
    write_settings(out, settings, methods=compared, seeds=seeds)
    for trial in trials:
        if is_finished(store.folder(trial)):
            catch_up(log, store.folder(trial))
    epochs = counted(trials[0].protocol.epochs, "epoch")
    what = f"{counted(len(compared), 'method')}, {counted(seeds, 'seed')}, {epochs}"
    after = seconds_of_report(len(data.test)) if report else SECONDS_OF_FIGURES
    failures = train(longest_first(trials), store, workers, console, what, start, log, load=lambda _: data, after=after)
    finished = store.found(trials)
    if not finished:
        raise TrainingError(summarise_failures(failures))
    print_notes(_different_versions(finished), console)
    comparison = compare_runs(finished)
    recorded = Recorded(finished, comparison, judge(comparison))
    console.print(table(comparison, console.width))
    console.print(f"\n{recorded.verdict.plain}\n", style="bold")
    console.print(recorded.verdict.says)
    with finishing("writing the report" if report else "drawing", after, time.perf_counter() - began, console):
        _write(recorded, out, data if report else None)
    if failures:
        raise TrainingError(summarise_failures(failures))
    return comparison, recorded.verdict


def _check(settings: Settings, methods: Sequence[str], seeds: int, jobs: int, out: Path) -> None:
    """Raise `InputError` for what can be seen to be wrong without the data."""
    if seeds < 1:
        raise InputError(f"expected at least 1 seed, found {seeds}; correct --seeds")
    if jobs > 1 and settings.processes > 1:
        raise InputError(
            f"expected one run at a time where a run has several processes, found --jobs {jobs} and --processes "
            f"{settings.processes}; leave one of them out"
        )
    for method in methods:
        choose("method", method, METHODS)
    check(settings)
    claim(out, settings)
    if (out / RECOMMENDED).is_file():
        raise InputError(f"expected the folder of a comparison at '{out}', found that of a search; give another --out")


def _different_versions(runs: Iterable[Run]) -> list[str]:
    """Say of which packages the runs had different versions."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, version in run.result.get("versions", {}).items():
            found.setdefault(name, {})[str(version)] = None
    told = [f"{name} {listed(list(versions))}" for name, versions in found.items() if len(versions) > 1]
    return [f"the runs are of different versions, which may matter, too: {', '.join(told)}"] if told else []


def _trials(
    settings: Settings, asked: Sequence[str], seeds: int, data: LabelledData, store: Store, console: Console
) -> list[Trial]:
    """Return the runs to compare, with the seconds that an epoch of what is missing takes.

    A finished run that is damaged or of other data, and an interrupted one that can't go on, are found here, before
    the others are trained. A method that refuses this data is left out with a note, unless it was asked for.
    """
    methods = asked or default_methods(settings, data)
    wanted = [Trial(settings, method, seed) for seed in range(seeds) for method in methods]
    check_unchanged(store.found(wanted), data)
    missing = store.missing(wanted)
    for folder in missing:
        kept = Checkpoint(folder / CHECKPOINT, data.digest)
        kept.read()
        print_notes([kept.notice] if kept.notice else [], console)
    first: dict[str, Trial] = {}
    for trial in missing.values():
        first.setdefault(trial.method, trial)
    seconds: dict[str, float] = {}
    notes: dict[str, None] = {}  # in order, each once: methods that learn their labels say the same
    refused: set[str] = set()
    with console.status("timing a few steps") if console.is_terminal else nullcontext():
        for method, trial in first.items():
            try:
                cost, notice = rehearse(trial, data)
            except InputError as error:
                if method in (*asked, *REFERENCES) or settings.features != Settings().features:
                    raise
                refused.add(method)
                notes[f"{method}: not run: {error}"] = None
                continue
            seconds[method] = cost.of(trial.protocol.epochs) / trial.protocol.epochs
            notes[notice] = None
    print_notes([note for note in notes if note], console)
    return [replace(trial, seconds=seconds.get(trial.method, 1.0)) for trial in wanted if trial.method not in refused]


def _write(recorded: Recorded, out: Path, data: LabelledData | None) -> None:
    """Write numbers and figures, and with the data the report."""
    comparison = recorded.comparison
    write_json(out / COMPARISON, to_json(comparison, recorded.verdict))
    write_text_atomic(out / "comparison.csv", to_csv(comparison))
    learning_curves([run for runs in recorded.networks.values() for run in runs], out)
    differences(comparison, out)
    if data is not None:
        write_report(recorded, out, lambda: data)
