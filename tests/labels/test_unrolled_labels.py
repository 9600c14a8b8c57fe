"""Labels learned through the whole training: whose training it is, what is held out, what an interruption leaves."""

from typing import Any

import pytest
import torch
from torch import Tensor

from metaux.errors import TrainingError
from metaux.functional import PureNetwork
from metaux.labels.course import Course
from metaux.labels.label_parameters import Rows, scaled
from metaux.labels.sources import SOURCES
from metaux.labels.unrolled import FOLDS, Unrolled
from metaux.networks.multitask import Outputs
from metaux.rng import generator
from metaux.training.course import make_course
from metaux.training.learner import make_learner
from metaux.training.loop import train_epoch
from metaux.training.preparation import make_network
from metaux.training.primary_loss import make_primary_loss
from metaux.training.timing import time_run
from metaux.trajectory import OuterBatch, State, Step, Training
from metaux.updates import Update
from small import cpu, digits, learner, plan

QUICK: dict[str, Any] = {"epochs": 1, "iterations": 2, "batch_size": 50}


def test_the_course_of_a_run_is_the_run_itself() -> None:
    made = learner(SOURCES["uniform"], epochs=2)
    network = make_network(
        made.plan.trunk, made.batches.train.load(torch.arange(1)).inputs, made.source, made.plan.seed
    )
    course = make_course(made.plan, made.source, cpu(), network, make_primary_loss(made.plan), None)

    def step(number: int) -> Step:
        batch = course.batch(number)
        auxiliary = made.source.auxiliary(batch)
        assert auxiliary is not None

        def loss(outputs: Outputs, target: Tensor) -> Tensor:
            assert outputs.auxiliary is not None
            primary = course.primary_loss(outputs.primary, batch)
            return primary + made.source.auxiliary_loss(outputs.auxiliary, target).mean()

        return Step(batch.inputs, auxiliary.target, loss, course.rate(number), course.seed_of(number))

    training = Training(PureNetwork(course.network), Update.of(course.optimizer, course.network), step, 0)
    state: State = training.start
    (whole,) = course.rounds(0, 1)
    for number in range(whole.steps):
        state, _ = training.after(state, number)
    for epoch in range(2):
        train_epoch(made, epoch)
    for name, value in made.network.named_parameters():
        torch.testing.assert_close(state.parameters[name], value.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["table", "clusters", "generator"])
def test_labels_are_learned_of_every_kind(kind: str) -> None:
    source = learner(SOURCES["unrolled"], **QUICK, label_parameters=kind).source
    assert isinstance(source, Unrolled)
    assert source.outer_losses.isfinite().all()
    assert len(source.outer_losses) == 2
    torch.testing.assert_close(source.own_labels.sum(-1), torch.ones(len(digits().train)))


def test_several_starts_take_turns_and_shuffled_classes_teach_other_labels() -> None:
    one, two = (learner(SOURCES["unrolled"], **QUICK, starts=starts).source for starts in (1, 2))
    losses = [source.get_buffer("outer_losses") for source in (one, two)]
    assert losses[0][0] == losses[1][0]  # the first iteration has the run's own start
    assert losses[0][1] != losses[1][1]
    shuffled = learner(SOURCES["unrolled-shuffled"], **QUICK).source
    labels = [source.get_buffer("own_labels") for source in (one, two, shuffled)]
    assert not any(torch.allclose(own, labels[0]) for own in labels[1:])
    # The classes are no longer those of the samples.
    assert shuffled.get_buffer("outer_losses")[0] > one.get_buffer("outer_losses")[0]


def test_an_interrupted_run_goes_on_after_its_last_iteration() -> None:
    told: list[str] = []
    kept: list[tuple[dict[str, Tensor], float]] = []
    given = plan(SOURCES["unrolled"], **QUICK)

    def keep(made: dict[str, Tensor], seconds: float) -> None:
        kept.append(({name: value.clone() for name, value in made.items()}, seconds))

    whole = make_learner(given, cpu(), keep=keep, notify=told.append)  # type: ignore[arg-type]
    assert [line.partition(",")[0] for line in told] == [f"labels: iteration {number} of 2" for number in (1, 2)]
    first, seconds = kept[0]
    again = make_learner(given, cpu(), {"source": first, "preparation": seconds}, notify=told.append)
    assert len(told) == 3  # the second iteration alone
    torch.testing.assert_close(again.source.state_dict(), whole.source.state_dict(), rtol=0, atol=0)
    assert again.preparation > seconds


def test_a_fold_that_is_held_out_has_no_gradient() -> None:
    seen: dict[str, Tensor] = {}
    given = plan(SOURCES["unrolled"], **QUICK | {"iterations": 1})
    make_learner(given, cpu(), keep=lambda made, _: seen.update(made))
    moved = seen["parameters.values"]
    start = 0.3 * torch.randn(moved.shape, generator=generator(given.seed, "learned labels"))
    assert int((moved == start).all(-1).sum()) == len(moved) // FOLDS


def test_outer_batches_hold_all_classes_where_samples_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    # In training mode batch norm would tell the classes of a batch of one class, which no test sample has.
    train = digits().train
    batches: list[Tensor] = []

    def outer(source: Unrolled, course: Course, rows: Tensor) -> OuterBatch:
        batches.append(course.load(rows).primary)
        return outer_batch(source, course, rows)

    outer_batch = Unrolled.outer
    monkeypatch.setattr(Unrolled, "outer", outer)
    learner(SOURCES["unrolled"], **QUICK | {"batch_size": 20}, train=train.take(train.primary.argsort()))
    assert len(batches) == 2 * 2
    assert all(0.2 < own.float().mean() < 0.8 for own in batches)


def test_what_diverges_is_said_with_where_and_when() -> None:
    with pytest.raises(TrainingError, match=r"iteration 1 of 2 of the labels: .*; the labels before it are kept"):
        learner(SOURCES["unrolled"], **QUICK | {"epochs": 3}, learning_rate=1e30)


def test_the_time_is_estimated_from_a_few_steps() -> None:
    def seconds(**changes: int) -> float:
        return time_run(plan(SOURCES["unrolled"], **QUICK | changes), cpu())[0].preparation

    short, long = seconds(epochs=2), seconds(epochs=20, horizon=1_000_000)
    assert 3 * short < long
    assert seconds(epochs=20, horizon=1) < 0.7 * long


def test_rows_move_down_the_sum_of_their_samples() -> None:
    rows = Rows(torch.zeros(2, 2), torch.tensor([0, 0, 1]))
    gradient = torch.tensor([[1.0, -1.0], [1.0, -1.0], [0.0, 0.0]])
    rows.move(gradient, 0)
    expected = -0.3 * scaled(torch.tensor([[2.0, -2.0], [0.0, 0.0]]))
    torch.testing.assert_close(rows.logits(), expected[[0, 0, 1]])
    assert torch.equal(scaled(torch.zeros(2)), torch.zeros(2))
