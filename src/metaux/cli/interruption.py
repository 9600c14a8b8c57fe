"""Signals that end a command: Ctrl-C, a terminal that closes, a system that shuts down."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(KeyboardInterrupt):
    """A signal came that ends the command.

    Args:
        status: what the process exits with, 128 and the signal's number.
    """

    def __init__(self, status: int):
        self.status = status


@contextmanager
def interruptible(say: Callable[[], None]) -> Iterator[None]:
    """Within the block, a signal that ends the process raises `Interrupted`.

    During an import it ends the process at once, since a library may abort whose import is broken off. So does a second
    signal, should what the first one stopped take its time. One that was ignored before stays ignored (`nohup`).

    Args:
        say: called before the process ends at once.
    """
    raised = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal raised
        if raised or _is_importing(frame):
            say()
            os._exit(128 + number)
        raised = True
        raise Interrupted(128 + number)

    if threading.current_thread() is not threading.main_thread():  # only that one is told of signals
        yield
        return
    usual = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: handler for number in _ENDING if (handler := signal.getsignal(number)) in usual}
    try:
        for number in before:
            signal.signal(number, end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
