"""One assertion per property that label sources and networks must have."""

import torch
from torch import Tensor, nn

from metaux.hierarchy import Hierarchy


def assert_same_weights(found: nn.Module, expected: nn.Module) -> None:
    """Both have the same parameters and buffers, bit for bit."""
    ours, theirs = found.state_dict(), expected.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def assert_distributions(labels: Tensor) -> None:
    """Each row is a probability distribution."""
    torch.testing.assert_close(labels.sum(-1), torch.ones(len(labels)))
    assert labels.ge(0).all()


def assert_within_own_slots(labels: Tensor, primary: Tensor, hierarchy: Hierarchy) -> None:
    """No label `[n, K]` has any weight outside the sub-classes of its sample's class."""
    assert labels[~hierarchy.mask(primary)].eq(0).all()
