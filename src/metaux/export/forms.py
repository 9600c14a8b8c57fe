"""The forms that a network is exported in: each writes its file. The lines that load it are in `card.md.jinja`."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from metaux.errors import InputError, explained
from metaux.export.rebuilt import Rebuilt, rebuilt
from metaux.files import to_json, write_bytes_atomic, write_tensors
from metaux.runs.classical import AnyModel, ClassicalModel
from metaux.runs.model import Model

ABOUT = "metaux.json"
"""What the network takes and gives, beside every form and in those that are a whole network."""
About = Mapping[str, Any]


@dataclass(frozen=True)
class Form:
    """One form.

    Args:
        file: what the network's file is called.
        write: writes it: the model, its description, the file. Returns how to make the network anew that the file's
            weights are loaded into; None where the file has it all.
        packages: what loads it.
        is_whole: whether it holds the whole network, from raw inputs to probabilities.
    """

    file: str
    write: Callable[[AnyModel, About, Path], Rebuilt | None]
    packages: tuple[str, ...]
    is_whole: bool = True


class Portable(nn.Module):
    """What predicts, between normalisation and softmax: no label generator, and no auxiliary head unless it predicts.

    Args:
        model: trained; its network is copied.
    """

    scale: Tensor | None
    shift: Tensor | None

    def __init__(self, model: Model):
        super().__init__()
        # The memory layout that is fast in training would be part of the exported graph.
        self.network = deepcopy(model.network).cpu().to(memory_format=torch.contiguous_format)
        self.predict = model.source.predict
        if self.predict is None:
            self.network.auxiliary_head = None
        self.eval().requires_grad_(False)
        scale, shift = model.preprocessing.scale_and_shift() if model.preprocessing.mean else (None, None)
        self.register_buffer("scale", None if scale is None else scale.float())
        self.register_buffer("shift", None if shift is None else shift.float())

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities, `[n, classes]`, of raw samples: images of 0 to 255, a table, or ids of words."""
        if self.scale is not None and self.shift is not None:
            x = (x.float() - self.shift) * self.scale
        logits: Tensor = self.network(x).primary if self.predict is None else self.predict(self.network, (x,))
        return logits.softmax(-1)


def _safetensors(model: AnyModel, about: About, file: Path) -> Rebuilt:
    model = _network(model)
    if model.source.predict is not None:
        raise InputError(
            "expected a method that predicts by the primary head alone to export to safetensors, found one with a rule "
            "of its own, which weights do not hold; give --to torch-export or --to onnx"
        )
    network = Portable(model).network
    found = rebuilt(about["backbone"], network.trunk, network.primary_head, tuple(about["input"]["shape"][1:]))
    write_tensors(file, found.weights, {"format": "pt", "class_names": json.dumps(about["class_names"])})
    return found


def _torch_export(model: AnyModel, about: About, file: Path) -> None:
    program = torch.export.export(Portable(_network(model)), (_example(about),), dynamic_shapes=_ANY_NUMBER)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # with paths of this machine
    with file.open("wb") as opened:  # of a name that is no UTF-8, torch makes an abort of the process
        torch.export.save(program, opened, extra_files={ABOUT: to_json(about)})


def _onnx(model: AnyModel, about: About, file: Path) -> None:
    # Looked for, not imported: onnxruntime would write a device's id below the home folder and look up a host.
    if None in map(find_spec, ("onnx", "onnxscript", "onnxruntime")):
        raise InputError(
            "expected onnx, onnxscript and onnxruntime to export to onnx, found that they aren't all installed; "
            "pip install 'metaux[onnx]'"
        )
    properties = {"class_names": json.dumps(about["class_names"]), ABOUT: to_json(about)}
    if isinstance(model, ClassicalModel):
        _classical_onnx(model, about, properties, file)
        return
    program = torch.onnx.export(
        Portable(model),
        (_example(about),),
        input_names=[about["input"]["name"]],
        output_names=[about["output"]["name"]],
        dynamic_shapes=_ANY_NUMBER,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props.update(properties)
    for node in program.model.graph.all_nodes():
        node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)  # with paths of this machine
    program.save(file, external_data=False)


def _classical_onnx(model: ClassicalModel, about: About, properties: Mapping[str, str], file: Path) -> None:
    """Write a classical model by skl2onnx, from the raw columns of a table to probabilities."""
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


def _network(model: AnyModel) -> Model:
    if isinstance(model, ClassicalModel):
        raise InputError(f"expected the run of a network, found one of {model.method}; give --to onnx, or another run")
    return model


_ANY_NUMBER = ({0: torch.export.Dim("samples")},)


def _example(about: About) -> Tensor:
    """Return two raw samples; of a single one, an export would take the number for a constant."""
    return torch.zeros(2, *about["input"]["shape"][1:], dtype=getattr(torch, about["input"]["dtype"]))


FORMS = {
    "safetensors": Form("model.safetensors", _safetensors, ("safetensors", "torch"), is_whole=False),
    "torch-export": Form("model.pt2", _torch_export, ("torch",)),
    "onnx": Form("model.onnx", _onnx, ("numpy", "onnxruntime")),
}
