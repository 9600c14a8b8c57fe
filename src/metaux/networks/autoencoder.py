"""A small autoencoder, whose latent space the NeurIPS version's baseline clusters."""

from math import ceil, prod

from torch import Tensor, nn

from metaux.errors import InputError
from metaux.networks.backbones import Shape

LATENT = 64
_WIDTHS = (16, 32, 64)
_SMALLEST = 4  # pixels a side, where the convolutions stop


class Autoencoder(nn.Module):
    """Strided convolutions down to a latent vector, and the mirror image of them up again; an MLP for tables.

    Images are halved by convolutions of 16, 32, 64, 64, ... channels until they have 4 pixels a side or fewer; one
    linear layer makes the latent vector of them. Tables pass one hidden layer of 128. The latent vector has
    64 numbers, but no more than a quarter of the sample's and no fewer than 2: it has to be a bottleneck.
    The architecture is our choice; the papers do not state theirs.

    Args:
        shape: of one sample, [channels, height, width] or [columns].

    Raises:
        InputError: for samples of another form.

    >>> import torch
    >>> autoencoder = Autoencoder((3, 15, 20))
    >>> images = torch.zeros(2, 3, 15, 20)
    >>> autoencoder.encode(images).shape, autoencoder(images).shape
    (torch.Size([2, 64]), torch.Size([2, 3, 15, 20]))
    """

    def __init__(self, shape: Shape):
        super().__init__()
        latent = max(2, min(LATENT, prod(shape) // 4))
        if len(shape) == 1:
            down: list[nn.Module] = [nn.Linear(shape[0], 128), nn.ReLU()]
            up: list[nn.Module] = [nn.Linear(latent, 128), nn.ReLU(), nn.Linear(128, shape[0])]
            self.encode: nn.Module = nn.Sequential(*down, nn.Linear(128, latent))
            self.decode: nn.Module = nn.Sequential(*up)
        elif len(shape) == 3:
            self.encode, self.decode = _convolutional(shape, latent)
        else:
            raise InputError(
                f"expected images or tables for an autoencoder, found samples of shape {list(shape)}; "
                "give --features pixels or the folder of a finished run"
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction, of the shape of `x`."""
        reconstruction: Tensor = self.decode(self.encode(x))
        return reconstruction


def _convolutional(shape: Shape, latent: int) -> tuple[nn.Module, nn.Module]:
    channels, *size = shape
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    stage = 0
    while stage == 0 or max(size) > _SMALLEST:
        width = _WIDTHS[min(stage, len(_WIDTHS) - 1)]
        down += [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.ReLU()]
        # An even side comes back from its half by one row more than an odd one.
        back = nn.ConvTranspose2d(
            width, channels, 3, stride=2, padding=1, output_padding=(1 - size[0] % 2, 1 - size[1] % 2)
        )
        up = [back, *([nn.ReLU()] if stage else []), *up]
        channels, size, stage = width, [ceil(side / 2) for side in size], stage + 1
    smallest = (channels, *size)
    encode = nn.Sequential(*down, nn.Flatten(), nn.Linear(prod(smallest), latent))
    decode = nn.Sequential(nn.Linear(latent, prod(smallest)), nn.ReLU(), nn.Unflatten(1, smallest), *up)
    return encode, decode
