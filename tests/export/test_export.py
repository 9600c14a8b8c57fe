"""Exported networks, loaded again by the lines of their cards, in a process where metaux can't be imported."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import metaux as metaux_package
from metaux.data.samples import Samples
from metaux.export.export import export
from metaux.export.forms import FORMS
from metaux.runs.loading import load_once
from metaux.runs.model import Model
from metaux.runs.record import Run
from shell import below, done, metaux, write_images

Array = np.ndarray[Any, Any]
FAST = ("--epochs", 1, "--subclasses", 2)
NAMES = ("image", "table", "text", "timm", "torchvision")
MEASURE = """
import os
from pathlib import Path
import numpy as np
for folder, inputs, outputs in jobs:
    os.chdir(folder)
    card = {}
    exec(Path("README.md").read_text(encoding="utf-8").split("```python\\n")[1].split("```")[0], card)
    x = np.load(inputs)
    if not os.path.exists("model.onnx"):
        import torch
        x = torch.from_numpy(x)
    found = [np.asarray(card["probabilities"](part)) for part in (x, x[:1])]
    np.savez(outputs, all=found[0], one=found[1], class_names=card["class_names"])
"""
WITHOUT_METAUX = f"""
import sys
sys.modules["metaux"] = None  # an import of it fails from here on
jobs = zip(*[iter(sys.argv[1:])] * 3)
{MEASURE}
"""


def write_text(path: Path) -> Path:
    lines = [f'"{word}, the weather; don\'t worry {n}",{word}' for n in range(12) for word in ("sunny", "rainy")]
    path.write_text("text,label\n" + "\n".join(lines))
    return path


def write_columns(path: Path) -> Path:
    lines = [f"{n / 7},{'red' if n % 2 else 'blue, dark'},{'cat' if n % 2 else 'dog'}" for n in range(40)]
    path.write_text("height,colour,label\n" + "\n".join(line.replace("blue, dark", '"blue, dark"') for line in lines))
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind of data, on backbones of our own, of timm and of torchvision."""
    path = tmp_path_factory.mktemp("runs")
    images = write_images(path / "images", count=10, size=16)
    made = {
        "image": (images, "--method", "uniform", "--protocol", "neurips"),
        "table": (write_columns(path / "pets.csv"),),
        "text": (write_text(path / "weather.csv"), "--method", "single"),
        "validation": (path / "pets.csv", "--method", "single", "--evaluate-on", "validation"),
        "timm": (images, "--backbone", "timm:resnet10t", "--method", "single"),
        "torchvision": (images, "--backbone", "torchvision:resnet18", "--method", "random"),
    }
    for name, words in made.items():
        if name == "timm":
            pytest.importorskip("timm", reason="timm isn't installed")
        done("train", *words, *FAST, "--out", path / name)
    return {name: path / name for name in made}


def samples_of(folder: Path) -> Samples:
    return load_once(Run.read(folder).trial.settings).test


def code_of(out: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def samples(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Array]]:
    """The test samples of every run, in a file, and the probabilities that the run's network gives of them."""
    path, found = tmp_path_factory.mktemp("samples"), {}
    for name in NAMES:
        own = samples_of(runs[name])
        np.save(path / f"{name}.npy", own.inputs[0].numpy())
        found[name] = path / f"{name}.npy", Model.read(runs[name]).predict(own).logits.softmax(-1).numpy()
    return found


@pytest.fixture(scope="module", params=[("safetensors", "torch-export"), ("onnx",)], ids=["torch", "onnx"])
def measured(
    request: pytest.FixtureRequest,
    runs: dict[str, Path],
    samples: dict[str, tuple[Path, Array]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[tuple[str, str], dict[str, Array]]:
    """What the lines of every run's card give of its samples, and of one of them; in one process for all."""
    if "onnx" in request.param:
        pytest.importorskip("onnxscript", reason="onnx, onnxscript or onnxruntime isn't installed")
    path = tmp_path_factory.mktemp("measured")
    here: list[tuple[Path, Path, Path]] = []
    alone: list[tuple[Path, Path, Path]] = []
    for form, name in product(request.param, NAMES):
        assert str(runs[name] / form) in done("export", runs[name], "--to", form)
        # Lines of safetensors build backbones of metaux from metaux.
        of_metaux = form == "safetensors" and name in ("image", "table", "text")
        (here if of_metaux else alone).append((runs[name] / form, samples[name][0], path / f"{name}.{form}.npz"))
    with contextlib.chdir(path):
        exec(MEASURE, {"jobs": here})
    words = [sys.executable, "-c", WITHOUT_METAUX, *(str(word) for job in alone for word in job)]
    found = subprocess.run(words, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return {(form, name): dict(np.load(path / f"{name}.{form}.npz")) for form, name in product(request.param, NAMES)}


@pytest.mark.filterwarnings("default")  # the exporters' own
@pytest.mark.parametrize("name", NAMES)
def test_the_card_s_lines_give_the_same_probabilities_without_metaux(
    name: str,
    runs: dict[str, Path],
    samples: dict[str, tuple[Path, Array]],
    measured: dict[tuple[str, str], dict[str, Array]],
) -> None:
    class_names, (_, expected) = list(Model.read(runs[name]).hierarchy.class_names), samples[name]
    for found in (own for (_, of), own in measured.items() if of == name):
        assert found["class_names"].tolist() == class_names
        np.testing.assert_allclose(found["all"], expected, atol=1e-5)
        np.testing.assert_allclose(found["one"], expected[:1], atol=1e-5)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("form", "package"), [("torch-export", "torch"), ("onnx", "onnxscript")])
def test_no_path_of_this_machine_is_in_the_file(form: str, package: str, runs: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip(package)
    file = export(runs["image"], form, tmp_path / "exported") / FORMS[form].file
    content = file.read_bytes()
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as packed:
            content = b"".join(packed.read(name) for name in packed.namelist())
    for module in (metaux_package, torch, np):
        assert str(Path(module.__path__[0]).parent).encode() not in content


@pytest.mark.filterwarnings("default")
class TestFolder:
    def test_describes_input_preprocessing_and_classes(self, runs: dict[str, Path], tmp_path: Path) -> None:
        about = {}
        for name in ("image", "table", "text"):
            out = export(runs[name], "safetensors", tmp_path / name)
            about[name] = json.loads((out / "metaux.json").read_text(encoding="utf-8"))
        assert about["image"]["input"]["shape"] == ["n", 1, 16, 16]
        assert about["image"]["backbone"] == "small-cnn"
        assert about["table"]["class_names"] == ["cat", "dog"]
        assert about["table"]["columns"][1] == {
            "name": "colour",
            "kind": "category",
            "categories": ["blue, dark", "red"],
        }
        assert about["table"]["input"]["features"] == ["height", "colour = blue, dark", "colour = red"]
        assert about["text"]["tokens"]["length"] == samples_of(runs["text"]).inputs[0].shape[1]

    def test_the_card_of_texts_makes_their_ids(
        self, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = export(runs["text"], "torch-export", tmp_path / "out")
        monkeypatch.chdir(out)
        variables: dict[str, Any] = {}
        exec(code_of(out)[1], variables)
        known = samples_of(runs["text"]).inputs[0].tolist()
        texts = [f"{word}, the weather; don't worry {n}" for n in range(12) for word in ("sunny", "rainy")]
        assert all(ids in [variables["ids"](text) for text in texts] for ids in known)

    def test_the_card_says_what_was_measured(self, runs: dict[str, Path], tmp_path: Path) -> None:
        out = export(runs["table"], "safetensors", tmp_path / "out")
        text = (out / "README.md").read_text(encoding="utf-8")
        front = yaml.safe_load(text.split("---\n")[1])
        assert front["datasets"] == ["pets"]
        assert front["metrics"] == ["accuracy"]
        assert "license" not in front
        run = Run.read(runs["table"])
        assert f"| accuracy | {100 * run.accuracy:.2f} % [" in text
        assert f"{len(run.output('test_primary'))} test samples of pets" in text
        assert str(tmp_path.parent) not in text

    def test_a_run_that_names_no_versions(self, runs: dict[str, Path], tmp_path: Path) -> None:
        shutil.copytree(runs["table"], tmp_path / "run")
        (tmp_path / "run" / "manifest.json").unlink()
        result = json.loads((tmp_path / "run" / "result.json").read_text("utf-8"))
        del result["versions"]
        (tmp_path / "run" / "result.json").write_text(json.dumps(result))
        text = (export(tmp_path / "run", "safetensors", tmp_path / "out") / "README.md").read_text(encoding="utf-8")
        assert "seed 0.\n" in text

    def test_the_card_says_so_of_validation_samples(self, runs: dict[str, Path], tmp_path: Path) -> None:
        text = (export(runs["validation"], "safetensors", tmp_path / "out") / "README.md").read_text(encoding="utf-8")
        assert "validation samples of pets, by which settings may have been chosen;" in text
        assert "selected nothing" not in text
        assert "test samples" not in text

    def test_the_card_is_one_for_the_hub(self, runs: dict[str, Path], tmp_path: Path) -> None:
        hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub isn't installed")
        out = export(runs["image"], "safetensors", tmp_path / "out")
        card = hub.ModelCard.load(out / "README.md", ignore_metadata_errors=False)
        assert isinstance(card.data, hub.ModelCardData)
        assert card.data.library_name == "metaux"
        assert card.data.pipeline_tag == "image-classification"
        assert card.data.datasets == ["images"]
        assert "auto" not in (card.data.tags or [])

    def test_replaces_an_earlier_export_and_nothing_else(self, runs: dict[str, Path], tmp_path: Path) -> None:
        out = export(runs["table"], "torch-export", tmp_path / "out")
        export(runs["table"], "safetensors", out)
        assert sorted(path.name for path in out.iterdir()) == ["README.md", "metaux.json", "model.safetensors"]
        (out / "notes.txt").write_text("mine")
        before = below(tmp_path)
        result = metaux("export", runs["table"], "--to", "safetensors", "--out", out)
        assert result.code == 2
        assert result.err.startswith("metaux: expected a new folder or one of an earlier export at")
        assert "found notes.txt in it" in result.err
        assert below(tmp_path) == before

    def test_a_failure_leaves_what_was_there(
        self, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = export(runs["table"], "safetensors", tmp_path / "out")
        before = below(tmp_path)
        monkeypatch.setitem(sys.modules, "onnxscript", None)
        result = metaux("export", runs["table"], "--to", "onnx", "--out", out)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert "pip install 'metaux[onnx]'" in result.err
        assert below(tmp_path) == before

    def test_an_interruption_leaves_what_was_there(
        self, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = export(runs["table"], "safetensors", tmp_path / "out")
        before, rename = below(tmp_path), Path.rename

        def interrupted(path: Path, target: Path) -> Path:
            if path.name == "new":
                raise KeyboardInterrupt
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export(runs["table"], "torch-export", out)
        assert below(tmp_path) == before

    def test_a_link_to_a_folder_stays_one(
        self, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "place").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "place")
        export(runs["table"], "safetensors", tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "place" / "README.md").is_file()
        monkeypatch.chdir(tmp_path / "place")
        result = metaux("export", runs["table"], "--to", "safetensors", "--out", ".")
        assert (result.code, "found the current one, '.'" in result.err) == (2, True)

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--to", "pickle"), "Expected one of"),
            ((), "--to {safetensors"),
            (("--to", "onnx", "--out", "{path}/file"), "expected a folder to export to, found the file"),
        ],
    )
    def test_bad_input_is_one_line(
        self, words: tuple[str, ...], said: str, runs: dict[str, Path], tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        result = metaux("export", runs["table"], *(word.format(path=tmp_path) for word in words))
        assert (result.code, result.err.count("\n")) == (2, 1), result
        assert said in result.err

    def test_a_run_that_is_none(self, tmp_path: Path) -> None:
        result = metaux("export", tmp_path, "--to", "onnx")
        assert result.code == 2
        assert "expected the folder of a run" in result.err
