"""Starting a recorded run: in this process, or in several that train it together."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch.multiprocessing.spawn import ProcessExitedException

from metaux.data.samples import LabelledData
from metaux.errors import TrainingError
from metaux.runs.log import catch_up
from metaux.runs.plan import make_plan
from metaux.runs.record import is_finished
from metaux.runs.worker import run_share, train_and_record
from metaux.settings import Settings
from metaux.training.devices import computing, make_fabric
from metaux.training.learner import make_learner


def run(
    settings: Settings,
    method: str,
    seed: int,
    data: LabelledData,
    folder: Path,
    notify: Callable[[str], None] = lambda _: None,
    log: str | None = None,
    curve: bool = True,
) -> None:
    """Train and record one run; a run that was interrupted goes on, a finished one is left as it is.

    Args:
        settings: what the run is made of.
        method: the label source's name.
        seed: of everything random.
        data: as `metaux.data.load` returned it for these settings.
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
    fabric = make_fabric(settings)
    if settings.processes == 1:
        train_and_record(fabric, settings, method, seed, data, folder, notify, log, curve)
        return
    # Bad input is found, and the user told, before any process is started; a GPU must not be in use by then.
    plan = make_plan(settings, method, seed, data)
    learns = plan.source(data.hierarchy, plan.protocol).meta_step is not None
    if plan.meta_gradient is None and learns:
        with computing(settings.threads):
            learner = make_learner(plan, make_fabric(replace(settings, processes=1, device="cpu")))
        if learner.notice:
            notify(learner.notice)
    share = partial(run_share, settings=settings, method=method, seed=seed, folder=folder, log=log, curve=curve)
    try:
        failure = fabric.launch(share)
    except ProcessExitedException:
        raise TrainingError(
            "a process was killed from outside (too little memory?); the same command goes on"
        ) from None
    if failure is not None:
        raise failure
