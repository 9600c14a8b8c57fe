"""Labels made before training: what is held of them, and what is learned."""

from typing import Any

import pytest
import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.hierarchy import Hierarchy
from metaux.labels.base import Batch, Preparation
from metaux.labels.fixed import SoftLabels
from metaux.labels.sources import SOURCES
from metaux.protocols import TUNED
from metaux.training.evaluate import Evaluation
from small import learner

PSI = Hierarchy([1, 3, 2])
PRIMARY = torch.tensor([2, 1, 0, 1])
LABELS = torch.rand(4, 6).masked_fill(~PSI.mask(PRIMARY), -torch.inf).softmax(-1)


class Soft(SoftLabels):
    def distribute(self, preparation: Preparation) -> Tensor:
        return LABELS


def test_soft_labels_are_held_over_the_own_slots_and_learned_over_all() -> None:
    source = Soft(PSI, TUNED)
    samples = Samples((torch.zeros(4, 1),), PRIMARY)
    source.prepare(Preparation(samples, None, *[None] * 6, 0, torch.device("cpu")))  # type: ignore[call-arg, arg-type]
    assert [tuple(buffer.shape) for buffer in source.buffers()] == [(4, 3)]
    rows = torch.tensor([3, 0, 2, 1])
    assert source.target(Batch((torch.zeros(4, 1),), PRIMARY[rows], rows)).equal(LABELS[rows])


def test_measuring_copies_no_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    made, copied, original = learner(SOURCES["recorded"], epochs=1), [], Tensor.clone

    def clone(tensor: Tensor, **changes: Any) -> Tensor:
        copied.append(tensor)
        return original(tensor, **changes)

    monkeypatch.setattr(Tensor, "clone", clone)
    Evaluation(made).after(0)
    assert copied
    assert all(tensor is not buffer for tensor in copied for buffer in made.source.buffers())
