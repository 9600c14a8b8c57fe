"""Whether every backbone that `--backbone` accepts goes from train to predict, evaluate and export.

    python benchmarks/backbones.py --out results/backbones.csv

One step on twelve images of 32x32 pixels with each classifier of torchvision below 100 million parameters and the
smallest such network of each of timm's families. Where a network refuses these, 224x224 is tried, and then the size
that the refusal names. A row says how far a network came; where it was refused, why. A file that is there is continued.
"""

import argparse
import contextlib
import csv
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import timm
import torch
import torchvision

from metaux.cli.main import main as metaux

MOST = 100_000_000
# To make all thousand networks of timm takes an hour: of large families only names with one of these are looked at.
SMALL = re.compile("test_|atto|femto|pico|nano|xxs|xx_|tiny|_xs|x0|_050|_lite|_t0|_s0|_0|mini")
FEW = 8
STEPS = ("train", "predict", "evaluate", "export")
FIELDS = ("backbone", "parameters", "pixels", "reached", "seconds", "said")
PIXELS = (32, 224)
SIZE_NAMED = re.compile(r"for example to (\d+)")


def names() -> Iterator[tuple[str, int]]:
    """Yield each backbone with its number of parameters, those of its own classifier included."""
    for name in torchvision.models.list_models(module=torchvision.models):
        count = torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
        if count < MOST and "quantized" not in name:
            yield f"torchvision:{name}", count
    for family in timm.list_modules():
        known = timm.list_models(module=family)
        small = [name for name in known if SMALL.search(name)] if len(known) > FEW else known
        sizes = {name: parameters(name) for name in (small or known)[:FEW]}
        name = min(sizes, key=lambda name: sizes[name], default="")
        if name and sizes[name] < MOST:
            yield f"timm:{name}", sizes[name]


def parameters(name: str) -> int:
    """Return how many parameters a network of timm has, without making them."""
    try:
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in timm.create_model(name).parameters())
    except Exception:  # a family that can't be made so is none of the smallest
        return MOST


def walk(name: str, folder: Path, pixels: int) -> tuple[str, str]:
    """Return the last of `STEPS` that a backbone took, and in one line why the next one failed."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (12, pixels, pixels, 3), dtype=np.uint8), np.arange(12) % 2
    np.savez(folder / "images.npz", x=images, y=labels)
    np.savez(folder / "new.npz", x=images)
    data, run = str(folder / "images.npz"), str(folder / "run")
    one_step = ("--epochs", "1", "--batch-size", "12", "--quiet")
    commands = (
        ("train", data, "--method", "single", "--backbone", name, *one_step, "--out", run),
        ("predict", run, str(folder / "new.npz"), "--out", str(folder / "new.csv")),
        ("evaluate", run, "--json"),
        ("export", run, "--to", "torch-export", "--out", str(folder / "exported")),
    )
    reached = ""
    for step, command in zip(STEPS, commands, strict=True):
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                metaux(list(command))
        except SystemExit as end:
            if end.code:
                return reached, said.getvalue().strip().splitlines()[-1]
        except Exception as error:
            return reached, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        reached = step
    return reached, ""


def walk_at_some_size(name: str, folder: Path) -> tuple[int, str, str]:
    """Return the first size of images that a backbone does not refuse, and what `walk` returns of it."""
    sizes = [*PIXELS]
    for pixels in sizes:
        place = folder / str(pixels)
        place.mkdir()
        reached, said = walk(name, place, pixels)
        if "raise --image-size" not in said:
            break
        if (named := SIZE_NAMED.search(said)) and int(named[1]) > max(sizes):
            sizes.append(int(named[1]))
    return pixels, reached, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/backbones.csv"), help="CSV file to write or continue")
    out = parser.parse_args().out
    out.parent.mkdir(parents=True, exist_ok=True)
    done = {row["backbone"] for row in csv.DictReader(out.open())} if out.exists() else set()
    with out.open("a", newline="") as file:
        rows = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if not done:
            rows.writeheader()
        for name, count in sorted(names(), key=lambda known: known[1]):  # the quick ones first
            if name in done:
                continue
            start = time.perf_counter()
            with TemporaryDirectory() as folder:
                pixels, reached, said = walk_at_some_size(name, Path(folder))
            seconds = f"{time.perf_counter() - start:.1f}"
            rows.writerow(dict(zip(FIELDS, (name, count, pixels, reached, seconds, said), strict=True)))
            file.flush()
            print(name, pixels, reached, said, flush=True)


if __name__ == "__main__":
    main()
