"""Freed memory is kept where the system's C library can be told so."""

import platform
import resource

import pytest
import torch

from metaux.allocation import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_freed_blocks_are_not_taken_from_the_system_again() -> None:
    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            torch.ones(2**24)  # 64 MiB: glibc's own threshold is at most half of that
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    keep_freed_memory()
    faults()
    # Once of three times, since a block may be taken anew where freed ones are in pieces.
    assert min(faults() for _ in range(3)) < 5 * 2**14 / 10
