"""The meta-gradient on one network of each family: forward mode against double backward, dropout and all."""

import copy

import pytest
import torch
from torch import Tensor, nn

from metaux import Hierarchy, InputError, LookAhead, MultiTaskNetwork, double_backward, forward_mode
from metaux.metagradient import MetaGradient
from metaux.networks.backbones import make_backbone
from metaux.networks.multitask import Outputs, feature_size, make_head

SHAPE = (3, 16, 16)
RANDOM = ("Dropout", "StochasticDepth", "DropPath")


class ExactHardsigmoid(nn.Module):
    """Hardsigmoid with PyTorch's own slope, whose 1/6 is in single precision, and with a second derivative."""

    def forward(self, x: Tensor) -> Tensor:
        ramp = nn.functional.relu6(x + 3)
        sloped = ramp * torch.tensor(1 / 6, dtype=torch.float32).item()
        return sloped + (ramp / 6 - sloped).detach()


def make_network(name: str, shape: tuple[int, int, int] = SHAPE) -> MultiTaskNetwork:
    torch.manual_seed(0)
    trunk = make_backbone(name, shape)
    features = feature_size(trunk, (torch.zeros(1, *shape),))
    return MultiTaskNetwork(trunk, make_head(features, 2, "linear"), make_head(features, 5, "mlp")).double()


def gradient(way: MetaGradient, network: MultiTaskNetwork, shape: tuple[int, int, int] = SHAPE) -> Tensor:
    stream = torch.Generator().manual_seed(1)
    x, y = torch.randn(4, *shape, dtype=torch.float64, generator=stream), torch.arange(4) % 2
    labels = Hierarchy([2, 3]).mask(y).double().mul(torch.rand(4, 5, dtype=torch.float64, generator=stream))

    def outer_loss(outputs: Outputs) -> Tensor:
        return nn.functional.cross_entropy(outputs.primary, y)

    def inner_loss(outputs: Outputs, target: Tensor) -> Tensor:
        assert outputs.auxiliary is not None
        return outer_loss(outputs) + nn.functional.cross_entropy(outputs.auxiliary, target)

    found = way(network, labels, (x,), inner_loss, (x,), outer_loss, LookAhead(0.01), seed=3).gradient
    assert isinstance(found, Tensor)
    return found


def is_random(network: nn.Module) -> bool:
    return any(
        type(layer).__name__ in RANDOM and (getattr(layer, "p", 0) or getattr(layer, "drop_prob", 0))
        for layer in network.modules()
    )


@pytest.mark.parametrize(
    ("name", "random"),
    [
        ("conv4", False),  # convolutional
        ("timm:test_resnet", False),  # residual
        ("timm:test_efficientnet", False),  # depth-wise with squeeze and excitation
        ("torchvision:efficientnet_b0", True),  # the same with stochastic depth and dropout
        ("torchvision:mobilenet_v2", True),
        ("timm:test_vit", False),  # transformer
    ],
)
def test_forward_mode_is_exact_on_every_family(name: str, random: bool) -> None:
    network = make_network(name)
    assert is_random(network) == random
    found, expected = (gradient(way, network) for way in (forward_mode, double_backward))
    assert expected.norm() > 0
    assert (found - expected).norm() < 1e-10 * expected.norm()


def test_forward_mode_is_exact_on_a_shifted_window_transformer_with_stochastic_depth() -> None:
    shape = (3, 8, 8)
    network = make_network("torchvision:swin_t", shape)
    assert is_random(network)
    found, expected = (gradient(way, network, shape) for way in (forward_mode, double_backward))
    assert (found - expected).norm() < 1e-10 * expected.norm()


@pytest.mark.parametrize("name", ["torchvision:mobilenet_v3_small", "timm:mobilenetv3_small_050"])
def test_forward_mode_is_exact_where_double_backward_has_no_formula(name: str) -> None:
    network = make_network(name)
    oracle = copy.deepcopy(network)
    for place, layer in list(oracle.named_modules()):
        if isinstance(layer, nn.Hardsigmoid):
            oracle.set_submodule(place, ExactHardsigmoid())
    with pytest.raises(InputError, match=r"double_backward needs .* use finite_difference"):
        gradient(double_backward, network)
    found, expected = gradient(forward_mode, network), gradient(double_backward, oracle)
    assert (found - expected).norm() < 1e-10 * expected.norm()
