"""The generator of an arbitrary auxiliary task: a target vector in place of a sub-class."""

from torch import Tensor, nn

from metaux.errors import InputError


class VectorGenerator(nn.Module):
    """Invents a target vector for every sample, each dimension of mean 0 and variance 1 over the batch.

    In training mode mean and variance are the batch's own, in evaluation mode the running ones, as in any batch
    normalisation.

    Args:
        trunk: any module from the inputs to features `[batch, features]`.
        head: any module from the features to `size` numbers.
        size: D, the number of dimensions.

    >>> import torch
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
