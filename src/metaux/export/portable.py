"""The primary network with its preprocessing, as one module of plain tensors: raw samples to probabilities."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from metaux.runs.model import Model


class Portable(nn.Module):
    """What predicts, between normalisation and softmax: no label generator, and no auxiliary head unless it predicts.

    Args:
        model: trained; its network is copied.
    """

    scale: Tensor | None
    shift: Tensor | None

    def __init__(self, model: Model):
        super().__init__()
        # The memory layout that is fast in training would be part of the exported graph.
        self.network = deepcopy(model.network).cpu().to(memory_format=torch.contiguous_format).eval()
        self.predict = model.source.predict
        if self.predict is None:
            self.network.auxiliary_head = None
        self.requires_grad_(False)
        scale, shift = model.preprocessing.scale_and_shift() if model.preprocessing.mean else (None, None)
        self.register_buffer("scale", None if scale is None else scale.float())
        self.register_buffer("shift", None if shift is None else shift.float())

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities, `[n, classes]`, of raw samples: images of 0 to 255, a table, or ids of words."""
        if self.scale is not None and self.shift is not None:
            x = (x.float() - self.shift) * self.scale
        logits: Tensor = self.network(x).primary if self.predict is None else self.predict(self.network, (x,))
        return logits.softmax(-1)
