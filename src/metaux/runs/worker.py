"""One process of a recorded run: it trains, and the first one writes the folder of results."""

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch

from metaux.data.samples import LabelledData
from metaux.data.transforms import Preprocessing
from metaux.errors import InputError, TooLittleMemoryError, TrainingError
from metaux.rng import generator
from metaux.runs.loading import load_once
from metaux.runs.log import opened
from metaux.runs.model import describe_model
from metaux.runs.plan import make_plan
from metaux.runs.record import is_finished, write_finished, write_records, write_settings
from metaux.settings import Settings, to_mapping
from metaux.training.checkpoint import Checkpoint
from metaux.training.devices import computing, quieten
from metaux.training.evaluate import Record, class_recalls, passes
from metaux.training.fabric import Fabric
from metaux.training.learner import make_learner
from metaux.training.loop import Fitted, fit
from metaux.training.meta_gradients import name_of_way
from metaux.training.plan import Plan

CHECKPOINT = "checkpoint.pt"
FEATURE_SAMPLES = 1000

# At import, since Lightning announces its processes before it calls `run_share`.
quieten()


def train_and_record(
    fabric: Fabric,
    settings: Settings,
    method: str,
    seed: int,
    data: LabelledData,
    folder: Path,
    notify: Callable[[str], None] = lambda _: None,
    log: str | None = None,
    curve: bool = True,
) -> None:
    """Train and record one run, or one process's share of it; only the first process writes."""
    first = fabric.is_global_zero
    with computing(settings.threads):
        start = time.perf_counter()
        here = replace(settings, device=str(fabric.device), processes=1)  # features are made on this process's device
        plan = make_plan(here, method, seed, data)
        checkpoint = Checkpoint(folder / CHECKPOINT, data.digest, fabric.device)
        learner = make_learner(plan, fabric, checkpoint.read())
        preparation = time.perf_counter() - start + learner.left_out
        if learner.notice:
            notify(learner.notice)
        if first:
            write_settings(folder, settings, method=method, seed=seed)
        with opened(log if first else None, folder, f"{method}-{seed}", to_mapping(settings)) as write_log:

            def record(records: list[Record]) -> None:
                if first and is_finished(folder):
                    (folder / CHECKPOINT).unlink(missing_ok=True)
                    raise TrainingError(f"another process has finished the run in {folder}; its results are there")
                if first:
                    write_records(folder, records)
                    write_log(records)

            fitted = fit(learner, checkpoint, curve, record)
            record(fitted.records)
        if first:
            _finish(plan, fitted, method, folder, fabric, preparation)


def _finish(plan: Plan, fitted: Fitted, method: str, folder: Path, fabric: Fabric, preparation: float) -> None:
    data, preprocessing = plan.data, plan.preprocess
    assert isinstance(preprocessing, Preprocessing)
    test, correct, records = data.test, fitted.test_correct, fitted.records
    rows = torch.randperm(len(test), generator=generator(0, "feature samples"))[:FEATURE_SAMPLES].sort().values
    network = passes(fitted.network, test.take(rows), preprocessing, fabric.device)
    assert plan.train.ids is not None
    outputs = {
        "test_probabilities": fitted.test_logits.softmax(-1),
        "test_correct": correct,
        "test_primary": test.primary,
        "test_features": torch.cat([outputs.features.float().cpu() for _, outputs in network]),
        "test_feature_rows": rows,
        "train_ids": plan.train.ids,
        "train_primary": plan.train.primary,
    }
    if test.groups is not None:
        outputs["test_groups"] = test.groups
    if plan.meta is not None:
        assert plan.meta.ids is not None
        outputs["meta_ids"] = plan.meta.ids
    if fitted.labels is not None:
        outputs["train_labels"] = fitted.labels.half()
    if plan.train.human is not None:
        outputs["train_human"] = plan.train.human
    weights = {f"network.{name}": value for name, value in fitted.network.state_dict().items()}
    kept = [*fitted.source.named_parameters(), *fitted.source.named_buffers()]
    weights |= {f"source.{name}": value for name, value in kept}
    result = {
        "method": method,
        "seed": plan.seed,
        "accuracy": float(correct.double().mean()),
        "balanced_accuracy": float(class_recalls(correct, test.primary).mean()),
        "seconds_per_epoch": sum(record["seconds"] for record in records) / len(records),
        "preparation_seconds": preparation,
        "epochs": len(records),
        "class_names": list(data.hierarchy.class_names),
        "train_size": len(plan.train) + (0 if plan.meta is None else len(plan.meta)),
        "test_size": len(test),
        "data": data.digest,
        "train_names": list(plan.train.names),
        "meta_gradient": None if fitted.meta_gradient is None else name_of_way(fitted.meta_gradient),
        "model": describe_model(
            data.hierarchy, preprocessing, tuple(plan.train.inputs[0].shape[1:]), fitted.source.auxiliary_names
        ),
        "device": device_name(fabric.device),
        "versions": {name: version(name) for name in ("metaux", "torch", "torchvision", "numpy", "scikit-learn")}
        | {"python": platform.python_version()},
    }
    write_finished(folder, result, outputs, weights)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def device_name(device: torch.device) -> str:
    """Return the name of the GPU, or of the processor where the system tells it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


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
