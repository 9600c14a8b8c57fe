"""The batches of an epoch: which rows each step takes, and which view of each of them."""

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.labels.base import Batch, LabelSource
from metaux.rng import generator, seeded
from metaux.training.loader import Loader, shuffled
from metaux.training.mixing import mixer
from metaux.training.plan import Plan
from metaux.transfer import to_device


@dataclass(frozen=True)
class Order:
    """The rows of each batch of an epoch, int64, on the CPU.

    Args:
        epoch: counted from 0.
        train: of the training steps, over all passes.
        views: which view of each of these rows is learned, where views are learned apart; else none.
        meta: of the meta steps; the training steps' own list, where they share their batches.
    """

    epoch: int
    train: list[Tensor]
    views: list[Tensor]
    meta: list[Tensor]


class Batches:
    """Makes the batches of training and meta steps.

    Args:
        plan: samples, protocol and seed.
        source: the label source; its `views` are what a training step is shown.
        device: where the batches go.
        share: (rank, processes), as of `Loader`.

    Attributes:
        train: loads training samples.
        meta: loads what the look-ahead learns from; `train` itself, where that is the training samples.
        passes: how often an epoch goes over the training samples: once, or once for each view that is learned apart.
    """

    def __init__(self, plan: Plan, source: LabelSource, device: torch.device, share: tuple[int, int] = (0, 1)):
        def loader(samples: Samples) -> Loader:
            return Loader(samples, plan.preprocess, device, plan.augment, plan.seed, share)

        self.plan, self.source = plan, source
        self.train = loader(plan.train)
        self.meta = self.train
        if plan.meta is not None and plan.protocol.inner_batch == "meta":
            self.meta = loader(plan.meta)
        self._mix = mixer(plan.protocol.mix)
        self.passes = 1
        if source.views is not None and plan.protocol.views == "apart":
            with seeded(plan.seed, "views"):
                self.passes = len(source.views(self.train.load(torch.arange(1))).index)

    def order(self, epoch: int) -> Order:
        """Return the rows of each batch of an epoch; where views are apart, each sample is once in each of them."""
        protocol, seed = self.plan.protocol, self.plan.seed
        count = len(self.plan.train)
        passes = [
            shuffled(count, protocol.batch_size, seed, "order", epoch, *([number] if number else []))
            for number in range(self.passes)
        ]
        train = [*chain.from_iterable(passes)]
        views: list[Tensor] = []
        if self.passes > 1:
            first = torch.randperm(count, generator=generator(seed, "views", epoch)) % self.passes
            views = [(first[rows] + number) % self.passes for number, own in enumerate(passes) for rows in own]
        meta = train
        if self.meta is not self.train or protocol.meta_order == "epoch":
            meta = shuffled(len(self.meta.samples), protocol.batch_size, seed, "meta order", epoch)
        return Order(epoch, train, views, meta)

    def training(self, order: Order, position: int) -> Batch:
        """Return what a training step learns: augmented samples in their views, mixed if the protocol says so."""
        name = "train", order.epoch, position
        batch = self.train.augmented(order.train[position], *name)
        for rows in order.train[position + 1 : position + 2]:
            self.train.expect(rows)
        seen = self.in_views(batch)
        seen = seen if self.passes == 1 else one_view_each(seen, order.views[position], self.train.share)
        return self._mixed(seen, *name)

    def look_ahead(self, order: Order, position: int) -> tuple[Batch, Batch]:
        """Return the inner and the outer batch of a meta step; the inner one is mixed like a training step's."""
        stream = "train" if order.meta is order.train else "meta"

        def batch(position: int) -> Batch:
            place = position % len(order.meta)
            return self.meta.augmented(order.meta[place], stream, order.epoch, place)

        inner = batch(position)
        outer = inner if self.plan.protocol.outer_batch == "same" else batch(position + 1)
        return self._mixed(inner, stream, order.epoch, position % len(order.meta)), outer

    def _mixed(self, batch: Batch, *name: str | int) -> Batch:
        rank, processes = self.train.share
        return self._mix(batch, self.plan.seed, "mix", *name, *([rank] if processes > 1 else []))

    def in_views(self, batch: Batch) -> Batch:
        """Return all views of the samples of a batch; the batch itself, where the source shows no others."""
        return batch if self.source.views is None else self.source.views(batch)._replace(own=len(batch.index))


def one_view_each(seen: Batch, views: Tensor, share: tuple[int, int] = (0, 1)) -> Batch:
    """Return of a batch of several views of its samples one view of each, those of samples as they are first.

    Args:
        seen: of a source's `views`: view after view of the same samples, first as they are.
        views: which view of each sample of the whole batch, int64, on the CPU.
        share: (rank, processes), as of `Loader`: `seen` holds this process's samples only.

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
    own, of_all = int((mine == 0).sum()), int((views == 0).sum())
    # A mean over processes weighs each by all of its samples; the primary loss is a mean over those as they are.
    factor = own * len(views) / max(1, len(mine) * of_all)
    return seen.at(rows)._replace(kind=seen.kind[rows], own=own, primary_factor=factor)
