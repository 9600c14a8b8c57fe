"""One process of a recorded run: it trains, and the first one writes the folder of results."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from metaux.data.samples import LabelledData
from metaux.errors import InputError, TooLittleMemoryError, TrainingError
from metaux.files import check_in_place
from metaux.rng import generator
from metaux.runs.loading import load_once
from metaux.runs.log import Write, opened
from metaux.runs.model import named_weights
from metaux.runs.plan import make_plan
from metaux.runs.record import SETTINGS, is_finished, write_finished, write_records, write_settings
from metaux.runs.results import describe_run, sample_outputs
from metaux.runs.trial import Trial
from metaux.settings import to_mapping
from metaux.training.callbacks import Callback, Training
from metaux.training.checkpoint import Checkpoint
from metaux.training.devices import computing, quieten
from metaux.training.evaluate import evaluated_on
from metaux.training.generated_labels import label_movement
from metaux.training.learner import make_learner
from metaux.training.loop import Fitted, fit
from metaux.training.meta_gradients import name_of
from metaux.training.pace import Pace
from metaux.training.plan import Plan

if TYPE_CHECKING:
    from metaux.training.fabric import Fabric

CHECKPOINT = "checkpoint.pt"
FEATURE_SAMPLES = 1000

# At import, since Lightning announces its processes before it calls `run_share`.
quieten()


def run_share(
    fabric: "Fabric", trial: Trial, folder: Path, log: str | None = None, curve: bool = True
) -> InputError | TrainingError | None:
    """Do one process's share of a run, making its own plan: objects such as a function in one can't travel.

    An error for the user is returned, since it would arrive as a traceback.
    """
    try:
        train_and_record(fabric, trial, load_once(trial.settings), folder, log=log, curve=curve)
    except TooLittleMemoryError:
        # The other processes wait for this one, which has to be seen to end.
        raise SystemExit(1) from None
    except (InputError, TrainingError) as error:
        return error
    return None


def train_and_record(
    fabric: "Fabric",
    trial: Trial,
    data: LabelledData,
    folder: Path,
    notify: Callable[[str], None] = lambda _: None,
    log: str | None = None,
    curve: bool = True,
) -> None:
    """Train and record one run, or one process's share of it; only the first process writes.

    Args:
        fabric: this process's.
        trial: the run.
        data: what its settings name.
        folder: where it is recorded.
        notify: as of `run`, like the others.
        log: tensorboard or wandb.
        curve: measure on the way too.
    """
    first = fabric.is_global_zero
    with computing(trial.settings.threads):
        start = time.perf_counter()
        plan = make_plan(trial, data, fabric.device)
        checkpoint = Checkpoint(folder / CHECKPOINT, data.digest, fabric.device)
        if checkpoint.notice:
            notify(checkpoint.notice)

        @cache  # never again: a folder that is moved away meanwhile is not made anew
        def begin() -> None:
            write_settings(folder, trial.settings, method=trial.method, seed=trial.seed)

        def keep(made: Mapping[str, Tensor], seconds: float) -> None:
            if first:
                begin()
                checkpoint.keep(plan, made, seconds)

        learner = make_learner(plan, fabric, checkpoint.read(), keep=keep, notify=notify if first else lambda _: None)
        preparation = time.perf_counter() - start + learner.left_out
        if learner.notice:
            notify(learner.notice)
        if first:
            begin()
        name = f"{trial.method}-{trial.seed}"
        with opened(log if first else None, folder, name, to_mapping(trial.settings)) as write_log:
            recording = [_Recording(folder, checkpoint, write_log)] if first else []
            fitted = fit(learner, checkpoint, curve, recording)
        if first:
            result, outputs = _results(trial.method, plan, fitted, fabric.device, preparation)
            if movement := label_movement(learner):
                result["label_movement"] = movement
            write_finished(folder, result, outputs, named_weights(fitted.network, fitted.source))
            checkpoint.delete()


@dataclass(frozen=True)
class _Recording(Callback):
    """Writes the records of a run, and its log, after each epoch; after some, where they are short."""

    folder: Path
    checkpoint: Checkpoint
    write_log: Write
    pace: Pace = field(default_factory=Pace)

    def on_epoch_end(self, training: Training) -> None:
        """Write the records so far if it is time to."""
        if self.pace.is_due:
            with self.pace.writing():
                self.on_train_end(training)

    def on_train_end(self, training: Training) -> None:
        """Write all records, unless another process has come to the run's end meanwhile."""
        if is_finished(self.folder):
            self.checkpoint.delete()
            raise TrainingError(f"another process has finished the run in {self.folder}; its results are there")
        check_in_place(self.folder / SETTINGS)
        write_records(self.folder, training.records)
        self.write_log(training.records)


def _results(
    method: str, plan: Plan, fitted: Fitted, device: torch.device, preparation: float
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the numbers of a run, and what is kept of each sample."""
    test = plan.data.test
    rows = torch.randperm(len(test), generator=generator(0, "feature samples"))[:FEATURE_SAMPLES].sort().values
    inputs = evaluated_on(fitted.network, test.take(rows), plan.preprocess, device)
    outputs = sample_outputs(plan, fitted.test_logits.softmax(-1), fitted.test_correct) | {
        "test_features": torch.cat([fitted.network(*own).features.float().cpu() for own in inputs]),
        "test_feature_rows": rows,
    }
    if fitted.labels is not None:
        outputs["train_labels"] = fitted.labels.half()
    names = fitted.source.auxiliary_names
    result = describe_run(method, plan, fitted.test_correct, fitted.records, preparation, device, names)
    result["meta_gradient"] = None if fitted.meta_gradient is None else name_of(fitted.meta_gradient)
    return result, outputs
