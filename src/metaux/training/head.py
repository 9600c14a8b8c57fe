"""The primary head alone, on the features of a backbone that stays as it starts: before a fine-tuning."""

import torch
from torch import optim

from metaux.labels.base import PrimaryLoss
from metaux.networks.multitask import MultiTaskNetwork
from metaux.training.loader import Loader, shuffled

LEARNING_RATE = 1e-3  # of AdamW


def train_head(
    network: MultiTaskNetwork, loader: Loader, primary_loss: PrimaryLoss, epochs: int, batch_size: int
) -> None:
    """Train the primary head on features that are computed once, of the samples as they are.

    Args:
        network: on the loader's device; its trunk stays as it is, and so does its mode.
        loader: of the training samples.
        primary_loss: of the primary output and its batch; a scalar.
        epochs: how many; nothing happens in none.
        batch_size: samples per batch.
    """
    if not epochs:
        return
    training, head = network.training, network.primary_head
    network.eval()
    with torch.no_grad():
        features = torch.cat([network.trunk(*loader.load(rows).inputs) for rows in loader.samples.in_parts()])
    network.train(training)
    optimizer = optim.AdamW(head.parameters(), LEARNING_RATE)
    for epoch in range(epochs):
        for rows in shuffled(len(features), batch_size, loader.seed, "head order", epoch):
            batch = loader.load(rows)
            primary_loss(head(features[batch.index]), batch).backward()
            optimizer.step()
            optimizer.zero_grad()
