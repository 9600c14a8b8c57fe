"""Toy sources for the hooks that no built-in source uses: what a new method may need without touching the loop."""

import torch
from torch import Tensor

from metaux.labels.base import Auxiliary, Batch, Gradients, LabelSource, Preparation, SubclassSource
from metaux.protocols import Protocol
from small import trained


def accuracy(source: type[LabelSource]) -> float:
    return trained(source).records[-1]["test_accuracy"]


class NearestMean(SubclassSource):
    """Prepares on the training data and on a meta split: nearest mean of the meta split's human sub-classes."""

    @classmethod
    def needs_meta_split(cls, protocol: Protocol) -> bool:
        return True

    def prepare(self, preparation: Preparation) -> None:
        assert preparation.meta is not None
        assert preparation.meta.human is not None
        features = preparation.load(preparation.meta)[0].flatten(1)
        means = [features[preparation.meta.human == k].mean(0) for k in range(self.hierarchy.size)]
        distance = torch.cdist(preparation.load(preparation.samples)[0].flatten(1), torch.stack(means))
        mask = self.hierarchy.mask(preparation.samples.primary)
        self.register_buffer("table", (-distance).masked_fill(~mask, -torch.inf).softmax(-1))

    def target(self, batch: Batch) -> Tensor:
        table: Tensor = self.get_buffer("table")
        return table[batch.index]


class Weighted(SubclassSource):
    """Weighs samples: here all by zero, so that only the primary task is learned."""

    def target(self, batch: Batch) -> Tensor:
        return self.hierarchy.mask(batch.primary) / 5

    def auxiliary(self, batch: Batch) -> Auxiliary:
        return Auxiliary(self.target(batch), weight=torch.zeros(len(batch.index)))


class Gated(Weighted):
    """Combines the two tasks' gradients: the auxiliary one only where it does not point against the primary one."""

    def auxiliary(self, batch: Batch) -> Auxiliary:
        return Auxiliary(self.target(batch))

    def combine(self, primary: Gradients, auxiliary: Gradients) -> Gradients:
        agreement = sum((a * b).sum() for a, b in zip(primary, auxiliary, strict=True))
        return [a + b * (agreement > 0) for a, b in zip(primary, auxiliary, strict=True)]


class Never(Gated):
    """The extreme gate: the auxiliary task never counts."""

    def combine(self, primary: Gradients, auxiliary: Gradients) -> Gradients:
        return primary


def test_preparing_on_the_training_data_and_a_meta_split() -> None:
    fitted = trained(NearestMean)
    assert fitted.records[-1]["label_human_nmi"] > 0.4


def test_weight_zero_and_a_closed_gate_are_single_task() -> None:
    single = trained(LabelSource).network
    for source in (Weighted, Never):
        network = trained(source).network
        for part in ("trunk", "primary_head"):
            torch.testing.assert_close(getattr(network, part).state_dict(), getattr(single, part).state_dict())


def test_an_auxiliary_loss_that_weighs_nothing_is_single_task() -> None:
    single, unheard = (trained(source, auxiliary_weight=0.0).network for source in (LabelSource, Gated))
    for part in ("trunk", "primary_head"):
        torch.testing.assert_close(getattr(unheard, part).state_dict(), getattr(single, part).state_dict())


def test_a_gate_on_the_gradients() -> None:
    assert accuracy(Gated) > 0.7
