"""What a network says of samples, how good that is, and what is recorded of it after each epoch."""

from collections.abc import Iterator

import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.labels.base import LabelSource
from metaux.networks.multitask import MultiTaskNetwork
from metaux.rng import seeded
from metaux.training.cosine import gradient_cosine
from metaux.training.generated_labels import describe, training_labels
from metaux.training.learner import Learner, Trouble
from metaux.training.loader import Loader, Preprocess
from metaux.training.step import multi_task_losses

Record = dict[str, float]

DIAGNOSTIC_SAMPLES = 100
# Measuring after every epoch would take longer than training with more than so many samples for each to learn from.
MEASURED_EACH = 4
_OF_INPUTS = Trouble("test samples are not finite once they are normalised", "give data of another scale")
_OF_OUTPUTS = Trouble("the network's outputs for test samples are not finite", "use a smaller learning rate")


def evaluated_on(
    network: MultiTaskNetwork, samples: Samples, preprocess: Preprocess, device: torch.device
) -> Iterator[tuple[Tensor, ...]]:
    """Yield the network's inputs batch by batch, in order; until the last it evaluates, and nothing has a graph."""
    loader = Loader(samples, preprocess, device)
    # That of its training, whatever torch's default is now.
    kind = next((weight.dtype for weight in network.parameters()), torch.get_default_dtype())
    training = network.training
    network.eval()
    with torch.inference_mode():
        for rows in samples.in_parts():
            inputs = loader.load(rows).inputs
            yield tuple(x.to(kind) if x.is_floating_point() else x for x in inputs)
    network.train(training)


def primary_outputs(
    network: MultiTaskNetwork,
    source: LabelSource,
    samples: Samples,
    preprocess: Preprocess,
    device: torch.device,
) -> Tensor:
    """Return the primary output for every sample, `[n, classes]` on the CPU, as the source predicts it."""
    found = []
    for inputs in evaluated_on(network, samples, preprocess, device):
        primary = network(*inputs).primary if source.predict is None else source.predict(network, inputs)
        found.append(primary.float().cpu())
    return torch.cat(found)


def class_recalls(correct: Tensor, primary: Tensor) -> Tensor:
    """Return the mean of `correct` over the samples of each class that occurs."""
    return torch.stack([correct[primary == class_].float().mean() for class_ in primary.unique()])


def measures(logits: Tensor, primary: Tensor) -> dict[str, float]:
    """Return accuracy, balanced accuracy (mean recall over classes) and mean log loss in nats."""
    correct = logits.argmax(-1) == primary
    return {
        "accuracy": float(correct.float().mean()),
        "balanced_accuracy": float(class_recalls(correct, primary).mean()),
        "loss": float(torch.nn.functional.cross_entropy(logits, primary)),
    }


class Evaluation:
    """Measures network and labels after each epoch; it changes neither.

    Args:
        learner: what is measured.
        curve: measure test samples and labels on the way too, not only after the reported epochs.

    Attributes:
        reported: for each of the last epochs, up to as many as are reported, which test samples were right, `[n_test]`.
        trouble: what was found not to be finite, if anything was.
    """

    def __init__(self, learner: Learner, curve: bool = True):
        self.learner, self.curve = learner, curve
        self.reported: list[Tensor] = []
        self.trouble: Trouble | None = None
        self._last: tuple[Tensor, Tensor | None] | None = None

    def after(self, epoch: int) -> Record:
        """Return what is recorded after an epoch, counted from 0."""
        plan = self.learner.plan
        data, measured = plan.data, self.is_measured(epoch)
        record: Record = {}
        if not self.curve and not measured:
            return record
        if measured:
            self._last = logits, labels = self._measure()
            correct = logits.argmax(-1) == data.test.primary
            self.reported = [*self.reported, correct][-plan.protocol.reported_epochs :]
            if len(data.test):
                record |= {f"test_{name}": value for name, value in measures(logits, data.test.primary).items()}
            if data.validation is not None:
                found = measures(self.logits(data.validation), data.validation.primary)
                record |= {f"validation_{name}": value for name, value in found.items()}
        else:
            labels = training_labels(self.learner.source, self.learner.batches.train)
        if labels is not None:
            record |= describe(labels, plan.train)
        return record | self.diagnose(epoch)

    def is_measured(self, epoch: int) -> bool:
        """Return whether samples that are not trained on are looked at after this epoch: the reported ones always."""
        plan = self.learner.plan
        every = max(1, round(len(plan.data.test) / (MEASURED_EACH * len(plan.train))))
        on_the_way = self.curve and (epoch + 1) % every == 0
        return on_the_way or epoch >= plan.protocol.epochs - plan.protocol.reported_epochs

    @property
    def share(self) -> float:
        """The share of the epochs after which samples that are not trained on are looked at."""
        epochs = self.learner.plan.protocol.epochs
        return sum(map(self.is_measured, range(epochs))) / epochs

    def last(self, again: bool = False) -> tuple[Tensor, Tensor | None]:
        """Return the primary output for every test sample and the label of every training sample, at the end.

        Args:
            again: measure anew, and report that alone, since the training ended otherwise than its protocol says.
        """
        if again:
            self._last = logits, _ = self._measure()
            self.reported = [logits.argmax(-1) == self.learner.plan.data.test.primary]
        return self._last or self._measure()

    def logits(self, samples: Samples) -> Tensor:
        """Return the primary output for every sample, `[n, classes]`."""
        plan, fabric = self.learner.plan, self.learner.fabric
        if len(samples) == 0:
            return torch.empty(0, plan.data.hierarchy.classes)
        measured = self.learner.evaluated, self.learner.source, samples, plan.preprocess, fabric.device
        with fabric.autocast():
            found = primary_outputs(*measured)
        if not found.isfinite().all():
            loader = Loader(samples, plan.preprocess, fabric.device)
            parts = (part for rows in samples.in_parts() for part in loader.load(rows).inputs)
            whole = all(bool(part.isfinite().all()) for part in parts)
            self.trouble = _OF_OUTPUTS if whole else _OF_INPUTS
        return found

    def _measure(self) -> tuple[Tensor, Tensor | None]:
        learner = self.learner
        return self.logits(learner.plan.data.test), training_labels(learner.source, learner.batches.train)

    def diagnose(self, epoch: int) -> Record:
        """Return the gradients' cosine and the source's own numbers, on one fixed batch."""
        learner, count = self.learner, len(self.learner.plan.train)
        own = learner.source.buffers(recurse=False)
        # Tables, with a row for each sample, are large and only read.
        buffers = [*learner.running_buffers(), *(buffer for buffer in own if buffer.shape[:1] != (count,))]
        before = [buffer.clone() for buffer in buffers]
        # No more than a training step holds in memory.
        few = min(DIAGNOSTIC_SAMPLES, learner.plan.protocol.batch_size, count)
        rows = torch.arange(few) * count // few  # of all classes, also where samples are sorted
        batches, autocast = learner.batches, learner.fabric.autocast
        batch = batches.train.load(rows)
        inner = batches.meta.load(rows[rows < len(batches.meta.samples)])
        learner.network.train()
        with seeded(learner.plan.seed, "diagnosis", epoch):
            with autocast():
                views = batches.in_views(batch)
                losses = multi_task_losses(learner.network, learner.source, views, learner.primary_loss)
                _, primary, auxiliary = losses
                cosine = gradient_cosine(learner.network.trunk, primary, auxiliary)
            # A region of its own: the first one keeps casts of weights that were made without a graph.
            with autocast():
                record = learner.source.diagnostics(learner.meta_step(inner, inner, 1.0, epoch))
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
        return record if cosine is None else {"gradient_cosine": cosine, **record}
