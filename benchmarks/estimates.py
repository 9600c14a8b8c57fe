"""Does what a command says at its start hold? Run on an otherwise idle machine.

    python benchmarks/estimates.py --cifar100 data/cifar100 --out results/speed/estimates.json

Each command is started as a user would, in a new folder. What it says, "about 42 seconds", is compared with the time
from that line to the command's end.
"""

import argparse
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from handed_over import photos, texts
from recording import record

ESTIMATE = re.compile(r"about ([\d.]+) (second|minute)s?$")
FACTOR = 1.3


def commands(cifar100: Path, data: Path) -> dict[str, list[str]]:
    """Return the words of each command, by its name; what they are trained on is made in a folder."""
    chance = random.Random(0)
    images, _ = photos(cifar100, data / "images", chance)
    table, _ = texts(data / "texts", chance)
    return {
        "compare digits": ["compare", "digits"],
        "compare digits, more epochs": ["compare", "digits", "--epochs", "30", "--methods", "single", "maxl"],
        "compare a table": ["compare", "breast-cancer", "--seeds", "5"],
        "compare 300 photos": ["compare", images, "--seeds", "1", "--epochs", "10", "--backbone", "small-cnn"],
        "compare 600 texts": ["compare", table, "--seeds", "2"],
    }


def measure(words: list[str], out: Path) -> tuple[float, float]:
    """Return the seconds that a command said it would take, and those that it took."""
    line = [sys.executable, "-m", "metaux", *words, "--out", str(out)]
    said, start = None, 0.0
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for told in process.stdout:
            if said is None and (found := ESTIMATE.search(told.rstrip())):
                said = float(found[1]) * (60 if found[2] == "minute" else 1)
                start = time.perf_counter()
    took = time.perf_counter() - start
    if process.returncode or said is None:
        raise SystemExit(f"{' '.join(line)}: status {process.returncode}, estimate {said}")
    return said, took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar100", type=Path, required=True, help="folder of CIFAR-100's images")
    parser.add_argument("--only", nargs="*", default=[], help="commands, by name (default: all)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        said, took = {}, {}
        for name, words in commands(arguments.cifar100, Path(place)).items():
            if not arguments.only or name in arguments.only:
                said[name], took[name] = measure(words, Path(place) / name.replace(" ", "-"))
                print(f"{name:32}said {said[name]:6.0f} s, took {took[name]:6.1f} s", flush=True)
    off = max(max(said[name] / took[name], took[name] / said[name]) for name in said)
    print(f"by a factor of {off:.2f} at most (limit {FACTOR})")
    record(arguments.out, "estimates.py --cifar100 FOLDER", said_s=said, took_s=took, factor=off, limit=FACTOR)


if __name__ == "__main__":
    main()
