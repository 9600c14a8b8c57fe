"""What an exported network takes and gives, as plain values for any program."""

from typing import Any

from metaux.networks.backbones import chosen
from metaux.runs.classical import AnyModel, ClassicalModel
from metaux.runs.record import Run

TOKENIZER = "tokenizer.json"
"""What makes ids of texts, as the library `tokenizers` writes it."""
# What the input is called, and its type.
_INPUTS = {"image": ("images", "uint8"), "table": ("table", "float32"), "text": ("tokens", "int64")}


def describe(run: Run, model: AnyModel, in_graph: bool) -> dict[str, Any]:
    """Return the content of `metaux.json`.

    Args:
        run: the network's.
        model: the network, or a classical model.
        in_graph: whether the exported network normalises its input by itself, and ends in probabilities.
    """
    preprocessing = model.preprocessing
    kind = preprocessing.kind
    name, dtype = _INPUTS[kind]
    shape = (preprocessing.channels, *(preprocessing.image_size or ()))
    about: dict[str, Any] = {
        "backbone": None if isinstance(model, ClassicalModel) else chosen(model.settings.backbone, shape, kind),
        "class_names": list(model.hierarchy.class_names),
        "input": {"name": name, "kind": kind, "dtype": dtype, "shape": ["n", *shape]},
        "output": {
            "name": "probabilities" if in_graph else "logits",
            "dtype": "float32",
            "shape": ["n", model.hierarchy.classes],
        },
        "method": run.method,
        "versions": dict(run.result.get("versions", {})),
    }
    if kind == "text":
        about["tokens"] = {"file": TOKENIZER, "padding": 0, "length": preprocessing.channels}
    else:
        about["preprocessing"] = {
            "scale": 1 / 255 if kind == "image" else 1.0,
            "mean": list(preprocessing.mean),
            "deviation": list(preprocessing.deviation),
            "order": "(input * scale - mean) / deviation",
            "in_graph": in_graph,
        }
    if preprocessing.columns:
        about["columns"] = [column.to_dict() for column in preprocessing.columns]
        about["input"]["features"] = [name for column in preprocessing.columns for name in column.features]
    return about
