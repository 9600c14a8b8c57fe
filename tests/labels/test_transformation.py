"""Class x transformation: what is done to an image is what its label says, and what the controls leave out."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from metaux import Hierarchy, InputError
from metaux.data.samples import Samples
from metaux.labels.base import Batch, Preparation
from metaux.labels.sources import SOURCES
from metaux.labels.transformation import Change, Transformation, transformations
from metaux.networks.multitask import MultiTaskNetwork, Outputs
from metaux.protocols import TUNED
from metaux.runs.model import Model
from metaux.runs.record import Run
from metaux.training.batches import one_view_each
from metaux.training.loop import fit
from metaux.training.step import multi_task_losses
from shell import done, metaux, write_images, write_table
from small import digits, learner


def prepared(name: str, images: Tensor, primary: Tensor) -> Transformation:
    """Return the source for these images."""
    source = SOURCES[name](Hierarchy([2, 2]), TUNED)

    def missing(*_: object) -> object:
        raise AssertionError("not needed")

    samples = Samples((images,), primary)
    source.prepare(Preparation(samples, None, *[missing] * 6, 0, torch.device("cpu")))  # type: ignore[call-arg, arg-type]
    assert isinstance(source, Transformation)
    return source


def cross_entropy(output: Tensor, batch: Batch) -> Tensor:
    return functional.cross_entropy(output, batch.primary)


def batch(count: int = 400, side: int = 8) -> Batch:
    images = torch.rand(count, 3, side, side, generator=torch.manual_seed(0))
    return Batch((images,), torch.arange(count) % 2, torch.arange(count))


def test_each_view_is_what_its_label_says() -> None:
    given = batch()
    source = prepared("transformation", given.inputs[0], given.primary)
    views = source.views(given)
    groups: list[dict[str, Change]] = [{"as it is": torch.clone}, *transformations(3, 8, 8)]
    target = source.auxiliary(views).target
    assert len(target) == 400 * len(groups)
    assert len(source.auxiliary_names) == 2 * sum(map(len, groups))
    for number, changes in enumerate(groups):
        seen = []
        for row in range(400):
            class_, _, kind = source.auxiliary_names[int(target[400 * number + row])].partition(", ")
            expected = changes[kind](given.inputs[0][row : row + 1])[0]
            assert views.inputs[0][400 * number + row].equal(expected)
            assert class_ == str(int(given.primary[row]))
            seen.append(kind)
        for kind in changes:
            assert abs(seen.count(kind) / 400 - 1 / len(changes)) < 0.08


def test_the_channels_of_grey_images_stay_in_order() -> None:
    given = batch(4)
    grey = given.inputs[0][:, :1].expand(-1, 3, -1, -1)
    assert len(prepared("transformation", grey, given.primary).groups) == 2
    assert len(prepared("transformation", given.inputs[0], given.primary).groups) == 3


def test_what_can_be_done_to_images() -> None:
    image = torch.arange(48.0).view(1, 3, 4, 4)
    turns, orders, parts = transformations(3, 4, 4)
    assert turns["turned by 180 degrees"](image).equal(image.flip(-1, -2))
    assert turns["turned by 90 degrees"](image)[0, 0, 0].tolist() == [3, 7, 11, 15]
    assert orders["channels 2 3 1"](image)[0, :, 0, 0].tolist() == [16, 32, 0]
    corner = parts["lower right part"](torch.zeros(1, 3, 4, 4).index_fill(-1, torch.tensor([3]), 1))
    assert corner[..., -1].eq(1).all()
    assert corner[..., 0].eq(0).all()
    assert list(transformations(1, 4, 6)[0]) == ["turned by 180 degrees"]
    assert [len(group) for group in transformations(1, 4, 6)] == [1, 4]
    for group in transformations(3, 1, 6):
        for change in group.values():
            assert change(torch.rand(2, 3, 1, 6)).shape == (2, 3, 1, 6)


def test_the_loss_is_the_mean_over_the_views_of_class_and_kind() -> None:
    given = batch(6, 4)
    source = prepared("transformation", given.inputs[0], given.primary)
    torch.manual_seed(1)
    network = MultiTaskNetwork(nn.Flatten(), nn.Linear(48, 2), source.auxiliary_head(48))
    views = source.views(given)._replace(own=6)
    output, primary, auxiliary = multi_task_losses(network, source, views, cross_entropy)
    by_hand: Outputs = network(*views.inputs)
    assert by_hand.auxiliary is not None
    assert auxiliary is not None
    torch.testing.assert_close(auxiliary, functional.cross_entropy(by_hand.auxiliary, source.auxiliary(views).target))
    torch.testing.assert_close(output, network(given.inputs[0]).primary)
    torch.testing.assert_close(primary, functional.cross_entropy(output, given.primary))


def test_one_view_of_each_image_with_those_as_they_are_first() -> None:
    given = batch(10)
    source = prepared("transformation", given.inputs[0], given.primary)
    seen = source.views(given)
    views = torch.tensor([3, 0, 1, 1, 2, 0, 3, 2, 0, 1])
    one = one_view_each(seen, views)
    assert one.index.sort().values.equal(given.index)
    assert one.index[:3].tolist() == [1, 5, 8]
    assert one.unchanged().inputs[0].equal(given.inputs[0][[1, 5, 8]])
    assert one.unchanged().primary.equal(given.primary[[1, 5, 8]])
    names = source.auxiliary(seen).target
    for place, target in enumerate(source.auxiliary(one).target):
        row = int(one.index[place])
        there = 10 * int(views[row]) + row
        assert one.inputs[0][place].equal(seen.inputs[0][there])
        assert target == names[there]


def test_a_step_without_an_image_as_it_is_learns_the_auxiliary_task_alone() -> None:
    given = batch(3, 4)
    source = prepared("transformation", given.inputs[0], given.primary)
    network = MultiTaskNetwork(nn.Flatten(), nn.Linear(48, 2), source.auxiliary_head(48))
    changed = one_view_each(source.views(given), torch.tensor([1, 2, 3]))
    output, primary, auxiliary = multi_task_losses(network, source, changed, cross_entropy)
    assert output.shape == (0, 2)
    assert primary.item() == 0
    assert auxiliary is not None
    assert auxiliary > 0


@pytest.mark.parametrize(("name", "count"), [("transformation", 3), ("rotation", 4)])
def test_views_apart_are_as_many_times_the_steps_and_every_sample_counts_once(name: str, count: int) -> None:
    for views, steps in (("together", 8), ("apart", 8 * count)):  # 200 samples in batches of 25
        made = learner(SOURCES[name], epochs=1, views=views)
        fitted = fit(made)
        seen = {int(buffer) for key, buffer in made.network.named_buffers() if key.endswith("num_batches_tracked")}
        assert seen == {steps}
        right = 200 * fitted.records[0]["train_accuracy"]
        assert right == pytest.approx(round(right))
        assert 0 < right <= 200


def test_the_control_names_the_class_alone_and_the_other_names_kinds_at_random() -> None:
    given = batch()
    source = prepared("transformation-shuffled", given.inputs[0], given.primary)
    views = source.views(given)
    first, again = source.auxiliary(views).target, source.auxiliary(views).target
    assert first.equal(again)
    assert views.kind is not None
    assert (first // 13).equal(views.primary)
    names, kind = first % 13, views.kind
    shares = [kinds.bincount(minlength=13) / len(kind) for kinds in (kind, names)]
    torch.testing.assert_close(*shares, atol=0.05, rtol=0)
    by_chance = float(shares[0].square().sum())
    assert abs(float((names == kind).float().mean()) - by_chance) < 0.05
    made = learner(SOURCES["transformed"])
    some = made.batches.train.load(torch.arange(10))
    assert made.source.views is not None
    task = made.source.auxiliary(made.source.views(some))
    assert task is not None
    assert task.target.equal(some.primary.repeat(3))
    assert made.source.auxiliary_names == made.source.hierarchy.class_names


@pytest.mark.parametrize(("shape", "found"), [((200, 64), "64"), ((200, 1, 2, 8, 8), "1x2x8x8")])
def test_refuses_what_is_no_image(shape: tuple[int, ...], found: str) -> None:
    other = Samples((torch.zeros(shape),), digits().train.primary)
    with pytest.raises(InputError, match=f"expected images .* found samples of {found}; leave"):
        learner(SOURCES["transformation"], train=other, augment=None, trunk=nn.Flatten)


def test_a_table_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    result = metaux("train", write_table(tmp_path / "t.npz"), "--method", "transformation", "--out", tmp_path / "out")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "found samples of 4;" in result.err
    assert not (tmp_path / "out").exists()


def test_a_run_says_what_its_outputs_are_and_can_be_read_back(tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", count=10)
    done("train", images, "--method", "transformation", "--epochs", 2, "--out", tmp_path / "run")
    run = Run.read(tmp_path / "run")
    names = run.result["model"]["auxiliary_names"]
    kinds = 1 + sum(map(len, transformations(*run.result["model"]["shape"])))
    assert len(names) == kinds * 2
    assert names[:2] == ["cat, as it is", "cat, turned by 90 degrees"]
    model = Model.read(tmp_path / "run")
    assert model.source.auxiliary_names == tuple(names)
    assert "accuracy" in done("evaluate", tmp_path / "run", images)


def test_colour_is_looked_for_in_all_of_the_data() -> None:
    """Classes may stand one after another, and the grey ones first."""
    grey = torch.randint(0, 256, (1500, 1, 6, 6), dtype=torch.uint8).expand(-1, 3, -1, -1)
    colour = torch.randint(0, 256, (500, 3, 6, 6), dtype=torch.uint8)
    source = Transformation(Hierarchy([2, 2]), TUNED)
    samples = Samples((torch.cat([grey, colour]),), torch.arange(2000) % 2)
    source.prepare(SimpleNamespace(samples=samples))  # type: ignore[arg-type]
    assert len(source.groups) == 3
