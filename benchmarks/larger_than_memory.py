"""A folder of images that memory does not hold: what a training takes of it, and what the loader costs.

    python benchmarks/larger_than_memory.py --out results/speed/larger-than-memory.json

JPEG files of 64 x 64 random pixels in 20 classes, below a temporary folder. Processes of one thread train single task
on all of them, with crops and flips:

- `mapped`: the images lie in a file. The system refuses the process more than `--allowance` MB beyond what the imports
  took (`RLIMIT_DATA`, which counts memory that is the process's own, and not the pages of a file). Recorded is its own
  memory after each epoch, after the last of which the test samples are measured too.
- `in_memory`: without a limit. It must end in the same weights.
- `in_memory_limited`: in memory with the limit, which must be refused.

Then, on the small CNN, the CPU milliseconds of an iteration, and for a batch:

- of the loader, where the system keeps the file's pages in memory;
- `from_disk`, by the clock, where it keeps nothing, and has been asked for the batch as long before as an iteration
  takes, as the training does; `from_disk_unexpected`, where it is asked when the batch is made;
- for decoding the batch's files, as a loader would have to in each epoch that keeps no pixels.

A share is that of an iteration with such a loader.
"""

import argparse
import ctypes
import hashlib
import json
import mmap
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from folder import write
from recording import record
from torch import Tensor

from metaux import allocation
from metaux.allocation import keep_freed_memory
from metaux.data.decoding import decode
from metaux.data.pixels import ImageFormat
from metaux.runs.loading import load_once
from metaux.runs.plan import make_plan
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.callbacks import Callback, Training
from metaux.training.devices import make_fabric
from metaux.training.learner import Learner, make_learner
from metaux.training.loop import fit, take_step

SIDE, TIMED = 64, 40
MB = 2**20


def own_memory(line: str) -> float:
    """Return a line of /proc/self/status, MB."""
    [found] = [row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(f"{line}:")]
    return int(found.split()[1]) / 1024


def settings_of(folder: str, backbone: str, epochs: int = 1) -> Settings:
    return Settings(data=folder, augment="crop-flip", backbone=backbone, epochs=epochs, device="cpu")


def learner_of(settings: Settings) -> Learner:
    fabric = make_fabric(settings)
    return make_learner(make_plan(Trial(settings, "single", 0), load_once(settings), fabric.device), fabric)


class Memory(Callback):
    """Notes the process's own memory after each epoch."""

    def __init__(self) -> None:
        self.after: list[float] = []

    def on_epoch_end(self, training: Training) -> None:
        """Note it."""
        self.after.append(own_memory("RssAnon"))
        assert len(self.after) == len(training.records)


def trained(folder: str, in_file: bool, allowance: int | None, epochs: int) -> dict[str, Any]:
    """Train on a folder, and return what the process took."""
    allocation.SHARE_OF_MEMORY = 0.0 if in_file else 1.0
    before = own_memory("RssAnon")
    if allowance is not None:
        limit = int(own_memory("VmData") + allowance) * MB
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    memory = Memory()
    try:
        fitted = fit(learner_of(settings_of(folder, "mlp", epochs)), curve=False, callbacks=[memory])
    except (MemoryError, RuntimeError) as error:
        if allowance is None or not any(word in str(error) for word in ("allocate memory", "Unable to allocate")):
            raise
        return {"refused": True}
    weights = b"".join(own.detach().numpy().tobytes() for own in fitted.network.parameters())
    return {
        "own_mb_after_imports": before,
        "own_mb_after_epochs": memory.after,
        "seconds_of_epochs": [own["seconds"] for own in fitted.records],
        "accuracy": float(fitted.test_correct.float().mean()),
        "weights": hashlib.blake2b(weights, digest_size=16).hexdigest(),
    }


def timed(do: Callable[[int], object], clock: Callable[[], float], before: Callable[[int], object] = int) -> float:
    """Return the median milliseconds of doing something."""
    found = []
    for position in range(TIMED):
        before(position)
        start = clock()
        do(position)
        found.append(1000 * (clock() - start))
    return median(found)


def loader(folder: str) -> dict[str, float]:
    """Return what the loader costs of an iteration, by where the images are."""
    allocation.SHARE_OF_MEMORY = 0.0
    files = kept_files()
    learner = learner_of(settings_of(folder, "small-cnn"))
    learner.network.train()
    order, train, names = learner.batches.order(0), learner.batches.train, learner.plan.train.names
    [stored] = learner.plan.train.stored
    wanted = ImageFormat((SIDE, SIDE), 3)
    step = timed(lambda position: take_step(learner, "train", order, position, 1.0), time.process_time)
    count = iter(range(10**6))  # each batch anew: the last ones are kept

    def load(position: int) -> None:
        train.augmented(order.train[position], "alone", 0, next(count))

    left = list[float]()

    def evict(_: int) -> None:
        left.append(evicted(stored, files))

    def evict_and_expect(position: int) -> None:
        evict(position)
        train.expect(order.train[position])
        time.sleep(step / 1000)

    warm = timed(load, time.process_time)
    decoding = timed(lambda at: [decode(Path(names[row]), wanted) for row in order.train[at]], time.process_time)
    found = {"iteration_ms": step, "loader_ms": warm, "loader_share": warm / step}
    for name, before in (("from_disk", evict_and_expect), ("from_disk_unexpected", evict)):
        clock = timed(load, time.perf_counter, before)
        found |= {f"{name}_ms": clock, f"{name}_share": clock / (step - warm + clock)}
    decoded = {"decoding_ms": decoding, "decoding_share": (warm + decoding) / (step + decoding)}
    return {**found, "left_in_memory": max(left), **decoded}


def kept_files() -> list[int]:
    """Return where the temporary files that are made from now on are kept open, so that they can be evicted."""
    made, kept = tempfile.TemporaryFile, list[int]()

    def make(*arguments: Any, **options: Any) -> Any:
        file = made(*arguments, **options)
        kept.append(os.dup(file.fileno()))
        return file

    tempfile.TemporaryFile = make
    return kept


def evicted(tensor: Tensor, files: list[int]) -> float:
    """Let the system keep nothing of a mapped tensor in memory, and return the share of it that is left there."""
    libc = ctypes.CDLL(None)
    start, size = ctypes.c_void_p(tensor.data_ptr()), ctypes.c_size_t(tensor.nbytes)
    libc.madvise(start, size, mmap.MADV_DONTNEED)
    for file in files:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    pages = (ctypes.c_ubyte * -(-tensor.nbytes // mmap.PAGESIZE))()
    libc.mincore(start, size, pages)
    return sum(own & 1 for own in pages) / len(pages)


def in_process(*words: object) -> Any:
    """Return what this script finds in a process of its own."""
    done = subprocess.run([sys.executable, __file__, *map(str, words)], stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="images (default: 100,000)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of each training (default: 4)")
    parser.add_argument("--allowance", type=int, default=512, help="MB beyond the imports (default: 512)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    if options.part == "loader":
        print(json.dumps(loader(options.folder)))
        return
    if options.part:
        limit = None if options.part == "in_memory" else options.allowance
        print(json.dumps(trained(options.folder, options.part == "mapped", limit, options.epochs)))
        return
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), options.count, SIDE)
        words = "--folder", place, "--epochs", options.epochs, "--allowance", options.allowance
        parts = ("mapped", "in_memory", "in_memory_limited", "loader")
        found = {part: in_process("--part", part, *words) for part in parts}
    found["same_weights"] = found["mapped"]["weights"] == found["in_memory"]["weights"]
    found["images_mb"] = options.count * 3 * SIDE * SIDE / MB
    print(json.dumps(found, indent=2))
    command = f"larger_than_memory.py --count {options.count} --epochs {options.epochs} --allowance {options.allowance}"
    record(options.out, command, images=options.count, measured=found)


if __name__ == "__main__":
    main()
