"""A classical model as ONNX, by skl2onnx: from the raw columns of a table to probabilities."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from metaux.errors import InputError, explained
from metaux.files import write_bytes_atomic
from metaux.runs.classical import ClassicalModel


def write_classical(model: ClassicalModel, about: Mapping[str, Any], properties: Mapping[str, str], file: Path) -> None:
    """Write the model with its normalisation.

    Args:
        model: of a table.
        about: as `metaux.export.about.describe` returned it.
        properties: what the file says of itself.
        file: where to.

    Raises:
        InputError: for a model of other data, one that skl2onnx can't convert, or without skl2onnx.
    """
    if model.preprocessing.kind != "table":
        form = model.preprocessing.describe()
        raise InputError(
            f"expected {model.method} on a table to export to onnx, found it on {form}, whose features scikit-learn "
            "does not make; export the network of another run"
        )
    if find_spec("skl2onnx") is None:
        raise InputError("expected skl2onnx to export a classical model, found none; pip install 'metaux[onnx]'")
    from onnx.helper import set_model_props
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    scaler.mean_, scaler.scale_ = np.array(model.preprocessing.mean), np.array(model.preprocessing.deviation)
    scaler.n_features_in_ = model.preprocessing.channels
    takes = [(about["input"]["name"], FloatTensorType([None, model.preprocessing.channels]))]
    expected = f"expected a model that skl2onnx can convert, found {model.method}"
    with explained(expected, "export the network of another run", 80):
        made = to_onnx(make_pipeline(scaler, model.classifier), initial_types=takes, options={"zipmap": False})
    del made.graph.output[0]  # the labels
    set_model_props(made, dict(properties))
    write_bytes_atomic(file, made.SerializeToString())
