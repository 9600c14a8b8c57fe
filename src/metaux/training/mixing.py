"""Mixed images: each image of a batch with another one of it, as torchvision mixes them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from metaux.labels.batch import Batch, Mixing
from metaux.rng import seeded

Mix = Callable[..., Batch]
# The parameters of the Beta distributions that shares are drawn from, as in torchvision's own training recipe.
MIXUP, CUTMIX = 0.2, 1.0


def mixer(name: str) -> Mix:
    """Return what mixes the images of a batch: a function of it, a seed and the names of a random stream.

    Samples as they are and transformed copies of samples are mixed among themselves.

    Sources: Zhang, Cisse, Dauphin, Lopez-Paz, *mixup: Beyond empirical risk minimization* (ICLR 2018); Yun et al.,
    *CutMix: Regularization strategy to train strong classifiers with localizable features* (ICCV 2019).

    Args:
        name: `none`, `mixup`, `cutmix`, or `both`: one of them, drawn anew for each batch.
    """
    if name == "none":
        return lambda batch, *_: batch
    mix = _transform(name)

    def mixed(batch: Batch, seed: int, *names: str | int) -> Batch:
        [images] = batch.inputs
        own = len(images) if batch.own is None else batch.own
        with seeded(seed, *names):
            parts = [_mixed(mix, part) for part in images.split([own, len(images) - own]) if len(part)]
        shown, share, partner = (list(part) for part in zip(*parts, strict=True))
        if len(parts) > 1:
            partner[1] = partner[1] + own
        rows = torch.cat(partner)
        inputs = (torch.cat(shown).contiguous(memory_format=torch.channels_last),)
        return batch._replace(mixing=Mixing(inputs, torch.cat(share), rows, batch.primary[rows]))

    return mixed


def _transform(name: str) -> nn.Module:
    from torchvision.transforms.v2 import CutMix, MixUp, RandomChoice

    known: dict[str, nn.Module] = {"mixup": MixUp(alpha=MIXUP), "cutmix": CutMix(alpha=CUTMIX)}
    return known.get(name) or RandomChoice([*known.values()])


def _mixed(mix: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mixed images, the share of each image itself, and the row of the other.

    The images' own rows are mixed as if they were labels, and so tell what was mixed.
    """
    shown, rows = mix(images, torch.eye(len(images), device=images.device))
    share = rows.diagonal()
    return shown, share, (rows - share.diag()).argmax(-1)
