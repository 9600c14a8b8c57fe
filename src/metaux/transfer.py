"""Copies to a device that do not wait for what it is doing."""

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on a device.

    A plain copy to a GPU waits until the GPU has done all work before it; one from page-locked memory does not.
    """
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
