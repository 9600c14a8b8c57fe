"""Bad input on the command line: status 2, one line that says what to do, no traceback, nothing left behind."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shell import below, done, metaux, write_images, write_table

Make = Callable[[Path], list[Any]]


def _png() -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (8, 8), 128).save(file, "png")
    return file.getvalue()


PNG: bytes = _png()
SHORT = ("--epochs", 1, "--backbone", "mlp")


def refused(words: list[Any], where: Path) -> str:
    """Call a command that has to be refused; returns its one line."""
    before = below(where)
    result = metaux(*words)
    assert result.code == 2, result
    assert result.err.startswith("metaux: "), result.err
    assert result.err.count("\n") == 1, result.err
    assert "Traceback" not in result.out + result.err
    assert below(where) == before
    return result.err


def table(path: Path, *options: Any) -> list[Any]:
    return ["train", write_table(path / "t.npz"), *SHORT, *options, "--out", path / "out"]


def arrays(path: Path, **changes: Any) -> list[Any]:
    """Train on a good table of which some arrays have been changed."""
    with np.load(write_table(path / "t.npz")) as good:
        np.savez(path / "t.npz", **{**good, **changes})
    return ["train", path / "t.npz", *SHORT, "--out", path / "out"]


def changed(path: Path, value: float) -> list[Any]:
    x = np.ones((60, 4))
    x[7, 2] = value
    return arrays(path, x=x)


def images(path: Path, *options: Any, **how: Any) -> list[Any]:
    return ["train", write_images(path / "images", **how), "--epochs", 1, *options, "--out", path / "out"]


def with_file(path: Path, name: str, content: bytes) -> list[Any]:
    words = images(path)
    (path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
    (path / "images" / name).write_bytes(content)
    return words


def hierarchy(path: Path, text: str) -> list[Any]:
    (path / "h.csv").write_text(text)
    return table(path, "--hierarchy", path / "h.csv")


def config(path: Path, text: str) -> list[Any]:
    (path / "c.yaml").write_text(text)
    return table(path, "--config", path / "c.yaml")


def folder(path: Path, *files: str) -> Path:
    path.mkdir(parents=True)
    for name in files:
        (path / name).write_text("something")
    return path


DATA: dict[str, tuple[Make, str]] = {
    "missing folder": (lambda p: ["train", p / "nothing"], "nothing there"),
    "missing folder, with a slash": (lambda p: ["train", f"{p}/nothing/"], "nothing there"),
    "name almost known": (lambda p: ["train", "digit"], "did you mean 'digits'"),
    "empty folder": (lambda p: ["train", folder(p / "empty")], "an empty folder"),
    "loose images": (lambda p: ["train", write_images(p / "i") / "cat"], "images without a class"),
    "empty class": (lambda p: with_file(p, "emu/notes.txt", b""), "expected images in the class folder"),
    "one class": (lambda p: images(p, classes=("cat",)), "expected two classes or more"),
    "class with one image": (lambda p: with_file(p, "emu/0.png", PNG), "two training samples or more of every class"),
    "not an image": (lambda p: with_file(p, "cat/x.png", b"not one"), "expected an image"),
    "image cut off": (lambda p: with_file(p, "cat/x.png", PNG[:-30]), "expected an image"),
    "NaN": (lambda p: changed(p, np.nan), "found nan in row 7, column 2"),
    "infinity": (lambda p: changed(p, -np.inf), "found -inf in row 7, column 2"),
    "objects in the npz": (lambda p: arrays(p, x=np.array([{}] * 60)), "plain number or string arrays"),
    "npz without y": (lambda p: ["train", _save(p / "t.npz", x=np.ones((9, 2)))], "add 'y'"),
    "not an npz": (lambda p: ["train", folder(p / "f", "t.npz") / "t.npz"], "expected an .npz file"),
    "test images of another size": (
        lambda p: arrays(p, x=np.zeros((60, 8, 8)), x_test=np.zeros((2, 9, 9)), y_test=np.array(["cat", "dog"])),
        "make them alike",
    ),
    "labels outside the hierarchy": (lambda p: hierarchy(p, "kind,pet\na,cat\na,emu\n"), "found 'dog' outside"),
    "class twice in the hierarchy": (lambda p: hierarchy(p, "kind,pet\na,cat\nb,cat\na,dog\n"), "found 'cat'"),
    "no hierarchy file": (lambda p: table(p, "--hierarchy", p / "h.csv"), "expected a hierarchy file"),
    "unknown level": (lambda p: table(p, "--primary", "kind"), "unknown level 'kind'"),
    "psi 0": (lambda p: table(p, "--subclasses", 0), "each at least 1, found 0"),
    "psi for three of two classes": (lambda p: table(p, "--subclasses", 2, 2, 2), "one for each of the 2 classes"),
    "too few for k-means": (lambda p: table(p, "--method", "kmeans", "--subclasses", 99), "too few for 99 clusters"),
    "human without finer labels": (lambda p: table(p, "--method", "human"), "needs finer labels"),
    "vgg16 on small images": (lambda p: images(p, "--backbone", "vgg16"), "at least 32 x 32 pixels"),
    "image backbone on a table": (lambda p: table(p, "--backbone", "conv4"), "takes images"),
    "library backbone on small images": (
        lambda p: images(p, "--backbone", "torchvision:alexnet"),
        "raise --image-size, for example to 224",
    ),
    "library backbone on a table": (lambda p: table(p, "--backbone", "timm:test_vit"), "use mlp"),
    "crops of a table": (lambda p: table(p, "--augment", "crop"), "expected images for the augmentation crop"),
    "image size of a table": (lambda p: table(p, "--image-size", 8), "expected images, found"),
}

WORDS: dict[str, tuple[Make, str]] = {
    "method": (lambda p: table(p, "--method", "maxx"), "did you mean 'maxl'"),
    "methods": (lambda p: ["compare", "--methods", "single", "maxx", "--out", p / "out"], "did you mean 'maxl'"),
    "backbone": (lambda p: table(p, "--backbone", "vgg"), "did you mean 'vgg16'"),
    "backbone of torchvision": (lambda p: table(p, "--backbone", "torchvision:resnet81"), "did you mean 'resnet18'?"),
    "backbone of timm": (lambda p: table(p, "--backbone", "timm:test_vits"), "did you mean 'test_vit'?"),
    "backbone that detects": (
        lambda p: table(p, "--backbone", "torchvision:retinanet_resnet50_fpn"),
        "which is for another task",
    ),
    "pretrained backbone of ours": (
        lambda p: table(p, "--backbone", "small-cnn", "--pretrained"),
        "found small-cnn, which has none",
    ),
    "protocol": (lambda p: table(p, "--protocol", "tunde"), "did you mean 'tuned'"),
    "device": (lambda p: table(p, "--device", "gpu"), "unknown device 'gpu'"),
    "device that is not there": (lambda p: table(p, "--device", "cuda:99"), "not on this machine"),
    "augment": (lambda p: table(p, "--augment", "flip"), "Expected one of ('auto', 'none'"),
    "split control without a split": (lambda p: table(p, "--method", "single-split"), "take the protocol iclr"),
    "option": (lambda p: table(p, "--epohcs", 3), "did you mean '--epochs'?"),
    "two sets of data": (lambda p: ["train", "digits", "mnist"], "mnist"),
    "command": (lambda p: ["trian"], "unknown command 'trian'"),
    **{
        f"{name} {value}": (
            lambda p, name=name, value=value: ["compare", *table(p)[1:], f"--{name}", value],  # type: ignore[misc]
            f"--{name}: expected a whole number{', or auto' * (name == 'epochs')}, found 'x'"
            if value == "x"
            else str(value),
        )
        for name in ("epochs", "seeds", "jobs", "threads", "processes", "train-size", "image-size", "batch-size")
        for value in (-1, "x", *((0,) if name not in ("jobs", "image-size") else ()))
    },
    "jobs of several processes": (
        lambda p: ["compare", *table(p)[1:], "--jobs", 2, "--processes", 2],
        "found --jobs 2 and --processes 2",
    ),
    "seed": (lambda p: table(p, "--seed", -1), "expected a seed of 0 or more"),
    "learning rate": (lambda p: table(p, "--learning-rate", -1), "learning_rate"),
    "learning rate nan": (lambda p: table(p, "--learning-rate", "nan"), "learning_rate"),
    "focal gamma": (lambda p: table(p, "--focal-gamma", 0.5), "0 or at least 1"),
    "value missing": (lambda p: [*table(p), "--seed"], "Missing value for argument '--seed'"),
    "config missing": (lambda p: table(p, "--config", p / "no.yaml"), "found nothing at"),
    "config without a file": (lambda p: [*table(p), "--config"], "Missing value for argument '--config'"),
    "config that is no YAML": (lambda p: config(p, "a: [1"), "expected a YAML file of settings"),
    "config of another kind": (lambda p: config(p, "- 1"), "found list"),
    "config with an unknown key": (lambda p: config(p, "epocs: 3"), "did you mean 'epochs'?"),
    "config with a wrong type": (lambda p: config(p, "epochs: many"), "expected epochs to be a whole number"),
    "features of no run": (lambda p: table(p, "--features", p / "no"), "expected the folder of a run"),
}

FOLDERS: dict[str, tuple[Make, str]] = {
    "out with something else": (
        lambda p: [*table(p)[:-1], folder(p / "other", "notes.txt")],
        "expected a new folder or one of earlier runs",
    ),
    "out with other settings of ours": (
        lambda p: [*table(p)[:-1], _settings(p / "other", "colour: blue")],
        "expected known settings",
    ),
    "out is a file": (lambda p: [*table(p)[:-1], folder(p / "f", "x") / "x"], "Not a directory"),
    "out below a file": (lambda p: [*table(p)[:-1], folder(p / "f", "x") / "x" / "y"], "Not a directory"),
    "out that can't be written": (lambda p: [*table(p)[:-1], "/proc/out"], "can be written to at '/proc'"),
    "out of too long a name": (lambda p: [*table(p)[:-1], p / ("x" * 300)], "File name too long"),
    "out through links in a circle": (lambda p: [*table(p)[:-1], _circle(p) / "out"], "can't be (Too many levels of"),
    "out that is a link to nothing": (lambda p: [*table(p)[:-1], _link(p / "l", p / "gone" / "o")], "No such file"),
    "compare's out that can't be written": (lambda p: ["compare", "--out", "/proc/out"], "can be written to"),
    "no run to predict with": (lambda p: ["predict", p / "no", p], "expected the folder of a run"),
    "no run to evaluate": (lambda p: ["evaluate", folder(p / "empty")], "expected the folder of a run"),
    "no run to take labels of": (lambda p: ["labels", p / "no"], "expected the folder of a run"),
}


def _link(path: Path, to: Path) -> Path:
    path.symlink_to(to)
    return path


def _circle(path: Path) -> Path:
    return _link(path / "circle", path / "circle")


def _save(path: Path, **content: Any) -> Path:
    np.savez(path, **content)
    return path


def _settings(path: Path, text: str) -> Path:
    folder(path)
    (path / "settings.yaml").write_text(text)
    return path


@pytest.mark.parametrize("name", DATA)
def test_data(name: str, tmp_path: Path) -> None:
    make, message = DATA[name]
    words = make(tmp_path)
    if "--out" not in words:
        words += ["--out", tmp_path / "out"]
    assert message in refused(words, tmp_path)


@pytest.mark.parametrize("name", WORDS)
def test_words(name: str, tmp_path: Path) -> None:
    make, message = WORDS[name]
    words = make(tmp_path)
    said = refused(words, tmp_path)
    assert message in said, said


@pytest.mark.parametrize("name", FOLDERS)
def test_folders(name: str, tmp_path: Path) -> None:
    make, message = FOLDERS[name]
    words = make(tmp_path)
    assert message in refused(words, tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained")
    done("train", write_images(path / "images"), "--method", "maxl", "--epochs", 1, "--out", path / "run")
    return path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A run as earlier releases made them, without digests: what they would say first is not what is tested here."""
    shutil.copytree(trained / "run", tmp_path / "run")
    (tmp_path / "run" / "manifest.json").unlink()
    return tmp_path / "run"


class TestDamagedRuns:
    @pytest.mark.parametrize("command", ["predict", "evaluate"])
    @pytest.mark.parametrize("content", [b"", b"not safetensors at all", "half"])
    def test_weights(self, command: str, content: bytes | str, run: Path, trained: Path, tmp_path: Path) -> None:
        file = run / "weights.safetensors"
        whole = file.read_bytes()
        file.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
        assert "cut off, or not safetensors" in refused([command, run, trained / "images"], tmp_path)

    @pytest.mark.parametrize("name", ["outputs.safetensors", "records.jsonl", "settings.yaml", "result.json"])
    def test_other_files(self, name: str, run: Path, tmp_path: Path) -> None:
        (run / name).write_bytes((run / name).read_bytes()[:7])
        refused(["evaluate", run], tmp_path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
    @pytest.mark.parametrize("name", ["weights.safetensors", "outputs.safetensors", "records.jsonl", "manifest.json"])
    def test_a_named_pipe_is_refused_and_not_waited_for(self, name: str, run: Path, tmp_path: Path) -> None:
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)
        assert name in refused(["evaluate", run], tmp_path)

    def test_result_of_another_version(self, run: Path, trained: Path, tmp_path: Path) -> None:
        result = json.loads((run / "result.json").read_text())
        del result["model"]
        (run / "result.json").write_text(json.dumps(result))
        for command in ("predict", "evaluate", "labels"):
            more = [trained / "images"] if command == "predict" else []
            assert "found a result without its description" in refused([command, run, *more], tmp_path)

    def test_weights_of_another_network(self, run: Path, tmp_path: Path) -> None:
        text = (run / "settings.yaml").read_text().replace("backbone: auto", "backbone: mlp")
        (run / "settings.yaml").write_text(text)
        assert "found weights of another network" in refused(["evaluate", run], tmp_path)

    def test_unfinished(self, run: Path, trained: Path, tmp_path: Path) -> None:
        (run / "result.json").unlink()
        assert "repeat the command" in refused(["predict", run, trained / "images"], tmp_path)

    def test_checkpoint_that_is_a_pickle_with_code(self, run: Path, trained: Path, tmp_path: Path) -> None:
        import torch

        (run / "result.json").unlink()
        torch.save({"network": Bomb(tmp_path / "exploded")}, run / "checkpoint.pt")
        said = metaux("train", trained / "images", "--method", "maxl", "--epochs", 1, "--out", run)
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert "expected this run's checkpoint" in said.err
        assert not (tmp_path / "exploded").exists()

    def test_npz_that_is_a_pickle_with_code(self, tmp_path: Path) -> None:
        words = arrays(tmp_path, y=np.array([Bomb(tmp_path / "exploded")] * 60))
        assert "plain number or string arrays" in refused(words, tmp_path)
        assert not (tmp_path / "exploded").exists()


class Bomb:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


class TestPredicting:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda p: [], "expected image files, folders of images, one .npz or one CSV file, found none"),
            (lambda p: [p / "no.png"], "found nothing at"),
            (lambda p: [folder(p / "empty")], "expected images in the folder"),
            (lambda p: [folder(p / "texts", "a.png") / "a.png"], "expected an image"),
            (lambda p: [write_table(p / "t.npz")], "expected"),
            (lambda p: [p / "no.npz"], "expected an .npz file"),
        ],
    )
    def test_inputs(self, make: Callable[[Path], list[Path]], message: str, trained: Path, tmp_path: Path) -> None:
        inputs = make(tmp_path)
        out = ["--out", tmp_path / "out.csv"]
        assert message in refused(["predict", trained / "run", *inputs, *out], tmp_path)

    def test_out_that_is_a_folder(self, trained: Path, tmp_path: Path) -> None:
        said = refused(["predict", trained / "run", trained / "images", "--out", tmp_path], tmp_path)
        assert "expected a file to write to" in said

    def test_other_classes(self, trained: Path, tmp_path: Path) -> None:
        other = write_images(tmp_path / "other", ("emu", "dog"))
        assert "found 'emu'" in refused(["evaluate", trained / "run", other], tmp_path)

    def test_labels_of_a_run_without_any(self, tmp_path: Path) -> None:
        done(*table(tmp_path, "--method", "single"))
        assert "found method single, which has none" in refused(["labels", tmp_path / "out"], tmp_path)

    def test_features_of_a_run_on_other_data(self, trained: Path, tmp_path: Path) -> None:
        said = refused(table(tmp_path, "--method", "kmeans", "--features", trained / "run"), tmp_path)
        assert "expected --features of a run on tables of 4 columns, found one on images of 8x8" in said


def test_images_that_differ_are_made_alike_with_a_notice(tmp_path: Path) -> None:
    from PIL import Image

    words = images(tmp_path, "--method", "single")
    write_images(tmp_path / "images", count=2, size=12)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "images" / "cat" / "9.png")
    said = " ".join(done(*words).split())
    assert "13 of 13 images were resized to 32x32 pixels because their sizes differ (8x8 to 12x12)" in said
    assert "12 of 13 images are greyscale and were turned into RGB" in said


def test_from_a_shell(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "metaux", "compare", "--seeds", "0"]
    found = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (2, "", 1)
    assert found.stderr.startswith("metaux: expected")
    assert list(tmp_path.iterdir()) == []
