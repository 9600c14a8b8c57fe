"""Trunks that learn from images without labels: which way up they are, and what remains of them in another view."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from metaux.labels.base import Batch
from metaux.labels.rotation import TURNS, turned
from metaux.networks.multitask import MultiTaskNetwork, make_head
from metaux.protocols import Protocol
from metaux.rng import seeded
from metaux.training.batches import Loader
from metaux.training.pretrain import pretrain

PROJECTION = 64  # dimensions in which views are compared
TEMPERATURE = 0.5


def train_on_rotations(trunk: nn.Module, features: int, loader: Loader, protocol: Protocol) -> None:
    """Train a trunk to tell by how much an image has been turned: 0, 90, 180 or 270 degrees.

    All four views of each image of a batch; cross entropy; with the protocol's epochs and rates.

    Source: Gidaris, Singh, Komodakis, *Unsupervised representation learning by predicting image rotations* (ICLR 2018).

    Args:
        trunk: from images `[batch, channels, side, side]` to features `[batch, features]`.
        features: their number.
        loader: the images.
        protocol: the run's.
    """
    with seeded(loader.seed, "rotation head"):
        network = MultiTaskNetwork(trunk, nn.Linear(features, TURNS))

    def loss(batch: Batch) -> Tensor:
        turns = torch.arange(TURNS, device=batch.primary.device).repeat_interleave(len(batch.primary))
        return functional.cross_entropy(network(turned(batch.inputs[0])).primary, turns)

    pretrain(network, loader, protocol, loss)


def train_contrastive(trunk: nn.Module, features: int, loader: Loader, protocol: Protocol) -> None:
    """Train a trunk to know an image again in another random view of it, among the views of the batch's other images.

    The views are random crops, with random light and colour (`random_view`); a projection `mlp` of 64 outputs is
    thrown away afterwards; see `same_image_loss`. With the protocol's epochs and rates, which is short.

    Source: Chen, Kornblith, Norouzi, Hinton, *A simple framework for contrastive learning of visual representations*
    (SimCLR, ICML 2020).

    Args:
        trunk: from images `[batch, channels, side, side]` to features `[batch, features]`.
        features: their number.
        loader: the images.
        protocol: the run's.
    """
    with seeded(loader.seed, "projection head"):
        network = MultiTaskNetwork(trunk, make_head(features, PROJECTION, "mlp"))

    def loss(batch: Batch) -> Tensor:
        images = batch.inputs[0]
        return same_image_loss(network(torch.cat([random_view(images), random_view(images)])).primary)

    pretrain(network, loader, protocol, loss)


def same_image_loss(projections: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return the cross entropy of finding each view's partner among all other views (NT-Xent).

    With z of length 1,  -log( exp(z_i . z_j / T) / sum_{k != i} exp(z_i . z_k / T) ),  j being the other view of i.

    Args:
        projections: `[2 batch, dimensions]`: one view of every image, then the other.
        temperature: T.

    >>> same_image_loss(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]), 0.1).item() < 1e-6
    True
    """
    count = len(projections) // 2
    z = functional.normalize(projections.float(), dim=-1)
    alike = (z @ z.mT / temperature).fill_diagonal_(-torch.inf)
    return functional.cross_entropy(alike, torch.arange(2 * count, device=z.device).roll(count))


def random_view(images: Tensor) -> Tensor:
    """Return a random square part of each image, of a fifth of its area or more, at the image's size, in other light.

    Contrast changes by up to 40 %, brightness and each channel by up to 0.4 deviations, and every fifth image is grey.

    Args:
        images: normalised, `[batch, channels, side, side]`.
    """
    count, channels = images.shape[:2]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, device=images.device, dtype=images.dtype)

    side = uniform(0.2, 1).sqrt()
    place = torch.zeros(count, 2, 3, device=images.device, dtype=images.dtype)
    place[:, 0, 0] = place[:, 1, 1] = side
    place[:, :, 2] = uniform(-1, 1, 2) * (1 - side).unsqueeze(-1)
    grid = functional.affine_grid(place, list(images.shape), align_corners=False)
    views = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    grey = uniform(0, 1, 1, 1, 1) < 0.2
    views = torch.where(grey, views.mean(1, keepdim=True).expand_as(views), views)
    return views * uniform(0.6, 1.4, 1, 1, 1) + uniform(-0.4, 0.4, 1, 1, 1) + uniform(-0.4, 0.4, channels, 1, 1) * ~grey
