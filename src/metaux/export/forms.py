"""The forms that a network is exported in: each writes its file. The lines that load it are in `card.md.jinja`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metaux.errors import InputError
from metaux.export.classical import write_classical
from metaux.export.portable import Portable
from metaux.export.rebuilt import Rebuilt, rebuilt
from metaux.files import to_json, write_tensors
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
        write_classical(model, about, properties, file)
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
    program.save(file, external_data=False)


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
