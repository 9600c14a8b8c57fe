"""Teachers: their losses, their labels, and labels by teachers that never saw the sample."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor, nn

from metaux import Hierarchy
from metaux.errors import TrainingError
from metaux.labels.base import Batch, BatchLoss, LabelSource, MakeSource, Preparation
from metaux.labels.distilled import class_loss, spread_loss
from metaux.labels.matching import cross_fitted, matched
from metaux.labels.sources import SOURCES
from metaux.networks.backbones import mlp
from metaux.protocols import Protocol
from metaux.rng import generator
from metaux.training.fabric import Fabric
from metaux.training.generated_labels import human_agreement, training_labels
from metaux.training.learner import make_learner
from metaux.training.optimizer import make_optimizer
from metaux.training.timing import time_run
from small import digits, human_labels, learner, plan

HIERARCHY = Hierarchy([2, 3])


def test_the_class_loss_is_that_of_summed_probabilities() -> None:
    logits = torch.tensor([[1.0, -1.0, 0.5, 2.0, 0.0], [0.0, 3.0, 1.0, 1.0, -2.0]])
    p = logits.softmax(-1)
    by_hand = -(p[0, 2:].sum().log() + p[1, :2].sum().log()) / 2
    torch.testing.assert_close(class_loss(logits, torch.tensor([1, 0]), HIERARCHY), by_hand)


def test_the_class_loss_is_finite_at_any_logit() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0, 0.0, 0.0]], requires_grad=True)
    loss = class_loss(logits, torch.tensor([1]), HIERARCHY)
    [gradient] = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(1e4, rel=1e-3)
    assert gradient.isfinite().all()


def test_the_spread_loss_by_hand() -> None:
    alike = torch.tensor([[1.0, 2.0, 4.0], [3.0, 5.0, 9.0]])  # but for their mean and their length
    assert spread_loss(alike, 0.5).item() == pytest.approx(0, abs=1e-6)
    opposite = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])  # v_1 . v_2 = -1
    assert spread_loss(opposite, 0.5).item() == pytest.approx(math.log((1 + math.exp(-2 / 0.5)) / 2), abs=1e-5)


@given(st.integers(2, 8), st.integers(2, 6), st.floats(0.05, 2))
def test_the_spread_loss_is_within_its_bounds_whatever_the_scale(count: int, outputs: int, temperature: float) -> None:
    logits = torch.randn(count, outputs, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    loss = spread_loss(logits, temperature)
    assert -math.log(count) - 1e-9 <= loss.item() <= 1e-9
    torch.testing.assert_close(spread_loss(3 * logits + 5, temperature), loss)


def test_gradients_of_the_teachers_losses() -> None:
    logits = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    primary = torch.tensor([0, 1, 1, 0])
    assert torch.autograd.gradcheck(lambda x: class_loss(x, primary, HIERARCHY), logits)
    assert torch.autograd.gradcheck(lambda x: spread_loss(x, 0.5), logits)


def test_each_label_is_of_a_model_that_never_saw_the_sample() -> None:
    primary = torch.arange(2).repeat(50)
    fitted: list[Tensor] = []

    def label(rows: Tensor) -> Tensor:
        fitted.append(rows)
        unseen = torch.ones(100, 2)
        unseen[rows] = 0
        return unseen

    assert cross_fitted(primary, 3, Hierarchy([1, 1]), 0, label).eq(1).all()
    assert len(fitted) == 3
    assert torch.cat(fitted).bincount().eq(2).all()
    for rows in fitted:
        assert 33 <= primary[rows].sum() <= 34  # every class in proportion


def test_models_that_agree_up_to_names_give_one_label() -> None:
    train, hierarchy = digits().train, digits().hierarchy
    stream = torch.Generator().manual_seed(0)

    def label(_: Tensor) -> Tensor:
        order = torch.cat([torch.randperm(5, generator=stream), 5 + torch.randperm(5, generator=stream)])
        return human_labels(train)[:, order]

    found = cross_fitted(train.primary, 3, hierarchy, 0, label)
    assert train.human is not None
    assert normalized_mutual_info_score(train.human, found.argmax(-1)) == pytest.approx(1)
    assert found[~hierarchy.mask(train.primary)].eq(0).all()


def test_matching_never_leaves_the_class() -> None:
    labels = torch.tensor([[0.9, 0.1, 0, 0, 0], [0.2, 0.8, 0, 0, 0], [0, 0, 0.2, 0.3, 0.5]])
    reference = torch.tensor([[0.1, 0.9, 0, 0, 0], [0.7, 0.3, 0, 0, 0], [0, 0, 0.6, 0.3, 0.1]])
    expected = torch.tensor([[0.1, 0.9, 0, 0, 0], [0.8, 0.2, 0, 0, 0], [0, 0, 0.5, 0.3, 0.2]])
    assert matched(labels, reference, HIERARCHY).equal(expected)


@pytest.mark.parametrize(("name", "least"), [("distilled", 0.4), ("distilled-cross", 0.12)])
def test_finds_kinds_that_were_never_named(name: str, least: float) -> None:
    made = learner(SOURCES[name], epochs=20)
    labels = training_labels(made.source, made.batches.train)
    assert labels is not None
    agreement = human_agreement(labels, digits().train)
    by_chance = human_agreement(torch.rand(200, 5, generator=generator(0)), digits().train)
    assert agreement is not None
    assert by_chance is not None
    assert by_chance < 0.08
    assert agreement > least


def test_self_distillation_learns_what_the_teacher_says_of_the_classes() -> None:
    made = learner(SOURCES["self-distilled"], epochs=10)
    task = made.source.auxiliary(made.batches.train.load(torch.arange(200)))
    assert task is not None
    torch.testing.assert_close(task.target.sum(-1), torch.ones(200))
    assert (task.target.argmax(-1) == digits().train.primary).float().mean() > 0.9
    assert 0.01 < task.target.std(0).min() < 0.5


def test_a_teacher_that_diverges_says_so() -> None:
    with pytest.raises(TrainingError, match="network that makes the labels became nan; use a smaller learning rate"):
        learner(SOURCES["distilled"], learning_rate=1e8, epochs=30)


def test_a_teacher_whose_last_step_was_too_far_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_too_far(network: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
        optimizer, steps = make_optimizer(network, protocol), count(1)

        def after(*_: object) -> None:
            if next(steps) == 8:  # of two epochs of four batches
                next(network.parameters()).data.fill_(torch.inf)

        optimizer.register_step_post_hook(after)
        return optimizer

    monkeypatch.setattr("metaux.training.teachers.make_optimizer", one_too_far)
    with pytest.raises(TrainingError, match="that makes the labels is no longer finite; use a smaller learning rate"):
        learner(SOURCES["distilled"], batch_size=50)


def watched(name: str, noted: Callable[[BatchLoss, Batch], Tensor]) -> MakeSource:
    """Return a source whose teachers' losses are noted."""

    def make(hierarchy: Hierarchy, protocol: Protocol) -> LabelSource:
        source = SOURCES[name](hierarchy, protocol)
        prepare = source.prepare

        def prepare_watched(preparation: Preparation) -> None:
            def fit(network: nn.Module, rows: Tensor, loss: BatchLoss) -> None:
                preparation.fit(network, rows, partial(noted, loss))

            prepare(replace(preparation, fit=fit))

        source.prepare = prepare_watched  # type: ignore[method-assign]
        return source

    return make


@pytest.mark.parametrize("name", ["distilled", "self-distilled"])
def test_teachers_learn_in_half_precision(name: str) -> None:
    """Within one region, autocast would go on with the weights of the first step."""
    losses: list[float] = []

    def noted(loss: BatchLoss, batch: Batch) -> Tensor:
        value = loss(batch)
        losses.append(float(value.detach()))
        return value

    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    make_learner(plan(watched(name, noted), epochs=6, trunk=lambda: mlp((1, 8, 8))), fabric)
    count = len(losses) // 6
    assert sum(losses[-count:]) < sum(losses[:count]) - 0.1 * count


def test_the_class_loss_keeps_its_digits_in_half_precision() -> None:
    torch.manual_seed(0)
    hierarchy, primary = Hierarchy([5] * 4), torch.arange(100) % 4
    exact = (3 * torch.randn(100, 20) + 8 * hierarchy.mask(primary)).to(torch.bfloat16)

    def gradient(logits: Tensor) -> Tensor:
        logits = logits.requires_grad_()
        (found,) = torch.autograd.grad(class_loss(logits, primary, hierarchy), logits)
        return found.float()

    reference = gradient(exact.double())
    assert (gradient(exact) - reference).norm() < 0.01 * reference.norm()


def test_a_rehearsal_trains_teachers_for_one_epoch_and_counts_the_rest() -> None:
    batches: list[Batch] = []

    def noted(loss: BatchLoss, batch: Batch) -> Tensor:
        batches.append(batch)
        return loss(batch)

    chosen, fabric = (
        plan(watched("distilled", noted), epochs=7, trunk=lambda: mlp((1, 8, 8))),
        Fabric(accelerator="cpu", devices=1),
    )
    assert make_learner(chosen, fabric).left_out == 0
    whole = len(batches)
    rehearsed = make_learner(chosen, fabric, rehearsal=True)
    assert len(batches) - whole == whole / 7
    assert rehearsed.left_out > 0
    cost, notice = time_run(chosen, fabric)
    assert cost.of(2) == cost.preparation + 2 * cost.epoch
    assert min(cost.preparation, cost.epoch) > 0
    assert notice == ""
