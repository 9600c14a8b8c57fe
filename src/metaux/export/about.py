"""What an exported network takes and gives, as plain values for any program."""

from typing import Any

from metaux.data.samples import Columns
from metaux.data.texts import VOCABULARY, WORD
from metaux.networks.backbones import chosen
from metaux.runs.classical import AnyModel, ClassicalModel
from metaux.runs.record import Run

# What the input is called, and its type.
_INPUTS = {"image": ("images", "uint8"), "table": ("table", "float32"), "text": ("words", "int64")}


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
        about["words"] = {
            "pattern": WORD.pattern,
            "lower_case": True,
            "id": f"1 + crc32(utf-8) % {VOCABULARY - 1}",
            "padding": 0,
            "length": preprocessing.channels,
        }
    else:
        about["preprocessing"] = {
            "scale": 1 / 255 if kind == "image" else 1.0,
            "mean": list(preprocessing.mean),
            "deviation": list(preprocessing.deviation),
            "order": "(input * scale - mean) / deviation",
            "in_graph": in_graph,
        }
    if preprocessing.columns:
        about["columns"] = [{"name": name, "categories": values} for name, *values in preprocessing.columns]
        about["input"]["features"] = features(preprocessing.columns)
    return about


def features(columns: Columns) -> list[str]:
    """Return what each number of a table's row is: a column's, or whether it is of a category, 1 or 0.

    >>> features((("height",), ("colour", "blue", "red")))
    ['height', 'colour = blue', 'colour = red']
    """
    return [
        f"{name} = {category}" if category else name
        for name, *categories in columns
        for category in (categories or [""])
    ]
