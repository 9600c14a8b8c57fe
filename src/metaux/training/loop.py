"""The training loop: epochs and steps, in order; it can stop and go on after any epoch."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from metaux.errors import TrainingError
from metaux.labels.base import LabelSource
from metaux.metagradient import MetaGradient
from metaux.networks.multitask import MultiTaskNetwork
from metaux.rng import derive_seed, seeded
from metaux.training.batches import Order
from metaux.training.callbacks import Callback, Training
from metaux.training.checkpoint import Checkpoint
from metaux.training.devices import wait_for
from metaux.training.evaluate import Evaluation, Record
from metaux.training.learner import Learner, Trouble
from metaux.training.pace import Pace
from metaux.training.shared_passes import last_meta_step, shared_step
from metaux.training.step import training_step


@dataclass(frozen=True)
class Fitted:
    """A trained network with what was recorded on the way.

    Args:
        network: the multi-task network with its final weights.
        source: the label source as training left it.
        records: one dict per epoch.
        test_logits: of the final weights, `[n_test, classes]`.
        test_correct: how often each test sample was right over the reported epochs, `[n_test]`.
        labels: the label of each training sample over its own class's slots, `[n, max(psi)]`, if there are any.
        meta_gradient: how meta-gradients were computed; None for a source without meta steps.
    """

    network: MultiTaskNetwork
    source: LabelSource
    records: list[Record]
    test_logits: Tensor
    test_correct: Tensor
    labels: Tensor | None
    meta_gradient: MetaGradient | None = None


def fit(
    learner: Learner,
    checkpoint: Checkpoint | None = None,
    curve: bool = True,
    callbacks: Sequence[Callback] = (),
) -> Fitted:
    """Train from the checkpoint, or from the start, to the last epoch.

    Args:
        learner: what learns; it is changed.
        checkpoint: where the state after each epoch is kept (after some, where they are short); None to keep none.
        curve: measure test samples and labels on the way too, not only after the reported epochs.
        callbacks: called in their order; one of them may end the training early.

    Raises:
        InputError: for a checkpoint of another run.
        TrainingError: if inputs, loss, network, label source or outputs are no longer finite.
    """
    evaluation, training, pace = Evaluation(learner, curve), Training(learner), Pace()
    if checkpoint is not None:
        training.records, evaluation.reported = checkpoint.resume(learner)

    def call(place: Callable[[Callback], Callable[[Training], None]]) -> None:
        for callback in callbacks:
            place(callback)(training)

    call(lambda callback: callback.on_train_begin)
    records, kept = training.records, len(training.records)
    while len(records) < learner.plan.protocol.epochs and not training.stopping:
        epoch = len(records)
        call(lambda callback: callback.on_epoch_begin)
        record = train_epoch(learner, epoch, lambda: call(lambda callback: callback.on_batch_end))
        learner.synchronise()
        trouble = learner.trouble(record["train_loss"])
        measured = {} if trouble else evaluation.after(epoch)
        if trouble := trouble or evaluation.trouble:
            raise not_finite(trouble, epoch, checkpoint, kept)
        records.append(record | measured)
        learner.schedule.end(records[-1])
        if checkpoint is not None and learner.fabric.is_global_zero and pace.is_due:
            with pace.writing():
                checkpoint.save(learner, records, evaluation.reported)
            kept = len(records)
        call(lambda callback: callback.on_epoch_end)
    call(lambda callback: callback.on_train_end)
    logits, labels = evaluation.last(again=training.stopping or training.changed)
    if evaluation.trouble:
        raise not_finite(evaluation.trouble, len(records) - 1, checkpoint, kept)
    correct = torch.stack(evaluation.reported).float().mean(0)
    return Fitted(learner.evaluated, learner.source, records, logits, correct, labels, learner.meta_gradient)


def not_finite(trouble: Trouble, epoch: int, checkpoint: Checkpoint | None, kept: int) -> TrainingError:
    """Return the error of what is no longer finite in an epoch, counted from 0; `kept` epochs are in the checkpoint."""
    found = f"epoch {kept} is kept in {checkpoint.path}" if kept and checkpoint else "nothing is kept"
    return TrainingError(f"{trouble.what} in epoch {epoch + 1}; {found}; {trouble.remedy}")


def train_epoch(learner: Learner, epoch: int, on_batch_end: Callable[[], None] = lambda: None) -> Record:
    """Take all steps of an epoch, counted from 0; return its duration, learning rate, loss and training accuracy."""
    start, rate = time.perf_counter(), learner.schedule.begin(epoch)
    learner.network.train()
    learner.source.train()
    order = learner.batches.order(epoch)
    totals, count = torch.zeros(2, device=learner.fabric.device), 0
    cosines: list[float] = []
    for kind, position in steps_of(learner, order):
        own, samples = take_step(learner, kind, order, position, rate, cosines)
        totals += own
        count += samples
        on_batch_end()
    (mean,) = learner.average([totals / count], count)
    wait_for(learner.fabric.device)
    record = {"epoch": epoch + 1, "seconds": time.perf_counter() - start}
    record["learning_rate"] = learner.optimizer.param_groups[0]["lr"]
    record |= {"train_loss": float(mean[0]), "train_accuracy": float(mean[1])}
    return record | ({"mean_cosine": statistics.mean(cosines)} if cosines else {})


def steps_of(learner: Learner, order: Order) -> list[tuple[str, int]]:
    """Return the steps of an epoch in order: `train` or `meta`, and the position of its batch."""
    train = [("train", position) for position in range(len(order.train))]
    if learner.source.meta_step is None or learner.shares_passes:
        return train
    meta = [("meta", position) for position in range(len(order.train))]
    if learner.plan.protocol.meta_order == "epoch":
        return train + meta
    return list(chain.from_iterable(zip(train, meta, strict=True)))


def _has_cosine(learner: Learner, position: int, batches: int) -> bool:
    """Return whether a batch is one of the protocol's `cosine_batches`, which are evenly spread over an epoch."""
    count = learner.plan.protocol.cosine_batches
    return count * (position + 1) // batches > count * position // batches


def take_step(
    learner: Learner, kind: str, order: Order, position: int, rate: float, cosines: list[float] | None = None
) -> tuple[Tensor, int]:
    """Take a training or a meta step.

    Args:
        learner: what learns.
        kind: `train` or `meta`.
        order: of the epoch.
        position: of the batch in it.
        rate: the schedule's factor on the learning rates.
        cosines: where the cosine of the gradients goes, if this is one of the steps on which it is measured.

    Returns:
        Of a training step and the samples as they are: their summed loss and how many are right, and how many there
        are.
    """
    name = kind, order.epoch, position
    with seeded(learner.plan.seed, *name, *learner.of_rank), learner.fabric.autocast():
        if kind == "meta":
            assert learner.source.meta_step is not None
            inner, outer = learner.batches.look_ahead(order, position)
            learner.source.meta_step(learner.meta_step(inner, outer, rate, order.epoch, position))
            return torch.zeros(2, device=learner.fabric.device), 0
        batch = learner.batches.training(order, position)
        measured = cosines is not None and _has_cosine(learner, position, len(order.train))
        if learner.shares_passes:
            seed = derive_seed(learner.plan.seed, *name, *learner.of_rank)
            loss, output, cosine = shared_step(learner, batch, rate, seed, measured)
            if position == len(order.train) - 1:
                last_meta_step(learner, learner.batches.look_ahead(order, position)[1])
        else:
            step = learner.network, learner.source, batch, learner.optimizer, learner.primary_loss, learner.average
            loss, output, cosine = training_step(*step, with_cosine=measured)
        if learner.average_network is not None:
            learner.average_network.update_parameters(learner.network)
        if cosines is not None and cosine is not None:
            cosines.append(cosine)
        count = len(output)
        return torch.stack([loss * count, (output.argmax(-1) == batch.unchanged().mostly()).sum()]), count
