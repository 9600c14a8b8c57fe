"""The parts in loops of a user's own: other modalities, other losses, networks with several inputs."""

import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from metaux import Hierarchy, LabelGenerator, LookAhead, MultiTaskNetwork, entropy_loss, finite_difference, forward_mode
from metaux import focal_loss as focal
from metaux.metagradient import MetaGradient
from metaux.networks.multitask import Outputs


class Words(nn.Module):
    """A small text network: mean of embeddings, with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 16)
        self.hidden = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Dropout(0.1))

    def forward(self, tokens: Tensor) -> Tensor:
        features: Tensor = self.hidden(self.embedding(tokens).mean(1))
        return features


class BagOfWords(nn.Module):
    """The same with `EmbeddingBag`, which has no forward-mode formula."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(30, 16)

    def forward(self, tokens: Tensor) -> Tensor:
        features: Tensor = self.embedding(tokens).tanh()
        return features


class TwoTables(nn.Module):
    """A tabular network with two inputs and batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 8), nn.Linear(2, 8)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        features: Tensor = self.norm(torch.relu(self.left(left) + self.right(right)))
        return features


def texts() -> tuple[tuple[Tensor, ...], Tensor]:
    """Sequences of 12 tokens; the class says which half of the vocabulary most of them come from."""
    primary = torch.randint(2, (300,))
    common = torch.rand(300, 12) < 0.8
    tokens = torch.randint(15, (300, 12)) + 15 * torch.where(common, primary.unsqueeze(1), 1 - primary.unsqueeze(1))
    return (tokens,), primary


def tables() -> tuple[tuple[Tensor, ...], Tensor]:
    left, right = torch.randn(300, 3), torch.randn(300, 2)
    return (left, right), (left.sum(1) + right[:, 0] > 0).long()


def learn(
    trunk: nn.Module,
    other: nn.Module,
    features: int,
    inputs: tuple[Tensor, ...],
    primary: Tensor,
    meta_gradient: MetaGradient = forward_mode,
) -> tuple[float, bool]:
    """MAXL in a loop of one's own; returns the training accuracy, and whether the generator learned."""
    hierarchy = Hierarchy([3, 2])
    network = MultiTaskNetwork(trunk, nn.Linear(features, 2), nn.Linear(features, hierarchy.size))
    generator = LabelGenerator(other, nn.Linear(features, hierarchy.size), hierarchy)
    optimizer, generator_optimizer = optim.SGD(network.parameters(), 0.5, 0.5), optim.Adam(generator.parameters())
    start = [parameter.clone() for parameter in generator.parameters()]

    def outer_loss(outputs: Outputs) -> Tensor:
        return functional.cross_entropy(outputs.primary, primary)

    def inner_loss(outputs: Outputs, labels: Tensor) -> Tensor:
        assert outputs.auxiliary is not None
        return outer_loss(outputs) + focal(outputs.auxiliary, labels)

    for step in range(60):
        labels = generator(*inputs, primary=primary)
        optimizer.zero_grad()
        inner_loss(network(*inputs), labels.detach()).backward()
        optimizer.step()
        look_ahead = LookAhead.from_optimizer(optimizer, network)
        found = meta_gradient(network, labels, inputs, inner_loss, inputs, outer_loss, look_ahead, seed=step)
        generator_optimizer.zero_grad()
        assert isinstance(found.gradient, Tensor)
        ((labels * found.gradient).sum() + 0.2 * entropy_loss(labels)).backward()
        generator_optimizer.step()
    network.eval()
    accuracy = (network(*inputs).primary.argmax(-1) == primary).float().mean()
    moved = [not now.equal(old) for now, old in zip(generator.parameters(), start, strict=True)]
    return float(accuracy), all(moved)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_text() -> None:
    inputs, primary = texts()
    accuracy, learned = learn(Words(), Words(), 16, inputs, primary)
    assert accuracy > 0.95
    assert learned


def test_text_without_forward_formula() -> None:
    inputs, primary = texts()
    with pytest.raises(ValueError, match="use finite_difference"):
        learn(BagOfWords(), BagOfWords(), 16, inputs, primary)
    accuracy, learned = learn(BagOfWords(), BagOfWords(), 16, inputs, primary, finite_difference)
    assert accuracy > 0.95
    assert learned


def test_table_in_two_inputs() -> None:
    inputs, primary = tables()
    accuracy, learned = learn(TwoTables(), TwoTables(), 8, inputs, primary)
    assert accuracy > 0.95
    assert learned


def test_regression_with_subclasses_below_quantiles_of_the_target() -> None:
    x = torch.linspace(-3, 3, 240).unsqueeze(1)
    value = x.sin().squeeze(1)
    quantile = torch.bucketize(value, value.quantile(torch.tensor([0.25, 0.5, 0.75])))
    hierarchy = Hierarchy([2, 3, 3, 2])
    network = MultiTaskNetwork(nn.Sequential(nn.Linear(1, 32), nn.Tanh()), nn.Linear(32, 1), nn.Linear(32, 10))
    generator = LabelGenerator(nn.Sequential(nn.Linear(1, 32), nn.Tanh()), nn.Linear(32, 10), hierarchy)
    optimizer, generator_optimizer = optim.SGD(network.parameters(), 0.1), optim.Adam(generator.parameters(), 0.01)

    def outer_loss(outputs: Outputs) -> Tensor:
        return functional.mse_loss(outputs.primary.squeeze(1), value)

    def inner_loss(outputs: Outputs, labels: Tensor) -> Tensor:
        assert outputs.auxiliary is not None
        return outer_loss(outputs) + 0.1 * focal(outputs.auxiliary, labels)

    start = outer_loss(network(x)).item()
    for _ in range(300):
        labels = generator(x, primary=quantile)
        optimizer.zero_grad()
        inner_loss(network(x), labels.detach()).backward()
        optimizer.step()
        found = forward_mode(network, labels, (x,), inner_loss, (x,), outer_loss, LookAhead(0.1))
        generator_optimizer.zero_grad()
        (labels * found.gradient).sum().backward()
        generator_optimizer.step()
    assert outer_loss(network(x)).item() < 0.1 * start
    assert labels[~hierarchy.mask(quantile)].eq(0).all()
