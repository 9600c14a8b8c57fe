"""The primary network with its preprocessing, as one module of plain tensors: raw samples to probabilities."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from metaux.data.transforms import Preprocessing
from metaux.networks.multitask import MultiTaskNetwork

NAMES = {"image": "images", "table": "table", "text": "words"}
"""What the input is called, by the kind of the samples."""
TYPES = {"image": torch.uint8, "table": torch.float32, "text": torch.int64}


class Portable(nn.Module):
    """What predicts, between normalisation and softmax: no label generator, and no auxiliary head unless it predicts.

    Args:
        network: trained; it is copied.
        preprocessing: what its training normalised with.
        predict: the label source's own rule of prediction, if it has one.
    """

    scale: Tensor | None
    shift: Tensor | None

    def __init__(
        self,
        network: MultiTaskNetwork,
        preprocessing: Preprocessing,
        predict: Callable[[MultiTaskNetwork, tuple[Tensor, ...]], Tensor] | None = None,
    ):
        super().__init__()
        # The layout that is fast in training is none of an exported graph's business.
        self.network = deepcopy(network).cpu().to(memory_format=torch.contiguous_format).eval()
        if predict is None:
            self.network.auxiliary_head = None
        self.predict = predict
        self.requires_grad_(False)
        scale, shift = preprocessing.scale_and_shift() if preprocessing.mean else (None, None)
        self.register_buffer("scale", None if scale is None else scale.float())
        self.register_buffer("shift", None if shift is None else shift.float())

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities, `[n, classes]`, of raw samples: images of 0 to 255, a table, or ids of words."""
        if self.scale is not None and self.shift is not None:
            x = (x.float() - self.shift) * self.scale
        logits: Tensor = self.network(x).primary if self.predict is None else self.predict(self.network, (x,))
        return logits.softmax(-1)


def example(preprocessing: Preprocessing, shape: tuple[int, ...]) -> Tensor:
    """Return two raw samples of the network's form; of one, an export would take the number for a constant."""
    return torch.zeros(2, *shape, dtype=TYPES[preprocessing.kind])
