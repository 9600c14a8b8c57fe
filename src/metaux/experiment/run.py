"""One recorded run: from settings, method and seed to a folder of results."""

import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from metaux.data.samples import LabelledData, Samples
from metaux.data.splits import draw
from metaux.data.transforms import Preprocessing, augmentation
from metaux.errors import choose
from metaux.experiment.model import Model, describe_model
from metaux.experiment.records import is_finished, write_finished, write_records, write_settings
from metaux.labels.registry import SOURCES
from metaux.metagradient import MetaGradient, double_backward, finite_difference, forward_mode
from metaux.networks.backbones import make_backbone
from metaux.protocols import resolve
from metaux.settings import Settings
from metaux.streams import stream
from metaux.training.devices import make_fabric, threads
from metaux.training.evaluate import class_recalls, passes
from metaux.training.fit import Fitted, Plan, Record, Trainer

META_GRADIENTS: dict[str, MetaGradient] = {
    "forward-mode": forward_mode,
    "finite-difference": finite_difference,
    "double-backward": double_backward,
}
CHECKPOINT = "checkpoint.pt"
FEATURE_SAMPLES = 1000
OnEpoch = Callable[[list[Record]], None]


def make_plan(settings: Settings, method: str, seed: int, data: LabelledData) -> Plan:
    """Turn settings into objects; draws the training samples of this seed.

    Raises:
        InputError: for an unknown method, backbone, protocol or a value out of range.
    """
    choose("method", method, SOURCES)
    protocol = resolve(settings)
    meta_fraction = (
        protocol.meta_fraction if SOURCES[method](data.hierarchy, protocol).needs_meta_split else 0.0
    )
    train, meta = draw(data.train, seed, settings.train_size, meta_fraction)
    preprocessing = Preprocessing.fit(data, protocol.normalisation)
    shape = tuple(data.train.inputs[0].shape[1:])
    features: Callable[[Samples], Tensor] | None = None
    if settings.features != "pixels":
        features = Model.read(settings.features).features
    return Plan(
        data=data,
        train=train,
        meta=meta,
        preprocess=preprocessing,
        augment=augmentation(settings.augment, data),
        trunk=lambda: make_backbone(settings.backbone, shape),
        source=SOURCES[method],
        protocol=protocol,
        meta_gradient=META_GRADIENTS[settings.meta_gradient],
        features=features,
        balanced=settings.class_weights == "balanced",
        seed=seed,
    )


def run(
    settings: Settings,
    method: str,
    seed: int,
    data: LabelledData,
    folder: Path,
    on_epoch: OnEpoch = lambda _: None,
) -> None:
    """Train and record one run; a run that was interrupted goes on, a finished one is left as it is.

    Args:
        settings: what the run is made of.
        method: the label source's name.
        seed: of everything random.
        data: as `metaux.data.load` returned it for these settings.
        folder: where the run is recorded.
        on_epoch: called with the records after each epoch.
    """
    if is_finished(folder):
        return
    plan = make_plan(settings, method, seed, data)
    fabric = make_fabric(settings)
    arguments = (plan, settings, method, folder, on_epoch)
    if settings.processes > 1:
        fabric.launch(_run, *arguments)
    else:
        _run(fabric, *arguments)


def _run(
    fabric: Fabric, plan: Plan, settings: Settings, method: str, folder: Path, on_epoch: OnEpoch
) -> None:
    first = fabric.is_global_zero

    def record(records: list[Record]) -> None:
        if first:
            write_records(folder, records)
            on_epoch(records)

    with threads(settings.threads):
        trainer = Trainer(plan, fabric, folder / CHECKPOINT)
        if first:
            write_settings(folder, settings, method, plan.seed)
        fitted = trainer.fit(record)
        if first:
            write_records(folder, fitted.records)
            _finish(plan, fitted, method, folder, fabric)


def _finish(plan: Plan, fitted: Fitted, method: str, folder: Path, fabric: Fabric) -> None:
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
        "epochs": len(records),
        "class_names": list(data.hierarchy.class_names),
        "train_size": len(plan.train) + (0 if plan.meta is None else len(plan.meta)),
        "test_size": len(test),
        "train_names": list(plan.train.names),
        "model": describe_model(data.hierarchy, preprocessing, tuple(plan.train.inputs[0].shape[1:])),
        "device": _device_name(fabric.device),
        "versions": {
            name: version(name) for name in ("metaux", "torch", "torchvision", "numpy", "scikit-learn")
        }
        | {"python": platform.python_version()},
    }
    write_finished(folder, result, outputs, weights)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {platform.processor()}".strip()
