"""Prototypical Net: soft labels by the distance to the human sub-classes' means, the ICLR submission's baseline."""

from typing import final

from torch import Tensor

from metaux.data.samples import Samples
from metaux.errors import InputError
from metaux.labels.base import Preparation
from metaux.labels.fixed import SoftLabels
from metaux.labels.prototypes import inverse_temperature, prototypes, soft_assignment
from metaux.protocols import Protocol


@final
class Prototypical(SoftLabels):
    """Differentiable nearest neighbour to the prototypes of a few samples with human sub-classes.

    The prototype c_k of sub-class k is the mean embedding of the meta split's samples of it; a training sample x of
    primary class y gets

        t_k = softmax over the sub-classes k of y of  -beta |e(x) - c_k|^2,

    and 0 elsewhere (ICLR submission, section 4; Snell et al. 2017, equation 2). The multi-task network trains on what
    is left of the training data, whose own human labels are not looked at. A sub-class without a sample in the
    meta split has no prototype, and the label 0.

    **Scale.** Snell et al. learn the embedding, and so its scale, with the loss; there beta is 1. Here the embedding is
    given, and with beta = 1 the label would depend on its unit and its number of dimensions: on a thousand
    unnormalised features the softmax is a hard maximum. So beta is the one number that a classifier by softmax has
    free, its temperature, and the labelled samples decide it: `inverse_temperature`, by likelihood on prototypes
    that leave the sample itself out. The labels are the same for any unit of the embedding, and about as sure of
    themselves as they are right. The papers do not say what they did.
    """

    @classmethod
    def needs_meta_split(cls, protocol: Protocol) -> bool:  # noqa: ARG003
        """Return True: the meta split's samples are the labelled ones."""
        return True

    def distribute(self, preparation: Preparation) -> Tensor:
        """Embed both splits, and label the training samples.

        Raises:
            InputError: if the data has no human sub-classes, or the meta split none of a class.
        """
        meta, samples = preparation.meta, preparation.samples
        assert meta is not None, "whoever trains sees to it, since this source needs a meta split"
        if meta.human is None:
            raise InputError(
                "expected finer labels than the primary ones for method prototypical, found none in this data; "
                "name them with --hierarchy and --auxiliary, give them to fit as auxiliary, or leave the method out"
            )
        meta = meta.take((meta.human >= 0).nonzero().flatten())
        assert meta.human is not None
        self._check(meta)
        known = _embedded(preparation, meta)
        means, counts = prototypes(known, meta.human, self.hierarchy.size)
        beta = inverse_temperature(known, meta.human, means, counts, self.hierarchy)
        embedded = _embedded(preparation, samples)
        return soft_assignment(embedded, samples.primary, means, counts > 0, self.hierarchy, beta)

    def _check(self, meta: Samples) -> None:
        counts = meta.primary.bincount(minlength=self.hierarchy.classes).tolist()
        for name, count in zip(self.hierarchy.class_names, counts, strict=True):
            if count == 0:
                raise InputError(
                    f"expected labelled samples of every class in the meta split, found none of '{name}'; "
                    "add training samples of it"
                )


def _embedded(preparation: Preparation, samples: Samples) -> Tensor:
    embedded = preparation.embedding(samples).double().cpu()
    fits = embedded.dim() == 2 and len(embedded) == len(samples)
    if not fits or not embedded.isfinite().all():
        found = "numbers that are not finite" if fits else f"shape {list(embedded.shape)}"
        raise InputError(
            f"expected an embedding of finite numbers [{len(samples)}, features], found {found}; correct the embedding"
        )
    return embedded
