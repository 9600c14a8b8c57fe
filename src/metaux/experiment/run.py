"""One recorded run: from settings, method and seed to a folder of results."""

import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path

import torch
from torch.multiprocessing.spawn import ProcessExitedException

from metaux.data.assemble import assemble
from metaux.data.raw import RawData
from metaux.data.samples import LabelledData
from metaux.data.sources import for_reading, read
from metaux.data.transforms import Preprocessing
from metaux.errors import TrainingError
from metaux.experiment.comparison import check_unchanged
from metaux.experiment.log import catch_up, opened
from metaux.experiment.model import describe_model
from metaux.experiment.plan import make_plan
from metaux.experiment.records import Run, is_finished, write_finished, write_records, write_settings
from metaux.settings import Settings, to_mapping
from metaux.streams import stream
from metaux.training.devices import computing, make_fabric
from metaux.training.evaluate import class_recalls, passes
from metaux.training.fabric import Fabric
from metaux.training.fit import Trainer
from metaux.training.meta_gradients import name_of_way
from metaux.training.plan import Fitted, Plan, Record

CHECKPOINT = "checkpoint.pt"
FEATURE_SAMPLES = 1000


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
            _tell(Trainer(plan, make_fabric(replace(settings, processes=1, device="cpu"))), notify)
    from metaux.experiment.share import run_share

    share = partial(run_share, settings=settings, method=method, seed=seed, folder=folder, log=log, curve=curve)
    try:
        failure = fabric.launch(share)
    except ProcessExitedException:
        raise TrainingError(
            "a process was killed from outside (too little memory?); the same command goes on"
        ) from None
    if failure is not None:
        raise failure


def check_all_unchanged(runs: Iterable[tuple[Settings, Run]]) -> None:
    """Check that runs, given with their settings, learned from the data as it is now; each data set is read once.

    Raises:
        InputError: naming the first that didn't.
    """
    by_data: dict[tuple[object, ...], list[tuple[Settings, Run]]] = {}
    for settings, run in runs:
        levels = settings.hierarchy, settings.primary, settings.auxiliary, settings.subclasses
        by_data.setdefault((for_reading(settings), *levels, settings.evaluate_on), []).append((settings, run))
    for own in by_data.values():
        check_unchanged([run for _, run in own], load_once(own[0][0]))


def load_once(settings: Settings) -> LabelledData:
    """Read the data, and keep what was read until other data is asked for."""
    return assemble(_read_once(for_reading(settings)), settings)


@lru_cache(maxsize=1)
def _read_once(settings: Settings) -> RawData:
    return read(settings)


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
        trainer = Trainer(plan, fabric, folder / CHECKPOINT, curve)
        preparation = time.perf_counter() - start + trainer.left_out
        _tell(trainer, notify)
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

            fitted = trainer.fit(record)
            record(fitted.records)
        if first:
            _finish(plan, fitted, method, folder, fabric, preparation)


def _tell(trainer: Trainer, notify: Callable[[str], None]) -> None:
    if trainer.notice:
        notify(trainer.notice)


def _finish(plan: Plan, fitted: Fitted, method: str, folder: Path, fabric: Fabric, preparation: float) -> None:
    data, preprocessing = plan.data, plan.preprocess
    assert isinstance(preprocessing, Preprocessing)
    test, correct, records = data.test, fitted.test_correct, fitted.records
    rows = torch.randperm(len(test), generator=stream(0, "feature samples"))[:FEATURE_SAMPLES].sort().values
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
