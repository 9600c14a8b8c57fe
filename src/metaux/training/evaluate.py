"""What a network says of samples, and how good that is."""

from collections.abc import Iterator

import torch
from torch import Tensor

from metaux.data.samples import Samples
from metaux.labels.base import LabelSource
from metaux.networks.multitask import MultiTaskNetwork, Outputs
from metaux.training.batches import Loader, Preprocess


def passes(
    network: MultiTaskNetwork, samples: Samples, preprocess: Preprocess, device: torch.device
) -> Iterator[tuple[tuple[Tensor, ...], Outputs]]:
    """Yield inputs and outputs batch by batch, in order, in evaluation mode and without graph."""
    for inputs in _batches(network, samples, preprocess, device):
        yield inputs, network(*inputs)


def _batches(
    network: MultiTaskNetwork, samples: Samples, preprocess: Preprocess, device: torch.device
) -> Iterator[tuple[Tensor, ...]]:
    loader = Loader(samples, preprocess, None, 0, device)
    training = network.training
    network.eval()
    with torch.inference_mode():
        for rows in samples.in_parts():
            yield loader.load(rows).inputs
    network.train(training)


def primary_outputs(
    network: MultiTaskNetwork,
    source: LabelSource,
    samples: Samples,
    preprocess: Preprocess,
    device: torch.device,
) -> Tensor:
    """Return the primary output for every sample, `[n, classes]` on the processor, as the source predicts it."""
    found = []
    for inputs in _batches(network, samples, preprocess, device):
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
