"""When to write what a training leaves on the way: it costs little, however short the epochs are."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

REST = 10


class Pace:
    """Says when the next writing is due: after ten times as long as the last one took.

    So writing takes at most a tenth of the time of training. Where an epoch takes longer than ten writings, something
    is written after each.
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
