"""Four rotated views: what is learned from them, how they are averaged, and what can't be rotated."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from metaux import Hierarchy, InputError
from metaux.data.samples import Samples
from metaux.labels.base import Batch
from metaux.labels.rotation import Rotation
from metaux.labels.sources import SOURCES
from metaux.networks.multitask import MultiTaskNetwork, Outputs
from metaux.protocols import TUNED
from metaux.runs.loading import load_once
from metaux.runs.model import Model
from metaux.runs.record import Run
from metaux.settings import Settings
from metaux.training.loop import take_step
from metaux.training.step import multi_task_losses
from properties import assert_same_weights
from shell import done, metaux, write_images, write_table
from small import digits, learner, trained

VIEWS = [torch.tensor([[0.0, 1.0], [2.0, 3.0]]).rot90(turns) for turns in range(4)]


class Corners(nn.Module):
    """A trunk whose features are the four pixels of an image of 2 x 2."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def network(outputs: int) -> MultiTaskNetwork:
    torch.manual_seed(0)
    return MultiTaskNetwork(Corners(), nn.Linear(4, 2), nn.Linear(4, outputs))


def batch() -> Batch:
    return Batch((torch.stack([VIEWS[0], 2 * VIEWS[0]]).unsqueeze(1),), torch.tensor([1, 0]), torch.arange(2))


def test_the_views_are_the_image_turned_four_times() -> None:
    views = learner(SOURCES["rotation"]).batches.in_views(batch())
    expected = [factor * view for view in VIEWS for factor in (1, 2)]
    assert views.inputs[0].squeeze(1).equal(torch.stack(expected))
    assert views.primary.tolist() == [1, 0] * 4
    assert views.index.tolist() == [0, 1] * 4
    assert views.kind is not None
    assert views.kind.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert views.own == 2


def test_the_loss_is_the_mean_over_the_views_of_class_and_rotation() -> None:
    source, net = Rotation(Hierarchy([2, 2]), TUNED), network(8)
    output, primary, auxiliary = multi_task_losses(
        net,
        source,
        source.views(batch())._replace(own=2),
        lambda output, batch: functional.cross_entropy(output, batch.primary),
    )
    assert output.shape == (2, 2)
    assert auxiliary is not None
    torch.testing.assert_close(output, net(batch().inputs[0]).primary)
    by_hand = []
    for place, class_ in enumerate((1, 0)):
        for turns in range(4):
            logits = net.auxiliary_head((place + 1) * VIEWS[turns].flatten())  # type: ignore[misc]
            by_hand.append(-logits.log_softmax(-1)[4 * class_ + turns])
    torch.testing.assert_close(auxiliary, torch.stack(by_hand).mean())
    torch.testing.assert_close(primary, functional.cross_entropy(output, torch.tensor([1, 0])))


def test_the_prediction_averages_what_each_view_says_of_its_own_rotation() -> None:
    net = network(8)
    found = Rotation(Hierarchy([2, 2]), TUNED).mean_of_views(net, batch().inputs)
    logits = [net.auxiliary_head(view.flatten()) for view in VIEWS]  # type: ignore[misc]
    expected = [sum(logits[turns][4 * class_ + turns] for turns in range(4)) / 4 for class_ in range(2)]
    torch.testing.assert_close(found[0], torch.stack(expected))


def test_the_control_averages_what_each_view_says_of_the_class() -> None:
    net = network(2)
    control = Rotation(Hierarchy([2, 2]), TUNED, joint=False)
    found = control.mean_of_views(net, batch().inputs)
    torch.testing.assert_close(
        found[0],
        torch.stack([net.auxiliary_head(view.flatten()) for view in VIEWS]).mean(0),  # type: ignore[misc]
    )
    # turned images have the same views, so the control can't tell them apart
    turned = control.mean_of_views(net, (batch().inputs[0].rot90(1, (-2, -1)),))
    torch.testing.assert_close(found, turned)


def test_one_view_is_another_prediction_of_the_same_network() -> None:
    averaged, single = (trained(SOURCES[name]) for name in ("rotation", "rotation-single"))
    assert_same_weights(averaged.network, single.network)
    test = digits().test.inputs[0].float() / 255 - 0.3
    outputs: Outputs = single.network.eval()(test)
    torch.testing.assert_close(single.test_logits, outputs.primary)
    assert not averaged.test_logits.argmax(-1).equal(single.test_logits.argmax(-1))


@pytest.mark.parametrize("joint", [True, False])
def test_the_head_learns_what_the_views_say_together(joint: bool) -> None:
    source, net = Rotation(Hierarchy([2, 2]), TUNED, joint=joint, prediction="distilled"), network(8 if joint else 2)
    views, together = source.views(batch())._replace(own=2), source.mean_of_views(net, batch().inputs).softmax(-1)
    _, _, auxiliary = multi_task_losses(net, source, views, lambda output, _: output.sum())
    _, _, without = multi_task_losses(
        net, Rotation(source.hierarchy, TUNED, joint), views, lambda output, _: output.sum()
    )
    assert auxiliary is not None
    assert without is not None
    said = -(together.detach() * net(batch().inputs[0]).primary.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(auxiliary - without, said)
    (gradient,) = torch.autograd.grad(auxiliary - without, net.auxiliary_head.weight, allow_unused=True)  # type: ignore[union-attr,arg-type]
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))
    assert source.predict is None


@pytest.mark.parametrize("change", [{"views": "apart"}, {"mix": "mixup"}])
def test_a_step_that_does_not_see_all_views_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"expected .* say .*together, found .*; leave one of them out"):
        SOURCES["rotation-distilled"](Hierarchy([2, 2]), TUNED).check_recipe(replace(TUNED, **change))


def test_the_unrotated_image_passes_the_network_once() -> None:
    made, seen = learner(SOURCES["rotation"]), []
    made.network.trunk.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    take_step(made, "train", made.batches.order(0), 0, 1.0)
    assert seen == [100]


@pytest.mark.parametrize(
    ("shape", "found"), [((200, 1, 8, 4), "1x8x4"), ((200, 64), "64"), ((200, 1, 2, 8, 8), "1x2x8x8")]
)
def test_refuses_what_is_no_square_image(shape: tuple[int, ...], found: str) -> None:
    train = digits().train
    other = Samples((torch.zeros(shape),), train.primary)
    with pytest.raises(InputError, match=f"expected square images .* found samples of {found}; give"):
        learner(SOURCES["rotation"], train=other, augment=None, trunk=nn.Flatten)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rotation")
    images = write_images(path / "images", count=10)
    done("train", images, "--method", "rotation", "--epochs", 2, "--out", path / "run")
    return path


def test_a_run_predicts_and_evaluates_by_all_views(folder: Path) -> None:
    run = Run.read(folder / "run")
    test = load_once(Settings(data=str(folder / "images"))).test
    model = Model.read(folder / "run")
    logits, subclasses = model.predict(test)
    assert subclasses is None
    assert torch.from_numpy(run.output("test_probabilities")).equal(logits.softmax(-1))
    single = replace(model, source=SOURCES["single"](model.hierarchy, TUNED)).predict(test).logits
    assert not torch.allclose(single, logits)
    assert f"{100 * run.accuracy:.2f} %" in done("evaluate", folder / "run")
    rows = done("predict", folder / "run", folder / "images").splitlines()[1:]
    assert len(rows) == 20
    assert all(row.endswith(",") for row in rows)


def test_a_run_is_exported_with_its_views(folder: Path) -> None:
    test = load_once(Settings(data=str(folder / "images"))).test
    expected = Model.read(folder / "run").predict(test).logits.softmax(-1)
    done("export", folder / "run", "--to", "torch-export", "--out", folder / "exported")
    network = torch.export.load(folder / "exported" / "model.pt2").module()
    torch.testing.assert_close(network(test.inputs[0]), expected, atol=1e-5, rtol=0)


def test_weights_alone_hold_no_views(folder: Path) -> None:
    result = metaux("export", folder / "run", "--to", "safetensors")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "give --to torch-export or --to onnx" in result.err
    assert not (folder / "run" / "safetensors").exists()


def test_refuses_a_table(tmp_path: Path) -> None:
    result = metaux("train", write_table(tmp_path / "t.npz"), "--method", "rotation", "--out", tmp_path / "out")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "found samples of 4;" in result.err
    assert not (tmp_path / "out").exists()


def test_shuffled_rotations_are_fixed_and_say_nothing_of_the_view() -> None:
    made = learner(SOURCES["rotation-shuffled"])
    rows = torch.arange(200)
    batch = made.batches.train.load(rows)
    assert made.source.views is not None
    views = made.source.views(batch)
    first, again = (made.source.auxiliary(views) for _ in range(2))
    assert first is not None
    assert again is not None
    assert first.target.equal(again.target)
    class_, turns = first.target // 4, (first.target % 4).view(4, 200)
    assert class_.equal(batch.primary.repeat(4))
    assert turns.sort(0).values.equal(torch.arange(4).unsqueeze(-1).expand(4, 200))
    for step in range(1, 4):  # and one view's label says nothing of another's, but that it is not the same
        assert 0.2 < (((turns[1] - turns[0]) % 4) == step).float().mean() < 0.47
    right = (turns == torch.arange(4).unsqueeze(-1)).float().mean()
    assert 0.15 < right < 0.35
