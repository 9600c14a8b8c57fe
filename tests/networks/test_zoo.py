"""Networks of torchvision and timm as trunks: any image, adapted stems, refusals in one line."""

import sys

import pytest
import torch
from torch import nn

from metaux.errors import InputError
from metaux.networks.backbones import check_backbone, make_backbone
from metaux.networks.stems import adapt_stem, fit_kernel

SMALL = (2, 32, 32)
# the smallest of each family, with its number of features
FAMILIES = {
    "torchvision:vgg11": 512,
    "torchvision:squeezenet1_1": 512,
    "torchvision:densenet121": 1024,
    "torchvision:googlenet": 1024,
    "torchvision:mobilenet_v2": 1280,
    "torchvision:mobilenet_v3_small": 1024,
    "torchvision:efficientnet_b0": 1280,
    "torchvision:mnasnet0_5": 1280,
    "torchvision:regnet_y_400mf": 440,
    "torchvision:shufflenet_v2_x0_5": 1024,
    "torchvision:convnext_tiny": 768,
    "torchvision:swin_t": 768,
    "timm:test_resnet": 96,
    "timm:test_efficientnet": 256,
    "timm:test_convnext": 64,
    "timm:test_vit": 64,
    "timm:test_byobnet": 256,
}


def first_convolution(trunk: nn.Module) -> nn.Conv2d:
    return next(layer for layer in trunk.modules() if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize(("name", "features"), FAMILIES.items())
def test_every_family_takes_small_images_of_any_channels(name: str, features: int) -> None:
    trunk = make_backbone(name, SMALL)
    assert trunk.training
    assert first_convolution(trunk).in_channels == 2
    found = trunk(torch.randn(3, *SMALL))
    assert found.shape == (3, features)
    assert found.isfinite().all()


@pytest.mark.parametrize(
    ("name", "kernel", "pools"),
    [
        ("torchvision:resnet18", 3, ("maxpool",)),
        ("timm:resnet10t", 3, ("maxpool",)),
        ("torchvision:densenet121", 3, ("features.pool0",)),
        ("timm:densenet121", 3, ("features.pool0",)),
        ("torchvision:mobilenet_v3_small", 3, ()),
        ("timm:mobilenetv3_small_050", 3, ()),
    ],
)
def test_the_stem_does_not_shrink_small_images(name: str, kernel: int, pools: tuple[str, ...]) -> None:
    trunk = make_backbone(name, (3, 32, 32))
    assert (first_convolution(trunk).kernel_size, first_convolution(trunk).stride) == ((kernel, kernel), (1, 1))
    assert all(isinstance(trunk.get_submodule(pool), nn.Identity) for pool in pools)
    make_backbone(name, (1, 8, 8))


def test_large_images_have_the_network_as_published() -> None:
    trunk = make_backbone("torchvision:resnet18", (3, 64, 64))
    assert (first_convolution(trunk).kernel_size, first_convolution(trunk).stride) == ((7, 7), (2, 2))
    assert isinstance(trunk.get_submodule("maxpool"), nn.MaxPool2d)
    # 11,689,512 as torchvision's documentation has it, less its classifier of 512 x 1000 + 1000
    assert sum(parameter.numel() for parameter in trunk.parameters()) == 11_689_512 - 513_000


@pytest.mark.parametrize(("pixels", "patch"), [(32, 4), (28, 4), (64, 8), (160, 16)])
def test_a_transformer_has_patches_that_suit_the_image(pixels: int, patch: int) -> None:
    trunk = make_backbone("timm:test_vit", (1, pixels, pixels))
    assert first_convolution(trunk).kernel_size == (patch, patch)


def test_a_transformer_of_torchvision_has_patches_that_suit_the_image() -> None:
    trunk = make_backbone("torchvision:vit_b_32", (1, 8, 8))
    assert first_convolution(trunk).kernel_size == (1, 1)
    assert trunk.eval()(torch.zeros(1, 1, 8, 8)).shape == (1, 768)


def test_filters_of_other_channels_keep_the_size_of_the_output() -> None:
    torch.manual_seed(0)
    grey, colour = (first_convolution(make_backbone("torchvision:resnet18", (n, 32, 32))) for n in (1, 3))
    assert float(grey.weight.detach().std() / colour.weight.detach().std()) == pytest.approx(3**0.5, rel=0.05)


def test_fitted_filters_answer_to_the_enlarged_grey_image_as_before() -> None:
    torch.manual_seed(0)
    weight, image = torch.randn(5, 3, 8, 8), torch.randn(1, 1, 2, 2)
    large = nn.functional.interpolate(image, scale_factor=4, mode="nearest").expand(-1, 3, -1, -1)
    expected = nn.functional.conv2d(large, weight)
    torch.testing.assert_close(nn.functional.conv2d(image, fit_kernel(weight, 1, 2)), expected, atol=1e-4, rtol=1e-4)


REFUSED: dict[str, tuple[str, bool, str]] = {
    "unknown model": ("torchvision:resnet81", False, r"of torchvision, found 'resnet81'; did you mean 'resnet18'\?"),
    "unknown timm model": ("timm:resnet10", False, r"of timm, found 'resnet10'; did you mean 'resnet1"),
    "unknown tag": ("timm:test_vit.r161_in1k", False, r"found the tag 'r161_in1k'; did you mean 'test_vit.r160_in1k'"),
    "unknown library": ("torchvison:resnet18", False, "found 'torchvison:resnet18'; did you mean 'torchvision'"),
    "no model": ("timm:", False, "expected a classification model of timm, found ''"),
    "detection": ("torchvision:fasterrcnn_resnet50_fpn", False, "which is for another task"),
    "no library": ("resnet18", False, r"did you mean 'resnet32'\? \(known: auto, .*, torchvision:NAME, timm:NAME\)"),
    "pretrained small-cnn": ("small-cnn", True, "for pretrained weights, found small-cnn, which has none"),
    "pretrained auto": ("auto", True, "found auto, which has none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_a_name(case: str) -> None:
    name, pretrained, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as refusal:
        check_backbone(name, pretrained)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "shape", "size"),
    [
        ("torchvision:inception_v3", (3, 32, 32), 299),
        ("torchvision:alexnet", (3, 32, 32), 224),
        ("torchvision:maxvit_t", (3, 32, 32), 224),
        ("torchvision:vit_b_16", (3, 32, 48), 224),
        ("timm:test_convnext", (1, 8, 8), 160),
    ],
)
def test_images_that_a_network_cannot_take(name: str, shape: tuple[int, ...], size: int) -> None:
    with pytest.raises(
        InputError, match=rf"that {name} can take, .* raise --image-size, for example to {size}$"
    ) as found:
        make_backbone(name, shape)
    assert "\n" not in str(found.value)


def test_tables_are_not_for_image_networks() -> None:
    with pytest.raises(InputError, match=r"takes images .* use mlp"):
        make_backbone("torchvision:resnet18", (64,))


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"isn't installed; pip install 'metaux\[timm\]'"):
        check_backbone("timm:resnet10t")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_first_convolution_that_does_not_take_the_image_stays(channels: int) -> None:
    trunk = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * channels, 4, 3), nn.ReLU())
    before = trunk[1]
    adapt_stem(trunk, (channels, 32, 32), pretrained=False)
    assert trunk[1] is before
    assert before.stride == (1, 1)
