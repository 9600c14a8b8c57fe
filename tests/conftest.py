"""One thread per test process, since equal bits need equal threads; no deadlines, since tests run side by side.

Nothing waits until the disk has what was written: no test cuts the power. Those of the waiting bring a disk of theirs.
"""

import gc
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_collection_finish() -> None:
    """What was imported stays: garbage is looked for among what the tests make."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch  # here, since the process that hands tests to others runs none

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def in_float64() -> Iterator[None]:
    """Make float64 the default type, and draw from one seed."""
    import torch

    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)
