"""The loop: what a seed means, which step follows which, and what is left untouched."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from metaux.errors import InputError, TrainingError
from metaux.labels.base import MetaStep
from metaux.labels.sources import SOURCES
from metaux.training.checkpoint import Checkpoint
from metaux.training.devices import computing
from metaux.training.loop import fit, steps_of, take_step
from metaux.training.primary_loss import balanced
from properties import assert_same_weights, different_weights
from small import digits, learner, trained


def test_another_seed_changes_the_weights() -> None:
    first, second = (trained(SOURCES["single"], epochs=1, seed=seed) for seed in (0, 1))
    assert different_weights(first.network, second.network)


def test_inputs_do_not_depend_on_the_method() -> None:
    """MAXL draws many more numbers; the batches and their augmentation stay those of single task."""

    def seen(method: str) -> list[torch.Tensor]:
        made, images = learner(SOURCES[method], epochs=1), []
        made.network.trunk.register_forward_hook(lambda _, inputs, __: images.append(inputs[0]))
        order = made.batches.order(0)
        for kind, position in steps_of(made, order):
            before = len(images)
            take_step(made, kind, order, position, 1.0)
            del images[before + (kind == "train") :]  # a training step sees its batch first
        return images

    single, maxl = seen("single"), seen("maxl")
    assert len(single) == len(maxl) == 8
    assert all(a.equal(b) for a, b in zip(single, maxl, strict=True))


@pytest.mark.parametrize("protocol", ["iclr", "neurips"])
def test_a_meta_step_leaves_the_network_as_it_was(protocol: str) -> None:
    made = learner(SOURCES["maxl"], protocol)
    made.network.train()
    before = copy.deepcopy(made.network)
    random_state = torch.get_rng_state()
    take_step(made, "meta", made.batches.order(0), 0, 1.0)
    assert_same_weights(made.network, before)
    assert all(parameter.grad is None for parameter in made.network.parameters())
    assert torch.get_rng_state().equal(random_state)


@pytest.mark.parametrize(("protocol", "expected"), [("iclr", "tmtmtm"), ("neurips", "tttmmm"), ("tuned", "ttt")])
def test_order_of_steps_is_the_protocols(protocol: str, expected: str) -> None:
    made = learner(SOURCES["maxl"], protocol, batch_size=67)  # 200 samples in 3 batches
    assert "".join(kind[0] for kind, _ in steps_of(made, made.batches.order(0))) == expected


def test_a_loss_that_is_no_longer_finite_stops_the_run(tmp_path: Path) -> None:
    made = learner(SOURCES["uniform"], learning_rate=1e6, epochs=30)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", made.plan.data.digest)
    with pytest.raises(TrainingError, match=r"training loss became (nan|inf) in epoch \d+; .*smaller learning rate"):
        fit(made, checkpoint)


def test_balanced_class_weights() -> None:
    train = digits().train
    few = train.take(torch.cat([(train.primary == 0).nonzero()[:10, 0], (train.primary == 1).nonzero()[:40, 0]]))
    made = learner(SOURCES["single"], train=few, class_weights=balanced(few.primary, 2), focal_gamma=0.0)
    load, logits = made.batches.train.load, torch.zeros(50, 2)
    each = [made.primary_loss(logits[:1], load(torch.tensor([row]))) for row in (0, 49)]
    assert float(each[0] / each[1]) == pytest.approx(4)
    assert float(made.primary_loss(logits, load(torch.arange(50)))) == pytest.approx(
        torch.log(torch.tensor(2.0)).item()
    )


def test_a_batch_of_one_sample_is_for_networks_that_can_learn_from_one() -> None:
    def batch_norm() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4))

    odd = digits().train.take(torch.arange(51))
    for changes in ({"batch_size": 1}, {"batch_size": 2, "train": odd}):
        with pytest.raises(InputError, match=r"two samples or more .* found one of 1 .*; give a larger batch size"):
            learner(SOURCES["single"], trunk=batch_norm, **changes)
        learner(SOURCES["single"], **changes)
    learner(SOURCES["single"], trunk=batch_norm, batch_size=2)


@pytest.mark.parametrize("name", ["single", "frozen", "maxl", "vector"])
@pytest.mark.parametrize("all_of_it", [False, True])
def test_layers_that_do_not_learn(name: str, all_of_it: bool) -> None:
    """Some of the trunk, as users freeze them, or all of it: a linear probe."""

    def partly_frozen() -> nn.Module:
        trunk = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        (trunk if all_of_it else trunk[1]).requires_grad_(False)
        return trunk

    fitted = trained(SOURCES[name], trunk=partly_frozen, epochs=2)
    assert [record["epoch"] for record in fitted.records] == [1, 2]


def test_too_little_memory_is_told_in_a_line() -> None:
    with pytest.raises(TrainingError, match="too little memory; use a smaller batch size"), computing(1):
        torch.empty(2**55)
    with pytest.raises(RuntimeError, match="shape"), computing(1):
        torch.zeros(2).view(3)


@pytest.mark.parametrize(("part", "told"), [("network", "network"), ("source", "label source")])
@pytest.mark.parametrize("moment", [1, 16])  # the first step of an epoch, and the last
def test_what_is_no_longer_finite_is_never_kept(part: str, told: str, moment: int, tmp_path: Path) -> None:
    made = learner(SOURCES["maxl"], epochs=3)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", made.plan.data.digest)
    step, count = made.source.meta_step, 0
    assert step is not None

    def spoil(given: MetaStep) -> None:
        nonlocal count
        step(given)
        count += 1
        if count == 8 + (moment + 1) // 2:  # in the second epoch
            next(getattr(made, part).parameters()).data.fill_(torch.nan)

    made.source.meta_step = spoil
    with pytest.raises(TrainingError, match=rf"{told} is no longer finite|training loss became nan"):
        fit(made, checkpoint)
    kept = checkpoint.read()
    assert len(kept["records"]) == 1
    assert all(value.isfinite().all() for value in (*kept["network"].values(), *_tensors(kept["source"])))


def _tensors(state: dict[str, object]) -> list[torch.Tensor]:
    return [value for value in state.values() if isinstance(value, torch.Tensor)]
