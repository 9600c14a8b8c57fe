"""Frozen pretrained networks that make features of images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metaux.errors import InputError, nearest
from metaux.networks.efficientnet import EFFICIENTNET, FORM, efficientnet_lite0, efficientnet_weights
from metaux.networks.weights import Form

AT_ONCE = 64  # images


class Embedding(nn.Module):
    """A frozen network that makes features of images, whatever their size and number of channels.

    Args:
        module: from float images `[batch, 3, size, size]` to features `[batch, features]`; it is frozen.
        size: pixels a side to which images are resized; smaller is faster, less is seen.
        mean: per channel, of the images (from 0 to 1) that the module was trained on.
        deviation: their standard deviation per channel.

    >>> embedding = Embedding(nn.Flatten(), 2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    >>> embedding.features(torch.full((1, 1, 4, 4), 255, dtype=torch.uint8)).shape
    torch.Size([1, 12])
    """

    def __init__(self, module: nn.Module, size: int, mean: Sequence[float], deviation: Sequence[float]):
        super().__init__()
        if size < 1:
            raise InputError(f"expected a size of at least 1 pixel, found {size}; give another")
        self.module = module.eval().requires_grad_(False)
        self.size = size
        self.mean = tuple(mean)
        self.deviation = tuple(deviation)

    def train(self, mode: bool = True) -> "Embedding":  # noqa: ARG002
        """Stay in evaluation mode, within a module that trains too."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features, `[batch, features]`, of images uint8 `[batch, channels, height, width]`.

        Raises:
            InputError: for anything but grey or colour images.
        """
        from torchvision.transforms.v2.functional import normalize, resize

        if images.dim() != 4 or images.dtype != torch.uint8 or images.shape[1] not in (1, 3):
            raise InputError(
                "expected grey or colour images uint8 [n, channels, height, width], found "
                f"{images.dtype} {list(images.shape)}; give those"
            )
        scaled = resize(images.float() / 255, [self.size, self.size], antialias=True)
        features: Tensor = self.module(normalize(scaled.expand(-1, 3, -1, -1), self.mean, self.deviation))
        return features

    def features(self, images: Tensor, batch_size: int = AT_ONCE) -> Tensor:
        """Return features of many images, batch by batch, without a gradient.

        Args:
            images: uint8 `[n, channels, height, width]`, grey or colour; on any device.
            batch_size: images at a time.

        Returns:
            Float32 `[n, features]`, on the CPU.

        Raises:
            InputError: for images of another form.
        """
        device = next((tensor.device for tensor in self.module.parameters()), images.device)
        with torch.no_grad():
            return torch.cat([self(batch.to(device)).float().cpu() for batch in images.split(batch_size)])


def pretrained_embedding(name: str, size: int | None = None) -> Embedding:
    """Return a network with its published ImageNet weights.

    Args:
        name: `torchvision:NAME`, `timm:NAME`, or `efficientnet-lite0`, which has its weights in a package (extra
            `metaux[embedding]`) and needs no network: 1280 features.
        size: pixels a side to resize images to; as the weights were trained by default. Half of it costs a quarter.

    Raises:
        InputError: for an unknown name, a missing package, weights that can't be had, or too small a size.
    """
    from metaux.networks.zoo import is_of_library, library_and_model, refused

    if name == EFFICIENTNET:
        chosen = size or FORM.size
        network = efficientnet_lite0(chosen, efficientnet_weights())
        return Embedding(network, chosen, FORM.mean, FORM.deviation)
    if not is_of_library(name):
        raise InputError(
            f"expected an embedding torchvision:NAME, timm:NAME or efficientnet-lite0, found '{name}'"
            f"{nearest(name, [EFFICIENTNET])}; give one of these"
        )
    library, model = library_and_model(name)
    form: Form | None = library.form(model)
    if form is None:
        raise InputError(f"expected a network with published weights, found {name}, which has none; name another")
    chosen = size or form.size
    image = (3, chosen, chosen)
    with refused(name, form, image):
        network = library.build(model, image, library.fetch(model))
        embedding = Embedding(network, chosen, form.mean, form.deviation)
        embedding.features(torch.zeros(1, *image, dtype=torch.uint8))
    return embedding
