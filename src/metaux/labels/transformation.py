"""Class x transformation: images beside transformed copies, labelled jointly by class and by what was done to them."""

from collections.abc import Callable
from functools import partial
from itertools import permutations
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional

from metaux.errors import InputError
from metaux.labels.base import Auxiliary, Batch, ChoiceSource, Preparation
from metaux.networks.multitask import make_head
from metaux.rng import generator
from metaux.transfer import to_device

Change = Callable[[Tensor], Tensor]
UNCHANGED = "as it is"


def transformations(channels: int, height: int, width: int) -> list[dict[str, Change]]:
    """Return what can be done to images of that shape, by name, in groups of like ones.

    Turning (by 180 degrees alone where images are not square), another order of the channels (where there are
    three), and enlarging a corner of five eighths of the side.

    >>> [len(group) for group in transformations(3, 32, 32)]
    [3, 5, 4]
    """
    turns = (1, 2, 3) if height == width else (2,)
    groups: list[dict[str, Change]] = [
        {f"turned by {90 * k} degrees": partial(torch.rot90, k=k, dims=(-2, -1)) for k in turns}
    ]
    if channels == 3:
        orders = [order for order in permutations(range(3)) if order != (0, 1, 2)]
        groups.append({f"channels {i + 1} {j + 1} {k + 1}": partial(_reordered, order=(i, j, k)) for i, j, k in orders})
    corners = {"upper left": (0, 0), "upper right": (0, 1), "lower left": (1, 0), "lower right": (1, 1)}
    groups.append({f"{name} part": partial(_enlarged, corner=corner) for name, corner in corners.items()})
    return groups


class Transformed(ChoiceSource):
    """The control of `Transformation`: the same views of each image, but the class alone to learn.

    The auxiliary head has one output per class; its loss is the mean over the views.
    """

    def prepare(self, preparation: Preparation) -> None:
        """Find out what can be done to the images.

        Raises:
            InputError: unless the samples are images.
        """
        shapes = [tuple(tensor.shape[1:]) for tensor in preparation.samples.inputs]
        if len(shapes) != 1 or len(shapes[0]) != 3:
            found = " and ".join("x".join(map(str, shape)) for shape in shapes)
            raise InputError(
                f"expected images (channels x height x width) for a method that transforms them, found samples of "
                f"{found}; leave the method out"
            )
        images = preparation.samples.inputs[0]
        some = images[:: max(1, len(images) // 1000)]  # of all of it, since classes may stand one after another
        # The channels of grey images may be in any order, and nobody could tell.
        channels = 1 if some[:, 1:].eq(some[:, :1]).all() else shapes[0][0]
        self.groups = transformations(channels, *shapes[0][1:])
        self.kinds = [UNCHANGED, *(name for group in self.groups for name in group)]
        self.auxiliary_names = tuple(self.hierarchy.class_names)

    def views(self, batch: Batch) -> Batch:
        """Return the images, and each of them once more for every group, with something of that group done to it."""
        images = batch.inputs[0]
        views, kinds, first = [images], [torch.zeros(len(images), dtype=torch.long)], 1
        for changes in self.groups:
            drawn = torch.randint(len(changes), (len(images),))
            rows = to_device(drawn.argsort(), images.device)
            parts = images[rows].split(drawn.bincount(minlength=len(changes)).tolist())
            changed = [change(part) for change, part in zip(changes.values(), parts, strict=True)]
            views.append(torch.empty_like(images).index_copy_(0, rows, torch.cat(changed)))
            kinds.append(first + drawn)
            first += len(changes)
        kind = to_device(torch.cat(kinds), images.device)
        count = len(views)
        return Batch((torch.cat(views),), batch.primary.repeat(count), batch.index.repeat(count), kind)

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with one logit for each of `auxiliary_names`, of the protocol's kind."""
        return make_head(features, len(self.auxiliary_names), self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the class of each view, `[views batch]`."""
        return Auxiliary(batch.primary)


class Transformation(Transformed):
    """Each image has copies with something done to them, and the auxiliary head names the class and what it was.

    With T kinds (nothing done is the first), z the class x T auxiliary logits of a view, y its class and t its kind,
    the auxiliary loss of a sample is the mean over its views of  L(z, (y, t)).  The views are the image as it is, and
    for each group of like changes a copy with one of them, drawn anew at every step. The prediction is the primary
    head's, of the image as it is.

    A kind of image, "a turned cat", is a sub-class of the class whose truth is known, since it was made. The network
    has to tell it from the others, so no view has to look the same as another, as it has to in plain augmentation.

    Source: Lee, Hwang, Shin, *Self-supervised label augmentation via input transformations* (ICML 2020), with
    rotations and orders of the channels, all views at a time, and no other head. One copy of each group, and the
    enlarged parts, are ours.
    """

    def prepare(self, preparation: Preparation) -> None:
        """Find out what can be done to the images, and name it.

        Raises:
            InputError: unless the samples are images.
        """
        super().prepare(preparation)
        self.auxiliary_names = tuple(f"{name}, {kind}" for name in self.hierarchy.class_names for kind in self.kinds)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the pair of class and kind of each view, kinds x class + kind, `[views batch]`."""
        assert batch.kind is not None, "a batch of views says which is which"
        return Auxiliary(len(self.kinds) * batch.primary + batch.kind)


class TransformationShuffled(Transformation):
    """The control of `Transformation` without its information: what was done is called by names drawn for each sample.

    Each kind of a sample's views gets a name once for the whole training, each name with the frequency that it has in
    `Transformation`. So all names are as frequent as there, and say nothing of the view.
    """

    names: Tensor

    def prepare(self, preparation: Preparation) -> None:
        """Draw each sample's names of the kinds."""
        super().prepare(preparation)
        random = generator(preparation.seed, "shuffled transformations")
        # Of the views, each of a group is as frequent as the image as it is: its changes share that.
        often = torch.tensor([1.0, *(1 / len(group) for group in self.groups for _ in group)])
        often = often.expand(len(preparation.samples), -1)
        names = often.multinomial(len(self.kinds), replacement=True, generator=random)
        self.register_buffer("names", names.to(preparation.device))

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the pair of class and kind that each view is labelled with, `[views batch]`."""
        return super().auxiliary(batch._replace(kind=self.names[batch.index, batch.kind]))


def _reordered(images: Tensor, order: tuple[int, int, int]) -> Tensor:
    return images[:, list(order)]


def _enlarged(images: Tensor, corner: tuple[int, int]) -> Tensor:
    places = []
    for side, last in zip(images.shape[-2:], corner, strict=True):
        part = ceil(0.625 * side)
        places.append(slice(side - part, None) if last else slice(part))
    parts = images[..., places[0], places[1]]
    return functional.interpolate(parts, images.shape[-2:], mode="bilinear")
