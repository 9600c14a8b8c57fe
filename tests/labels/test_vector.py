"""The arbitrary auxiliary task: its meta-gradient, exactly; and that its targets do not collapse."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from metaux import InputError
from metaux.data.samples import Samples
from metaux.labels.base import Batch, MetaStep
from metaux.labels.sources import SOURCES
from metaux.labels.vector import Vector, spectral_entropy_loss, spread, squared_errors
from metaux.losses import focal_loss
from metaux.metagradient import LookAhead, MetaGradient, alone, double_backward, forward_mode
from metaux.networks.multitask import MultiTaskNetwork, Outputs, VectorGenerator
from metaux.training.loop import fit
from properties import assert_same_parameters, assert_same_weights, different_weights
from small import digits, learner, trained

N, D, RATE = 7, 5, 0.3


def make(seed: int = 0) -> tuple[MultiTaskNetwork, Batch, Tensor]:
    """Return a network with batch normalisation in training mode, a batch and target vectors, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        trunk = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 8), nn.Softplus())
        network = MultiTaskNetwork(trunk, nn.Linear(8, 3), nn.Linear(8, D)).double()
        batch = Batch((torch.randn(N, 6).double(),), torch.arange(N) % 3, torch.arange(N))
        return network, batch, torch.randn(N, D).double()


def meta_gradient(way: MetaGradient, network: MultiTaskNetwork, batch: Batch, target: Tensor) -> Tensor:
    def inner_loss(outputs: Outputs, t: Tensor) -> Tensor:
        assert outputs.auxiliary is not None
        return focal_loss(outputs.primary, batch.primary) + squared_errors(outputs.auxiliary, t).mean()

    def outer_loss(outputs: Outputs) -> Tensor:
        return focal_loss(outputs.primary, batch.primary)

    found = way(network, target, batch.inputs, inner_loss, batch.inputs, outer_loss, LookAhead(RATE))
    assert isinstance(found.gradient, Tensor)
    return found.gradient


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("seed", range(3))
def test_forward_mode_is_exact_and_the_closed_form(seed: int) -> None:
    network, batch, target = make(seed)
    found = meta_gradient(forward_mode, network, batch, target)
    assert relative(found, meta_gradient(double_backward, network, batch, target)) < 1e-10

    # -(2 / (N D)) o', with o' the tangent of the auxiliary output along u = -alpha v, all by other means
    theta = {name: value.detach() for name, value in network.named_parameters()}
    buffers = {name: value.clone() for name, value in network.named_buffers()}

    def loss(parameters: dict[str, Tensor], primary_only: bool) -> Tensor:
        outputs: Outputs = functional_call(network, {**parameters, **clones(buffers)}, batch.inputs)
        primary = focal_loss(outputs.primary, batch.primary)
        assert outputs.auxiliary is not None
        return primary if primary_only else primary + squared_errors(outputs.auxiliary, target).mean()

    g = torch.func.grad(loss)(theta, False)
    ahead = {name: value - RATE * g[name] for name, value in theta.items()}
    u = {name: -RATE * value for name, value in torch.func.grad(loss)(ahead, True).items()}

    network.eval()  # batch statistics by hand, for jvp refuses running ones
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    tangent = jvp(lambda p: functional_call(network, p, batch.inputs).auxiliary, (theta,), (u,))[1]
    assert relative(found, -2 / (N * D) * tangent) < 1e-10


def clones(buffers: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in buffers.items()}


def test_a_meta_step_follows_the_gradient_of_the_whole_objective() -> None:
    made = learner(SOURCES["vector"], "neurips", batch_size=40)
    made.network.double()
    source = made.source.double()
    assert isinstance(source, Vector)
    rows = torch.arange(30)
    loaded = made.batches.train.load(rows)
    batch = loaded._replace(inputs=(loaded.inputs[0].double(),))

    def step(way: MetaGradient) -> MetaStep:
        return MetaStep(made.network, batch, batch, made.primary_loss, LookAhead(RATE), way, 1.0, 0, alone)

    parameters = list(source.generator.parameters())
    found, expected = (
        torch.autograd.grad(torch.stack([*source.objectives(step(way)).values()]).sum(), parameters)
        for way in (forward_mode, double_backward)
    )
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-14)
    entropy = source.objectives(step(forward_mode))["entropy"]
    targets = source.target(batch)
    direct = 0.2 * spectral_entropy_loss((targets - targets.mean(0)).T @ (targets - targets.mean(0)) / 30)
    for ours, theirs in zip(
        torch.autograd.grad(entropy, parameters), torch.autograd.grad(direct, parameters), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-14)


def test_targets_have_mean_zero_and_variance_one_whatever_the_head_says() -> None:
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 100.0, 0.1]) + 7
    targets = VectorGenerator(nn.Identity(), nn.Identity(), 3)(x)
    torch.testing.assert_close(targets.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(targets.var(0, correction=0), torch.ones(3), atol=2e-3, rtol=0)
    small = VectorGenerator(nn.Identity(), nn.Identity(), 3)(1e-5 * x)
    assert spread(small, torch.zeros(50).long())["target_variance"] < 0.5  # a constant head is seen


def test_spread_shows_every_kind_of_collapse() -> None:
    primary = torch.arange(60) % 3
    stream = torch.Generator().manual_seed(0)
    free = torch.randn(60, 4, generator=stream)
    healthy, constant = spread(free, primary), spread(torch.ones(60, 4), primary)
    assert healthy["target_dimensions"] > 3.5
    assert healthy["target_class_share"] < 0.15
    assert constant == {"target_variance": 0.0, "target_dimensions": 0.0, "target_class_share": 0.0}
    assert spread(free[:, :1].expand(60, 4), primary)["target_dimensions"] == pytest.approx(1)
    repeated = spread(nn.functional.one_hot(primary, 3).float(), primary)
    assert repeated["target_class_share"] == pytest.approx(1)
    assert repeated["target_dimensions"] == pytest.approx(2)


def test_the_entropy_keeps_the_dimensions_in_use() -> None:
    free, held = (trained(SOURCES["vector"], epochs=6, entropy_weight=weight).records for weight in (0.0, 0.2))
    assert held[-1]["target_dimensions"] > 6 > 4 > free[-1]["target_dimensions"]
    assert held[-1]["target_class_share"] < 0.2 < free[-1]["target_class_share"]
    assert held[0]["meta_gradient_norm"] > 0


def test_frozen_vector_starts_as_vector_and_never_learns() -> None:
    vector, frozen = learner(SOURCES["vector"]), learner(SOURCES["frozen-vector"])
    before = copy.deepcopy(frozen.source)
    assert_same_weights(vector.source, before)
    records = fit(frozen).records
    fit(vector)
    assert_same_parameters(frozen.source, before)
    assert different_weights(vector.source, before)
    assert records[0]["target_dimensions"] == pytest.approx(records[-1]["target_dimensions"], rel=1e-4)
    assert "meta_gradient_norm" not in records[0]


def test_there_are_no_labels_to_record() -> None:
    fitted = trained(SOURCES["frozen-vector"], epochs=1)
    assert fitted.labels is None
    assert "label_entropy" not in fitted.records[0]


def test_a_batch_of_one_is_refused() -> None:
    one = digits().train.take(torch.arange(3))
    with pytest.raises(InputError, match=r"expected two samples or more in every training batch .* --batch-size"):
        trained(SOURCES["vector"], train=Samples(one.inputs, one.primary), batch_size=1)
