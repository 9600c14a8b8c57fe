"""On a GPU: every label source trains, as it does on processors; a run may change devices."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from metaux.labels.sources import SOURCES
from metaux.metagradient import LookAhead, double_backward, finite_difference, forward_mode
from metaux.runs.launch import run
from metaux.runs.loading import load_once
from metaux.runs.model import Model
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.callbacks import Callback, Training
from metaux.training.checkpoint import Checkpoint
from metaux.training.fabric import Fabric
from metaux.training.learner import Learner, make_learner
from metaux.training.loop import fit, take_step
from small import plan, small_cnn

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def on(device: str, method: str, **changes: object) -> Learner:
    return make_learner(plan(SOURCES[method], **changes), Fabric(accelerator=device, devices=1))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", sorted({*SOURCES} - {"recorded", "shuffled", "shuffled-split"}))
def test_a_source_trains_as_on_processors(method: str) -> None:
    """The first step's loss is the same, but for the rounding of the GPU's products; then both go their ways."""
    losses = []
    for device in ("cpu", "cuda"):
        made = on(device, method, epochs=1)
        totals, count = take_step(made, "train", made.batches.order(0), 0, 1.0)
        losses.append(float(totals[0]) / count)
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    fitted = fit(on("cuda", method, epochs=1))
    assert next(fitted.network.parameters()).device.type == "cuda"
    assert fitted.test_logits.device.type == "cpu"
    assert fitted.test_logits.isfinite().all()


@pytest.mark.parametrize("way", [forward_mode, finite_difference])
def test_meta_gradient_is_exact(way: object) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(small_cnn(), nn.Tanh(), nn.Linear(128, 6)).cuda().double()
    images = torch.rand(20, 1, 8, 8, device="cuda", dtype=torch.double)
    target = torch.rand(20, 6, device="cuda", dtype=torch.double)

    def inner(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (output - target).pow(2).mean() + output.exp().mean()

    def outer(output: torch.Tensor) -> torch.Tensor:
        return output.sin().mean()

    arguments = network, target, (images,), inner, (images,), outer, LookAhead(0.1)
    found, oracle = (make(*arguments).gradient for make in (way, double_backward))  # type: ignore[operator]
    assert float((found - oracle).norm() / oracle.norm()) < (1e-10 if way is forward_mode else 1e-3)


def test_goes_on_from_a_checkpoint_of_either_device(tmp_path: Path) -> None:
    class Interrupt(Callback):
        def on_epoch_end(self, training: Training) -> None:
            raise KeyboardInterrupt

    for first, second in (("cuda", "cpu"), ("cpu", "cuda")):
        begun, gone = on(first, "maxl"), on(second, "maxl")
        place, digest = tmp_path / f"{first}.pt", begun.plan.data.digest
        with pytest.raises(KeyboardInterrupt):
            fit(begun, Checkpoint(place, digest, begun.fabric.device), callbacks=[Interrupt()])
        gone_on = fit(gone, Checkpoint(place, digest, gone.fabric.device))
        whole = fit(on(second, "maxl"))
        assert len(gone_on.records) == 2
        assert gone_on.records[1]["train_loss"] == pytest.approx(whole.records[1]["train_loss"], rel=0.1)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_recorded_run_is_used_on_processors(precision: str, tmp_path: Path) -> None:
    settings = replace(Settings(device="cuda", epochs=1, train_size=300), precision=precision)  # type: ignore[arg-type]
    data = load_once(settings)
    run(Trial(settings, "maxl", 0), data, tmp_path)
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["device"] == torch.cuda.get_device_name()
    few = data.test.take(torch.arange(100))
    logits = Model.read(tmp_path).predict(few).logits
    assert logits.device.type == "cpu"
    assert logits.shape == (100, 10)
