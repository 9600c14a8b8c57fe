"""Stems for small images: the first layers of a network made for 224 pixels shrink a 32-pixel image too far.

Known recipes, by family: ResNet and DenseNet begin with a 3 x 3 convolution of stride 1 and no pooling (He et al. 2016
and Huang et al. 2017, for CIFAR). Families whose first convolution is 3 x 3 already get stride 1 and no pooling.
Pretrained filters that must shrink are summed over the pixels that become one, so they respond as to an enlarged image.
Transformers get patches small enough for the image.
"""

from math import gcd, sqrt
from typing import Any

import torch
from torch import Tensor, nn

SMALL = 64  # pixels; CIFAR has 32, Tiny ImageNet 64
COLOURS = 3  # channels that a network takes unless it is told
PATCHES = 7  # a side: what the largest patches in use (32 pixels) make of 224 pixels

# Family (the class's name, in both libraries) and the pooling layers of its stem.
RECIPES: dict[str, tuple[str, ...]] = {
    "ResNet": ("maxpool",),
    "DenseNet": ("features.pool0",),
    "GoogLeNet": ("maxpool1", "maxpool2"),
    "ShuffleNetV2": ("maxpool",),
    "EfficientNet": (),
    "MNASNet": (),
    "MobileNetV2": (),
    "MobileNetV3": (),
    "RegNet": (),
}


def adapt_stem(trunk: nn.Module, shape: tuple[int, int, int], pretrained: bool) -> None:
    """Adapt a network's first layers to its images, in place.

    Args:
        trunk: a network; it stays as it is where its first convolution does not take the image.
        shape: of an image, `[channels, height, width]`.
        pretrained: keep what the first convolution's filters have learned; else they are drawn anew.

    >>> from torchvision.models import resnet18
    >>> trunk = resnet18()
    >>> adapt_stem(trunk, (1, 32, 32), pretrained=False)
    >>> trunk.conv1, trunk.maxpool
    (Conv2d(1, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False), Identity())
    """
    convolutions = [(name, layer) for name, layer in trunk.named_modules() if isinstance(layer, nn.Conv2d)]
    if not convolutions:
        return
    name, convolution = convolutions[0]
    if convolution.in_channels not in (COLOURS, shape[0]):  # it takes what another layer makes of the image
        return
    pools = RECIPES.get(type(trunk).__name__) if min(shape[1:]) < SMALL else None
    kernel = convolution.kernel_size[0]
    if pools is not None:
        kernel, convolution.stride = min(kernel, 3), (1, 1)
        for pool in pools:
            if not list(trunk.get_submodule(pool).parameters()):  # some have a convolution there
                trunk.set_submodule(pool, nn.Identity())
    if (kernel, shape[0]) != (convolution.kernel_size[0], convolution.in_channels):
        trunk.set_submodule(name, _replaced(convolution, shape[0], kernel, pretrained))


def fit_kernel(weight: Tensor, channels: int, size: int) -> Tensor:
    """Return filters `[outputs, channels, size, size]` that answer to the same images in another form.

    Args:
        weight: filters, `[outputs, inputs, kernel, kernel]`.
        channels: of the new images; filters are summed over colours for grey, and repeated and scaled for others.
        size: of the new kernel, for images that many times smaller.

    >>> fit_kernel(torch.ones(1, 3, 4, 4), 1, 2).flatten()
    tensor([12., 12., 12., 12.])
    """
    inputs, kernel = weight.shape[1:3]
    if kernel != size:
        weight = nn.functional.adaptive_avg_pool2d(weight, size) * (kernel / size) ** 2
    if channels == inputs:
        return weight
    if channels == 1:
        return weight.sum(1, keepdim=True)
    return weight[:, torch.arange(channels) % inputs] * (inputs / channels)


def patch_size(size: tuple[int, ...], native: int) -> int:
    """Return the largest patch, up to the native one, that divides the image into at least 7 patches a side.

    Args:
        size: the image's height and width, in pixels.
        native: the patch size that the network is named for.

    >>> [patch_size((pixels, pixels), 16) for pixels in (8, 28, 32, 64, 224)]
    [1, 4, 4, 8, 16]
    """
    side = gcd(*size)
    return max(patch for patch in range(1, native + 1) if side % patch == 0 and (patch == 1 or side >= PATCHES * patch))


def _replaced(old: nn.Conv2d, channels: int, kernel: int, pretrained: bool) -> nn.Conv2d:
    options: dict[str, Any] = {"stride": old.stride, "bias": old.bias is not None}
    options["padding"] = old.padding if kernel == old.kernel_size[0] else kernel // 2
    new: nn.Conv2d = type(old)(channels, old.out_channels, kernel, **options)
    if pretrained:
        new.load_state_dict({**old.state_dict(), "weight": fit_kernel(old.weight.detach(), channels, kernel)})
    else:
        # As the library drew them, scaled so that the outputs keep their size.
        nn.init.normal_(
            new.weight, std=float(old.weight.detach().std()) * sqrt(old.weight[0].numel() / new.weight[0].numel())
        )
    return new
