"""How much memory is free, and how freed memory is kept for the next step of a training."""

import ctypes
import platform
from functools import cache

import psutil
import torch

SHARE_OF_MEMORY = 0.25
"""How much of the free memory something large may take; what is larger is kept in another way."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_MOST = 2**30


def free_memory(device: torch.device | None = None) -> int:
    """Return the bytes that are free where a tensor on the device lies; by default, on the CPU."""
    if device is not None and device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


@cache
def keep_freed_memory() -> None:
    """Let this process keep memory that it frees, up to 1 GiB at a time, on Linux with glibc; elsewhere do nothing.

    By default glibc gives large blocks back to the system, and each step of a training takes them anew, page by page.
    No result depends on it. The environment's `MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` are overridden.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _MOST)
        libc.mallopt(_M_TRIM_THRESHOLD, _MOST)
