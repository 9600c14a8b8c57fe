"""How many CPU threads other libraries use."""

from contextlib import AbstractContextManager

import torch


def as_many_as_torch() -> AbstractContextManager[object]:
    """Within the block, libraries such as scikit-learn's use as many CPU threads as torch does now.

    Only libraries that are loaded when the block begins are limited: begin it after the import.
    """
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(torch.get_num_threads())
    return limits
