"""Vector: an arbitrary auxiliary task, the papers' future work; and its control, whose generator never learns."""

from typing import Any, final

import torch
from torch import Tensor, nn

from metaux.labels.base import Auxiliary, Batch, LabelSource, MetaStep, Preparation
from metaux.labels.maxl import GeneratorOptimizer, meta_objective, of_all_processes
from metaux.losses import at_least_single
from metaux.networks.multitask import VectorGenerator, make_head, to_channels_last
from metaux.optimizer_state import take_up
from metaux.protocols import Protocol


class VectorSource(LabelSource):
    """A source whose target is a vector that a generator makes of the sample; the auxiliary loss is a regression."""

    def prepare(self, preparation: Preparation) -> None:
        """Make the generator of target vectors."""
        trunk, head = preparation.generator_parts(self.hierarchy.size, self.protocol)
        self.generator = to_channels_last(VectorGenerator(trunk, head, self.hierarchy.size), preparation.device)

    def target(self, batch: Batch) -> Tensor:
        """Return the target vectors, `[batch, D]`, with the generator's graph."""
        vectors: Tensor = self.generator(*batch.copies())
        return vectors

    def auxiliary_head(self, features: int) -> nn.Module:
        """Make a head with D = K outputs: as large as that of the sources with sub-classes, so as comparable."""
        return make_head(features, self.hierarchy.size, self.protocol.head)

    def auxiliary(self, batch: Batch) -> Auxiliary:
        """Return the target vectors without weight."""
        return Auxiliary(self.target(batch))

    def auxiliary_loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared error over the dimensions, `[batch]`."""
        return squared_errors(output, target)

    def diagnostics(self, step: MetaStep) -> dict[str, float]:
        """Return what would show a collapse of the targets, measured on the inner batch; see `spread`."""
        with torch.no_grad():
            return spread(self.target(step.inner), step.inner.primary)


@final
class FrozenVector(VectorSource):
    """The generator of target vectors at its random initialisation, never trained: what `Vector` is compared with."""


@final
class Vector(VectorSource):
    """Each sample's auxiliary target is a vector t = g(x) of D numbers; the auxiliary loss is a regression.

    Inner loss, over a batch of N:  L_in(theta, t) = L_pri(o_pri, y) + (1 / N) sum_n (1 / D) |o_n - t_n|^2,  with o
    the auxiliary head's output `[batch, D]`. A meta step minimises L_pri at theta_1+ over theta_2, as MAXL's does.

    **Meta-gradient.** The derivation at `metaux.metagradient` holds for any inner loss: with v the gradient of L_out at
    theta_1+, u = -alpha v and o' = (do/dtheta) u, the tangent of the outputs,

        dL_out/dt = d/dt <dL_in/do (o, t), o'>,    dL_in/do = (2 / (N D)) (o - t),

    so that  dL_out/dt = -(2 / (N D)) o' = (2 alpha / (N D)) (do/dtheta) v.  One forward-mode pass is again exact. As
    for the focal loss it does not depend on the target itself, other than through theta_1+.

    **Collapse.** Left free, the generator has three ways to trivial solutions: vectors that are the same for every
    sample, which the head's bias learns and the trunk nothing from; vectors that grow, which makes of the generator a
    learning rate; and dimensions that all tell the same, in the end the primary class once more. So

    - each dimension is standardised over the batch, to mean 0 and variance 1: none can be constant, and the scale
      is fixed (a unit norm per vector would fix the scale only);
    - a meta step minimises  L_pri + lambda H_2(C),  with H_2 the negative entropy of the spectrum of the vectors'
      covariance C over the batch (`spectral_entropy_loss`), as MAXL's entropy loss (equation 5) spreads the use of
      sub-classes, with the same weight lambda and in the same unit.

    Under data parallelism the vectors are standardised over each process's share, as in batch normalisation, and C is
    the mean over all processes. `diagnostics` shows what is left of a collapse.

    Unlike in MAXL, x alone decides: a vector has no slots that would belong to a primary class.
    """

    @classmethod
    def needs_meta_split(cls, protocol: Protocol) -> bool:
        """Return whether the protocol's look-ahead is on meta data."""
        return protocol.inner_batch == "meta"

    def prepare(self, preparation: Preparation) -> None:
        """Make the generator of target vectors and its optimizer."""
        super().prepare(preparation)
        self._optimizer = GeneratorOptimizer(self.generator, self.protocol)

    def objectives(self, step: MetaStep) -> dict[str, Tensor]:
        """Return the primary loss after the look-ahead (`meta`), and the spectrum's `entropy` with its weight."""
        task = step.task or self.auxiliary(step.inner)
        meta = meta_objective(self, step, task)
        entropy = of_all_processes(spectral_entropy_loss, covariance(task.target), step)
        return {"meta": meta, "entropy": self.protocol.entropy_weight * entropy}

    def meta_step(self, step: MetaStep) -> None:
        """Step the generator once, down the sum of the objectives."""
        self._optimizer.step(self.objectives(step), step)

    def diagnostics(self, step: MetaStep) -> dict[str, float]:
        """Return what would show a collapse, and the norm of the generator's gradient of each objective."""
        return super().diagnostics(step) | self._optimizer.gradient_norms(self.objectives(step))

    def get_extra_state(self) -> Any:
        """Return the optimizer's state, so that an interrupted run goes on as if it had not stopped."""
        return self._optimizer.optimizer.state_dict()

    def set_extra_state(self, state: Any) -> None:
        """Take up the optimizer's state."""
        take_up(self._optimizer.optimizer, state)


def squared_errors(output: Tensor, target: Tensor) -> Tensor:
    """The mean squared error of each sample, (1 / D) sum_d (o_d - t_d)^2: the loss of a vector-valued auxiliary task.

    Args:
        output: `[batch, D]`; half precision is computed in float32.
        target: `[batch, D]`.

    Returns:
        `[batch]`, in float32 or float64.

    >>> squared_errors(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]])).tolist()
    [2.5]
    """
    kind = at_least_single(output)
    return (output.to(kind) - target.to(kind)).square().mean(-1)


def spectral_entropy_loss(covariance: Tensor) -> Tensor:
    """The negative entropy of a covariance's spectrum, log sum_i p_i^2 for eigenvalues in shares p_i: against collapse.

    For target vectors it is what `entropy_loss` is for labels: minimising it spreads their variance over all
    dimensions. It is Renyi's entropy of order 2, which needs no eigenvalues: sum_i p_i^2 = |C|_F^2 / (tr C)^2. Its
    exponential, inverted, is the number of dimensions in use.

    Args:
        covariance: C, `[D, D]`, symmetric, not zero.

    Returns:
        A scalar from -log D (all dimensions alike and uncorrelated) to 0 (all variance in one direction).

    >>> spectral_entropy_loss(torch.eye(4)).exp().item(), spectral_entropy_loss(torch.ones(4, 4)).item()
    (0.25, 0.0)
    """
    return covariance.square().sum().log() - 2 * covariance.trace().log()


def covariance(targets: Tensor) -> Tensor:
    """Return the covariance of target vectors `[batch, D]` over the batch, `[D, D]`.

    >>> covariance(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    tensor([[1., 0.],
            [0., 0.]])
    """
    centred = targets - targets.mean(0)
    return centred.mT @ centred / len(targets)


def spread(targets: Tensor, primary: Tensor) -> dict[str, float]:
    """Return how much the targets of a batch differ, and in what.

    Args:
        targets: `[batch, D]`.
        primary: the classes, int64 `[batch]`.

    Returns:
        `target_variance`, the mean over the dimensions, near 1 unless the generator's own output is almost constant;
        `target_dimensions`, how many dimensions are in use, exp(-H_2), from 1 (all tell the same) to
        min(D, batch - 1); and `target_class_share`, the share of the variance that the primary class explains, 1 for a
        target that only repeats it.

    >>> spread(torch.tensor([[1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [-1.0, -1.0]]), torch.tensor([0, 1, 0, 1]))
    {'target_variance': 1.0, 'target_dimensions': 1.0, 'target_class_share': 0.0}
    """
    targets = targets.double()
    matrix = covariance(targets)
    total = float(matrix.trace())
    if total == 0:
        return {"target_variance": 0.0, "target_dimensions": 0.0, "target_class_share": 0.0}
    means = torch.stack([targets[primary == class_].mean(0) for class_ in primary])  # of each sample's class
    return {
        "target_variance": total / targets.shape[1],
        "target_dimensions": float((-spectral_entropy_loss(matrix)).exp()),
        "target_class_share": float((means - targets.mean(0)).square().sum(-1).mean()) / total,
    }
