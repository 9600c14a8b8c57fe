"""What is trained before a run's own training: networks that make labels, or features for them, and a head alone."""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from metaux.data.samples import Samples
from metaux.errors import InputError, TrainingError
from metaux.labels.base import Batch, BatchLoss, PrimaryLoss
from metaux.labels.rotation import TURNS, turned
from metaux.networks.autoencoder import Autoencoder
from metaux.networks.multitask import MultiTaskNetwork, make_head, to_channels_last
from metaux.protocols import Protocol
from metaux.rng import seeded
from metaux.training.loader import Loader, Preprocess, shuffled
from metaux.training.optimizer import make_optimizer

# Of the autoencoder; it takes so many steps at least, where the samples are few.
EPOCHS, STEPS, BATCH_SIZE, LEARNING_RATE = 20, 500, 100, 1e-3
PROJECTION = 64  # dimensions in which views are compared
TEMPERATURE = 0.5
HEAD_RATE = 1e-3  # of AdamW


def pretrain(network: nn.Module, loader: Loader, protocol: Protocol, loss: BatchLoss) -> None:
    """Train a network as the multi-task network will be: SGD, schedule, epochs, batches and augmentation alike.

    Its random numbers (order, augmentation, dropout) are its own. Equal samples, seed, threads and versions give equal
    bits.

    Args:
        network: is moved to the loader's device, trained, and left in evaluation mode, without gradients.
        loader: the samples, with their augmentation.
        protocol: the run's.
        loss: of a batch, a scalar. A batch's `index` counts the loader's samples.

    Raises:
        TrainingError: if the loss or the network is no longer finite.
    """
    to_channels_last(network, loader.device)
    optimizer = make_optimizer(network, protocol)

    def rate(epoch: int) -> float:
        return protocol.learning_rate * protocol.rate(epoch)

    _train(network, loader, "pretraining", optimizer, rate, protocol.epochs, protocol.batch_size, loss)


def _train(
    network: nn.Module,
    loader: Loader,
    name: str,
    optimizer: optim.Optimizer,
    rate: Callable[[int], float],
    epochs: int,
    batch_size: int,
    loss: BatchLoss,
) -> None:
    """Train a network that is on the loader's device; `name` is that of its random streams, `rate` of an epoch."""
    network.train()
    total = torch.zeros((), device=loader.device)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = rate(epoch)
        for position, rows in enumerate(shuffled(len(loader.samples), batch_size, loader.seed, f"{name} order", epoch)):
            with seeded(loader.seed, name, epoch, position):
                value = loss(loader.augmented(rows, name, epoch, position))
            value.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += value.detach()
    if not total.isfinite():
        raise TrainingError(
            f"the loss of the network that makes the labels became {float(total)}; use a smaller learning rate"
        )
    if not all(bool(part.isfinite().all()) for part in (*network.parameters(), *network.buffers())):
        raise TrainingError("the network that makes the labels is no longer finite; use a smaller learning rate")
    network.eval().requires_grad_(False)


def train_head(network: MultiTaskNetwork, loader: Loader, primary_loss: PrimaryLoss, protocol: Protocol) -> None:
    """Train the primary head alone, before a fine-tuning, on features that are computed once of samples as they are.

    Args:
        network: on the loader's device; its trunk stays as it is, and so does its mode.
        loader: of the training samples.
        primary_loss: of the primary output and its batch; a scalar.
        protocol: the run's, which has epochs of the head or none.
    """
    if not protocol.head_epochs:
        return
    training, head = network.training, network.primary_head
    network.eval()
    with torch.no_grad():
        features = torch.cat([network.trunk(*loader.load(rows).inputs) for rows in loader.samples.in_parts()])
    network.train(training)
    optimizer = optim.AdamW(head.parameters(), HEAD_RATE)
    for epoch in range(protocol.head_epochs):
        for rows in shuffled(len(features), protocol.batch_size, loader.seed, "head order", epoch):
            batch = loader.load(rows)
            primary_loss(head(features[batch.index]), batch).backward()
            optimizer.step()
            optimizer.zero_grad()


def train_autoencoder(samples: Samples, preprocess: Preprocess, seed: int, device: torch.device) -> Autoencoder:
    """Train an autoencoder to reconstruct the network inputs of samples, without their labels.

    Mean squared error, Adam at 1e-3, batches of 100, 20 epochs but 500 steps at least, no augmentation: our
    choices, the papers do not state theirs. Equal samples, seed, threads and versions give equal bits.

    Args:
        samples: a run's training samples, `[n]`.
        preprocess: raw inputs to network inputs.
        seed: the run's.
        device: where to train.

    Returns:
        The autoencoder in evaluation mode; its `encode` makes the latent vectors.

    Raises:
        InputError: unless the samples are images or tables.
    """
    inputs = preprocess(samples.at(torch.arange(1)))
    if len(inputs) != 1 or not inputs[0].is_floating_point():
        raise InputError(
            f"expected images or tables for an autoencoder, found {len(inputs)} inputs of type "
            f"{', '.join(str(x.dtype).removeprefix('torch.') for x in inputs)}; give the features of a finished run"
        )
    with seeded(seed, "autoencoder"):
        autoencoder = Autoencoder(tuple(inputs[0].shape[1:]))
    to_channels_last(autoencoder, device)

    def loss(batch: Batch) -> Tensor:
        [x] = batch.inputs
        return functional.mse_loss(autoencoder(x), x)

    optimizer = optim.Adam(autoencoder.parameters(), LEARNING_RATE)
    epochs = max(EPOCHS, ceil(STEPS / ceil(len(samples) / BATCH_SIZE)))
    loader = Loader(samples, preprocess, device, seed=seed)
    _train(autoencoder, loader, "autoencoder", optimizer, lambda _: LEARNING_RATE, epochs, BATCH_SIZE, loss)
    return autoencoder


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

    Contrast changes by up to 40 %, brightness and each channel by up to 0.4 standard deviations; every fifth image is
    grey.

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
