"""Separate random streams, so that a method that draws more numbers changes nothing for the others."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
    """Within the block, torch's global random state stands at the start of the stream of that name."""
    elsewhere = torch.cuda.is_initialized() or torch.backends.mps.is_available()
    # Until a GPU is in use, `torch.manual_seed` notes down the call stack for it: much of a small network's step.
    start = torch.manual_seed if elsewhere else torch.default_generator.manual_seed
    with torch.random.fork_rng(range(torch.cuda.device_count()) if elsewhere else []):
        start(derive_seed(seed, *names))
        yield
