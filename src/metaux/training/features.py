"""Features of samples that a label source may be given: their pixels, or those of any module."""

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn

from metaux.data.mapped import room
from metaux.data.samples import Samples
from metaux.networks.multitask import to_channels_last
from metaux.training.loader import Loader, Preprocess
from metaux.training.plan import Features


def of_pixels(preprocess: Preprocess, notify: Callable[[str], None] = lambda _: None) -> Features:
    """Return what makes features of samples by flattening the network's inputs, `[n, values]`.

    Args:
        preprocess: raw inputs to network inputs.
        notify: tells the user where they lie, if they are too large for memory.

    >>> samples = Samples((torch.ones(3, 2, 2),), torch.tensor([0, 1, 0]))
    >>> of_pixels(lambda inputs: inputs)(samples).shape
    torch.Size([3, 4])
    """

    def features(samples: Samples) -> Tensor:
        width = sum(map(prod, samples.shapes))
        pixels, notices = room("features", (len(samples), width), torch.float32)
        for notice in notices:
            notify(notice)
        for rows in samples.in_parts():  # in parts, since they may be large
            inputs = preprocess(samples.at(rows))
            pixels[rows] = torch.cat([tensor.flatten(1).float() for tensor in inputs], 1)
        return pixels

    return features


def of_module(module: nn.Module, preprocess: Preprocess, device: torch.device | None = None) -> Features:
    """Return what makes features of samples with any module from network inputs to `[n, features]`.

    Args:
        module: in evaluation mode and without gradients it is given batches of preprocessed samples.
        preprocess: raw inputs to the module's inputs.
        device: where to compute; the CPU by default.

    >>> samples = Samples((torch.ones(3, 2),), torch.tensor([0, 1, 0]))
    >>> of_module(nn.Linear(2, 4), lambda inputs: inputs)(samples).shape
    torch.Size([3, 4])
    """
    device = device or torch.device("cpu")

    def features(samples: Samples) -> Tensor:
        training = module.training
        to_channels_last(module.eval(), device)
        loader = Loader(samples, preprocess, device)
        with torch.no_grad():
            found = [module(*loader.load(rows).inputs).float().cpu() for rows in samples.in_parts()]
        module.train(training)
        return torch.cat(found)

    return features
