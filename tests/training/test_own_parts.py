"""Weights of samples, and an optimizer, a scheduler and a criterion of a program's own, in the training loop."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn.functional import cross_entropy

from metaux.errors import InputError
from metaux.labels.base import Auxiliary, auxiliary_term
from metaux.labels.batch import Mixing
from metaux.labels.sources import SOURCES
from metaux.training.callbacks import EarlyStopping
from metaux.training.loop import fit
from metaux.training.step import multi_task_losses
from properties import assert_same_weights, different_weights
from small import digits, learner, trained

FACTORS = torch.tensor([0.5, 2.0]).repeat(100)


def weighted(method: str, weight: Tensor = FACTORS, **changes: Any) -> Any:
    return learner(SOURCES[method], train=replace(digits().train, weight=weight), **changes)


class TestSampleWeights:
    def test_multiply_both_losses_of_each_sample(self) -> None:
        made = weighted("uniform")
        batch = made.batches.train.load(torch.arange(6))
        output, primary, auxiliary = multi_task_losses(made.network, made.source, batch, made.primary_loss)
        each = torch.stack([cross_entropy(output[n : n + 1], batch.primary[n : n + 1]) for n in range(6)])
        torch.testing.assert_close(primary, (FACTORS[:6] * each).mean())
        task, logits = made.source.auxiliary(batch), made.network(*batch.inputs).auxiliary
        assert task is not None
        assert logits is not None
        own = torch.stack(
            [auxiliary_term(made.source, logits[n : n + 1], Auxiliary(task.target[n : n + 1])) for n in range(6)]
        )
        assert auxiliary is not None
        torch.testing.assert_close(auxiliary, (FACTORS[:6] * own).mean())

    def test_of_a_mixed_image_each_part_has_its_own(self) -> None:
        made = weighted("single")
        batch = made.batches.train.load(torch.arange(2))
        share, partner = torch.tensor([0.7, 0.6]), torch.tensor([1, 0])
        mixed = batch._replace(mixing=Mixing(batch.inputs, share, partner, batch.primary[partner]))
        logits = torch.tensor([[0.3, -0.2], [1.0, 0.4]])
        own = cross_entropy(logits, batch.primary, reduction="none")
        others = cross_entropy(logits, batch.primary[partner], reduction="none")
        expected = (share * FACTORS[:2] * own + (1 - share) * FACTORS[partner] * others).mean()
        torch.testing.assert_close(made.primary_loss(logits, mixed), expected)

    @pytest.mark.parametrize("method", ["transformation", "rotation", "maxl", "vector", "unrolled"])
    @pytest.mark.parametrize("views", ["together", "apart"])
    def test_go_with_the_samples_through_views_and_meta_steps(self, method: str, views: str) -> None:
        """Weights that are all alike, 1, change no bit; others do."""
        plain = trained(SOURCES[method], epochs=1, views=views)
        ones = fit(weighted(method, torch.ones(200), epochs=1, views=views))
        assert_same_weights(ones.network, plain.network)
        assert different_weights(fit(weighted(method, epochs=1, views=views)).network, plain.network)


def sgd(parameters: Any) -> optim.Optimizer:
    return optim.SGD(parameters, 0.05, 0.9, weight_decay=5e-4)


class TestOptimizer:
    def test_the_protocols_own_gives_the_same_bits(self) -> None:
        found = fit(learner(SOURCES["maxl"], make_optimizer=sgd))
        assert_same_weights(found.network, trained(SOURCES["maxl"]).network)

    def test_has_its_own_groups_and_rates(self) -> None:
        def groups(parameters: Any) -> optim.Optimizer:
            first, *others = parameters
            return optim.Adam([{"params": [first], "lr": 0.0}, {"params": others}], lr=1e-3)

        made = learner(SOURCES["single"], make_optimizer=groups, epochs=2)
        before = next(made.network.parameters()).clone()
        fitted = fit(made)
        assert next(fitted.network.parameters()).equal(before)
        assert [record["learning_rate"] for record in fitted.records] == [0, 0]
        assert made.optimizer.param_groups[1]["lr"] == pytest.approx(1e-3 * made.plan.protocol.rate(1))

    def test_is_refused_where_the_look_ahead_is_a_step_of_sgd(self) -> None:
        with pytest.raises(InputError, match="SGD"):
            fit(learner(SOURCES["maxl"], make_optimizer=optim.Adam))
        with pytest.raises(InputError, match=r"expected optimizer to make one of torch.optim, found list"):
            learner(SOURCES["single"], make_optimizer=list)


class TestScheduler:
    def test_the_protocols_own_gives_the_same_bits(self) -> None:
        rate = learner(SOURCES["maxl"]).plan.protocol.rate
        found = fit(learner(SOURCES["maxl"], make_scheduler=lambda made: optim.lr_scheduler.LambdaLR(made, rate)))
        assert_same_weights(found.network, trained(SOURCES["maxl"]).network)

    def test_of_a_plateau_looks_at_validation(self) -> None:
        data = digits()
        wrong = replace(data, validation=replace(data.test, primary=1 - data.test.primary))
        made = learner(
            SOURCES["single"],
            epochs=4,
            data=wrong,
            make_scheduler=lambda made: optim.lr_scheduler.ReduceLROnPlateau(made, factor=0.1, patience=0),
        )
        records = fit(made).records
        losses = [record["validation_loss"] for record in records]
        assert losses == sorted(losses)  # it gets worse, so each epoch but the first ends in a smaller rate
        assert [record["learning_rate"] for record in records] == pytest.approx([0.05, 0.05, 0.005, 0.0005])

    def test_is_refused_if_it_is_none_or_a_source_goes_through_the_training_before(self) -> None:
        with pytest.raises(InputError, match=r"expected scheduler to make a scheduler .*found float"):
            learner(SOURCES["single"], make_scheduler=lambda _: 0.1)
        with pytest.raises(InputError, match="expected the protocol's schedule"):
            learner(SOURCES["unrolled"], make_scheduler=lambda made: optim.lr_scheduler.StepLR(made, 1))


class TestCriterion:
    def test_cross_entropy_is_the_default(self) -> None:
        """But for the order of operations, after a whole training."""
        found = fit(learner(SOURCES["uniform"], epochs=1, criterion=nn.CrossEntropyLoss()))
        expected = trained(SOURCES["uniform"], epochs=1)
        torch.testing.assert_close(found.test_logits, expected.test_logits, atol=1e-3, rtol=1e-3)

    def test_of_each_sample_is_weighted(self) -> None:
        each = nn.CrossEntropyLoss(reduction="none")
        made = weighted("single", criterion=each, class_weights=torch.tensor([3.0, 1.0]))
        batch, logits = made.batches.train.load(torch.arange(6)), torch.randn(6, 2)
        expected = FACTORS[:6] * torch.tensor([3.0, 1.0])[batch.primary] * each(logits, batch.primary)
        torch.testing.assert_close(made.primary_loss(logits, batch), expected.mean())

    def test_whose_mean_is_taken_already_is_refused_for_weights(self) -> None:
        with pytest.raises(InputError, match=r"the loss of each sample, \[.*found shape \[\]; .*reduction='none'"):
            fit(weighted("single", criterion=nn.CrossEntropyLoss()))


def test_early_stopping_goes_back_to_the_moving_average() -> None:
    data = digits()
    wrong = replace(data, validation=replace(data.test, primary=1 - data.test.primary))
    stop = EarlyStopping(patience=2)
    fitted = fit(learner(SOURCES["single"], epochs=8, data=wrong, weight_average=0.1), callbacks=[stop])
    found = cross_entropy(fitted.test_logits, 1 - data.test.primary)
    assert float(found) == pytest.approx(min(record["validation_loss"] for record in fitted.records), rel=1e-6)
