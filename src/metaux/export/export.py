"""A finished run to a folder that other programs read: network, description and model card."""

import shutil
import tempfile
from pathlib import Path

from metaux.errors import InputError, choose
from metaux.export.about import TOKENIZER, describe
from metaux.export.card import card
from metaux.export.forms import ABOUT, FORMS
from metaux.files import OURS, write_json, write_text_atomic
from metaux.runs.classical import read_model
from metaux.runs.record import Run
from metaux.runs.store import check_writable

CARD = "README.md"


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
    about = describe(run, model, form.is_whole)
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
