"""Batches of samples; order and augmentation follow from a seed and names alone."""

from collections.abc import Callable
from math import ceil

import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.labels.base import Batch
from metaux.rng import generator
from metaux.transfer import to_device

Augment = Callable[[Tensor, torch.Generator], Tensor]
Preprocess = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]
# Samples of up to so many bytes lie on the device as a whole, and batches are taken from them there.
RESIDENT = 2 * 2**30


def shuffled(count: int, batch_size: int, seed: int, *names: str | int) -> list[Tensor]:
    """Return the rows of each batch of one pass, in random order; sizes differ by one at most.

    >>> [len(rows) for rows in shuffled(7, 3, 0, "order", 1)]
    [3, 2, 2]
    """
    order = torch.randperm(count, generator=generator(seed, *names))
    return list(order.tensor_split(ceil(count / batch_size)))


class Loader:
    """Makes batches of samples, each the same however often and in which order it is asked for.

    Args:
        samples: where the rows point.
        preprocess: raw inputs to network inputs.
        device: where the batch goes.
        augment: of uint8 images on any device, with a random generator on the CPU; None for none.
        seed: of the augmentation.
        share: (rank, processes): this process takes every row of a batch whose place, modulo processes, is its rank.
    """

    def __init__(
        self,
        samples: Samples,
        preprocess: Preprocess,
        device: torch.device,
        augment: Augment | None = None,
        seed: int = 0,
        share: tuple[int, int] = (0, 1),
    ):
        self.samples = samples
        size = len(samples) * sum(tensor[:1].nbytes for tensor in samples.stored)
        self._resident: tuple[Tensor, ...] | None = None
        if device.type != "cpu" and size <= RESIDENT:
            self._resident = tuple(tensor.to(device) for tensor in samples.inputs)
        self._primary = samples.primary.to(device)
        self._weight = None if samples.weight is None else samples.weight.to(device)
        self.preprocess = preprocess
        self.augment = augment
        self.seed = seed
        self.device = device
        self.share = share
        self._last: dict[tuple[str | int, ...], Batch] = {}

    def load(self, rows: Tensor) -> Batch:
        """Return these rows as they are, without augmentation."""
        here = to_device(rows, self.device)
        return self._batch(here, tuple(to_device(part, self.device) for part in self._take(rows, here)))

    def augmented(self, rows: Tensor, *name: str | int) -> Batch:
        """Return this process's share of these rows with the augmentation of that name; the last two are kept."""
        if name not in self._last:
            here = to_device(rows, self.device)
            images = self._take(rows, here)
            if self.augment is not None:
                images = (self.augment(images[0], generator(self.seed, "augmentation", *name)), *images[1:])
            rank, processes = self.share
            mine = tuple(to_device(tensor[rank::processes], self.device) for tensor in images)
            self._last = dict([*self._last.items()][-1:])
            self._last[name] = self._batch(here[rank::processes], mine)
        return self._last[name]

    def expect(self, rows: Tensor) -> None:
        """Let these rows be fetched meanwhile, if they lie in a file."""
        if self._resident is None:
            self.samples.expect(rows)

    def _take(self, rows: Tensor, here: Tensor) -> tuple[Tensor, ...]:
        """Return the inputs at these rows, wherever they lie; `here` are the rows on the device."""
        return self.samples.at(rows) if self._resident is None else tuple(part[here] for part in self._resident)

    def _batch(self, rows: Tensor, inputs: tuple[Tensor, ...]) -> Batch:
        prepared = tuple(
            tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
            for tensor in self.preprocess(inputs)
        )
        return Batch(prepared, self._primary[rows], rows, weight=None if self._weight is None else self._weight[rows])
