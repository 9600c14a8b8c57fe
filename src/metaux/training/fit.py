"""The training loop: both networks, every label source, any protocol; it can stop and go on after any epoch.

This file is longer than 300 lines, since one class holds all that an interrupted run needs to go on.
"""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metaux.data.samples import Samples
from metaux.errors import InputError, TrainingError
from metaux.files import write_bytes_atomic
from metaux.labels.base import Batch, BatchLoss, MetaStep, Preparation
from metaux.metagradient import LookAhead, MetaGradient, forward_mode
from metaux.networks.multitask import MultiTaskNetwork, feature_size, make_head, to_channels_last
from metaux.rng import derive_seed, generator, seeded
from metaux.training.batches import Loader, one_view_each, shuffled
from metaux.training.evaluate import measures, primary_outputs
from metaux.training.fabric import Fabric
from metaux.training.features import no_embedding, no_recorded_labels
from metaux.training.generated_labels import describe, training_labels
from metaux.training.meta_gradients import suitable_way
from metaux.training.plan import Fitted, Plan, Record, make_primary_loss, schedule
from metaux.training.pretrain import pretrain
from metaux.training.processes import averager, take_from_first
from metaux.training.step import gradient_cosine, training_step

DIAGNOSTIC_SAMPLES = 100
# Measuring after every epoch would take longer than training with more than so many samples for each to learn from.
MEASURED_EACH = 4


class Trainer:
    """One run in the making.

    Args:
        plan: what to train.
        fabric: device, precision and processes.
        checkpoint: where the state after each epoch is kept; None to keep none.
        curve: measure test samples and labels on the way too, not only after the last epochs.
        rehearsal: train teachers for one epoch only, since this is to be timed.

    Attributes:
        left_out: the seconds of preparation that were spared, in a rehearsal or since the run had been interrupted.
        preparation: the seconds that it takes if nothing is spared.
        passes: over the training data in an epoch: one, or one for each view that is learned apart.
        meta_gradient: how meta-gradients will be computed; None for a source without meta steps.
        notice: what a user should know before the training; may be empty.
    """

    def __init__(
        self,
        plan: Plan,
        fabric: Fabric,
        checkpoint: Path | None = None,
        curve: bool = True,
        rehearsal: bool = False,
    ):
        self.plan, self.fabric, self.checkpoint, self.curve = plan, fabric, checkpoint, curve
        self.rehearsal, self.left_out = rehearsal, 0.0
        device, protocol, classes = fabric.device, plan.protocol, plan.data.hierarchy.classes
        self.average = averager(fabric)
        share = (fabric.global_rank, fabric.world_size)
        self.of_rank = (fabric.global_rank,) if fabric.world_size > 1 else ()  # in the names of random streams
        self.loader = Loader(plan.train, plan.preprocess, plan.augment, plan.seed, device, share)
        self.meta_loader = self.loader
        if plan.meta is not None and protocol.inner_batch == "meta":
            self.meta_loader = Loader(plan.meta, plan.preprocess, plan.augment, plan.seed, device, share)
        self.source = plan.source(plan.data.hierarchy, protocol)
        state = self._kept()
        start = time.perf_counter()
        self.source.prepare(
            Preparation(
                samples=plan.train,
                meta=plan.meta,
                load=lambda samples: (
                    Loader(samples, plan.preprocess, None, 0, device).load(torch.arange(len(samples))).inputs
                ),
                trunk=self._trunk,
                features=plan.features or self._pixels,
                embedding=plan.embedding or no_embedding,
                recorded=plan.recorded or no_recorded_labels,
                fit=self._pretrain,
                seed=plan.seed,
                device=device,
                kept=state.get("source", {}),
            )
        )
        spent = time.perf_counter() - start
        self.left_out = max(self.left_out, state.get("preparation", 0.0) - spent)
        self.preparation = spent + self.left_out
        take_from_first(self.source, fabric)
        trunk, features = self._trunk("trunk")
        with seeded(plan.seed, "primary head"):
            primary_head = make_head(features, classes, protocol.head)
        with seeded(plan.seed, "auxiliary head"):
            auxiliary_head = self.source.auxiliary_head(features)
        self.network = MultiTaskNetwork(trunk, primary_head, auxiliary_head)
        to_channels_last(self.network, device)
        to_channels_last(self.source, device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), protocol.learning_rate, protocol.momentum, weight_decay=protocol.weight_decay
        )
        self.primary_loss = make_primary_loss(plan)
        self.passes = self._passes()
        self._check_smallest_batch()
        self.meta_gradient, self.notice = self._meta_gradient()
        self.records: list[Record] = []
        self.reported: list[Tensor] = []
        self.last: tuple[Tensor, Tensor | None] | None = None  # what `_outputs` returned last

    def _trunk(self, name: str) -> tuple[nn.Module, int]:
        with seeded(self.plan.seed, name):
            trunk = self.plan.trunk()
        return trunk, feature_size(trunk, self.plan.preprocess(self.plan.train.take(torch.arange(1)).inputs))

    def _pretrain(self, network: nn.Module, rows: Tensor, loss: BatchLoss) -> None:
        plan = self.plan
        device = self.fabric.device
        loader = Loader(plan.train.take(rows), plan.preprocess, plan.augment, plan.seed, device)

        def in_precision(batch: Batch) -> Tensor:
            # For each batch anew: within one region, autocast keeps the half-precision copies of the first weights.
            with self.fabric.autocast():
                return loss(batch)

        protocol = replace(plan.protocol, epochs=1) if self.rehearsal else plan.protocol
        start = time.perf_counter()
        pretrain(network, loader, protocol, in_precision)
        self.left_out += (plan.protocol.epochs - protocol.epochs) * (time.perf_counter() - start)

    def _passes(self) -> int:
        """Return how often an epoch goes over the training data: as often as there are views to be learned apart."""
        if self.source.views is None or self.plan.protocol.views == "together":
            return 1
        with seeded(self.plan.seed, "views"):
            return len(self.source.views(self.loader.load(torch.arange(1))).index)

    def _check_smallest_batch(self) -> None:
        """Raise `InputError` if a batch is of one sample, and the network can't be trained on one."""
        orders = self._orders(0)
        smallest = min(map(len, orders["train"] + orders["meta"])) // self.fabric.world_size
        if smallest > 1:
            return
        network = deepcopy(self.network).train()
        try:
            with seeded(self.plan.seed, "smallest batch"), torch.no_grad():
                network(*self.loader.load(torch.arange(1)).inputs)
        except ValueError as error:  # batch normalisation needs two values to have a variance
            raise InputError(
                f"expected batches of two samples or more for this backbone, found one of {smallest} ({error}); give "
                "a larger batch size"
            ) from None

    def _meta_gradient(self) -> tuple[MetaGradient | None, str]:
        if self.source.meta_step is None:
            return None, ""
        if self.plan.meta_gradient is not None:
            return self.plan.meta_gradient, ""
        few = self.loader.load(torch.arange(min(2, len(self.plan.train))))
        return suitable_way(self.network, few, self.fabric.autocast())

    def _pixels(self, samples: Samples) -> Tensor:
        """Return the inputs as they are learned from, `[n, values]`; made in parts, since they may be large."""
        pixels = torch.empty(len(samples), sum(tensor.shape[1:].numel() for tensor in samples.inputs))
        for rows in samples.in_parts():
            inputs = self.plan.preprocess(samples.take(rows).inputs)
            pixels[rows] = torch.cat([tensor.flatten(1).float() for tensor in inputs], 1)
        return pixels

    def fit(self, on_epoch: Callable[[list[Record]], None] = lambda _: None) -> Fitted:
        """Train from the last checkpoint, or from the start, to the last epoch.

        Args:
            on_epoch: called after each epoch, once it is safe, with the records so far.

        Raises:
            TrainingError: if the loss is no longer finite.
        """
        self._resume()
        while len(self.records) < self.plan.protocol.epochs:
            self._epoch(len(self.records))
            self._save()
            on_epoch(self.records)
        logits, labels = self.last or self._outputs()
        weights = (value for value in self.network.parameters() if value.is_floating_point())
        if not all(value.isfinite().all() for value in (logits, *weights)):
            raise TrainingError("the network is no longer finite after its last epoch; use a smaller learning rate")
        correct = torch.stack(self.reported).float().mean(0)
        return Fitted(self.network, self.source, self.records, logits, correct, labels, self.meta_gradient)

    def time_epoch(self, steps: int = 2) -> tuple[float, float]:
        """Return an estimate of the seconds of an epoch's steps, and of its evaluation (of its share, if not of each).

        From a few real steps; the trainer is of no use afterwards.
        """
        orders = self._orders(0)
        self.network.train()
        self.source.train()
        sequence = self._sequence(len(orders["train"]))
        kinds = {kind: sum(name == kind for name, _ in sequence) for kind, _ in sequence}
        total = 0.0
        for kind, count in kinds.items():
            for position in range(steps + 1):
                if position == 1:  # the first step pays for what is set up once
                    self._wait()
                    start = time.perf_counter()
                place = position % len(orders["train"])
                with self.fabric.autocast():
                    if kind == "train":
                        self._train(self._batch(orders, place, "timing", position)).tolist()
                    else:
                        self._meta(orders, 0, place, 1.0)
            self._wait()
            total += count * (time.perf_counter() - start) / steps
        test = self.plan.data.test
        few = test.take(torch.arange(min(len(test), 500)))
        for _ in range(2):  # likewise
            start = time.perf_counter()
            self._test_logits(few)
        evaluation = (time.perf_counter() - start) * len(test) / max(1, len(few))
        epochs = self.plan.protocol.epochs
        return total, evaluation * sum(map(self._is_measured, range(epochs))) / epochs

    def _wait(self) -> None:
        """Wait until a GPU has done what it was given, so that a clock can be read."""
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize(self.fabric.device)

    def _epoch(self, epoch: int) -> None:
        start, rate = time.perf_counter(), schedule(self.plan.protocol, epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.protocol.learning_rate * rate
        self.network.train()
        self.source.train()
        orders = self._orders(epoch)
        totals = torch.zeros(3, device=self.fabric.device)
        for kind, position in self._sequence(len(orders["train"])):
            with seeded(self.plan.seed, kind, epoch, position, *self.of_rank), self.fabric.autocast():
                if kind == "train":
                    totals += self._train(self._batch(orders, position, "train", epoch))
                else:
                    self._meta(orders, epoch, position, rate)
        (mean,) = self.average([totals[:2] / totals[2]], int(totals[2]))
        self._wait()
        seconds = time.perf_counter() - start
        if not mean.isfinite().all():
            kept = f"epoch {epoch} is kept in {self.checkpoint}" if epoch and self.checkpoint else "nothing is kept"
            raise TrainingError(
                f"the training loss became {float(mean[0])} in epoch {epoch + 1}; {kept}; use a smaller learning rate"
            )
        self._synchronise()
        record = {"epoch": epoch + 1, "seconds": seconds, "learning_rate": self.optimizer.param_groups[0]["lr"]}
        record |= {"train_loss": float(mean[0]), "train_accuracy": float(mean[1])}
        self.records.append(record | self._measure(epoch))

    def _sequence(self, count: int) -> list[tuple[str, int]]:
        """Return the epoch's steps in order: kind (`train` or `meta`) and position in the pass."""
        train = [("train", position) for position in range(count)]
        if self.source.meta_step is None:
            return train
        meta = [("meta", position) for position in range(count)]
        if self.plan.protocol.meta_order == "epoch":
            return train + meta
        return list(chain.from_iterable(zip(train, meta, strict=True)))

    def _orders(self, epoch: int) -> dict[str, list[Tensor]]:
        """Return the rows of each batch: of the training passes, and of the look-ahead's; and which view of each row.

        With views apart, there is a pass for each view, and every sample is once in each of them over the passes.
        """
        protocol, seed = self.plan.protocol, self.plan.seed
        count = len(self.plan.train)
        passes = [
            shuffled(count, protocol.batch_size, seed, "order", epoch, *([number] if number else []))
            for number in range(self.passes)
        ]
        train = [*chain.from_iterable(passes)]
        first = torch.randperm(count, generator=generator(seed, "views", epoch)) % self.passes
        views = [(first[rows] + number) % self.passes for number, own in enumerate(passes) for rows in own]
        if self.meta_loader is not self.loader:
            meta = shuffled(len(self.meta_loader.samples), protocol.batch_size, seed, "meta order", epoch)
        elif protocol.meta_order == "epoch":
            meta = shuffled(count, protocol.batch_size, seed, "meta order", epoch)
        else:
            meta = train
        return {"train": train, "views": views, "meta": meta}

    def _batch(self, orders: dict[str, list[Tensor]], position: int, *name: str | int) -> Batch:
        """Return what a training step learns, with the augmentation of that name."""
        seen = self._views(self.loader.augmented(orders["train"][position], *name, position))
        if self.passes == 1:
            return seen
        return one_view_each(seen, orders["views"][position], self.loader.share)

    def _train(self, batch: Batch) -> Tensor:
        """Return the summed loss of the samples as they are, how many of these are right, and how many there are."""
        loss, output = training_step(self.network, self.source, batch, self.optimizer, self.primary_loss, self.average)
        count = torch.full_like(loss, len(output))
        return torch.stack([loss * count, (output.argmax(-1) == batch.unchanged().primary).sum(), count])

    def _views(self, batch: Batch) -> Batch:
        if self.source.views is None:
            return batch
        return self.source.views(batch)._replace(own=len(batch.index))

    def _meta(self, orders: dict[str, list[Tensor]], epoch: int, position: int, rate: float) -> None:
        rows = orders["meta"]
        stream = "train" if rows is orders["train"] else "meta"

        def batch(place: int) -> Batch:
            place %= len(rows)
            return self.meta_loader.augmented(rows[place], stream, epoch, place)

        inner = batch(position)
        outer = inner if self.plan.protocol.outer_batch == "same" else batch(position + 1)
        assert self.source.meta_step is not None
        self.source.meta_step(self._meta_step(inner, outer, rate, epoch, position))

    def _meta_step(self, inner: Batch, outer: Batch, rate: float, *name: int) -> MetaStep:
        if self.plan.protocol.look_ahead == "plain":
            look_ahead = LookAhead(self.optimizer.param_groups[0]["lr"])
        else:
            look_ahead = LookAhead.from_optimizer(self.optimizer, self.network)
        seed = derive_seed(self.plan.seed, "look-ahead", *name, *self.of_rank)
        way = self.meta_gradient or forward_mode
        return MetaStep(self.network, inner, outer, self.primary_loss, look_ahead, way, rate, seed, self.average)

    def _running(self) -> list[Tensor]:
        """Return the buffers that a forward pass changes: those of the networks, not the source's own tables."""
        return [buffer for module in (self.network, *self.source.children()) for buffer in module.buffers()]

    def _synchronise(self) -> None:
        """Give every process the mean of the running statistics that each kept of its own share."""
        if self.fabric.world_size > 1:
            buffers = [buffer for buffer in self._running() if buffer.is_floating_point()]
            for buffer, mean in zip(buffers, self.average(buffers, 1), strict=True):
                buffer.copy_(mean)

    def _measure(self, epoch: int) -> Record:
        """Return what is recorded of the network and the labels; nothing of it changes either."""
        data = self.plan.data
        record: Record = {}
        if not self.curve and not self._is_measured(epoch):
            return record
        if self._is_measured(epoch):
            self.last = logits, labels = self._outputs()
            correct, count = logits.argmax(-1) == data.test.primary, self.plan.protocol.reported_epochs
            self.reported = [*self.reported, correct][-count:]
            if len(data.test):
                record |= {f"test_{name}": value for name, value in measures(logits, data.test.primary).items()}
            if data.validation is not None:
                found = measures(self._test_logits(data.validation), data.validation.primary)
                record |= {f"validation_{name}": value for name, value in found.items()}
        else:
            labels = training_labels(self.source, self.loader)
        if labels is not None:
            record |= describe(labels, self.plan.train, data.hierarchy)
        return record | self._diagnose(epoch)

    def _is_measured(self, epoch: int) -> bool:
        """Return whether samples that are not trained on are looked at after this epoch: the reported ones always."""
        every = max(1, round(len(self.plan.data.test) / (MEASURED_EACH * len(self.plan.train))))
        protocol = self.plan.protocol
        on_the_way = self.curve and (epoch + 1) % every == 0
        return on_the_way or epoch >= protocol.epochs - protocol.reported_epochs

    def _diagnose(self, epoch: int) -> Record:
        """Return the gradients' cosine and the source's own numbers, on one fixed batch."""
        own = self.source.buffers(recurse=False)
        # Tables, with a row for each sample, are large and only read.
        buffers = [*self._running(), *(buffer for buffer in own if buffer.shape[:1] != (len(self.plan.train),))]
        before = [buffer.clone() for buffer in buffers]
        rows = torch.arange(min(DIAGNOSTIC_SAMPLES, len(self.plan.train)))
        batch = self.loader.load(rows)
        inner = self.meta_loader.load(rows[rows < len(self.meta_loader.samples)])
        self.network.train()
        with seeded(self.plan.seed, "diagnosis", epoch):
            with self.fabric.autocast():
                cosine = gradient_cosine(self.network, self.source, self._views(batch), self.primary_loss)
            # A region of its own: the first one keeps casts of weights that were made without a graph.
            with self.fabric.autocast():
                record = self.source.diagnostics(self._meta_step(inner, inner, 1.0, epoch))
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
        return record if cosine is None else {"gradient_cosine": cosine, **record}

    def _outputs(self) -> tuple[Tensor, Tensor | None]:
        """Return the primary output for every test sample, and the label of every training sample."""
        return self._test_logits(self.plan.data.test), training_labels(self.source, self.loader)

    def _test_logits(self, samples: Samples) -> Tensor:
        if len(samples) == 0:
            return torch.empty(0, self.plan.data.hierarchy.classes)
        with self.fabric.autocast():
            return primary_outputs(self.network, self.source, samples, self.plan.preprocess, self.fabric.device)

    def _save(self) -> None:
        if self.checkpoint is None or not self.fabric.is_global_zero:
            return
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "source": self.source.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "records": self.records,
            "reported": self.reported,
            "data": self.plan.data.digest,
            "preparation": self.preparation,
        }
        content = io.BytesIO()
        torch.save(state, content)
        write_bytes_atomic(self.checkpoint, content.getvalue())

    def _resume(self) -> None:
        """Go on from the checkpoint, if there is one.

        Raises:
            InputError: if it is damaged, of another network, or of other data.
        """
        state = self._kept()
        if not state:
            return
        assert self.checkpoint is not None
        with _of_this_run(self.checkpoint):
            self.network.load_state_dict(state["network"])
            self.source.load_state_dict(state["source"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.records, self.reported = state["records"], [correct.cpu() for correct in state["reported"]]

    def _kept(self) -> dict[str, Any]:
        """Return what the checkpoint holds; nothing, if there is none."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return {}
        return read_checkpoint(self.checkpoint, self.plan.data.digest, self.fabric.device)


def read_checkpoint(path: Path, digest: str, device: torch.device) -> dict[str, Any]:
    """Return what a run kept after its last epoch.

    Args:
        path: of the checkpoint.
        digest: of the data that the run is to go on with.
        device: where its tensors go.

    Raises:
        InputError: if it is damaged, or of other data.
    """
    with _of_this_run(path):
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        if state["data"] != digest:
            raise InputError(
                f"expected the data that the run in {path.parent} began with, found that it has changed; give another "
                "--out to start anew"
            )
        return state


@contextmanager
def _of_this_run(checkpoint: Path) -> Iterator[None]:
    """Say of whatever else fails in the block that the checkpoint is not of this run."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"expected this run's checkpoint in {checkpoint}, found something else ({type(error).__name__}); delete "
            "the file to start the run anew"
        ) from error
