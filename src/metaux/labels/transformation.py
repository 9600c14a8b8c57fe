"""Class x transformation: images beside transformed copies, labelled jointly by class and by what was done to them."""

from collections.abc import Callable
from functools import partial
from itertools import permutations
from math import ceil
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from metaux.data.samples import Samples
from metaux.errors import InputError
from metaux.hierarchy import Hierarchy
from metaux.labels.base import Auxiliary, Batch, ChoiceSource, Preparation
from metaux.protocols import Protocol
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


def image_shape(samples: Samples, does: str, square: bool = False) -> tuple[int, int, int]:
    """Return channels, height and width of the samples, for a method that does something to images.

    Raises:
        InputError: unless the samples are images, and square where they have to be.
    """
    shapes = samples.shapes
    if len(shapes) == 1 and len(shapes[0]) == 3 and not (square and shapes[0][1] != shapes[0][2]):
        channels, height, width = shapes[0]
        return channels, height, width
    found = " and ".join("x".join(map(str, shape)) for shape in shapes)
    what = "square images (channels x side x side)" if square else "images (channels x height x width)"
    advice = "give --image-size, or leave the method out" if square else "leave the method out"
    raise InputError(f"expected {what} for a method that {does} them, found samples of {found}; {advice}")


@final
class Transformation(ChoiceSource):
    """Each image has copies with something done to them, and the auxiliary head names the class and what it was.

    With T kinds (nothing done is the first), z the class x T auxiliary logits of a view, y its class and t its kind,
    the auxiliary loss of a sample is the mean over its views of  L(z, (y, t)).  The views are the image as it is, and
    for each group of like changes a copy with one of them, drawn anew at every step. The prediction is the primary
    head's, of the image as it is.

    A kind of image, "a turned cat", is a sub-class that is known for certain, since the image was made so. The network
    learns to distinguish the kinds. Plain augmentation would teach it that they are the same.

    Source: Lee, Hwang, Shin, *Self-supervised label augmentation via input transformations* (ICML 2020), with
    rotations and orders of the channels, all views at a time, and no other head. One copy of each group, and the
    enlarged parts, are ours.

    Args:
        joint: learn class and kind. False, for the control, learns the class alone from the same views.
        shuffled: for the control without information, each kind of a sample's views gets a random name, once for the
            whole training. The names are as frequent as otherwise, but say nothing about the view.
    """

    names: Tensor

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol, joint: bool = True, shuffled: bool = False):
        super().__init__(hierarchy, protocol)
        self.joint = joint
        self.shuffled = shuffled

    def prepare(self, preparation: Preparation) -> None:
        """Find out what can be done to the images, name it, and draw the names of a shuffled control.

        Raises:
            InputError: unless the samples are images.
        """
        channels, height, width = image_shape(preparation.samples, "transforms")
        samples = preparation.samples
        few = torch.arange(0, len(samples), max(1, len(samples) // 1000))
        some = samples.at(few)[0]  # of all of it, since classes may stand one after another
        # The channels of grey images may be in any order, and nobody could tell.
        grey = some[:, 1:].eq(some[:, :1]).all()
        self.groups = transformations(1 if grey else channels, height, width)
        kinds = [UNCHANGED, *(name for group in self.groups for name in group)]
        self.kinds = len(kinds)
        self.auxiliary_names = tuple(self.hierarchy.class_names)
        if self.joint:
            self.auxiliary_names = tuple(f"{name}, {kind}" for name in self.auxiliary_names for kind in kinds)
        if self.shuffled:
            random = generator(preparation.seed, "shuffled transformations")
            # Of the views, each of a group is as frequent as the image as it is: its changes share that.
            often = torch.tensor([1.0, *(1 / len(group) for group in self.groups for _ in group)])
            often = often.expand(len(preparation.samples), -1)
            names = often.multinomial(self.kinds, replacement=True, generator=random)
            self.register_buffer("names", names.to(preparation.device))

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
        return batch.seen(torch.cat(views), kind)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the pair of class and kind of each view, kinds x class + kind, or the class, `[views batch]`."""
        if not self.joint:
            return Auxiliary(batch.primary)
        assert batch.kind is not None, "a batch of views says which is which"
        kind = self.names[batch.index, batch.kind] if self.shuffled else batch.kind
        return Auxiliary(self.kinds * batch.primary + kind)


def _reordered(images: Tensor, order: tuple[int, int, int]) -> Tensor:
    return images[:, list(order)]


def _enlarged(images: Tensor, corner: tuple[int, int]) -> Tensor:
    places = []
    for side, last in zip(images.shape[-2:], corner, strict=True):
        part = ceil(0.625 * side)
        places.append(slice(side - part, None) if last else slice(part))
    parts = images[..., places[0], places[1]]
    return functional.interpolate(parts, images.shape[-2:], mode="bilinear")
