"""What a training step learns from: samples, views of them, or mixed images."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, where


class Mixing(NamedTuple):
    """How each image of a batch is mixed with another one of it, its partner.

    `inputs` are what the network is shown; `share` is that of the sample itself in it, `[batch]`; `partner` is the
    other's row in the batch, and `primary` its class, int64 `[batch]`.
    """

    inputs: tuple[Tensor, ...]
    share: Tensor
    partner: Tensor
    primary: Tensor

    def of(self, values: Tensor) -> Tensor:
        """Return the mean of each sample's value and its partner's, by their shares, of values `[batch, ...]`."""
        return self.between(values, values[self.partner])

    def between(self, own: Tensor, partners: Tensor) -> Tensor:
        """Return the mean by their shares of each sample's own value and its partner's, each `[batch, ...]`."""
        share = self.share.to(own.dtype).view(-1, *[1] * (own.dim() - 1))
        return share * own + (1 - share) * partners


class Batch(NamedTuple):
    """Training samples as the networks take them.

    `inputs` are augmented and normalised, each `[batch, ...]`; `primary` is the class, int64 `[batch]`; `index` is
    the sample's row in the training data, int64 `[batch]`; `kind`, of a source with `views`, what was done to the
    sample, int64 `[batch]`, 0 for nothing; `own`, which the loop sets, then counts the samples as they are, which come
    first; `primary_factor`, which the loop sets too, is the factor on the primary loss of a data-parallel process whose
    samples hold more of these, or fewer, than those of all processes do; `mixing`, of a training batch of mixed images,
    says how they are mixed. A source makes its targets of the samples, and the loss mixes them. `weight` is a factor on
    each sample's losses, `[batch]`, where the samples have weights.
    """

    inputs: tuple[Tensor, ...]
    primary: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody wants of a batch
    kind: Tensor | None = None
    own: int | None = None
    primary_factor: float = 1.0
    mixing: Mixing | None = None
    weight: Tensor | None = None

    @property
    def shown(self) -> tuple[Tensor, ...]:
        """What the network is shown of the samples: themselves, or mixed images."""
        return self.inputs if self.mixing is None else self.mixing.inputs

    def copies(self) -> tuple[Tensor, ...]:
        """Return copies of the inputs, for a network that may work in place; others see the batch after it."""
        return tuple(part.clone() for part in self.inputs)

    def at(self, rows: Tensor | slice) -> "Batch":
        """Return the samples at these rows."""
        mixing = self.mixing
        if mixing is not None:
            inputs = tuple(part[rows] for part in mixing.inputs)
            mixing = Mixing(inputs, mixing.share[rows], mixing.partner[rows], mixing.primary[rows])
        weight = None if self.weight is None else self.weight[rows]
        inputs = tuple(part[rows] for part in self.inputs)
        return Batch(inputs, self.primary[rows], self.index[rows], mixing=mixing, weight=weight)

    def seen(self, inputs: Tensor, kind: Tensor) -> "Batch":
        """Return views of the samples, `[views batch, ...]`, one view of all after another."""
        count = len(inputs) // len(self.index)
        weight = None if self.weight is None else self.weight.repeat(count)
        return Batch((inputs,), self.primary.repeat(count), self.index.repeat(count), kind, weight=weight)

    def mostly(self) -> Tensor:
        """Return the class of each sample, int64 `[batch]`; of a mixed image, that of the larger share."""
        if self.mixing is None:
            return self.primary
        return where(self.mixing.share < 0.5, self.mixing.primary, self.primary)

    def unchanged(self) -> "Batch":
        """Return the samples as they are: all, or without the transformed copies."""
        return self if self.own is None else self.at(slice(self.own))


PrimaryLoss = Callable[[Tensor, Batch], Tensor]
