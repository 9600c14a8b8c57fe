"""Backbones by name: each makes a fresh trunk from the shape of one sample to features `[batch, features]`."""

from collections.abc import Callable
from functools import partial
from math import log, prod
from pathlib import Path

import torch
from torch import Tensor, nn

from metaux.data.texts import VOCABULARY
from metaux.errors import InputError, choose
from metaux.files import check_file
from metaux.networks.efficientnet import (
    EFFICIENTNET,
    FORM,
    SIZE,
    EfficientNetTrunk,
    efficientnet_lite0,
    efficientnet_weights,
    is_installed,
)
from metaux.networks.weights import Form
from metaux.networks.zoo import LIBRARIES, image_shape, is_of_library, library_and_model, make_library_trunk

Shape = tuple[int, ...]


def mlp(shape: Shape) -> nn.Module:
    """Make two hidden layers of 128 units, for tables."""
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(shape), 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _pooled_blocks(shape: Shape, widths: Shape) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in zip((image_shape(shape)[0], *widths), widths, strict=False):
        layers += [*_convolution(inputs, outputs), nn.MaxPool2d(2, ceil_mode=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def small_cnn(shape: Shape) -> nn.Module:
    """Make three convolutions of 32, 64 and 128 channels with batch normalisation, each followed by pooling."""
    return _pooled_blocks(shape, (32, 64, 128))


def conv4(shape: Shape) -> nn.Module:
    """Make the 4-layer ConvNet; its 64 channels per layer are our choice, the papers do not state them."""
    return _pooled_blocks(shape, (64, 64, 64, 64))


def vgg16(shape: Shape, narrower: int = 1) -> nn.Module:
    """Make VGG-16's thirteen convolutions with batch normalisation, as both papers use it on 32 x 32 images.

    Args:
        shape: of an image.
        narrower: by this factor each layer has fewer channels.

    Raises:
        InputError: for smaller images.
    """
    from torchvision.models.vgg import cfgs, make_layers

    channels = image_shape(shape)[0]
    if min(shape[1:]) < 32:
        raise InputError(
            f"vgg16 takes images of at least 32 x 32 pixels, found {list(shape)}; give --image-size 32 "
            "or another backbone"
        )
    widths = [width if isinstance(width, str) else width // narrower for width in cfgs["D"]]
    layers = make_layers(widths, batch_norm=True)
    if channels != 3:
        layers[0] = nn.Conv2d(channels, 64 // narrower, 3, padding=1)
    return nn.Sequential(layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def resnet32(shape: Shape) -> nn.Module:
    """Make the ResNet-32 for CIFAR (He et al. 2016): three stages of five basic blocks, 16, 32 and 64 channels."""
    from torchvision.models.resnet import BasicBlock

    layers = _convolution(image_shape(shape)[0], 16)
    width = 16
    for outputs, stride in ((16, 1), (32, 2), (64, 2)):
        for block in range(5):
            step = stride if block == 0 else 1
            project = (
                None
                if step == 1 and width == outputs
                else nn.Sequential(nn.Conv2d(width, outputs, 1, step, bias=False), nn.BatchNorm2d(outputs))
            )
            layers.append(BasicBlock(width, outputs, step, project))
            width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class TextCNN(nn.Module):
    """For texts, convolutions of 3, 4 and 5 words, each filter's maximum over the text (Kim 2014, "CNN-rand").

    The paper's 100 filters per width; vectors of 64 in place of 300 and no dropout, as our other small networks have
    none. The ends are padded, so that any text is long enough.

    >>> TextCNN()(torch.zeros(2, 1, dtype=torch.int64)).shape
    torch.Size([2, 300])
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 64, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(64, 100, width, padding=width // 2) for width in (3, 4, 5))

    def forward(self, words: Tensor) -> Tensor:
        """Return the features of texts, int64 `[batch, length]` to `[batch, 300]`."""
        embedded = self.embedding(words).transpose(1, 2)
        found = [convolution(embedded).relu().max(-1).values for convolution in self.convolutions]
        return torch.cat(found, 1)


BACKBONES: dict[str, Callable[[Shape], nn.Module]] = {
    "mlp": mlp,
    "small-cnn": small_cnn,
    "conv4": conv4,
    "vgg16": vgg16,
    "vgg16-quarter": partial(vgg16, narrower=4),
    "resnet32": resnet32,
    "text-cnn": lambda _: TextCNN(),
}


def check_backbone(name: str, pretrained: bool = False, weights: str | None = None) -> Path | None:
    """Check a name, and return the file of weights that the network starts from; None for none.

    Args:
        name: as of `make_backbone`.
        pretrained: from its ImageNet weights, which are fetched if they are not there yet.
        weights: from this file instead.

    Raises:
        InputError: for an unknown name, a library that isn't installed, or weights that can't be had.
    """
    own = None if weights is None else Path(weights)
    if own is not None:
        check_file(own, "a file of weights")
    if is_of_library(name):
        library, model = library_and_model(name)
        return own or (library.fetch(model) if pretrained else None)
    if name == EFFICIENTNET:
        file = own or (efficientnet_weights() if pretrained else None)
        efficientnet_lite0(FORM.size, file)
        return file
    choose("backbone", name, ["auto", *BACKBONES, EFFICIENTNET, *(f"{library}:NAME" for library in LIBRARIES)])
    if pretrained or own is not None:
        raise InputError(
            f"expected a backbone torchvision:NAME, timm:NAME or {EFFICIENTNET} for pretrained weights, found {name}, "
            "which has none; give one, or leave them out"
        )
    return None


def make_backbone(
    name: str, shape: Shape, kind: str = "", pretrained: bool = False, weights: str | None = None
) -> nn.Module:
    """Make the trunk of that name for samples of that shape; `auto` is mlp for tables, small-cnn for images.

    Args:
        name: one of `BACKBONES`, efficientnet-lite0, `torchvision:NAME` or `timm:NAME`.
        shape: of one sample.
        kind: of the samples, where it is known; of texts, `auto` is text-cnn, and no other backbone takes them.
        pretrained: start from ImageNet weights; the network is the same without.
        weights: start from those in this file instead.

    Raises:
        InputError: for an unknown name, a shape that the backbone cannot take, or weights that can't be had.

    >>> make_backbone("auto", (1, 8, 8))(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 128])
    """
    file = check_backbone(name, pretrained, weights)
    if kind == "text" and name not in ("auto", "text-cnn"):
        raise InputError(f"expected the backbone text-cnn for texts, found {name}; give --backbone text-cnn or auto")
    if kind not in ("", "text") and name == "text-cnn":
        raise InputError(f"text-cnn takes texts, found {kind} inputs; give --backbone auto")
    if is_of_library(name):
        return make_library_trunk(name, shape, file)
    if name == EFFICIENTNET:
        if image_shape(shape)[0] not in (1, 3):
            raise InputError(f"expected grey or colour images for {name}, found {list(shape)}; give another backbone")
        return EfficientNetTrunk(max(shape[1:]), file)
    return BACKBONES[chosen(name, shape, kind)](shape)


def weights_at_hand() -> dict[str, Path | None]:
    """Return the backbones whose pretrained weights are on this machine, the one to take first; none is downloaded.

    The first is efficientnet-lite0, whose weights are in a package. Then come those whose files are in the caches of
    torchvision and timm, the nearest in size to it first: larger ones train slowly, smaller ones know less.

    Returns:
        The file of each; None for the one in a package.
    """
    cached = {f"{prefix}:{model}": file for prefix, own in LIBRARIES.items() for model, file in own.cached().items()}
    nearest = sorted(cached, key=lambda name: abs(log(max(1, cached[name].stat().st_size) / SIZE)))
    return ({EFFICIENTNET: None} if is_installed() else {}) | {name: cached[name] for name in nearest}


def form_of_weights(name: str, pretrained: bool) -> Form | None:
    """Return the images that a backbone's weights were trained on; None where there are no such weights."""
    if name == EFFICIENTNET:
        return FORM
    if not (pretrained and is_of_library(name)):
        return None
    library, model = library_and_model(name)
    form: Form | None = library.form(model)
    return form


def chosen(name: str, shape: Shape, kind: str = "") -> str:
    """Return the backbone's name, and in place of `auto` what that stands for.

    >>> chosen("auto", (4,)), chosen("resnet32", (3, 32, 32))
    ('mlp', 'resnet32')
    """
    if name != "auto":
        return name
    return "text-cnn" if kind == "text" else "small-cnn" if len(shape) == 3 else "mlp"
