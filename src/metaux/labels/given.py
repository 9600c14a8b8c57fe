"""Given: a person's own second labels of the samples, of any kind; ordinary multi-task learning."""

from torch import Tensor, nn

from metaux.errors import InputError
from metaux.labels.base import Auxiliary, Batch, ChoiceSource, Preparation
from metaux.networks.multitask import make_head


class Given(ChoiceSource):
    """The auxiliary head learns labels that the data gives, which need not lie within the classes.

    With z the auxiliary logits of a sample, one for each different given label, and g its own, the auxiliary loss is

        - (1 - p_g)^gamma log p_g,  p = softmax(z).

    Source: Caruana, *Multitask learning* (Machine Learning, 1997).
    """

    given: Tensor

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

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with one logit per given label, of the protocol's kind."""
        return make_head(features, len(self.auxiliary_names), self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the given label of each sample, `[batch]`."""
        return Auxiliary(self.given[batch.index])
