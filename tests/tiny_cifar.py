"""Data that stands in for a published data set."""

from pathlib import Path

import numpy as np
from PIL import Image

from metaux.data.levels import Levels


def write_cifar100(root: Path) -> Path:
    """Write CIFAR-100's classes as class folders, four training images and one test image of 6 x 6 pixels each."""
    stream = np.random.default_rng(0)
    for name in Levels.cifar100().classes("100"):
        colour = stream.integers(60, 190, 3)
        for part, count in (("train", 4), ("test", 1)):
            folder = root / "cifar100" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = colour + stream.integers(-50, 50, (6, 6, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png", compress_level=1)
    return root
