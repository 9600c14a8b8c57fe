"""Which device, precision and number of processes a run uses; Lightning Fabric does the rest."""

import logging
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from metaux.allocation import keep_freed_memory
from metaux.errors import InputError, TooLittleMemoryError
from metaux.rng import ALONE
from metaux.settings import Precision, Settings

if TYPE_CHECKING:
    from metaux.training.fabric import Fabric

MOST_AT_ONCE = 1024
"""Threads, or processes: more than that the system may not be able to start."""
TOO_LITTLE_MEMORY = "too little memory; use a smaller batch size or image size, fewer sub-classes or fewer jobs"


def device_of(settings: Settings) -> torch.device:
    """Return the device that these settings name: of several processes, the first one's.

    Raises:
        InputError: for a device that is unknown or not there, a count that is not from 1 to 1,024, or more processes
            than devices.
    """
    for name in ("processes", "threads"):
        count = getattr(settings, name)
        if not 1 <= count <= MOST_AT_ONCE:
            bound = f"at least 1, found {count}" if count < 1 else f"at most {MOST_AT_ONCE:,}, found {count:,}"
            raise InputError(f"expected {name} of {bound}; correct --{name}")
    found = re.fullmatch(r"(auto|cpu|cuda|mps)(?::(\d+))?", settings.device)
    if found is None:
        raise InputError(f"unknown device '{settings.device}' (known: auto, cpu, cuda, cuda:1, mps)")
    kind, index = found.groups()
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[kind]
    if not available or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        raise InputError(f"device '{settings.device}' is not on this machine; use --device cpu or auto")
    if settings.processes > 1:
        _check_processes(settings, kind, index)
    return torch.device("cpu") if kind == "cpu" else torch.device(kind, int(index or 0))


def make_fabric(settings: Settings) -> "Fabric":
    """Return the Fabric for these settings; launch it before use if there is more than one process.

    Raises:
        InputError: as `device_of`.
    """
    device = device_of(settings)
    quieten()
    if settings.processes > 1:
        from metaux.training.fabric import Fabric

        strategy, devices = "ddp_spawn", settings.processes
        return Fabric(accelerator=device.type, strategy=strategy, devices=devices, precision=settings.precision)
    return _of_one_process(device, settings.precision)


@cache
def _of_one_process(device: torch.device, precision: Precision) -> "Fabric":
    """Return the Fabric of one process: without state, and as slow to make as many packages are installed."""
    from metaux.training.fabric import Fabric  # imports all that compiles networks: not for what only reads a run

    one = [device.index] if device.type == "cuda" else 1
    return Fabric(accelerator=device.type, devices=one, precision=precision)


def _check_processes(settings: Settings, kind: str, index: str | None) -> None:
    """Raise `InputError` unless each of several processes can have a device of its own."""
    if index is not None:
        raise InputError(
            f"expected --device {kind} for --processes {settings.processes}, found {settings.device}; the processes "
            "take the first devices there are, so leave the number out"
        )
    count = {"cpu": settings.processes, "cuda": torch.cuda.device_count(), "mps": 1}[kind]
    if settings.processes > count:
        raise InputError(
            f"expected --processes of at most {count}, one for each device '{kind}' of this machine, found "
            f"{settings.processes}; ask for fewer"
        )


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was given, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def device_name(device: torch.device) -> str:
    """Return the name of the GPU, or of the CPU where the system tells it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def quieten() -> None:
    """Keep Lightning from announcing precision and processes."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


@contextmanager
def computing(threads: int) -> Iterator[None]:
    """Within the block, torch and scikit-learn use that many CPU threads; one thread of a process at a time is in it.

    Raises:
        TooLittleMemoryError: if the block asks for memory that is not there.
    """
    from threadpoolctl import threadpool_limits

    keep_freed_memory()
    with ALONE, threadpool_limits(threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            known = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
            if not known:
                raise
            raise TooLittleMemoryError(TOO_LITTLE_MEMORY) from error
        finally:
            torch.set_num_threads(before)
