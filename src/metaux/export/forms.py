"""The forms that a network is exported in: each writes its file, and has the lines of Python that load it again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from metaux.errors import InputError
from metaux.export.portable import NAMES, TYPES, Portable, example
from metaux.export.rebuilt import rebuilt
from metaux.files import to_json, write_tensors
from metaux.networks.backbones import Shape, chosen
from metaux.runs.model import Model

ABOUT = "metaux.json"
"""What the network takes and gives, beside every form."""
About = Mapping[str, Any]


@dataclass(frozen=True)
class Form:
    """One form.

    Args:
        file: what the network's file is called.
        write: writes it: model, shape of a sample, its description and the file; returns the lines that load it, from
            the folder that it lies in. They define `class_names` and `probabilities(x)`, for raw samples x.
        packages: what these lines need.
    """

    file: str
    write: Callable[[Model, Shape, About, Path], str]
    packages: tuple[str, ...]


def _safetensors(model: Model, shape: Shape, about: About, file: Path) -> str:
    kind = model.preprocessing.kind
    backbone = chosen(model.settings.backbone, shape, kind)
    if model.source.predict is not None:
        raise InputError(
            "expected a method that predicts by the primary head alone to export to safetensors, found one with a rule "
            "of its own, which weights do not hold; give --to torch-export or --to onnx"
        )
    network = Portable(model.network, model.preprocessing).network
    found = rebuilt(backbone, network.trunk, network.primary_head, shape)
    metadata = {"format": "pt", "class_names": json.dumps(about["class_names"])}
    write_tensors(file, found.weights, metadata)
    imports = [name for name in (*found.imports, "import torch") if name.startswith("import ")]
    others = [name for name in found.imports if not name.startswith("import ")]
    name = NAMES[kind]
    x = f"({name}{' / 255' if kind == 'image' else ''} - mean) / deviation"
    view = "(1, -1, 1, 1)" if kind == "image" else "(1, -1)"
    return "\n".join(
        [
            "import json",
            "from pathlib import Path",
            "",
            *sorted(imports),
            *sorted([*others, "from safetensors.torch import load_file", "from torch import nn"]),
            "",
            *found.lines,
            f'network.load_state_dict(load_file("{file.name}"))',
            "network.eval()",
            f'about = json.loads(Path("{ABOUT}").read_text(encoding="utf-8"))',
            'class_names = about["class_names"]',
            *([] if kind == "text" else [f'mean = torch.tensor(about["preprocessing"]["mean"]).view{view}']),
            *([] if kind == "text" else [f'deviation = torch.tensor(about["preprocessing"]["deviation"]).view{view}']),
            "",
            "",
            f"def probabilities({name}):  # a tensor, {_described(kind, shape)}",
            "    with torch.inference_mode():",
            f"        return network({name if kind == 'text' else x}).softmax(-1)",
        ]
    )


def _torch_export(model: Model, shape: Shape, about: About, file: Path) -> str:
    kind = model.preprocessing.kind
    module = Portable(model.network, model.preprocessing, model.source.predict)
    arguments = (example(model.preprocessing, shape),)
    program = torch.export.export(module, arguments, dynamic_shapes=({0: torch.export.Dim("samples")},))
    torch.export.save(program, file, extra_files={ABOUT: to_json(about)})
    name = NAMES[kind]
    return f"""import json

import torch

extra = {{"{ABOUT}": ""}}
network = torch.export.load("{file.name}", extra_files=extra).module()
class_names = json.loads(extra["{ABOUT}"])["class_names"]


def probabilities({name}):  # a tensor, {_described(kind, shape)}
    with torch.inference_mode():
        return network({name})"""


def _onnx(model: Model, shape: Shape, about: About, file: Path) -> str:
    kind = model.preprocessing.kind
    name = NAMES[kind]
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise InputError(
            "expected onnx, onnxscript and onnxruntime to export to onnx, found that they aren't all installed; "
            "pip install 'metaux[onnx]'"
        ) from None
    program = torch.onnx.export(
        Portable(model.network, model.preprocessing, model.source.predict),
        (example(model.preprocessing, shape),),
        input_names=[name],
        output_names=["probabilities"],
        dynamic_shapes=({0: torch.export.Dim("samples")},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props.update({"class_names": json.dumps(about["class_names"]), ABOUT: to_json(about)})
    program.save(file, external_data=False)
    return f"""import json

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{file.name}")
class_names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])


def probabilities({name}):  # an array, {_described(kind, shape)}
    return session.run(None, {{"{name}": np.asarray({name})}})[0]"""


def _described(kind: str, shape: Shape) -> str:
    return f"{str(TYPES[kind]).removeprefix('torch.')} [n, {', '.join(map(str, shape))}]"


FORMS = {
    "safetensors": Form("model.safetensors", _safetensors, ("safetensors", "torch")),
    "torch-export": Form("model.pt2", _torch_export, ("torch",)),
    "onnx": Form("model.onnx", _onnx, ("numpy", "onnxruntime")),
}
