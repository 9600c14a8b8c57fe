"""Class x rotation: four rotated views of each image, labelled jointly by class and rotation; and its controls."""

from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from metaux.hierarchy import Hierarchy
from metaux.labels.base import Auxiliary, Batch, ChoiceSource, Preparation
from metaux.labels.transformation import image_shape
from metaux.networks.multitask import MultiTaskNetwork, make_head
from metaux.protocols import Protocol
from metaux.rng import generator

TURNS = 4


def turned(images: Tensor) -> Tensor:
    """Return images `[batch, channels, side, side]` turned by 0, 90, 180 and 270 degrees, one after another."""
    return torch.cat([torch.rot90(images, turns, (-2, -1)) for turns in range(TURNS)])


@final
class Rotation(ChoiceSource):
    """Self-supervised label augmentation: each view's label is the pair of its class and its rotation.

    With z_j the 4 x classes auxiliary logits of the view turned j times, the auxiliary loss of a sample of class y is
    1/4 sum_j L(z_j, (y, j)), and its prediction averages what each view says of its own rotation,

        p(i | x) = softmax over the classes i of  1/4 sum_j z_j[(i, j)].

    Source: Lee, Hwang, Shin, *Self-supervised label augmentation via input transformations* (ICML 2020), SLA+AG and
    SLA+SD. In SLA+AG the joint head is the only one; here, as for every source, the primary head learns the unrotated
    images beside it.

    Args:
        joint: learn class and rotation. False, for the control, learns the class alone from the same views: one output
            per class, whose mean over the views is the prediction.
        shuffled: for the control without information, each sample's four rotations are permuted at random, once for
            the whole training. Every rotation is as frequent as otherwise, but says nothing about the view.
        prediction: by the mean of the four views (`views`), or by the primary head from the image as it is (`head`):
            the same network, one pass in place of four. `distilled` predicts by the primary head too, which has then
            learned in each step, besides the class, what the four views say together (self-distillation): with q = p
            without gradient, and p_head the primary head's probabilities, the auxiliary task has the further loss
            - sum_i q(i) log p_head(i)  per sample.
    """

    orders: Tensor

    def __init__(
        self,
        hierarchy: Hierarchy,
        protocol: Protocol,
        joint: bool = True,
        shuffled: bool = False,
        prediction: Literal["views", "head", "distilled"] = "views",
    ):
        super().__init__(hierarchy, protocol)
        self.kinds = TURNS if joint else 1
        self.shuffled = shuffled
        if prediction == "views":
            self.predict = self.mean_of_views
        elif prediction == "distilled":
            self.consensus = self.agreed

    def prepare(self, preparation: Preparation) -> None:
        """Check that there is something to rotate, and draw the orders of a shuffled control.

        Raises:
            InputError: unless the samples are square images.
        """
        image_shape(preparation.samples, "rotates", square=True)
        if self.shuffled:
            random = generator(preparation.seed, "shuffled rotations")
            orders = torch.rand(len(preparation.samples), TURNS, generator=random).argsort(-1)
            self.register_buffer("orders", orders.to(preparation.device))

    def views(self, batch: Batch) -> Batch:
        """Return the images `[batch, channels, side, side]` in all four views, `[4 batch, ...]`."""
        turns = torch.arange(TURNS, device=batch.primary.device).repeat_interleave(len(batch.primary))
        return batch.seen(turned(batch.inputs[0]), turns)

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with one logit per pair of class and rotation, or per class, of the protocol's kind."""
        return make_head(features, self.kinds * self.hierarchy.classes, self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the pair of class and rotation of each view, 4 class + rotation, or the class, `[4 batch]`."""
        if self.kinds == 1:
            return Auxiliary(batch.primary)
        assert batch.kind is not None, "a batch of views says which is which"
        kind = self.orders[batch.index, batch.kind] if self.shuffled else batch.kind
        return Auxiliary(TURNS * batch.primary + kind)

    def mean_of_views(self, network: MultiTaskNetwork, inputs: tuple[Tensor, ...]) -> Tensor:
        """Return the mean over the views of each view's logits for its own rotation, `[batch, classes]`."""
        output: Tensor = network(turned(inputs[0])).auxiliary
        turns = torch.arange(TURNS, device=output.device).unsqueeze(-1)
        return self._mean(output, turns % self.kinds)

    def agreed(self, output: Tensor, target: Tensor) -> Tensor:
        """Return what the views say together of the class, `[batch, classes]`, by the logits and targets of all."""
        return self._mean(output, (target % self.kinds).view(TURNS, -1)).softmax(-1)

    def _mean(self, output: Tensor, kind: Tensor) -> Tensor:
        """Return the mean over the views of each view's logits for a kind of it, `[TURNS, batch]` or `[TURNS, 1]`."""
        logits = output.view(TURNS, -1, self.hierarchy.classes, self.kinds)
        return (logits * one_hot(kind, self.kinds).unsqueeze(-2)).sum(-1).mean(0)
