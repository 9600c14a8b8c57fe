"""One assertion per property that label sources and networks must have."""

import torch
from torch import Tensor, nn

from metaux.hierarchy import Hierarchy


def different_weights(found: nn.Module, expected: nn.Module) -> list[str]:
    """Return the names of the parameters and buffers that are not the same in both, bit for bit."""
    ours, theirs = (dict([*module.named_parameters(), *module.named_buffers()]) for module in (found, expected))
    assert ours.keys() == theirs.keys()
    return [name for name, value in ours.items() if not value.equal(theirs[name])]


def assert_same_parameters(found: nn.Module, expected: nn.Module) -> None:
    """Both have the same parameters, bit for bit; batch normalisation may have seen other batches."""
    assert not {*different_weights(found, expected)} & {*dict(expected.named_parameters())}


def assert_same_weights(found: nn.Module, expected: nn.Module) -> None:
    """Both have the same parameters and buffers, bit for bit."""
    assert different_weights(found, expected) == []


def assert_distributions(labels: Tensor) -> None:
    """Each row is a probability distribution."""
    torch.testing.assert_close(labels.sum(-1), torch.ones(len(labels)))
    assert labels.ge(0).all()


def assert_within_own_slots(labels: Tensor, primary: Tensor, hierarchy: Hierarchy) -> None:
    """No label `[n, K]` has any weight outside the sub-classes of its sample's class."""
    assert labels[~hierarchy.mask(primary)].eq(0).all()
