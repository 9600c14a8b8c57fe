"""One battery that every label source must pass, and what is particular to each."""

import copy
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from metaux import InputError
from metaux.data.samples import Samples
from metaux.labels.base import Auxiliary, Batch, ChoiceSource, LabelSource, MetaStep, Preparation, SubclassSource
from metaux.labels.controls import Single
from metaux.labels.maxl import GeneratorOptimizer, Maxl, meta_objective
from metaux.labels.rotation import Rotation
from metaux.labels.sources import SOURCES
from metaux.networks.multitask import LabelGenerator
from metaux.training.learner import Learner
from metaux.training.loop import Fitted, fit, take_step
from metaux.training.step import multi_task_losses
from properties import (
    assert_distributions,
    assert_same_parameters,
    assert_same_weights,
    assert_within_own_slots,
    different_weights,
)
from small import digits, human_labels, learner, trained

TASKS = [name for name, known in SOURCES.items() if known.source_class is not Single]
# Whose target is a distribution or a vector of the sample, and whose distributions are over its sub-classes.
OF_THE_SAMPLE = [name for name in TASKS if not issubclass(SOURCES[name].source_class, ChoiceSource)]
ON_SUBCLASSES = [name for name in TASKS if issubclass(SOURCES[name].source_class, SubclassSource)]


def epochs(name: str) -> int:
    """Return how long a source needs to learn digits: where a 6 may also be a 9, that takes longer."""
    return 12 if SOURCES[name].source_class is Rotation and SOURCES[name].role == "control" else 3


@cache
def untrained(name: str) -> Learner:
    """Return a learner to look at, in evaluation mode so that it stays as it is."""
    made = learner(SOURCES[name], epochs=1)
    made.network.eval()
    made.source.eval()
    return made


def of_its_own(made: Learner) -> Learner:
    """Return a learner that may be trained: of what a training changes it has copies."""
    return copy.deepcopy(made, {id(shared): shared for shared in (made.plan, made.fabric)})


def views_and_task(source: LabelSource, batch: Batch) -> tuple[Batch, Auxiliary]:
    """Return the batch as the network sees it, and the auxiliary task on it."""
    seen = batch if source.views is None else source.views(batch)._replace(own=len(batch.index))
    task = source.auxiliary(seen)
    assert task is not None
    return seen, task


@pytest.fixture(scope="module")
def fitted() -> dict[str, Fitted]:
    return {name: trained(make, epochs=epochs(name)) for name, make in SOURCES.items()}


@pytest.mark.parametrize("name", SOURCES)
class TestEverySource:
    def test_learns_the_task(self, fitted: dict[str, Fitted], name: str) -> None:
        assert fitted[name].records[-1]["test_accuracy"] > 0.7

    def test_trains_the_same_bits_again(self, name: str) -> None:
        assert_same_weights(trained(SOURCES[name], epochs=1).network, fit(of_its_own(untrained(name))).network)

    def test_starts_with_everybody_elses_trunk_and_primary_head(self, name: str) -> None:
        mine, single = untrained(name).network, untrained("single").network
        for part in ("trunk", "primary_head"):
            assert_same_weights(mine.get_submodule(part), single.get_submodule(part))


@pytest.mark.parametrize("name", TASKS)
def test_the_auxiliary_task_is_one_loss_per_view_and_leaves_the_source_alone(name: str) -> None:
    made = untrained(name)
    seen, task = views_and_task(made.source, made.batches.train.load(torch.arange(10)))
    outputs = made.network(*seen.inputs)
    assert outputs.auxiliary is not None
    assert made.source.auxiliary_loss(outputs.auxiliary, task.target).shape == (len(seen.index),)
    *_, auxiliary = multi_task_losses(copy.deepcopy(made.network), made.source, seen, made.primary_loss)
    assert auxiliary is not None
    auxiliary.backward()
    assert all(parameter.grad is None for parameter in made.source.parameters())


@pytest.mark.parametrize("name", OF_THE_SAMPLE)
def test_the_target_follows_the_sample_not_its_place(name: str) -> None:
    made = untrained(name)
    rows = torch.arange(12)
    first, second = (made.source.auxiliary(made.batches.train.load(order)) for order in (rows, rows.flip(0)))
    assert first is not None
    assert second is not None
    torch.testing.assert_close(first.target, second.target.flip(0))
    assert not first.target.equal(second.target)


@pytest.mark.parametrize("name", ON_SUBCLASSES)
def test_labels_are_distributions_over_the_own_slots_and_the_target_is_the_label(
    fitted: dict[str, Fitted], name: str
) -> None:
    labels, made = fitted[name].labels, untrained(name)
    assert labels is not None
    assert labels.shape == (200, 5)
    assert_distributions(labels)
    batch = made.batches.train.load(torch.arange(10))
    _, task = views_and_task(made.source, batch)
    assert_distributions(task.target)
    assert_within_own_slots(task.target, batch.primary, made.source.hierarchy)
    recorded = made.source.labels(batch)
    assert recorded is not None
    assert task.target.equal(recorded)


def test_random_is_fixed_over_the_epochs_and_new_for_each_seed() -> None:
    batch = learner(SOURCES["random"]).batches.train.load(torch.arange(200))
    first, second = (learner(SOURCES["random"], seed=seed).source.labels(batch) for seed in (0, 1))
    assert first is not None
    assert second is not None
    assert not first.equal(second)
    assert first.sum(0).min() > 5  # every sub-class is used


def test_human_is_the_finer_label() -> None:
    made = learner(SOURCES["human"])
    target, human = made.source.labels(made.batches.train.load(torch.arange(200))), digits().train.human
    assert target is not None
    assert human is not None
    assert target.argmax(-1).equal(human)


def test_human_needs_finer_labels() -> None:
    train = digits().train
    with pytest.raises(InputError, match="method human needs finer labels"):
        learner(SOURCES["human"], train=Samples(train.inputs, train.primary))


def test_kmeans_finds_what_the_features_hold() -> None:
    # features that are the human label itself: each cluster is one human sub-class
    made = trained(SOURCES["kmeans"], features=human_labels, epochs=1)
    assert made.records[0]["label_human_nmi"] == pytest.approx(1)


def test_kmeans_needs_as_many_samples_as_clusters() -> None:
    with pytest.raises(InputError, match="too few for 5 clusters; ask for fewer sub-classes"):
        learner(SOURCES["kmeans"], train=digits().train.take(torch.arange(6)))


def test_frozen_generator_stays_as_it_started() -> None:
    made = learner(SOURCES["frozen"])
    before = copy.deepcopy(made.source)
    fit(made)
    assert_same_parameters(made.source, before)


def test_maxl_starts_as_frozen_and_learns() -> None:
    maxl, frozen = learner(SOURCES["maxl"]), learner(SOURCES["frozen"])
    assert_same_weights(maxl.source, frozen.source)
    fit(maxl)
    assert different_weights(maxl.source, frozen.source)


class Weighing(SubclassSource):
    """A generator of labels and of weights, by how sure it is of them; learns through the look-ahead alone."""

    def prepare(self, preparation: Preparation) -> None:
        trunk, head = preparation.generator_parts(self.hierarchy.size, self.protocol)
        self.generator = LabelGenerator(trunk, head, self.hierarchy)
        self.learner = GeneratorOptimizer(self.generator, self.protocol)

    def task(self, batch: Batch) -> Auxiliary:
        labels = self.target(batch)
        return Auxiliary(labels, labels.max(-1).values)

    def target(self, batch: Batch) -> Tensor:
        labels: Tensor = self.generator(*batch.inputs, primary=batch.primary)
        return labels

    def auxiliary(self, batch: Batch) -> Auxiliary:
        with torch.no_grad():
            return self.task(batch)

    def meta_step(self, step: MetaStep) -> None:
        self.learner.step({"meta": meta_objective(self, step, self.task(step.inner))}, step)


@pytest.mark.parametrize("source", [Maxl, Weighing])
@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_the_look_aheads_loss_is_that_of_the_training_step(weight: float, source: type[LabelSource]) -> None:
    made = learner(source, auxiliary_weight=weight)
    batch = made.batches.train.load(torch.arange(20))
    seen = []

    def record(network: Any, target: Any, inputs: Any, loss: Any, *_: Any, **__: Any) -> Any:
        seen.append(loss(network(*inputs), target))
        return SimpleNamespace(gradient=tuple(map(torch.zeros_like, target)))

    made.source.eval()
    made.network.eval()
    assert made.source.meta_step is not None
    way: Any = record
    made.source.meta_step(replace(made.meta_step(batch, batch, 1.0, 0), meta_gradient=way))
    _, primary, auxiliary = multi_task_losses(made.network, learner(source).source.eval(), batch, made.primary_loss)
    assert auxiliary is not None
    torch.testing.assert_close(seen[0], primary + weight * auxiliary)


def test_a_generator_learns_the_weights_too() -> None:
    made = learner(Weighing)
    batch = made.batches.train.load(torch.arange(20))
    assert isinstance(made.source, Weighing)
    task = Auxiliary(*(part.detach().requires_grad_() for part in made.source.task(batch) if part is not None))
    through = meta_objective(made.source, made.meta_step(batch, batch, 1.0, 0), task)
    for gradient in torch.autograd.grad(through, [part for part in task if part is not None]):
        assert gradient.abs().min() > 0
    assert fit(made).records[-1]["test_accuracy"] > 0.7


@pytest.mark.parametrize("hook", ["combine", "views"])
def test_the_look_ahead_refuses_what_it_cannot_take_into_account(hook: str) -> None:
    made = learner(type("Other", (Weighing,), {hook: lambda self, *given: given[0]}))
    with pytest.raises(InputError, match=f"expected a source without {hook} for the look-ahead, .* found Other with"):
        take_step(made, "meta", made.batches.order(0), 0, 1.0)


def test_l1_decay_pulls_every_weight_towards_zero_at_the_same_rate() -> None:
    with_decay, without = (
        trained(SOURCES["maxl"], "iclr", epochs=1, generator_decay=decay, batch_size=200).source for decay in (0.1, 0.0)
    )
    start = dict(learner(SOURCES["maxl"], "iclr").source.named_parameters())
    other = dict(without.named_parameters())
    for name, value in with_decay.named_parameters():
        torch.testing.assert_close(value - other[name], -1e-5 * 0.1 * start[name].sign(), rtol=0, atol=2e-7)
