"""Class x rotation: four rotated views of each image, labelled jointly by class and rotation; and its controls."""

import torch
from torch import Tensor, nn

from metaux.errors import InputError
from metaux.labels.base import Auxiliary, Batch, ChoiceSource, Preparation
from metaux.networks.multitask import MultiTaskNetwork, make_head
from metaux.rng import generator

TURNS = 4


def turned(images: Tensor) -> Tensor:
    """Return images `[batch, channels, side, side]` turned by 0, 90, 180 and 270 degrees, one after another."""
    return torch.cat([torch.rot90(images, turns, (-2, -1)) for turns in range(TURNS)])


class Rotated(ChoiceSource):
    """The control of `Rotation`: the same four views, and the same averaging of them, but the class alone to learn.

    The auxiliary head has one output per class. Its loss is the mean over the views; so is its prediction, of the
    logits.
    """

    def prepare(self, preparation: Preparation) -> None:
        """Check that there is something to rotate.

        Raises:
            InputError: unless the samples are square images.
        """
        shapes = [tuple(tensor.shape[1:]) for tensor in preparation.samples.inputs]
        if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][1] != shapes[0][2]:
            found = " and ".join("x".join(map(str, shape)) for shape in shapes)
            raise InputError(
                f"expected square images (channels x side x side) for a method that rotates them, found samples of "
                f"{found}; give --image-size, or leave the method out"
            )

    def views(self, batch: Batch) -> Batch:
        """Return the images `[batch, channels, side, side]` in all four views, `[4 batch, ...]`."""
        turns = torch.arange(TURNS, device=batch.primary.device).repeat_interleave(len(batch.primary))
        return Batch((turned(batch.inputs[0]),), batch.primary.repeat(TURNS), batch.index.repeat(TURNS), turns)

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with one logit per class, of the protocol's kind."""
        return make_head(features, self.hierarchy.classes, self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the class of each view, `[4 batch]`."""
        return Auxiliary(batch.primary)

    def predict(self, network: MultiTaskNetwork, inputs: tuple[Tensor, ...]) -> Tensor:
        """Return the mean of the four views' logits, `[batch, classes]`."""
        return self._of_views(network, inputs).mean(0)

    def _of_views(self, network: MultiTaskNetwork, inputs: tuple[Tensor, ...]) -> Tensor:
        output: Tensor = network(turned(inputs[0])).auxiliary
        return output.view(TURNS, -1, output.shape[-1])


class RotatedSingle(Rotated):
    """The control of `RotationSingle`: the network of `Rotated`, which predicts by its primary head from one view."""

    predict = None  # type: ignore[assignment]  # what the attribute of `LabelSource` may be


class Rotation(Rotated):
    """Self-supervised label augmentation: each view's label is the pair of its class and its rotation.

    With z_j the 4 x classes auxiliary logits of the view turned j times, the auxiliary loss of a sample of class y is
    1/4 sum_j L(z_j, (y, j)), and its prediction averages what each view says of its own rotation,

        p(i | x) = softmax over the classes i of  1/4 sum_j z_j[(i, j)].

    Source: Lee, Hwang, Shin, *Self-supervised label augmentation via input transformations* (ICML 2020), SLA+AG. There
    the joint head is the only one; here, as for every source, the primary head learns the unrotated images beside it.
    """

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with one logit per pair of class and rotation, of the protocol's kind."""
        return make_head(features, TURNS * self.hierarchy.classes, self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the pair of class and rotation of each view, 4 class + rotation, `[4 batch]`."""
        assert batch.kind is not None, "a batch of views says which is which"
        return Auxiliary(TURNS * batch.primary + batch.kind)

    def predict(self, network: MultiTaskNetwork, inputs: tuple[Tensor, ...]) -> Tensor:
        """Return the mean over the views of each view's logits for its own rotation, `[batch, classes]`."""
        logits = self._of_views(network, inputs)
        return torch.stack([logits[turns, :, turns::TURNS] for turns in range(TURNS)]).mean(0)


class RotationShuffled(Rotation):
    """The control of `Rotation` without its information: each sample's four rotations in an order of their own.

    A view's rotation is that of another view of the sample, or its own, the same throughout the training; the order is
    one of the 24 that there are, drawn for each sample. Every rotation is as frequent as before, and says nothing of
    the view.
    """

    orders: Tensor

    def prepare(self, preparation: Preparation) -> None:
        """Draw the order of each sample's rotations."""
        super().prepare(preparation)
        random = generator(preparation.seed, "shuffled rotations")
        orders = torch.rand(len(preparation.samples), TURNS, generator=random).argsort(-1)
        self.register_buffer("orders", orders.to(preparation.device))

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the pair of class and rotation that each view is labelled with, `[4 batch]`."""
        return super().auxiliary(batch._replace(kind=self.orders[batch.index, batch.kind]))


class RotationSingle(Rotation):
    """The network of `Rotation`, which predicts by its primary head from the image as it is: one pass, not four."""

    predict = None  # type: ignore[assignment]  # what the attribute of `LabelSource` may be
