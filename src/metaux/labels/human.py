"""Human: the human-defined finer labels, the papers' yardstick."""

from torch import Tensor

from metaux.errors import InputError
from metaux.labels.base import Preparation
from metaux.labels.fixed import FixedLabels


class Human(FixedLabels):
    """The data set's own finer label of each sample."""

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
