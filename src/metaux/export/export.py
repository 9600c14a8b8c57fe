"""A finished run to a folder that other programs read: network, description and model card."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from metaux.errors import InputError, choose
from metaux.export.card import card
from metaux.export.forms import ABOUT, FORMS
from metaux.files import OURS, write_json, write_text_atomic
from metaux.networks.backbones import chosen
from metaux.runs.classical import AnyModel, ClassicalModel, read_model
from metaux.runs.record import Run
from metaux.runs.store import check_writable

CARD = "README.md"
TOKENIZER = "tokenizer.json"
"""What makes ids of texts, as the library `tokenizers` writes it."""
# What the input is called, and its type.
_INPUTS = {"image": ("images", "uint8"), "table": ("table", "float32"), "text": ("tokens", "int64")}


def export(folder: Path, to: str, out: Path | None = None) -> Path:
    """Write a run's primary network, its description and its model card; all of it, or nothing.

    Args:
        folder: the finished run's.
        to: safetensors, torch-export or onnx.
        out: a new folder, or that of an earlier export, which is replaced; by default, one in the run's.

    Returns:
        The folder.

    Raises:
        InputError: if the run isn't finished, the folder holds something else, or a package is missing.
    """
    choose("form", to, FORMS)
    run, form = Run.read(folder), FORMS[to]
    model = read_model(run)
    out = folder / to if out is None else out
    _check(out)
    about = _described(run, model, form.is_whole)
    home = out.resolve()  # a link stays one
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{OURS}-", dir=home.parent) as place:
        new = Path(place) / "new"
        new.mkdir()
        made = form.write(model, about, new / form.file)
        write_json(new / ABOUT, about)
        if model.preprocessing.tokenizer:
            write_text_atomic(new / TOKENIZER, model.preprocessing.tokenizer)
        write_text_atomic(new / CARD, card(run, model, about, to, made))
        _replace(home, new, Path(place) / "old")
    return out


def _described(run: Run, model: AnyModel, in_graph: bool) -> dict[str, Any]:
    """Return the content of `metaux.json`: what the exported network takes and gives, for any program.

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


def _check(out: Path) -> None:
    """Check that the folder is new, empty, or holds an export and nothing else."""
    if out.exists() and not out.is_dir():
        raise InputError(f"expected a folder to export to, found the file '{out}'; give another --out")
    if out.resolve() == Path.cwd():
        raise InputError(f"expected a folder to make or replace, found the current one, '{out}'; give another --out")
    own = {ABOUT, CARD, TOKENIZER, *(form.file for form in FORMS.values())}
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if found and not (ABOUT in found and found <= own):
        other = min(found - own) if found - own else f"no {ABOUT}"
        raise InputError(
            f"expected a new folder or one of an earlier export at '{out}', found {other} in it; give another --out"
        )
    check_writable(out)


def _replace(out: Path, new: Path, old: Path) -> None:
    if out.is_dir():
        shutil.move(out, old)
    try:
        new.rename(out)
    except BaseException:
        if old.is_dir():
            old.rename(out)
        raise
