"""What the files of a finished run must hold and agree on, so that nothing in them is believed unseen."""

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaux.runs.reading import damaged

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
    kinds = all(isinstance(result[name], kind) for name, kind in OF_A_RESULT.items())
    names = result["class_names"]
    if not kinds or any(isinstance(result[name], bool) for name in OF_A_RESULT) or _is_no_names(names):
        raise damaged(path, "with values of another kind")
    _check_fractions(path, result)
    if not 0 <= result["seconds_per_epoch"] < math.inf:
        raise damaged(path, f"with {result['seconds_per_epoch']} seconds per epoch")
    if len(set(names)) != len(names):
        raise damaged(path, "with a class name that comes twice")
    model = result.get("model")
    if not isinstance(model, Mapping):
        return
    if model.get("class_names", names) != names:
        raise damaged(path, "with other class names than those of its network")
    if len(model.get("slots", names)) != len(names):
        raise damaged(path, f"with sub-classes of {len(model['slots'])} classes, but {len(names)} class names")


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
        if others := [name for name, value in record.items() if not (value is None or _is_number(value))]:
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
    correct = check_output(path, file, "test_correct", classes)
    check_output(path, file, "test_primary", classes)
    accuracy = math.nan if result["accuracy"] is None else result["accuracy"]
    if len(correct) and not abs(correct.mean() - accuracy) < _TOLERANCE:
        raise damaged(path, f"with an accuracy of {correct.mean():.4f}, not of {accuracy:.4f} as the result says")


def check_output(path: Path, file: Any, name: str, classes: int) -> "Array":
    """Return one of the tensors of a run, checked to hold what one of its name does.

    Args:
        path: the file.
        file: the same, opened for arrays.
        name: of the tensor.
        classes: how many the run has.

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
        ends = {"test_primary": classes, "train_primary": classes}
        ends["test_feature_rows"] = file.get_slice("test_correct").get_shape()[0]
        if array.min() < WHOLE[name] or array.max() >= ends.get(name, np.inf):
            raise damaged(path, f"with {name} from {array.min()} to {array.max()}")
    return array


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_no_names(names: Any) -> bool:
    return not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names)


def _check_fractions(path: Path, values: Mapping[str, Any]) -> None:
    for name in _FRACTIONS:
        value = values.get(name)
        if value is not None and not (_is_number(value) and 0 <= value <= 1):
            raise damaged(path, f"with {name} {str(value)[:40]}, which is no fraction from 0 to 1")
