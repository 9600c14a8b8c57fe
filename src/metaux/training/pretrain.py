"""Training a network before the run's own training: one that makes labels, or features for them."""

import torch
from torch import nn

from metaux.errors import TrainingError
from metaux.labels.base import BatchLoss
from metaux.networks.multitask import to_channels_last
from metaux.protocols import Protocol
from metaux.rng import seeded
from metaux.training.batches import Loader, shuffled
from metaux.training.plan import schedule


def pretrain(network: nn.Module, loader: Loader, protocol: Protocol, loss: BatchLoss) -> None:
    """Train a network as the multi-task network will be: SGD, schedule, epochs, batches and augmentation alike.

    Its random numbers (order, augmentation, dropout) are those of streams of its own. Equal samples, seed, threads and
    versions give equal bits.

    Args:
        network: is moved to the loader's device, trained, and left in evaluation mode.
        loader: the samples, with their augmentation.
        protocol: the run's.
        loss: of a batch, a scalar. A batch's `index` counts the loader's samples.

    Raises:
        TrainingError: if the loss is no longer finite.
    """
    to_channels_last(network.train(), loader.device)
    optimizer = torch.optim.SGD(
        network.parameters(), protocol.learning_rate, protocol.momentum, weight_decay=protocol.weight_decay
    )
    total = torch.zeros((), device=loader.device)
    for epoch in range(protocol.epochs):
        for group in optimizer.param_groups:
            group["lr"] = protocol.learning_rate * schedule(protocol, epoch)
        order = shuffled(len(loader.samples), protocol.batch_size, loader.seed, "pretraining order", epoch)
        for position, rows in enumerate(order):
            with seeded(loader.seed, "pretraining", epoch, position):
                value = loss(loader.augmented(rows, "pretraining", epoch, position))
            value.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += value.detach()
    if not total.isfinite():
        raise TrainingError(
            f"the loss of the network that makes the labels became {float(total)}; use a smaller learning rate"
        )
    network.eval().requires_grad_(False)
