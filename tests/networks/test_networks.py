"""Backbones by name, heads, and what any trunk must be."""

import pytest
import torch
from torch import nn

from metaux import Hierarchy, InputError, LabelGenerator, LookAhead, MultiTaskNetwork, double_backward, forward_mode
from metaux.networks.backbones import BACKBONES, make_backbone
from metaux.networks.multitask import Outputs, feature_size, initialise, make_head
from metaux.protocols import Initialisation

IMAGES = [name for name in BACKBONES if name != "mlp"]
# trainable parameters for 3 x 32 x 32 images, counted by hand: VGG-16's convolutions 14,710,464 + 4,224 biases
# + 8,448 of batch normalisation (Simonyan & Zisserman, configuration D); ResNet-32 of He et al. 464,154, less the
# 650 of its last layer, plus 2,752 in two projections where the original pads; a quarter of VGG-16's width has a
# sixteenth of all convolutions but the first, which has a quarter of its own
SIZES = {"vgg16": 14_723_136, "vgg16-quarter": 922_896, "resnet32": 466_256}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", SIZES)
def test_published_networks_have_their_size(name: str) -> None:
    assert count(make_backbone(name, (3, 32, 32))) == SIZES[name]


@pytest.mark.parametrize(("name", "features"), [("vgg16", 512), ("resnet32", 64), ("small-cnn", 128), ("conv4", 64)])
def test_features_of_images(name: str, features: int) -> None:
    trunk = make_backbone(name, (3, 32, 32))
    assert feature_size(trunk, (torch.zeros(1, 3, 32, 32),)) == features
    assert trunk.training
    assert all(not buffer.any() for key, buffer in trunk.named_buffers() if key.endswith("running_mean"))


@pytest.mark.parametrize("name", ["small-cnn", "conv4", "resnet32"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 5, 7), (4, 64, 64)])
def test_small_backbones_take_any_image(name: str, shape: tuple[int, int, int]) -> None:
    assert make_backbone(name, shape)(torch.zeros(2, *shape)).dim() == 2


def test_vgg16_takes_grey_images() -> None:
    assert make_backbone("vgg16", (1, 32, 32)).eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 512)


def test_auto_is_the_networks_for_tables_and_images() -> None:
    assert count(make_backbone("auto", (64,))) == count(make_backbone("mlp", (64,))) == 64 * 128 + 128 + 128 * 128 + 128
    assert count(make_backbone("auto", (1, 8, 8))) == count(make_backbone("small-cnn", (1, 8, 8)))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("vgg61", (3, 32, 32), "unknown backbone 'vgg61'; did you mean 'vgg16'?"),
        ("vgg16", (1, 8, 8), "vgg16 takes images of at least 32 x 32 pixels, found"),
        ("resnet32", (64,), "takes images .*found \\[64\\]; use mlp"),
    ],
)
def test_refuses_what_a_backbone_cannot_take(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_backbone(name, shape)


@pytest.mark.parametrize("name", ["small-cnn", "conv4", "resnet32"])
def test_meta_gradient_of_every_backbone_is_exact(name: str) -> None:
    torch.manual_seed(0)
    hierarchy, trunk = Hierarchy([2, 3]), make_backbone(name, (1, 8, 8))
    features = feature_size(trunk, (torch.zeros(1, 1, 8, 8),))
    network = MultiTaskNetwork(trunk, make_head(features, 2, "linear"), make_head(features, 5, "mlp")).double()
    x, y = torch.randn(6, 1, 8, 8, dtype=torch.float64), torch.arange(6) % 2
    labels = hierarchy.mask(y).double().mul(torch.rand(6, 5, dtype=torch.float64))

    def outer_loss(outputs: Outputs) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs.primary, y)

    def inner_loss(outputs: Outputs, target: torch.Tensor) -> torch.Tensor:
        assert outputs.auxiliary is not None
        return outer_loss(outputs) + nn.functional.cross_entropy(outputs.auxiliary, target)

    found, expected = (
        way(network, labels, (x,), inner_loss, (x,), outer_loss, LookAhead(0.1)).gradient
        for way in (forward_mode, double_backward)
    )
    assert isinstance(found, torch.Tensor)
    assert isinstance(expected, torch.Tensor)
    assert (found - expected).norm() < 1e-10 * expected.norm()


def test_generated_labels_stay_within_the_class() -> None:
    hierarchy = Hierarchy([2, 1, 4])
    generator = LabelGenerator(nn.Flatten(), nn.Linear(8, 7), hierarchy)
    primary = torch.tensor([0, 1, 2])
    labels = generator(torch.randn(3, 2, 4), primary=primary)
    assert labels[~hierarchy.mask(primary)].eq(0).all()
    torch.testing.assert_close(labels.sum(-1), torch.ones(3))


@pytest.mark.parametrize(
    ("trunk", "message"),
    [(nn.Conv2d(1, 2, 1), "must return features"), (nn.Linear(3, 2), "cannot take inputs of shape \\[1, 1, 8, 8\\]")],
)
def test_refuses_what_is_no_trunk(trunk: nn.Module, message: str) -> None:
    with pytest.raises(InputError, match=message):
        feature_size(trunk, (torch.zeros(1, 1, 8, 8),))


@pytest.mark.parametrize(("how", "bounded"), [("xavier-uniform", True), ("xavier-normal", False)])
def test_xavier_has_its_variance_and_zero_biases(how: Initialisation, bounded: bool) -> None:
    torch.manual_seed(0)
    linear, convolution = nn.Linear(300, 500), nn.Conv2d(16, 32, 3)
    norm = nn.BatchNorm1d(500)
    before = norm.weight.clone()
    initialise([nn.Sequential(linear, norm), convolution], how)
    for layer, fans in ((linear, 300 + 500), (convolution, 9 * (16 + 32))):
        variance = 2 / fans
        assert layer.bias is not None
        assert not layer.bias.any()
        weight = layer.weight.detach()
        assert float(weight.var()) == pytest.approx(variance, rel=0.1)
        assert (float(weight.abs().max()) <= (3 * variance) ** 0.5 * 1.0001) == bounded
    assert norm.weight.equal(before)


def test_initialisation_of_pytorch_is_what_the_layers_made() -> None:
    layer = nn.Linear(3, 4)
    before = layer.weight.clone()
    initialise([layer], "pytorch")
    assert layer.weight.equal(before)
    assert layer.bias.any()
