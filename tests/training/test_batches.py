"""Which batches the steps of an epoch are given: the same for every method, each sample once, shared by processes."""

import pytest
import torch

from metaux.labels.sources import SOURCES
from metaux.training.loader import Loader, shuffled
from small import digits, learner

CPU = torch.device("cpu")


def test_every_sample_once_and_no_tiny_batch() -> None:
    for count in (1, 2, 99, 100, 101, 150, 1437):
        rows = shuffled(count, 100, 0, "order", 0)
        assert torch.cat(rows).sort().values.equal(torch.arange(count))
        assert min(map(len, rows)) >= min(count, 50)


def test_index_survives_the_shuffle() -> None:
    data, rows = digits(), torch.tensor([5, 3, 199])
    batch = Loader(data.train, lambda inputs: inputs, CPU).augmented(rows, "train", 0)
    assert batch.index.equal(rows)
    assert batch.inputs[0].equal(data.train.inputs[0][rows])


def test_processes_share_a_batch() -> None:
    data, rows = digits(), torch.arange(7)
    shares = [
        Loader(data.train, lambda inputs: inputs, CPU, share=(rank, 2)).augmented(rows, "train") for rank in range(2)
    ]
    assert torch.cat([share.index for share in shares]).sort().values.equal(rows)


def test_the_order_depends_on_seed_and_epoch_and_not_on_the_method() -> None:
    single, maxl = (learner(SOURCES[name]).batches for name in ("single", "maxl"))
    other = learner(SOURCES["single"], seed=1).batches
    first = torch.cat(single.order(0).train)
    assert first.equal(torch.cat(maxl.order(0).train))
    assert not first.equal(torch.cat(single.order(1).train))
    assert not first.equal(torch.cat(other.order(0).train))


@pytest.mark.parametrize(
    ("protocol", "inner_is_training_batch", "same"), [("iclr", False, True), ("tuned", True, False)]
)
def test_batches_of_the_look_ahead(protocol: str, inner_is_training_batch: bool, same: bool) -> None:
    batches = learner(SOURCES["maxl"], protocol).batches
    order = batches.order(0)
    training = batches.training(order, 1)
    inner, outer = batches.look_ahead(order, 1)
    assert inner.inputs[0].equal(training.inputs[0]) is inner_is_training_batch
    assert (outer is inner) is same
    if not same:  # the outer batch is the one that the next training step will see, augmentation and all
        assert outer.inputs[0].equal(batches.training(order, 2).inputs[0])


def test_views_apart_are_each_learned_once() -> None:
    batches = learner(SOURCES["rotation"], views="apart").batches
    order = batches.order(0)
    seen = [batches.training(order, position) for position in range(len(order.train))]
    assert batches.passes == 4
    pairs = {(row, kind) for batch in seen for row, kind in zip(batch.index.tolist(), _kinds(batch.kind), strict=True)}
    assert pairs == {(row, kind) for row in range(200) for kind in range(4)}
    assert sum(len(batch.index) for batch in seen) == 800


def _kinds(kind: torch.Tensor | None) -> list[int]:
    assert kind is not None
    found: list[int] = kind.tolist()
    return found
