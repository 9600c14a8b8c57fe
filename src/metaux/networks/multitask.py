"""The networks of the method, around any trunk: multi-task network (f), label generator (g), generator of vectors."""

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from metaux.errors import InputError
from metaux.hierarchy import Hierarchy
from metaux.losses import mask_softmax
from metaux.protocols import Initialisation

Module = TypeVar("Module", bound=nn.Module)


class Outputs(NamedTuple):
    """What a multi-task network returns.

    `primary` are logits `[batch, classes]` (or whatever the primary loss takes); `auxiliary` is what the auxiliary
    head gives, None where there is none; `features` are the trunk's, `[batch, features]`.
    """

    primary: Tensor
    auxiliary: Tensor | None
    features: Tensor


class MultiTaskNetwork(nn.Module):
    """A shared trunk with a primary and an auxiliary head (f with parameters theta_1; hard parameter sharing).

    Args:
        trunk: any module from the inputs to features `[batch, features]`.
        primary_head: any module from the features to the primary output.
        auxiliary_head: any module from the features to the auxiliary output; None for single task.

    Unlike the released code the heads return logits: the softmax belongs to the loss.

    >>> network = MultiTaskNetwork(nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 5))
    >>> network(torch.zeros(2, 4)).auxiliary.shape
    torch.Size([2, 5])
    """

    def __init__(self, trunk: nn.Module, primary_head: nn.Module, auxiliary_head: nn.Module | None = None):
        super().__init__()
        self.trunk = trunk
        self.primary_head = primary_head
        self.auxiliary_head = auxiliary_head

    def forward(self, *inputs: Tensor) -> Outputs:
        """Return both tasks' outputs for a batch."""
        features = self.trunk(*inputs)
        auxiliary = None if self.auxiliary_head is None else self.auxiliary_head(features)
        return Outputs(self.primary_head(features), auxiliary, features)


class LabelGenerator(nn.Module):
    """Invents a soft sub-class for every sample within its own primary class (g with parameters theta_2).

    Args:
        trunk: any module from the inputs to features `[batch, features]`.
        head: any module from the features to K logits.
        hierarchy: psi; K is its size.

    >>> generator = LabelGenerator(nn.Identity(), nn.Linear(4, 5), Hierarchy([2, 2, 1]))
    >>> generator(torch.zeros(1, 4), primary=torch.tensor([2])).tolist()
    [[0.0, 0.0, 0.0, 0.0, 1.0]]
    """

    def __init__(self, trunk: nn.Module, head: nn.Module, hierarchy: Hierarchy):
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.hierarchy = hierarchy

    def forward(self, *inputs: Tensor, primary: Tensor) -> Tensor:
        """Return the generated labels, `[batch, K]`, of samples with primary classes int64 `[batch]`."""
        logits: Tensor = self.head(self.trunk(*inputs))
        return mask_softmax(logits, self.hierarchy.mask(primary))


class VectorGenerator(nn.Module):
    """Invents a target vector for every sample, each dimension of mean 0 and variance 1 over the batch.

    In training mode mean and variance are the batch's own, in evaluation mode the running ones, as in any batch
    normalisation.

    Args:
        trunk: any module from the inputs to features `[batch, features]`.
        head: any module from the features to `size` numbers.
        size: D, the number of dimensions.

    >>> VectorGenerator(nn.Identity(), nn.Identity(), 2)(torch.tensor([[3.0, 0.0], [5.0, 0.1]])).round().tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    def __init__(self, trunk: nn.Module, head: nn.Module, size: int):
        super().__init__()
        self.trunk = trunk
        self.head = head
        self.standardise = nn.BatchNorm1d(size, affine=False)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the target vectors, `[batch, D]`.

        Raises:
            InputError: for a training batch of one sample, which has no variance.
        """
        if self.training and len(inputs[0]) < 2:
            raise InputError(
                "expected two samples or more in every training batch for target vectors of unit variance, found 1; "
                "give a larger --batch-size, or fewer --processes"
            )
        vectors: Tensor = self.standardise(self.head(self.trunk(*inputs)))
        return vectors


def make_head(features: int, outputs: int, kind: str) -> nn.Module:
    """Make a `linear` head, or the NeurIPS version's `mlp`: Linear(features, features) - ReLU - Linear."""
    if kind == "linear":
        return nn.Linear(features, outputs)
    return nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, outputs))


def initialise(modules: Iterable[nn.Module], how: Initialisation) -> None:
    """Draw the weights of convolutions and linear layers anew (Glorot and Bengio 2010), biases 0.

    Args:
        modules: which are changed.
        how: by which distribution; `pytorch` leaves everything as its layer made it.
    """
    if how == "pytorch":
        return
    draw = nn.init.xavier_uniform_ if how == "xavier-uniform" else nn.init.xavier_normal_
    for layer in chain.from_iterable(module.modules() for module in modules):
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            draw(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def feature_size(trunk: nn.Module, example: tuple[Tensor, ...]) -> int:
    """Return the number of features of a trunk, seen by passing an example batch through it.

    Raises:
        InputError: if the trunk does not take the example, or does not return `[batch, features]`.
    """
    training = trunk.training
    try:
        with torch.no_grad():
            features = trunk.eval()(*example)
    except (RuntimeError, ValueError, TypeError) as error:
        shapes = ", ".join(str(list(tensor.shape)) for tensor in example)
        raise InputError(f"the backbone cannot take inputs of shape {shapes}: {str(error).splitlines()[0]}") from error
    finally:
        trunk.train(training)
    if not isinstance(features, Tensor) or features.dim() != 2:
        found = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise InputError(f"a backbone must return features [batch, features], found {found}; flatten its output")
    return features.shape[1]


def to_channels_last(module: Module, device: torch.device) -> Module:
    """Move a module to its device, convolutions of images laid out for speed (channels last)."""
    module.to(device)
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.dim() == 4:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
    return module
