"""Training an autoencoder on a run's samples."""

from math import ceil

import torch
from torch.nn.functional import mse_loss

from metaux.data.samples import Samples
from metaux.errors import InputError
from metaux.networks.autoencoder import Autoencoder
from metaux.networks.multitask import to_channels_last
from metaux.rng import seeded
from metaux.training.batches import Loader, Preprocess, shuffled

EPOCHS = 20
STEPS = 500  # at least, where the samples are few
BATCH_SIZE = 100
LEARNING_RATE = 1e-3


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
    inputs = preprocess(samples.take(torch.arange(1)).inputs)
    if len(inputs) != 1 or not inputs[0].is_floating_point():
        raise InputError(
            f"expected images or tables for an autoencoder, found {len(inputs)} inputs of type "
            f"{', '.join(str(x.dtype).removeprefix('torch.') for x in inputs)}; give the features of a finished run"
        )
    with seeded(seed, "autoencoder"):
        autoencoder = Autoencoder(tuple(inputs[0].shape[1:]))
    to_channels_last(autoencoder, device)
    optimizer = torch.optim.Adam(autoencoder.parameters(), LEARNING_RATE)
    loader = Loader(samples, preprocess, None, seed, device)
    for epoch in range(max(EPOCHS, ceil(STEPS / ceil(len(samples) / BATCH_SIZE)))):
        for rows in shuffled(len(samples), BATCH_SIZE, seed, "autoencoder order", epoch):
            [x] = loader.load(rows).inputs
            gradients = torch.autograd.grad(mse_loss(autoencoder(x), x), list(autoencoder.parameters()))
            for parameter, gradient in zip(autoencoder.parameters(), gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
    return autoencoder.eval()
