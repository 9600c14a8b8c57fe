"""A folder of many small images: how long it takes to read, and what its batches cost.

    python benchmarks/folder.py --out results/speed/folder.json

JPEG files of 32 x 32 random pixels in 20 classes, below a temporary folder. Recorded are the seconds of CPU time, since
other programs may run beside it, in which the files are listed and their headers checked, in which the whole folder is
read, which includes that, and of an iteration of single task on the small CNN with crops and flips; the loader's share
of it; and the peak memory after the first and after the last of some rounds of 100 iterations. One thread.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from recording import peak_memory, record

from metaux.allocation import keep_freed_memory
from metaux.data.decoding import survey
from metaux.data.images import find_images
from metaux.data.pixels import AS_FOUND
from metaux.runs.loading import load_once
from metaux.runs.plan import make_plan
from metaux.runs.trial import Trial
from metaux.settings import Settings
from metaux.training.devices import make_fabric
from metaux.training.learner import make_learner
from metaux.training.loop import take_step

CLASSES, SIDE, ROUND, ROUNDS = 20, 32, 100, 5


def write(folder: Path, count: int, side: int = SIDE) -> None:
    """Write so many images, classes in turn."""
    generator = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"class{number % CLASSES:02}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:06}.jpg", quality=80)


def measure(folder: Path) -> dict[str, object]:
    """Return what the folder costs."""
    settings = Settings(data=str(folder), augment="crop-flip", backbone="small-cnn", device="cpu")
    begin = time.process_time()
    for file in find_images(folder).images:
        survey(file, AS_FOUND)
    listed = time.process_time() - begin
    begin = time.process_time()
    data = load_once(settings)
    read = time.process_time() - begin
    fabric = make_fabric(settings)
    learner = make_learner(make_plan(Trial(settings, "single", 0), data, fabric.device), fabric)
    learner.network.train()
    order, peaks = learner.batches.order(0), []
    step, load = 0.0, 0.0
    for number in range(ROUNDS):
        for position in range(number * ROUND, (number + 1) * ROUND):
            place = position % len(order.train)
            begin = time.process_time()
            learner.batches.train.augmented(order.train[place], "alone", 0, position)
            load += time.process_time() - begin
            begin = time.process_time()
            take_step(learner, "train", order, place, 1.0)
            step += time.process_time() - begin
        peaks.append(peak_memory())
    steps = ROUNDS * ROUND
    return {
        "listed_and_checked_s": listed,
        "read_s": read,
        "iteration_ms": 1000 * step / steps,
        "loader_share": load / step,
        "peak_mb": [peaks[0], peaks[-1]],
        "images_mb": sum(part.numel() for part in data.train.inputs + data.test.inputs) / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="images (default: 100,000)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), options.count)
        found = measure(Path(place))
    print(found)
    record(options.out, f"folder.py --count {options.count}", images=options.count, measured=found)


if __name__ == "__main__":
    main()
