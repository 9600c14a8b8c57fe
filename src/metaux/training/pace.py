"""When to write what a training leaves on the way: it costs little, however short the epochs are."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

REST = 10


class Pace:
    """Says when the next writing is due: after ten times as long as the last one took.

    So what is written at this pace takes less than a tenth of the time. Where an epoch takes as long as ten writings,
    it is written after each epoch.
    """

    def __init__(self) -> None:
        self._next = 0.0

    @property
    def is_due(self) -> bool:
        """Whether to write now."""
        return time.perf_counter() >= self._next

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Time what is written in the block."""
        start = time.perf_counter()
        yield
        end = time.perf_counter()
        self._next = end + REST * (end - start)
