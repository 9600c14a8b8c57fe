"""MAXL: the label generator learns the sub-classes whose learning lowers the primary loss."""

import torch
from torch import Tensor

from metaux.labels.base import Auxiliary, MetaStep
from metaux.labels.frozen import Frozen
from metaux.labels.generated import Learned
from metaux.losses import entropy_loss


class Maxl(Learned, Frozen):
    """Meta auxiliary learning (Algorithm 1 of the ICLR submission; both versions, by protocol).

    A meta step minimises  L(f_pri(x; theta_1+), y) + lambda H(g(x, y, psi))  over theta_2 (equations 3 and 5), with
    theta_1+ the network after one virtual step on the generated labels (equation 4).
    """

    def objectives(self, step: MetaStep) -> dict[str, Tensor]:
        """Return the primary loss after the look-ahead (`meta`), and the `entropy` with its weight lambda."""
        labels = self.target(step.inner)
        meta = self.through_look_ahead(step, Auxiliary(labels))
        # The entropy is not linear in the batch mean, so the mean is taken over all processes first.
        mean = labels.mean(0)
        (over_all,) = step.average([mean.detach()], len(labels))
        slope = torch.func.grad(lambda m: entropy_loss(m.unsqueeze(0)))(over_all)
        return {"meta": meta, "entropy": self.protocol.entropy_weight * (mean * slope).sum()}
