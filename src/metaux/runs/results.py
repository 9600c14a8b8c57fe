"""What a finished run says of itself, whatever was trained in it: numbers, and an output for each sample."""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from metaux.data.transforms import Preprocessing
from metaux.hierarchy import Hierarchy
from metaux.training.devices import device_name
from metaux.training.evaluate import Record, class_recalls
from metaux.training.plan import Plan

VERSIONS = ("metaux", "torch", "torchvision", "numpy", "scikit-learn")


def describe_run(
    method: str,
    plan: Plan,
    correct: Tensor,
    records: Sequence[Record],
    preparation: float,
    device: torch.device,
    auxiliary_names: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the content of `result.json`; its `model` is what there is to say of the model beyond the settings.

    Args:
        method: its name.
        plan: what was trained.
        correct: how often each test sample was right over the reported epochs, `[n_test]`.
        records: one per epoch.
        preparation: the seconds before the first epoch.
        device: that it was trained on.
        auxiliary_names: of the auxiliary head's outputs, where the source names them.
    """
    assert isinstance(plan.preprocess, Preprocessing)
    return {
        "method": method,
        "seed": plan.seed,
        "accuracy": float(correct.double().mean()),
        "balanced_accuracy": float(class_recalls(correct, plan.data.test.primary).mean()),
        "seconds_per_epoch": sum(record["seconds"] for record in records) / len(records),
        "preparation_seconds": preparation,
        "epochs": len(records),
        "class_names": list(plan.data.hierarchy.class_names),
        "train_size": len(plan.train) + (0 if plan.meta is None else len(plan.meta)),
        "test_size": len(plan.data.test),
        "data": plan.data.digest,
        "initialisation": plan.protocol.initialisation,
        "train_names": list(plan.train.names),
        "device": device_name(device),
        "versions": {name: version(name) for name in VERSIONS} | {"python": platform.python_version()},
        "model": {
            "shape": list(plan.train.shapes[0]),
            **describe_outputs(plan.data.hierarchy, auxiliary_names, plan.preprocess),
        },
    }


def describe_outputs(
    hierarchy: Hierarchy, auxiliary_names: tuple[str, ...], preprocessing: Preprocessing
) -> dict[str, Any]:
    """Return what the outputs of a trained network stand for, and what becomes of its inputs, in plain values."""
    return {
        "slots": list(hierarchy.slots),
        "class_names": list(hierarchy.class_names),
        "subclass_names": list(hierarchy.subclass_names),
        "auxiliary_names": list(auxiliary_names),
        "preprocessing": preprocessing.to_dict(),
    }


def sample_outputs(plan: Plan, probabilities: Tensor, correct: Tensor) -> dict[str, Tensor]:
    """Return what every run keeps of its samples.

    Args:
        plan: what was trained.
        probabilities: of the classes, for each test sample, `[n_test, classes]`.
        correct: as of `describe_run`.
    """
    test, train, meta = plan.data.test, plan.train, plan.meta
    outputs = {
        "test_probabilities": probabilities,
        "test_correct": correct,
        "test_primary": test.primary,
        "test_groups": test.groups,
        "test_ids": test.ids,
        "train_ids": train.ids,
        "train_primary": train.primary,
        "train_human": train.human,
        "meta_ids": None if meta is None else meta.ids,
    }
    return {name: value for name, value in outputs.items() if value is not None}
