"""How both networks of the published protocols start, how far labels move, and the released code's cosine."""

import pytest
import torch
from torch import Tensor, nn

from metaux.labels.sources import SOURCES
from metaux.metagradient import alone
from metaux.training.cosine import mean_cosine
from metaux.training.generated_labels import label_movement, labels_in_training
from metaux.training.loop import fit
from metaux.training.preparation import prepared_source
from properties import assert_same_weights
from small import learner, trained


@pytest.mark.parametrize("protocol", ["iclr", "neurips"])
def test_published_protocols_start_from_xavier_with_zero_biases(protocol: str) -> None:
    made = learner(SOURCES["maxl"], protocol)
    for module in (made.network, made.source):
        layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
        assert layers
        assert not any(layer.bias.any() for layer in layers)
    convolution = next(layer for layer in made.network.modules() if isinstance(layer, nn.Conv2d))
    bound = (6 / (9 * (1 + 32))) ** 0.5
    assert 0.8 * bound < float(convolution.weight.detach().abs().max()) <= bound * 1.0001


def test_a_backbone_with_weights_keeps_them() -> None:
    kept, tuned = learner(SOURCES["maxl"], "iclr", own_weights=True), learner(SOURCES["maxl"], "tuned")
    assert_same_weights(kept.network.trunk, tuned.network.trunk)
    head = kept.network.primary_head
    assert isinstance(head, nn.Linear)
    assert not head.bias.any()


def test_methods_share_the_initialisation_of_trunk_and_primary_head() -> None:
    first, second = (learner(SOURCES[name], "iclr").network for name in ("single", "human"))
    assert_same_weights(first.trunk, second.trunk)
    assert_same_weights(first.primary_head, second.primary_head)


@pytest.mark.parametrize("protocol", ["iclr", "neurips"])
def test_labels_are_compared_with_those_of_frozen(protocol: str) -> None:
    """The untrained generator of a MAXL run is the frozen one of the same seed."""
    maxl, frozen = (learner(SOURCES[name], protocol) for name in ("maxl", "frozen"))
    fit(maxl)
    untrained, *_ = prepared_source(maxl.plan, maxl.fabric, {}, rehearsal=True)
    first, second = labels_in_training(maxl, untrained), labels_in_training(frozen, frozen.source)
    assert first is not None
    assert second is not None
    assert first.equal(second)


def test_movement_is_nothing_without_learning_and_grows_with_the_rate() -> None:
    found = []
    for rate in (0.0, 1e-3, 1e-1):
        made = learner(SOURCES["maxl"], "neurips", epochs=2, generator_learning_rate=rate)
        fit(made)
        before = [tensor.clone() for tensor in (*made.source.parameters(), *made.source.buffers())]
        found.append(label_movement(made))
        now = (*made.source.parameters(), *made.source.buffers())
        assert all(a.equal(b) for a, b in zip(before, now, strict=True))
    still, little, far = (movement for movement in found if movement)
    assert still == {"absolute_change": 0.0, "total_variation": 0.0, "same_top": 1.0}
    assert 0 < little["total_variation"] < far["total_variation"]
    assert far["absolute_change"] == pytest.approx(2 * far["total_variation"] / 5)
    assert far["same_top"] < little["same_top"]


def test_sources_that_do_not_learn_have_no_movement() -> None:
    assert label_movement(learner(SOURCES["frozen"], "neurips")) is None
    assert label_movement(learner(SOURCES["vector"], "neurips")) is None


def test_cosine_of_the_released_code_by_hand() -> None:
    """One weight of two rows: the cosine along the first dimension of each column, then the mean; and one bias."""
    trunk = nn.Linear(2, 2)

    def loss(weight: list[list[float]], bias: list[float]) -> Tensor:
        return (trunk.weight * torch.tensor(weight)).sum() + (trunk.bias * torch.tensor(bias)).sum()

    primary = loss([[1.0, 1.0], [0.0, 1.0]], [1.0, 0.0])
    auxiliary = loss([[1.0, 1.0], [1.0, -1.0]], [-2.0, 0.0])
    columns = (0.5**0.5 + 0.0) / 2
    assert mean_cosine(trunk, primary, auxiliary, alone, 1) == pytest.approx((columns - 1) / 2)
    assert mean_cosine(trunk, primary, None, alone, 1) is None


def test_the_cosine_is_measured_on_so_many_batches_and_changes_nothing() -> None:
    measured, plain = (trained(SOURCES["random"], epochs=2, cosine_batches=count) for count in (3, 0))
    assert_same_weights(measured.network, plain.network)
    assert all(-1 <= record["mean_cosine"] <= 1 for record in measured.records)
    assert not any("mean_cosine" in record for record in plain.records)
