"""Labels that people gave: finer ones within the classes, or second ones of any kind."""

from typing import final

import torch
from torch import Tensor, nn

from metaux.errors import InputError
from metaux.labels.base import Auxiliary, Batch, ChoiceSource, Preparation
from metaux.labels.fixed import FixedLabels


@final
class Human(FixedLabels):
    """The data set's own finer label of each sample: the papers' yardstick."""

    def assign(self, preparation: Preparation) -> Tensor:
        """Return the finer labels.

        Raises:
            InputError: if the data has none.
        """
        if preparation.samples.human is None:
            raise InputError(
                "method human needs finer labels than the primary ones, and this data has none; "
                "name them with --hierarchy and --auxiliary, give them to fit as auxiliary, or leave the method out"
            )
        return preparation.samples.human

    def target(self, batch: Batch) -> Tensor:
        """Return the one-hot label of each sample, `[batch, K]`; zero, so that it has no loss, for one without."""
        own = self.assigned[batch.index]
        chosen = nn.functional.one_hot(own.clamp(min=0), self.hierarchy.size).to(torch.get_default_dtype())
        return chosen * (own >= 0).unsqueeze(-1)


@final
class Given(ChoiceSource):
    """The auxiliary head learns labels that the data gives, which need not lie within the classes.

    This is ordinary multi-task learning. With z the auxiliary logits of a sample, one for each different given label,
    and g its own, the auxiliary loss is

        - (1 - p_g)^gamma log p_g,  p = softmax(z).

    Source: Caruana, *Multitask learning* (Machine Learning, 1997).
    """

    given: Tensor
    has_gaps: bool

    def prepare(self, preparation: Preparation) -> None:
        """Keep the given labels of the training samples.

        Raises:
            InputError: if the data has none.
        """
        samples = preparation.samples
        if samples.given is None:
            raise InputError(
                "method given needs labels of another kind beside the classes, and this data has none; name their "
                "column of a CSV file with --given, add the array y_given to an .npz file, give them to fit as given, "
                "or leave the method out"
            )
        self.auxiliary_names = samples.given_names
        self.register_buffer("given", samples.given.to(preparation.device))
        self.has_gaps = bool((samples.given < 0).any())

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the given label of each sample, `[batch]`; those without one weigh nothing."""
        own = self.given[batch.index]
        return Auxiliary(own.clamp(min=0), (own >= 0).to(torch.get_default_dtype()) if self.has_gaps else None)
