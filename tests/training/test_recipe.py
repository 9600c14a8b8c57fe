"""The recipe: mixed images and their targets, smoothing, optimizers, warm-up and the moving average of the weights."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from metaux.data.samples import LabelledData, Samples
from metaux.data.transforms import augmentation
from metaux.errors import InputError
from metaux.hierarchy import Hierarchy
from metaux.labels.base import Auxiliary, Batch, auxiliary_term
from metaux.labels.sources import SOURCES
from metaux.protocols import TUNED, resolve
from metaux.runs.plan import assemble
from metaux.settings import Settings
from metaux.training.callbacks import Callback, Training
from metaux.training.checkpoint import Checkpoint
from metaux.training.learner import Learner
from metaux.training.loop import fit, take_step
from metaux.training.mixing import mixer
from metaux.training.primary_loss import balanced
from metaux.training.step import multi_task_losses
from properties import assert_same_weights, different_weights
from small import digits, learner, small_cnn


def batch_of(count: int, own: int | None = None) -> Batch:
    """Return a batch of different images, whose values tell which is which."""
    images = torch.arange(count).float().view(-1, 1, 1, 1).expand(-1, 1, 6, 6).contiguous()
    return Batch((images,), torch.arange(count) % 2, torch.arange(count), own=own)


@pytest.mark.parametrize("name", ["mixup", "cutmix", "both"])
def test_a_mixed_image_is_of_its_two_samples_by_their_shares(name: str) -> None:
    for seed in range(5):
        batch = mixer(name)(batch_of(5), seed, "mix")
        assert batch.mixing is not None
        found = batch.shown[0].mean((1, 2, 3))
        assert torch.allclose(found, batch.mixing.of(torch.arange(5.0)), atol=1e-5)
        assert batch.mixing.primary.equal(batch.primary[batch.mixing.partner])
        assert batch.inputs[0].equal(batch_of(5).inputs[0])


def test_samples_as_they_are_and_their_copies_are_mixed_among_themselves() -> None:
    batch = mixer("mixup")(batch_of(6, own=2), 3, "mix")
    assert batch.mixing is not None
    assert (batch.mixing.partner[:2] < 2).all()
    assert (batch.mixing.partner[2:] >= 2).all()
    own = batch.unchanged()
    assert own.shown[0].equal(batch.shown[0][:2])
    assert own.mixing is not None
    assert own.mixing.primary.equal(batch.mixing.primary[:2])


@pytest.mark.parametrize("own", [0, 1])
def test_a_single_sample_stays_as_it_is(own: int) -> None:
    batch = mixer("cutmix")(batch_of(1, own=own), 0, "mix")
    assert batch.shown[0].equal(batch.inputs[0])


# Those that distil what views of an image say refuse images that are mixed (tests/labels/test_rotation.py).
MIXED = [name for name, known in SOURCES.items() if known.options.get("prediction") != "distilled"]


@pytest.mark.parametrize("method", [name for name in MIXED if SOURCES[name].kinds != ("table",)])
def test_every_source_on_images_learns_mixed_ones(method: str) -> None:
    made = learner(SOURCES[method], epochs=1, mix="both", label_smoothing=0.1, batch_size=100)
    order = made.batches.order(0)
    losses, _ = take_step(made, "train", order, 0, 1.0)
    if made.source.meta_step is not None:
        take_step(made, "meta", order, 0, 1.0)
    assert losses.isfinite().all()
    assert made.trouble(float(losses[0])) is None


def test_losses_of_mixed_images_are_those_of_the_mixed_targets() -> None:
    made = learner(SOURCES["random"], mix="mixup", label_smoothing=0.2)
    batch = made.batches.training(made.batches.order(0), 0)
    assert batch.mixing is not None
    made.network.eval()
    output, primary, auxiliary = multi_task_losses(made.network, made.source, batch, made.primary_loss)
    classes = 0.8 * batch.mixing.of(one_hot(batch.primary, 2).float()) + 0.1
    assert torch.allclose(primary, cross_entropy(output, classes))
    task = made.source.auxiliary(batch)
    assert task is not None
    logits = made.network(*batch.shown).auxiliary
    assert auxiliary is not None
    assert torch.allclose(auxiliary, cross_entropy(logits, batch.mixing.of(task.target)))


def test_a_class_as_target_and_the_weight_of_a_sample_are_mixed_like_distributions() -> None:
    made = learner(SOURCES["given"])
    batch = mixer("mixup")(batch_of(4), 1, "mix")
    logits, target, weight = torch.randn(4, 3), torch.tensor([0, 2, 1, 0]), torch.tensor([1.0, 0.0, 1.0, 1.0])
    assert batch.mixing is not None
    weighted = weight.unsqueeze(-1) * one_hot(target, 3)
    expected = -(batch.mixing.of(weighted) * logits.log_softmax(-1)).sum(-1).mean()
    assert torch.allclose(auxiliary_term(made.source, logits, Auxiliary(target, weight), batch.mixing), expected)


def test_the_look_ahead_is_on_the_images_of_the_training_step_and_the_outer_loss_on_samples() -> None:
    batches = learner(SOURCES["maxl"], mix="mixup").batches
    order = batches.order(0)
    inner, outer = batches.look_ahead(order, 1)
    assert inner.shown[0].equal(batches.training(order, 1).shown[0])
    assert not inner.shown[0].equal(inner.inputs[0])
    assert outer.mixing is None


def test_smoothing_is_that_of_torch_with_class_weights_too() -> None:
    train = digits().train
    made = learner(SOURCES["single"], train=train, class_weights=balanced(train.primary, 2), label_smoothing=0.3)
    batch, logits = made.batches.train.load(torch.arange(200)), torch.randn(200, 2)
    weights = 200 / (2 * train.primary.bincount().float())
    expected = cross_entropy(logits, batch.primary, weights, reduction="sum", label_smoothing=0.3) / 200
    assert torch.allclose(made.primary_loss(logits, batch), expected)


def test_adamw_comes_with_its_own_values() -> None:
    assert (TUNED.learning_rate, TUNED.weight_decay) == (0.05, 5e-4)
    chosen = resolve(Settings(optimizer="adamw"))
    assert (chosen.learning_rate, chosen.weight_decay) == (1e-3, 0.05)
    assert resolve(Settings(optimizer="adamw", learning_rate=0.01)).learning_rate == 0.01
    optimizer = learner(SOURCES["single"], optimizer="adamw", learning_rate=1e-3).optimizer
    assert type(optimizer) is torch.optim.AdamW
    fitted = fit(learner(SOURCES["uniform"], epochs=4, optimizer="adamw", learning_rate=1e-3, warm_up=1))
    assert fitted.records[-1]["train_loss"] < fitted.records[0]["train_loss"]


def test_the_average_is_exponential_and_is_what_is_evaluated(tmp_path: Path) -> None:
    made = learner(SOURCES["single"], epochs=1, weight_average=0.25)  # 8 steps: d = exp(-1 / 2)
    order, weights = made.batches.order(0), []
    for position in range(8):
        take_step(made, "train", order, position, 1.0)
        weights.append(weight_of(made.network).detach().clone())
    expected, decay = weights[0], math.exp(-0.5)
    for weight in weights[1:]:
        expected = decay * expected + (1 - decay) * weight
    assert torch.allclose(weight_of(made.evaluated), expected, atol=1e-6)

    whole = fit(learner(SOURCES["single"], epochs=2, weight_average=0.25))
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", digits().digest)
    with pytest.raises(KeyboardInterrupt):
        fit(learner(SOURCES["single"], epochs=2, weight_average=0.25), checkpoint, callbacks=[Interrupting()])
    resumed = fit(learner(SOURCES["single"], epochs=2, weight_average=0.25), checkpoint)
    assert_same_weights(resumed.network, whole.network)
    assert different_weights(whole.network, fit(learner(SOURCES["single"], epochs=2)).network)


def weight_of(network: nn.Module) -> Tensor:
    return network.get_parameter("primary_head.weight")


class Interrupting(Callback):
    def on_epoch_end(self, training: Training) -> None:
        raise KeyboardInterrupt


def test_trivial_augment_changes_each_image_its_own_way_and_again_by_its_generator() -> None:
    data = digits()
    change = augmentation("none", data, trivial=True)
    images = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).repeat(40, 1, 1, 1)
    found, again = (change(images, torch.Generator().manual_seed(1)) for _ in range(2))
    assert found.equal(again)
    assert len(found.unique(dim=0)) > 10
    assert change(images, torch.Generator().manual_seed(2)).ne(found).any()


def table() -> LabelledData:
    samples = Samples((torch.rand(40, 3),), torch.arange(40) % 2)
    return LabelledData(samples, samples, Hierarchy([2, 2]), "table")


@pytest.mark.parametrize(
    ("values", "method", "data", "message"),
    [
        ({"mix": "mixup"}, "single", table, "expected images for --mix mixup, found a table data set"),
        (
            {"trivial_augment": "on"},
            "single",
            table,
            "expected grey or colour images for TrivialAugment, found a table",
        ),
        ({"optimizer": "adamw"}, "maxl", digits, "expected the optimizer sgd for Maxl, .* found adamw"),
        ({"optimizer": "adamw"}, "vector", digits, "expected the optimizer sgd for Vector"),
        ({"weight_average": 0.1}, "unrolled", digits, "expected no average of the weights for Unrolled"),
        ({"label_smoothing": 1.0}, "single", digits, "expected label_smoothing of at least 0 and below 1, found 1.0"),
        ({"warm_up": -1}, "single", digits, "expected warm_up of at least 0"),
    ],
)
def test_refuses_before_training(values: dict[str, Any], method: str, data: Any, message: str) -> None:
    settings = Settings(device="cpu", **values)
    with pytest.raises(InputError, match=message):
        assemble(settings, data(), 0, resolve(settings), SOURCES[method], small_cnn, method)


def test_unrolled_follows_mixed_images() -> None:
    """A label of the fold that is held out has no gradient, though its image is in others' mixed images."""
    made = _unrolled()
    labels = made.source.get_buffer("own_labels")
    assert labels.isfinite().all()
    assert not labels.equal(torch.full_like(labels, 1 / labels.shape[1]))


def _unrolled() -> Learner:
    return learner(SOURCES["unrolled"], epochs=1, mix="mixup", label_smoothing=0.1, iterations=1, batch_size=50)


def test_a_protocol_of_ones_own_has_a_recipe() -> None:
    own = replace(TUNED, name="own", mix="cutmix", warm_up=2)
    assert resolve(Settings(epochs=4), own).mix == "cutmix"
    assert [round(own.rate(epoch), 3) for epoch in (0, 1)] == [0.333, 0.663]


def test_the_head_learns_first_and_the_trunk_stays() -> None:
    plain, headed = (learner(SOURCES["kmeans"], head_epochs=epochs) for epochs in (0, 100))
    assert_same_weights(headed.network.trunk, plain.network.trunk)
    samples = headed.batches.train.load(torch.arange(200))
    with torch.no_grad():
        before, after = (
            made.primary_loss(made.network.eval()(*samples.inputs).primary, samples) for made in (plain, headed)
        )
    assert after < before - 0.05
