"""What the files of a finished run must hold and agree on, so that nothing in them is believed unseen."""

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaux.runs.reading import damaged
from metaux.settings import MOST_SUBCLASSES

if TYPE_CHECKING:
    from numpy import dtype, ndarray

    Array = ndarray[Any, dtype[Any]]

OF_A_RESULT: Mapping[str, type | tuple[type, ...]] = {
    "method": str,
    "seed": int,
    "accuracy": (int, float, type(None)),
    "balanced_accuracy": (int, float, type(None)),
    "seconds_per_epoch": (int, float),
    "epochs": int,
    "class_names": list,
}
"""What every result has, and of which types it is; an accuracy without test samples is None."""
OF_SOME: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("train_size", "test_size"), int),
    **dict.fromkeys(("data", "device", "initialisation"), str),
    **dict.fromkeys(("model", "versions", "label_movement"), dict),
    "preparation_seconds": (int, float),
    "train_names": list,
}
"""What a result has or not, likewise."""
OF_A_MODEL: Mapping[str, type] = {
    "slots": list,
    "class_names": list,
    "subclass_names": list,
    "auxiliary_names": list,
    "shape": list,
    "preprocessing": dict,
}
"""What the description of a network has or not, likewise."""
WHOLE: Mapping[str, int] = {
    **dict.fromkeys(("test_primary", "test_groups", "test_ids", "test_feature_rows"), 0),
    **dict.fromkeys(("train_primary", "train_ids", "meta_ids"), 0),
    "train_human": -1,  # not known
}
"""The outputs that are whole numbers, and the least that each may have."""
OF_OUTPUTS = ("test_probabilities", "test_correct", "test_primary", "train_ids")
"""The outputs that every run has."""
_FRACTIONS = ("accuracy", "balanced_accuracy", "test_accuracy", "test_balanced_accuracy", "train_accuracy")
# The recorded accuracy is the mean over float32.
_TOLERANCE = 1e-4


def check_result(path: Path, result: Mapping[str, Any]) -> None:
    """Check the content of a `result.json`: what is there, types, ranges, and one set of class names.

    Raises:
        InputError: naming the file and the first fault.
    """
    if absent := [name for name in OF_A_RESULT if name not in result]:
        raise damaged(path, f"without {', '.join(absent)}")
    names, model = result["class_names"], result.get("model", {})
    if (
        not _are_of(result, {**OF_A_RESULT, **OF_SOME})
        or not names
        or not _are(str, names, result.get("train_names", ()))
    ):
        raise damaged(path, "with values of another kind")
    _check_fractions(path, result)
    if result["seconds_per_epoch"] < 0:
        raise damaged(path, f"with {result['seconds_per_epoch']} seconds per epoch")
    if len(set(names)) != len(names):
        raise damaged(path, "with a class name that comes twice")
    texts = [model.get(name, ()) for name in ("class_names", "subclass_names", "auxiliary_names")]
    whole = [model.get(name, ()) for name in ("slots", "shape")]
    if not _are_of(model, OF_A_MODEL) or not _are(str, *texts) or not _are(int, *whole):
        raise damaged(path, "with values of another kind in its model")
    if model.get("class_names", names) != names:
        raise damaged(path, "with other class names than those of its network")
    slots = model.get("slots", [1] * len(names))
    if len(slots) != len(names):
        raise damaged(path, f"with sub-classes of {len(slots)} classes, but {len(names)} class names")
    if min(slots) < 1 or sum(slots) > MOST_SUBCLASSES:
        raise damaged(path, f"with {min(slots)} to {max(slots)} sub-classes of a class")
    if len(model.get("subclass_names", ())) not in (0, sum(slots)):
        raise damaged(path, f"with {len(model['subclass_names'])} names of {sum(slots)} sub-classes")


def check_records(path: Path, records: Sequence[Mapping[str, Any]], epochs: int) -> None:
    """Check the records of a run: one per epoch, in order, with accuracies that are fractions.

    Raises:
        InputError: naming the file and the first fault.
    """
    if len(records) != epochs:
        raise damaged(path, f"with {len(records)} of {epochs} epochs")
    for number, record in enumerate(records, 1):
        if record["epoch"] != number:
            raise damaged(path, f"with epoch {str(record['epoch'])[:40]} in line {number}")
        if record.get("seconds") is None:
            raise damaged(path, f"without seconds in line {number}")
        if others := [name for name, value in record.items() if not (value is None or is_number(value))]:
            raise damaged(path, f"with {others[0][:40]} in line {number}, which is no number")
        _check_fractions(path, record)


def check_outputs(path: Path, file: Any, result: Mapping[str, Any]) -> None:
    """Check the tensors of a run: shapes against each other and the classes, and the accuracy of the result.

    Args:
        path: the file.
        file: the same, opened for arrays.
        result: as `check_result` lets it pass.

    Raises:
        InputError: naming the file and the first fault.
    """
    shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if absent := [name for name in OF_OUTPUTS if name not in shapes]:
        raise damaged(path, f"without {', '.join(absent)}")
    names = result.get("train_names", ())
    classes, test, train = len(result["class_names"]), shapes["test_correct"][:1], shapes["train_ids"][:1]
    rows = shapes.get("test_feature_rows", ())
    expected = dict.fromkeys(("test_correct", "test_primary", "test_groups", "test_ids"), test)
    expected |= dict.fromkeys(("train_ids", "train_primary", "train_human"), train)
    expected |= {"test_probabilities": (*test, classes), "test_feature_rows": rows[:1]}
    expected |= {
        name: (*own, *shapes.get(name, ())[1:2]) for name, own in (("train_labels", train), ("test_features", rows))
    }
    for name, shape in expected.items():
        if shapes.get(name, shape) != shape:
            raise damaged(path, f"with {name} of shape {shapes[name]} instead of {shape}")
    if names and len(names) != train[0]:
        raise damaged(path, f"with {train[0]} training samples, but {len(names)} names of them in the result")
    correct = check_output(path, file, "test_correct", result)
    check_output(path, file, "test_primary", result)
    accuracy = math.nan if result["accuracy"] is None else result["accuracy"]
    if len(correct) and not abs(correct.mean() - accuracy) < _TOLERANCE:
        raise damaged(path, f"with an accuracy of {correct.mean():.4f}, not of {accuracy:.4f} as the result says")


def check_output(path: Path, file: Any, name: str, result: Mapping[str, Any]) -> "Array":
    """Return one of the tensors of a run, checked to hold what one of its name does.

    Args:
        path: the file.
        file: the same, opened for arrays.
        name: of the tensor.
        result: as `check_result` lets it pass.

    Raises:
        InputError: for numbers of another kind, that are not finite, or of no class, sample or row.
    """
    import numpy as np

    try:
        array: Array = file.get_tensor(name)
    except (TypeError, KeyError, AttributeError):  # a type that NumPy hasn't
        raise damaged(path, f"with {name} of another type") from None
    if array.dtype.kind not in ("iu" if name in WHOLE else "iufb"):
        raise damaged(path, f"with {name} of type {array.dtype}")
    if not np.isfinite(array).all():
        raise damaged(path, f"with {name} that are not finite")
    if name in WHOLE and array.size:
        ends = dict.fromkeys(("test_primary", "train_primary"), len(result["class_names"]))
        ends["test_feature_rows"] = file.get_slice("test_correct").get_shape()[0]
        if slots := result.get("model", {}).get("slots"):
            ends["train_human"] = sum(slots)
        if array.min() < WHOLE[name] or array.max() >= ends.get(name, np.inf):
            raise damaged(path, f"with {name} from {array.min()} to {array.max()}")
    return array


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _are_of(values: Mapping[str, Any], kinds: Mapping[str, type | tuple[type, ...]]) -> bool:
    """Return whether those of some values that are there are of their types."""
    found = [(values[name], kind) for name, kind in kinds.items() if name in values]
    return all(isinstance(value, kind) and (not isinstance(value, int) or is_number(value)) for value, kind in found)


def _are(kind: type, *lists: Sequence[Any]) -> bool:
    return all(isinstance(value, kind) and not isinstance(value, bool) for own in lists for value in own)


def _check_fractions(path: Path, values: Mapping[str, Any]) -> None:
    for name in _FRACTIONS:
        value = values.get(name)
        if value is not None and not (is_number(value) and 0 <= value <= 1):
            raise damaged(path, f"with {name} {str(value)[:40]}, which is no fraction from 0 to 1")
