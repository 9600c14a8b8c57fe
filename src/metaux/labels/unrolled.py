"""Labels learned through the whole training: those whose learning lowers the primary loss at its end."""

from math import ceil
from typing import final

import torch
from torch import Tensor

from metaux.errors import InputError, TrainingError
from metaux.hierarchy import Hierarchy
from metaux.labels.base import Auxiliary, Preparation, auxiliary_term
from metaux.labels.course import Course
from metaux.labels.fixed import SoftLabels, over_all, own_slots, slot_mask
from metaux.labels.label_parameters import make_parameters
from metaux.losses import mask_softmax
from metaux.networks.multitask import Outputs
from metaux.protocols import Protocol
from metaux.rng import generator
from metaux.trajectory import OuterBatch, Step
from metaux.unrolling import unrolled

FOLDS = 5
CAP = 2.0


@final
class Unrolled(SoftLabels):
    """Each sample's label is learned before the training, by the gradient through a whole training like the run's own.

    An iteration trains an untrained network in the run's way, with its augmentation, on all training samples but one
    fold in five. That fold's samples stay in their batches, but are left out of both losses.
    The outer loss is their primary loss at the end, in training mode and without augmentation. Its gradient for the
    logits of all labels, through every step or the last `horizon` of them, is divided by its root mean square, and the
    labels' parameters (`metaux.labels.label_parameters`) take a step. The next iteration leaves out the next fold, and
    begins with the next of `starts` networks, each with an order of its own; the first is the run's own. So what the
    labels gain is not bound to one start.

    The labels are those up to the iteration where the outer loss, as a mean over the last five folds, was least. The
    network is then trained on all samples with them.

    Args:
        shuffled: for the control, the outer loss is on the classes of other samples, drawn once. So the labels are
            learned as long and as far, from nothing.
    """

    outer_losses: Tensor

    def __init__(self, hierarchy: Hierarchy, protocol: Protocol, shuffled: bool = False):
        super().__init__(hierarchy, protocol)
        self.shuffled = shuffled

    def check_recipe(self, protocol: Protocol) -> None:
        """Raise `InputError` for an average of the weights, since the outer loss is that of the last ones."""
        if protocol.weight_average:
            raise InputError(
                "expected no average of the weights for Unrolled, whose outer loss is that of the last weights, found "
                f"weight_average {protocol.weight_average}; leave one of them out"
            )

    def prepare(self, preparation: Preparation) -> None:
        """Learn the labels, or go on with those of an interrupted run.

        Raises:
            TrainingError: if the loss or its gradient is no longer finite; the labels of the iterations before are
                kept.
        """
        self.register_buffer("outer_losses", preparation.once("outer_losses", lambda: torch.zeros(0)))
        self.primary, self.seed = preparation.samples.primary.to(preparation.device), preparation.seed
        self.outer_primary = self.primary
        if self.shuffled:
            order = torch.randperm(len(self.primary), generator=generator(self.seed, "shuffled outer classes"))
            self.outer_primary = self.primary[order.to(self.primary.device)]
        super().prepare(preparation)

    def distribute(self, preparation: Preparation) -> Tensor:
        """Return the label of every training sample, `[n, K]`."""
        count, kept = self.protocol.iterations, preparation.kept
        parameters = make_parameters(self.protocol.label_parameters, preparation, self.hierarchy, self.protocol)
        best = self.labels_of(parameters.logits())
        if "best" in kept:
            parameters.load_state_dict({name: kept[f"parameters.{name}"] for name in parameters.state_dict()})
            best = kept["best"].to(preparation.device)
        own = preparation.course(self, 0)
        for number, steps, horizon in own.rounds(len(self.outer_losses), count):
            labels, start = self.labels_of(parameters.logits()), number % self.protocol.starts
            course = preparation.course(self, start) if start else own
            try:
                loss, gradient, notice = self.gradient(labels, course, number % FOLDS, steps, horizon)
            except TrainingError as error:
                raise TrainingError(
                    f"iteration {number + 1} of {count} of the labels: {error}; the labels before it are kept"
                ) from error
            if notice and not number:
                preparation.notify(notice)
            parameters.move(gradient, number)
            self.outer_losses = torch.cat([self.outer_losses, loss.reshape(1).to(self.outer_losses)])
            if _last_is_best(self.outer_losses.tolist()):
                best = self.labels_of(parameters.logits())
            preparation.notify(f"labels: iteration {number + 1} of {count}, outer loss {float(loss):.4f}")
            state = {f"parameters.{name}": value for name, value in parameters.state_dict().items()}
            preparation.keep(state | {"best": best, "outer_losses": self.outer_losses})
        return over_all(best, self.primary, self.hierarchy)

    def labels_of(self, logits: Tensor) -> Tensor:
        """Return the label of each sample over its own slots, `[n, max(psi)]`."""
        return mask_softmax(logits, slot_mask(self.primary, self.hierarchy))

    def gradient(
        self, labels: Tensor, course: Course, held_out: int, steps: int, horizon: int
    ) -> tuple[Tensor, Tensor, str]:
        """Return the outer loss on a fold, its gradient for the logits of all labels, and what a user should know.

        Args:
            labels: over the own slots, `[n, max(psi)]`.
            course: the training.
            held_out: the fold.
            steps: of the training.
            horizon: how many of the last steps the gradient goes back through.
        """
        place = torch.randperm(len(labels), generator=generator(self.seed, "folds"))
        fold = place.to(labels.device) % FOLDS
        learned: dict[int, Tensor] = {}

        def step(number: int) -> Step:
            batch = course.batch(number)
            learned[number] = batch.index
            learns = fold[batch.index] != held_out
            if batch.mixing is not None:  # with a sample of the fold, an image would tell of its label
                learns &= learns[batch.mixing.partner]
            own = learns.nonzero().squeeze(-1)

            def loss(outputs: Outputs, target: Tensor) -> Tensor:
                assert outputs.auxiliary is not None
                if not len(own):
                    return 0 * (outputs.primary.sum() + outputs.auxiliary.sum())
                weighted = target if batch.weight is None else batch.weight.unsqueeze(-1) * target
                mixed = weighted if batch.mixing is None else batch.mixing.of(weighted)
                auxiliary = auxiliary_term(self, outputs.auxiliary[own], Auxiliary(mixed[own]))
                return course.primary_loss(outputs.primary[own], part) + auxiliary

            part = batch._replace(inputs=()).at(own)

            target = over_all(labels[batch.index], batch.primary, self.hierarchy)
            return Step(batch.shown, target, loss, course.rate(number), course.seed_of(number))

        rows = place.argsort()[held_out::FOLDS]  # at random: batch norm must not see one class alone in a batch
        outer = [self.outer(course, part) for part in rows.tensor_split(ceil(len(rows) / self.protocol.batch_size))]
        with course.autocast():
            found = unrolled(course.network, course.optimizer, step, steps, outer, horizon=horizon, cap=CAP)
        of_labels = torch.zeros_like(labels)
        for number, gradient in found.gradient.items():
            assert isinstance(gradient, Tensor)
            index = learned[number]
            of_labels.index_add_(0, index, own_slots(gradient, self.primary[index], self.hierarchy).to(labels.dtype))
        # Through the softmax that made the labels.
        return found.outer_loss, labels * (of_labels - (labels * of_labels).sum(-1, keepdim=True)), found.notice

    def outer(self, course: Course, rows: Tensor) -> OuterBatch:
        """Return a batch of the outer loss."""
        batch = course.load(rows)
        batch = batch._replace(primary=self.outer_primary[batch.index])
        return batch.inputs, lambda outputs: course.primary_loss(outputs.primary, batch)


def _last_is_best(losses: list[float]) -> bool:
    """Return whether the mean loss of the last folds is the least of all such means.

    >>> _last_is_best([5.0, 1.0, 1.0, 1.0, 1.0, 2.0]), _last_is_best([1.0, 1.0, 1.0, 1.0, 1.0, 2.0])
    (True, False)
    """
    width = min(FOLDS, len(losses))
    means = [sum(losses[end - width : end]) for end in range(width, len(losses) + 1)]
    return means[-1] <= min(means)
