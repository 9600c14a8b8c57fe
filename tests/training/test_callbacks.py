"""Callbacks: when each is called, and early stopping."""

from dataclasses import replace

import pytest

from metaux.errors import InputError
from metaux.labels.sources import SOURCES
from metaux.training.callbacks import Callback, EarlyStopping, Training
from metaux.training.evaluate import measures
from metaux.training.learner import Learner
from metaux.training.loop import Fitted, fit
from properties import assert_same_weights, different_weights
from small import digits, learner, trained


class Told(Callback):
    """Notes where it was called, and how many records there were."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def on_train_begin(self, training: Training) -> None:
        self.calls.append(("train begin", len(training.records)))

    def on_epoch_begin(self, training: Training) -> None:
        self.calls.append(("epoch begin", len(training.records)))

    def on_batch_end(self, training: Training) -> None:
        self.calls.append(("batch end", len(training.records)))

    def on_epoch_end(self, training: Training) -> None:
        self.calls.append(("epoch end", len(training.records)))

    def on_train_end(self, training: Training) -> None:
        self.calls.append(("train end", len(training.records)))


def test_each_is_called_in_its_place() -> None:
    told, made = Told(), learner(SOURCES["maxl"], epochs=2, batch_size=100)  # 2 batches
    fitted = fit(made, callbacks=[told])
    epochs = [[("epoch begin", e), *[("batch end", e)] * 2, ("epoch end", e + 1)] for e in range(2)]
    assert told.calls == [("train begin", 0), *epochs[0], *epochs[1], ("train end", 2)]
    assert_same_weights(fitted.network, trained(SOURCES["maxl"], epochs=2, batch_size=100).network)


def test_one_may_end_the_training() -> None:
    class Once(Callback):
        def on_epoch_end(self, training: Training) -> None:
            training.stop()

    fitted = fit(learner(SOURCES["single"], epochs=5), callbacks=[Once()])
    assert len(fitted.records) == 1
    accuracy = measures(fitted.test_logits, digits().test.primary)["accuracy"]
    assert float(fitted.test_correct.mean()) == pytest.approx(accuracy)


def overfitting(method: str) -> Learner:
    """A learner whose validation labels are wrong: it gets worse there with each epoch, soon."""
    data = digits()
    wrong = replace(data.test, primary=1 - data.test.primary)
    return learner(SOURCES[method], epochs=8, data=replace(data, validation=wrong))


class TestEarlyStopping:
    @pytest.mark.parametrize("method", ["single", "maxl"])
    def test_goes_back_to_the_best_epoch(self, method: str) -> None:
        stop, made = EarlyStopping(patience=2), overfitting(method)
        fitted: Fitted = fit(made, callbacks=[stop])
        losses = [record["validation_loss"] for record in fitted.records]
        assert len(losses) < 8
        assert losses.index(min(losses)) + 1 == stop.best_epoch == len(losses) - 2
        validation = made.plan.data.validation
        assert validation is not None
        # The test samples are those of validation, with the right labels.
        found = measures(fitted.test_logits, validation.primary)["loss"]
        assert found == pytest.approx(min(losses), rel=1e-6)

    def test_what_is_lower_may_be_worse(self) -> None:
        stop = EarlyStopping(patience=1, monitor="validation_accuracy", lower_is_better=False)
        fitted = fit(overfitting("single"), callbacks=[stop])
        accuracies = [record["validation_accuracy"] for record in fitted.records]
        assert accuracies[stop.best_epoch - 1] == max(accuracies)

    def test_a_training_that_goes_on_gaining_is_left_alone(self) -> None:
        stop = EarlyStopping(patience=1, monitor="epoch", lower_is_better=False)
        fitted = fit(learner(SOURCES["single"], epochs=3), callbacks=[stop])
        assert not different_weights(fitted.network, trained(SOURCES["single"], epochs=3).network)
        assert stop.best_epoch == 3

    def test_a_gain_below_the_threshold_is_none(self) -> None:
        stop = EarlyStopping(patience=2, monitor="epoch", lower_is_better=False, threshold=10)
        assert len(fit(learner(SOURCES["single"], epochs=6), callbacks=[stop]).records) == 3
        assert stop.best_epoch == 1

    def test_what_is_not_recorded_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"expected 'validation_loss' in the records .*, found epoch"):
            fit(learner(SOURCES["single"], epochs=1), callbacks=[EarlyStopping()])
