"""Starting a run: recorded, in this process or in several that train it together; or timed before."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch.multiprocessing.spawn import ProcessExitedException

from metaux.data.samples import LabelledData
from metaux.errors import TrainingError
from metaux.labels.sources import CLASSICAL, SOURCES
from metaux.runs import classical
from metaux.runs.log import catch_up
from metaux.runs.plan import make_plan
from metaux.runs.process import run_share, train_and_record
from metaux.runs.record import is_finished
from metaux.runs.trial import Trial
from metaux.training.devices import computing, make_fabric
from metaux.training.learner import make_learner
from metaux.training.timing import Cost, time_run


def rehearse(trial: Trial, data: LabelledData, curve: bool = True) -> tuple[Cost, str]:
    """Time the preparation and a few steps of a run, in this process; nothing is kept.

    Args:
        trial: the run.
        data: what its settings name.
        curve: as of `run`.

    Returns:
        The cost, and what a user should know before the training; the latter may be empty.

    Raises:
        InputError: for what the method cannot be trained on.
    """
    if trial.method in CLASSICAL:
        return classical.rehearse(trial, data)
    with computing(trial.settings.threads):
        return time_run(make_plan(trial, data), make_fabric(trial.changed(processes=1).settings), curve)


def run(
    trial: Trial,
    data: LabelledData,
    folder: Path,
    notify: Callable[[str], None] = lambda _: None,
    log: str | None = None,
    curve: bool = True,
) -> None:
    """Train and record one run; a run that was interrupted goes on, a finished one is left as it is.

    Args:
        trial: the run.
        data: as `metaux.data.load` returned it for its settings.
        folder: where the run is recorded.
        notify: called before the training with what a user should know of it, if there is anything.
        log: tensorboard or wandb, for a log of every epoch in the folder.
        curve: measure test samples and labels on the way too, not only at the end.

    Raises:
        InputError: for bad input; nothing is written.
        TrainingError: if the loss is no longer finite.
    """
    if is_finished(folder):
        catch_up(log, folder)
        return
    if trial.method in CLASSICAL:
        classical.fit_and_record(trial, data, folder, notify)
        return
    fabric = make_fabric(trial.settings)
    if trial.settings.processes == 1:
        train_and_record(fabric, trial, data, folder, notify, log, curve)
        return
    # Bad input is found, and the user told, before any process is started; a GPU must not be in use by then.
    plan = make_plan(trial, data)
    if plan.meta_gradient is None and SOURCES[trial.method].source_class.meta_step is not None:
        with computing(trial.settings.threads):
            learner = make_learner(plan, make_fabric(trial.changed(processes=1, device="cpu").settings))
        if learner.notice:
            notify(learner.notice)
    try:
        failure = fabric.launch(partial(run_share, trial=trial, folder=folder, log=log, curve=curve))
    except ProcessExitedException:
        raise TrainingError(
            "a process was killed from outside (too little memory?); the same command goes on"
        ) from None
    if failure is not None:
        raise failure
