"""Where each of several data-parallel processes of one run begins; only they import it, and who starts them."""

from pathlib import Path

from metaux.errors import InputError, TooLittleMemoryError, TrainingError
from metaux.experiment.run import load_once, train_and_record
from metaux.settings import Settings
from metaux.training.devices import quieten
from metaux.training.fabric import Fabric

# At import, since Lightning announces its processes before it calls the function below.
quieten()


def run_share(
    fabric: Fabric,
    settings: Settings,
    method: str,
    seed: int,
    folder: Path,
    log: str | None = None,
    curve: bool = True,
) -> InputError | TrainingError | None:
    """Do one process's share of a run, making its own plan: objects such as a function in one can't travel.

    An error for the user is returned, since it would arrive as a traceback.
    """
    try:
        train_and_record(fabric, settings, method, seed, load_once(settings), folder, log=log, curve=curve)
    except TooLittleMemoryError:
        # The other processes wait for this one, which has to be seen to end.
        raise SystemExit(1) from None
    except (InputError, TrainingError) as error:
        return error
    return None
