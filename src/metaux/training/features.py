"""Features of samples that a label source may be given: those of any module."""

from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor, nn

from metaux.data.samples import Samples
from metaux.errors import InputError
from metaux.networks.multitask import to_channels_last
from metaux.training.batches import Loader, Preprocess

Features = Callable[[Samples], Tensor]


def of_module(module: nn.Module, preprocess: Preprocess, device: torch.device | None = None) -> Features:
    """Return what makes features of samples with any module from network inputs to `[n, features]`.

    Args:
        module: in evaluation mode and without gradients it is given batches of preprocessed samples.
        preprocess: raw inputs to the module's inputs.
        device: where to compute; the processor by default.

    >>> samples = Samples((torch.ones(3, 2),), torch.tensor([0, 1, 0]))
    >>> of_module(nn.Linear(2, 4), lambda inputs: inputs)(samples).shape
    torch.Size([3, 4])
    """
    device = device or torch.device("cpu")

    def features(samples: Samples) -> Tensor:
        training = module.training
        to_channels_last(module.eval(), device)
        loader = Loader(samples, preprocess, None, 0, device)
        with torch.no_grad():
            found = [module(*loader.load(rows).inputs).float().cpu() for rows in samples.in_parts()]
        module.train(training)
        return torch.cat(found)

    return features


def no_embedding(samples: Samples) -> NoReturn:  # noqa: ARG001
    """Say that a plan is without the embedding that its source needs."""
    raise InputError("expected an embedding for this method, found none; give the plan one (samples to [n, features])")


def no_recorded_labels(samples: Samples) -> NoReturn:  # noqa: ARG001
    """Say that a plan is without the recorded labels that its source needs."""
    raise InputError("expected the labels of a finished run for this method, found none; give its folder with --labels")
