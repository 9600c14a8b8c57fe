"""What is measured, when, and that measuring changes nothing."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from metaux.data.samples import Samples
from metaux.hierarchy import Hierarchy
from metaux.labels.base import Auxiliary, Batch, SubclassSource
from metaux.labels.sources import SOURCES
from metaux.losses import mask_softmax
from metaux.protocols import Protocol
from metaux.training.evaluate import Evaluation
from metaux.training.loop import fit, train_epoch
from properties import assert_same_weights
from small import digits, learner, trained

PLAIN = ("epoch", "seconds", "learning_rate", "train_loss", "train_accuracy")


@pytest.mark.parametrize("method", SOURCES)
def test_permuting_the_test_labels_changes_no_weight(method: str) -> None:
    data = digits()
    order = torch.randperm(len(data.test), generator=torch.Generator().manual_seed(0))
    permuted = replace(data, test=replace(data.test, primary=data.test.primary[order]))
    first, second = (trained(SOURCES[method], epochs=1, data=own) for own in (data, permuted))
    assert_same_weights(first.network, second.network)
    assert_same_weights(first.source, second.source)
    assert first.test_logits.equal(second.test_logits)
    assert first.records[0]["test_loss"] != second.records[0]["test_loss"]


@pytest.mark.parametrize("method", ["single", "maxl"])
def test_measuring_changes_no_weight(method: str) -> None:
    blind = learner(SOURCES[method])
    for epoch in range(2):
        train_epoch(blind, epoch)
    assert_same_weights(trained(SOURCES[method]).network, blind.network)


def test_measuring_on_the_way_changes_nothing() -> None:
    curve, end = (fit(learner(SOURCES["maxl"], epochs=3), curve=on) for on in (True, False))
    assert [sorted(record) for record in end.records[:2]] == 2 * [sorted(PLAIN)]
    assert end.records[2] == {**curve.records[2], "seconds": end.records[2]["seconds"]}
    assert end.test_logits.equal(curve.test_logits)


class Brighter(SubclassSource):
    """Labels by whether a sample is brighter than those before it, by a scale that could be learned."""

    before: Tensor

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol) -> None:
        super().__init__(hierarchy, protocol)
        self.register_buffer("before", torch.zeros(()))
        self.scale = nn.Parameter(torch.tensor(20.0))

    def target(self, batch: Batch) -> Tensor:
        brightness = batch.inputs[0].flatten(1).mean(1)
        if self.training:
            self.before.mul_(0.5).add_(0.5 * brightness.mean())
        logits = torch.zeros(len(brightness), self.hierarchy.size)
        logits[:, ::2] = (self.scale * (brightness - self.before)).unsqueeze(1)
        return mask_softmax(logits, self.hierarchy.mask(batch.primary))

    def auxiliary(self, batch: Batch) -> Auxiliary:
        return Auxiliary(self.target(batch).detach())

    def labels(self, batch: Batch) -> Tensor:
        return self.target(batch)


def test_measuring_leaves_what_a_source_keeps_in_buffers_of_its_own() -> None:
    found = []
    for curve in (True, False):
        fitted = fit(learner(Brighter, epochs=3), curve=curve)
        assert fitted.labels is not None
        assert not fitted.labels.requires_grad
        found.append([fitted.source.get_buffer("before"), *fitted.network.parameters()])
    assert all(on.equal(off) for on, off in zip(*found, strict=True))


def test_few_training_samples_are_measured_less_often() -> None:
    """With ten test samples for each that is trained on, after every second epoch; the reported ones always."""
    few = digits().train.take(torch.arange(10))
    fitted = trained(SOURCES["single"], epochs=5, train=few, reported_epochs=1)
    assert [record["epoch"] for record in fitted.records if "test_accuracy" in record] == [2, 4, 5]
    assert Evaluation(learner(SOURCES["single"], epochs=5)).is_measured(0)


def test_reported_correctness_is_the_mean_of_the_last_epochs() -> None:
    fitted = trained(SOURCES["single"], "neurips", epochs=6)
    last = [record["test_accuracy"] for record in fitted.records[-5:]]
    assert float(fitted.test_correct.mean()) == pytest.approx(sum(last) / 5)


def test_any_tensors_have_a_digest() -> None:
    base = torch.arange(24).view(4, 6)
    variants = [base, base.float(), base[:, ::2], base.half(), base.bool(), base.to(torch.bfloat16), base.int()]
    variants.append(base[:0])
    data = [replace(digits(), train=Samples((x,), torch.zeros(len(x), dtype=torch.int64))) for x in variants]
    assert len({own.digest for own in data}) == len(variants)
    assert data[0].digest == replace(data[0], notices=("read otherwise",)).digest
