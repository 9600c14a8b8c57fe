"""From samples in memory to batches, in an order and with an augmentation that only seed and epoch decide."""

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


def one_view_each(seen: Batch, views: Tensor, share: tuple[int, int] = (0, 1)) -> Batch:
    """Return of a batch of several views of its samples one view of each, those of samples as they are first.

    Args:
        seen: of a source's `views`: view after view of the same samples, first as they are.
        views: which view of each sample of the whole batch, int64, on the processor.
        share: (rank, processes): `seen` is of every so-manieth sample of it.

    >>> primary, index, kind = torch.tensor([[0, 1, 0, 1], [8, 9, 8, 9], [0, 0, 5, 6]])
    >>> batch = one_view_each(Batch((torch.rand(4, 3),), primary, index, kind), torch.tensor([1, 0]))
    >>> batch.index.tolist(), batch.kind.tolist(), batch.own
    ([9, 8], [0, 5], 1)
    """
    assert seen.kind is not None, "a batch of views says which is which"
    rank, processes = share
    mine = views[rank::processes]
    order = mine.argsort(stable=True)
    rows = to_device(mine[order] * len(mine) + order, seen.primary.device)
    inputs = tuple(part[rows] for part in seen.inputs)
    own, of_all = int((mine == 0).sum()), int((views == 0).sum())
    # A mean over processes weighs each by all of its samples; the primary loss is a mean over those as they are.
    factor = own * len(views) / max(1, len(mine) * of_all)
    return Batch(inputs, seen.primary[rows], seen.index[rows], seen.kind[rows], own, factor)


class Loader:
    """Makes batches of training samples, each the same however often and in which order it is asked for.

    Args:
        samples: where the rows point.
        preprocess: raw inputs to network inputs.
        augment: of uint8 images on any device, with a random generator on the processor; None for none.
        seed: of the augmentation.
        device: where the batch goes.
        share: (rank, processes) takes every so-manieth row of each batch.
    """

    def __init__(
        self,
        samples: Samples,
        preprocess: Preprocess,
        augment: Augment | None,
        seed: int,
        device: torch.device,
        share: tuple[int, int] = (0, 1),
    ):
        self.samples = samples
        size = sum(tensor.numel() * tensor.element_size() for tensor in samples.inputs)
        place = device if size <= RESIDENT else torch.device("cpu")
        self._inputs = tuple(tensor.to(place) for tensor in samples.inputs)
        self._primary = samples.primary.to(device)
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
        """Return these rows with the augmentation of that name (epoch and position); the last two are kept."""
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

    def _take(self, rows: Tensor, here: Tensor) -> tuple[Tensor, ...]:
        """Return the inputs at these rows, wherever they lie; `here` are the rows on the device."""
        return tuple(tensor[here if tensor.device == here.device else rows] for tensor in self._inputs)

    def _batch(self, rows: Tensor, inputs: tuple[Tensor, ...]) -> Batch:
        prepared = tuple(
            tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
            for tensor in self.preprocess(inputs)
        )
        return Batch(prepared, self._primary[rows], rows)
