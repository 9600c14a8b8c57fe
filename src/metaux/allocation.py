"""How freed memory is kept for the next step of a training."""

import ctypes
import platform
from functools import cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_MOST = 2**30


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
