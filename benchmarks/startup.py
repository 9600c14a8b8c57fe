"""How long the tool takes to start, each measured in fresh processes that take turns.

    python benchmarks/startup.py --out results/speed/startup.json

`import metaux` counts with all its parts loaded, as the time beyond `import torch`; `MetauxClassifier` alone is left
out, since whoever wants a scikit-learn estimator has scikit-learn loaded.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from recording import record

COMMANDS = {
    "python": "pass",
    "import torch": "import torch",
    "import metaux": "import metaux",
    "import metaux, all parts": (
        "import metaux; [getattr(metaux, name) for name in metaux.__all__ if name != 'MetauxClassifier']"
    ),
    "metaux --help": "from metaux.cli.main import main; main(['--help'])",
}
TARGETS = {"metaux --help": 1.0, "import metaux, all parts, beyond import torch": 0.3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="timed turns of each command (default: 7)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(arguments.repeats + 1):
        for name, code in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
            if turn:  # the first turn fills the disk cache
                times[name].append(time.perf_counter() - start)
    seconds = {name: statistics.median(t) for name, t in times.items()}
    pairs = zip(times["import metaux, all parts"], times["import torch"], strict=True)
    seconds["import metaux, all parts, beyond import torch"] = statistics.median(a - b for a, b in pairs)
    for name, value in seconds.items():
        bound = TARGETS.get(name)
        print(f"{name:48}{value:7.3f} s" + (f"  (at most {bound})" if bound else ""))
    command = f"startup.py --repeats {arguments.repeats}"
    record(arguments.out, command, median_s=seconds, targets_s=TARGETS, seconds=times)


if __name__ == "__main__":
    main()
