"""Every epoch's record in the log of another program, TensorBoard or Weights & Biases.

A log lies in its run's folder and is no part of what defines the run. `logged.json` keeps how far it goes. So an
interrupted run continues its log, and a run that was trained without a log can be given a whole one later.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from metaux.errors import InputError, reason
from metaux.files import write_json
from metaux.runs.reading import read_kept
from metaux.runs.record import Run
from metaux.runs.validity import is_number

LOGGED = "logged.json"
Records = Sequence[Mapping[str, Any]]
Write = Callable[[Records], None]
"""Takes all records of a run so far."""
_Send = Callable[[int, dict[str, float]], None]


def check_log(kind: str | None) -> None:
    """Check that the program can be logged to.

    Raises:
        InputError: if its package is missing, or wandb is online without a login.
    """
    if kind is None:
        return
    if find_spec(kind) is None:
        raise InputError(f"expected {kind} to log to, found that it isn't installed; pip install 'metaux[log]'")
    if kind == "wandb":
        import wandb

        if _is_online() and not wandb.login(prompt=False):
            raise InputError(
                "expected a login of Weights & Biases, found none; run wandb login, or set WANDB_MODE=offline"
            )


def catch_up(kind: str | None, folder: Path) -> None:
    """Log what the log of a finished run lacks."""
    if kind is None:
        return
    run = Run.read(folder)
    if _read(folder).get(kind, {}).get("epochs", 0) < len(run.epochs):
        with opened(kind, folder, f"{run.method}-{run.seed}", run.settings) as write:
            write(run.epochs)


@contextmanager
def opened(kind: str | None, folder: Path, name: str, settings: Mapping[str, Any]) -> Iterator[Write]:
    """Open the log of a run.

    Args:
        kind: tensorboard or wandb; None for no log.
        folder: the run's.
        name: the run's.
        settings: the run's, as plain values.

    Returns:
        A function that takes the records so far, and logs those that the log lacks.
    """
    if kind is None:
        yield lambda _: None
        return
    known = dict(_read(folder).get(kind, {}))
    opener = {"tensorboard": _tensorboard, "wandb": _wandb}[kind]
    with opener(folder, name, settings, known) as send:

        def write(records: Records) -> None:
            for record in records[known.get("epochs", 0) :]:
                numbers = {name: value for name, value in record.items() if is_number(value) and name != "epoch"}
                send(int(record["epoch"]), numbers)
            known["epochs"] = len(records)
            write_json(folder / LOGGED, {**_read(folder), kind: known})

        yield write


@contextmanager
def _tensorboard(folder: Path, name: str, settings: Mapping[str, Any], known: dict[str, Any]) -> Iterator[_Send]:
    del name, settings, known  # its name is where it lies, and its files add up
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    logger = TensorBoardLogger(folder, name="", version="tensorboard")

    def send(epoch: int, numbers: dict[str, float]) -> None:
        logger.log_metrics(numbers, epoch)
        logger.save()

    try:
        yield send
    finally:
        logger.finalize("success")


@contextmanager
def _wandb(folder: Path, name: str, settings: Mapping[str, Any], known: dict[str, Any]) -> Iterator[_Send]:
    import wandb

    folder.mkdir(parents=True, exist_ok=True)  # else wandb writes elsewhere
    try:
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "metaux"),
            name=name,
            id=known.get("id"),
            dir=str(folder),
            config=dict(settings),
            resume="allow" if _is_online() else None,  # offline a run goes on by its id alone
            settings=wandb.Settings(silent=True),
        )
    except wandb.Error as error:
        raise InputError(
            f"expected to log to Weights & Biases, found that it can't be ({reason(error)}); set WANDB_MODE=offline"
        ) from error
    known["id"] = run.id
    try:
        yield lambda epoch, numbers: run.log(numbers, step=epoch)
    finally:
        run.finish()


def _is_online() -> bool:
    import wandb

    return wandb.setup().settings.mode in ("online", "shared")


def _read(folder: Path) -> dict[str, Any]:
    """Return what is known of each log: how many epochs are in it, and wandb's name for it."""
    damaged = InputError(f"expected a whole {folder / LOGGED}, found it damaged; delete it to log anew")
    try:
        found = read_kept(folder / LOGGED)
    except InputError:
        raise damaged from None
    if any(not isinstance(known, dict) for known in found.values()):
        raise damaged
    return found
