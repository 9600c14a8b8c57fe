"""Separate random streams, so that a method that draws more numbers changes nothing for the others."""

import hashlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

ALONE = threading.RLock()
"""Held by the thread that changes what a process has one of: the global random generators, the number of threads."""


def derive_seed(seed: int, *names: str | int) -> int:
    """Return the seed of the stream of that name: independent for each (seed, names), the same on every machine.

    >>> derive_seed(0, "order", 1) != derive_seed(0, "order", 2)
    True
    """
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def generator(seed: int, *names: str | int) -> torch.Generator:
    """Return a generator on the CPU at the start of the stream of that name."""
    return torch.Generator().manual_seed(derive_seed(seed, *names))


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Within the block, torch's global random state stands at the start of the stream of that name.

    Of several threads, one at a time is within such a block, since they have one state between them.
    """
    elsewhere = torch.cuda.is_initialized() or torch.backends.mps.is_available()
    # Until a GPU is in use, `torch.manual_seed` notes down the call stack for it: much of a small network's step.
    start = torch.manual_seed if elsewhere else torch.default_generator.manual_seed
    with ALONE, torch.random.fork_rng(range(torch.cuda.device_count()) if elsewhere else []):
        start(derive_seed(seed, *names))
        yield


@contextmanager
def all_seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Within the block, the global generators of Python and of NumPy are seeded too: for code that is not ours."""
    with seeded(seed, *names):
        of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
        random.seed(derive_seed(seed, *names, "python"))
        np.random.seed(derive_seed(seed, *names, "numpy"))  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)  # noqa: NPY002
